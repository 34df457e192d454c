"""Mapping files that were written on a page: kept in the home, because a retry from quarantine reads with the same mapping again.

Owns: where they lie, their names, how many there may be. Does not own: what a mapping says (connectors), who may bring one (map_upload.py).
Invariants: a file lies under the digest of its bytes and never changes; what is kept was read as a mapping before.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

from governor.actions.context import Context
from governor.actions.payloads import MAPPING
from governor.errors import Refused

MOST: Final = 200


def folder_of(ctx: Context) -> Path:
    return ctx.settings.home / "mappings" / ctx.org


def kept_mappings(ctx: Context) -> list[str]:
    """As connectors, `mapping:FILE`."""
    return [f"{MAPPING}{path.resolve()}" for path in sorted(folder_of(ctx).glob("*/*.yaml"))]


def keep_mapping(ctx: Context, name: str, text: str) -> str:
    """The connector of a mapping from now on. Raises Refused where there are too many."""
    body = text.encode()
    folder = folder_of(ctx) / hashlib.sha256(body).hexdigest()[:12]
    target = folder / f"{name}.yaml"
    if not target.exists():
        if len(kept_mappings(ctx)) >= MOST:
            raise Refused(
                f"{MOST} mappings are kept already", hint="remove files that nothing reads with any more from `mappings/` of the home"
            )
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(body)
        os.replace(file.name, target)  # noqa: PTH105 - one step: no reader sees half of it
    return f"{MAPPING}{target.resolve()}"
