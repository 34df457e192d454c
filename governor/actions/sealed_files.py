"""Whether the files of a closed month are those that its close sealed: each hashes to its manifest, the manifest to the entry of the close.

Owns: that comparison, for `ledger verify` and for every file that is handed out. Does not own: making files (statement_files), closing (close_period).
Invariants: reads only; a digest that stands beside a file in the same table proves nothing and is never believed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final

from sqlmodel import Session

from governor.actions.recorded_entries import recorded_entries
from governor.errors import WrongState
from governor.ledger.canonical import sha256_hex
from governor.ledger.entry import Entry
from governor.store.rows.periods import PeriodFile, PeriodVersionFile

MANIFEST: Final = "manifest.json"


def close_on_record(session: Session, org: str, month: str, version: int) -> Entry | None:
    """The entry of that close of the month."""
    closes = (entry for entry in recorded_entries(session, org, ("period:close",)) if close_key(entry) == (month, version))
    return next(closes, None)


def hidden_close(session: Session, org: str, month: str, version: int) -> str:
    """What is wrong with a month whose row is not closed: nothing, unless the ledger says that this version of it is."""
    found = close_on_record(session, org, month, version)
    return f"the ledger says that {month} is closed, its row says open" if found else ""


def close_key(entry: Entry) -> tuple[str, int]:
    """Month and version that an entry about a close names."""
    return str(entry.payload.get("month")), int(entry.payload.get("version") or 1)


def file_problems(entry: Entry, files: Sequence[PeriodFile | PeriodVersionFile]) -> Iterator[str]:
    """One sentence for each file of the close that is not the sealed one; all of them where `files` is all that is stored."""
    stored, sealed = {file.name: file for file in files}, sealed_digests(entry, files)
    if not sealed:
        yield f"its {MANIFEST} is not the one that its close recorded"
    for name in sorted({*stored, *sealed} if sealed else ()):
        if name not in stored:
            yield f"{name} is gone"
        elif name not in sealed:
            yield f"{name} is none of the files of its close"
        elif not sha256_hex(stored[name].body) == stored[name].sha256 == sealed[name]:
            yield f"{name} does not hash to what was recorded"


def sealed_digests(entry: Entry, files: Sequence[PeriodFile | PeriodVersionFile]) -> dict[str, str]:
    """Name -> digest, from the manifest that the entry names; nothing where the stored one is another."""
    manifest = next((file.body for file in files if file.name == MANIFEST), b"")
    if sha256_hex(manifest) != entry.payload.get("manifest_sha256"):
        return {}
    return {one["name"]: one["sha256"] for one in json.loads(manifest)["files"]} | {MANIFEST: sha256_hex(manifest)}


def check_sealed(
    session: Session, org: str, month: str, version: int, files: Sequence[PeriodFile | PeriodVersionFile], only: str = ""
) -> None:
    """Raise WrongState unless these are all the files of that close; `only`: unless this one is, where the others were not read."""
    entry = close_on_record(session, org, month, version)
    found = (
        ["no close of it is on record"] if entry is None else [one for one in file_problems(entry, files) if not only or _about(one, only)]
    )
    if found:
        raise WrongState(f"{month}: {found[0]}", hint="`governor ledger verify` names all that was changed; restore it from a backup")


def _about(problem: str, name: str) -> bool:
    return problem.startswith((f"{name} ", f"its {MANIFEST}"))
