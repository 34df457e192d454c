"""Secret references -> the secret, at the moment it is needed.

Owns: `env:NAME` and `file:PATH`. Does not own: keys of the home (keys.py), key stores behind a URI.
Invariants: the value is returned to the caller only; an error names the reference, never the value.
"""

from __future__ import annotations

import os
from pathlib import Path

from governor.errors import Invalid


def read_secret(reference: str) -> str:
    """The secret; empty for an empty reference. Raises Invalid where it is not there."""
    if not reference:
        return ""
    kind, _, name = reference.partition(":")
    value = ""
    if kind == "env":
        value = os.environ.get(name, "")
    elif kind == "file" and Path(name).is_file():
        value = Path(name).read_text().strip()
    elif kind != "file":
        raise Invalid(f"no way to read a secret of kind {kind!r}", hint="use env:NAME or file:PATH")
    if not value:
        raise Invalid(
            f"the secret {reference} is not there",
            hint="set the variable or write the file for the process that needs it: the command, `governor serve` or the worker",
        )
    if not value.isascii() or any(character.isspace() for character in value):
        raise Invalid(f"the secret {reference} is no key: it has spaces or characters outside ASCII")
    return value
