"""YAML that is written for a person to complete: texts that somebody else chose, on one line, and the sign for what is still to be said.

Owns: quoting, TO_FILL_IN. Does not own: what is written (draft.py, the mapping's draft), refusing what was left unsaid (parse.py).
"""

from __future__ import annotations

import json
import re
from typing import Final

import yaml

TO_FILL_IN: Final = "CHANGE_ME"
_BARE: Final = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")


def on_one_line(text: str) -> str:
    """In double quotes, on one line: YAML ends a line also at signs that JSON leaves as they are (U+2028)."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def quoted(text: str) -> str:
    """A text as YAML reads it, also inside braces."""
    return text if _BARE.fullmatch(text) and yaml.safe_load(text) == text else on_one_line(text)
