"""A first mapping file for a log that no connector reads, from its first records.

Owns: which file is looked at, the name of the source. Does not own: the mapping language and the guesses (the connector `mapping`).
Invariants: reads only; the file that is written is the caller's to judge, by a preview.
"""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from governor.actions.payloads import MAPPING, files_of, installed, payloads_of
from governor.errors import Invalid


def draft_mapping(word: str, name: str = "") -> str:
    """The text of a mapping of `word` (a file, folder, glob or URL: its first file). name: of the source, else the file's.

    Raises NotFound for a word that matches nothing, Invalid for a file that is no log.
    """
    source = named_after(name or Path(word).name)
    with TemporaryDirectory() as scratch:
        payload = next(payloads_of(files_of([word])[:1], Path(scratch)))
        if payload.fault:
            raise Invalid(f"{payload.uri}: {payload.fault}")
        text: str = mapped().draft(payload, source)
        return text


def named_after(filename: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", filename.split(".", maxsplit=1)[0].lower()).strip("_")[:60] or "our_gateway"


def mapped() -> Any:
    """The connector of mappings, which knows of no file yet."""
    return installed()[MAPPING.rstrip(":")].load()
