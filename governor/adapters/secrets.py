"""Secret references -> the secret, at the moment it is needed.

Owns: `env:NAME` and `file:PATH`, of secrets and of passphrases. Does not own: keys of the home (keys.py), key stores behind a URI.
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
        value = Path(name).read_text(encoding="utf-8", errors="replace").strip()
    elif kind != "file":
        raise Invalid("a secret is given by reference, never itself", hint="use env:NAME or file:PATH")
    if not value:
        raise Invalid(
            f"the secret {reference} is not there",
            hint="set the variable or write the file for the process that needs it: the command, `governor serve` or the worker",
        )
    if not value.isascii() or any(character.isspace() for character in value):
        raise Invalid(f"the secret {reference} is no key: it has spaces or characters outside ASCII")
    return value


def secret_of(reference: str) -> bytes | None:
    """The passphrase behind `env:NAME` or `file:PATH`; None for an empty reference. Raises Invalid when it is not there."""
    kind, _, name = reference.partition(":")
    if not reference:
        return None
    if kind == "env" and os.environ.get(name):
        return os.environ[name].encode()
    if kind == "file" and Path(name).is_file():
        return Path(name).read_bytes().rstrip(b"\r\n")
    if kind not in {"env", "file"}:
        raise Invalid("a passphrase is given by reference, never itself", hint="use env:NAME or file:PATH")
    raise Invalid(f"the key passphrase {kind}:{name} is not there", hint="use env:NAME or file:PATH")
