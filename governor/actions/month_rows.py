"""Whether the rows of closed months are what their closes recorded: state, pin, answer, files, lines, and versions that were reopened.

Owns: the comparison. Does not own: the files' digests (sealed_files), decisions and changes (state_rows). Invariants: reads only; believes the entry, then the
manifest that the entry names, then the statement that the manifest names, and no row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

from sqlmodel import Session, select

from governor.actions.close_period import correction_summary, files_of
from governor.actions.erase_person import ERASED
from governor.actions.recorded_entries import recorded_entries
from governor.actions.sealed_files import MANIFEST, close_key, file_problems
from governor.chargeback.currency import LINES
from governor.chargeback.lines import Line, line_of
from governor.chargeback.statement import usd
from governor.ledger.canonical import counted, timestamp
from governor.ledger.entry import Entry
from governor.store.rows.people import Person
from governor.store.rows.periods import Period, PeriodFile, PeriodLine, PeriodVersion, PeriodVersionFile

NAMED: Final = 3  # wrong lines that are named; the rest is a number


def month_problems(session: Session, org: str) -> Iterator[str]:
    closes, reopened = dict[tuple[str, int], Entry](), dict[tuple[str, int], Entry]()
    for entry in recorded_entries(session, org, ("period:close", "period:reopen")):
        (closes if entry.type == "period:close" else reopened)[close_key(entry)] = entry
    periods = {row.month: row for row in session.exec(select(Period).where(Period.org_id == org))}
    kept = {(row.month, row.version): row for row in session.exec(select(PeriodVersion).where(PeriodVersion.org_id == org))}
    for key, entry in sorted(closes.items()):
        found = _version(session, kept.get(key), entry, reopened[key]) if key in reopened else _close(session, periods.get(key[0]), entry)
        try:
            yield from (f"{key[0]}{f' version {key[1]}' if key in reopened else ''}: {one}" for one in found)
        except (ValueError, TypeError, KeyError, AttributeError) as error:  # a row that holds something else than what was written
            yield f"{key[0]}: its rows cannot be read ({type(error).__name__})"
    stands = {month for month, version in closes if (month, version) not in reopened}
    for month in sorted(row.month for row in periods.values() if row.state == "closed" and row.month not in stands):
        yield f"{month}: its row says closed, and no ledger entry does"
    stored = {
        month for table in (PeriodFile, PeriodLine) for month in session.exec(select(table.month).where(table.org_id == org).distinct())
    }
    for month in sorted(stored - stands):
        yield f"{month}: files or lines of a close are stored, and no ledger entry says that it is closed"
    for month, version in sorted(set(kept) - set(reopened)):
        yield f"{month}: a row says version {version} was reopened, and no ledger entry does"


def _close(session: Session, row: Period | None, entry: Entry) -> Iterator[str]:
    """The close that stands."""
    if row is None or row.state != "closed":
        yield f"the ledger says closed, its row {row.state if row else 'is gone'}"
        return
    files = files_of(session, row.org_id, row.month)
    lines = session.exec(select(PeriodLine).where(PeriodLine.org_id == row.org_id, PeriodLine.month == row.month)).all()
    for line in lines:
        told = line_of(json.loads(line.body))
        if (line.line_id, line.charge_month, line.contracted_pico) != (told.line_id, told.charge_month, told.contracted_pico):
            yield f"columns of line {line.line_id} differ from what it says"
    body = entry.payload
    for name, shown, said in (
        ("snapshot", row.snapshot, body.get("snapshot")),
        ("pin", row.catalog_as_of and timestamp(row.catalog_as_of), entry.body["occurred_at"]),
        ("price book", row.price_book, body.get("price_book")),
    ):
        if shown != said:
            yield f"its row names another {name} than the close on record"
    yield from _sealed(session, entry, files, [line_of(json.loads(line.body)) for line in lines], row)


def _version(session: Session, row: PeriodVersion | None, entry: Entry, reopen: Entry) -> Iterator[str]:
    """A close that was reopened, as it was kept."""
    if row is None:
        yield "the ledger says closed and reopened, and no row keeps it"
        return
    if row.reason != reopen.payload.get("reason"):
        yield "its row names another reason for reopening than the ledger"
    files = session.exec(select(PeriodVersionFile).where(PeriodVersionFile.version_id == row.id)).all()
    yield from _sealed(session, entry, files, [line_of(one) for one in json.loads(row.lines)], row)


def _sealed(
    session: Session, entry: Entry, files: Sequence[PeriodFile | PeriodVersionFile], lines: Sequence[Line], row: Period | PeriodVersion
) -> Iterator[str]:
    """Files against the entry; where these are right, lines and answer against what the files say."""
    wrong = list(file_problems(entry, files))
    yield from wrong
    bodies = {file.name: file.body for file in files}
    statement = f"statement-{entry.payload['month']}.json"
    if statement not in bodies or any(one.startswith((f"{statement} ", f"its {MANIFEST}")) for one in wrong):
        return
    document, manifest = json.loads(bodies[statement]), next(file for file in files if file.name == MANIFEST)
    yield from _lines(document, lines)
    listed = {"name": MANIFEST, "sha256": manifest.sha256, "bytes": len(manifest.body), "total": None, "media_type": manifest.media_type}
    yield from _answer(entry, document, [*json.loads(manifest.body)["files"], listed], json.loads(row.totals))
    yield from _closers(session, entry, document, row)


def _lines(document: dict[str, Any], lines: Sequence[Line]) -> Iterator[str]:
    """Each line by its id, which is a digest of all that it is about, and by its amounts."""
    sealed = {line["line_id"]: line for center in document["cost_centers"] for name in LINES for line in center.get(name, [])}
    stored = {line.line_id: line for line in lines}
    wrong = [
        name
        for name in sorted({*sealed, *stored})
        if name not in sealed
        or name not in stored
        or any(sealed[name].get(key, value) != value for key, value in _said(stored[name]).items())
    ]
    yield from (f"line {name} is not as the statement says" for name in islice(wrong, NAMED))
    if len(wrong) > NAMED:
        yield f"{len(wrong) - NAMED} more lines are not as the statement says"
    if len(stored) != len(lines):
        yield "a line is stored twice"


def _said(line: Line) -> dict[str, Any]:
    """What a statement says of a line beyond its id."""
    return {
        "quantity": counted(line.quantity), "calls": line.calls, "list_cost": usd(line.list_pico), "contracted_cost": usd(line.contracted_pico),
        "covered_cost": usd(line.covered_pico), "amortized_cost": usd(line.effective_pico), "contract_terms": line.terms, "method": line.method,
        "ratio": line.ratio, "origin_cost_center": line.origin_center, "arithmetic": line.arithmetic,
    }  # fmt: skip


def _answer(entry: Entry, document: dict[str, Any], files: list[dict[str, Any]], shown: dict[str, Any]) -> Iterator[str]:
    """What the close answered, which every page and command shows from then on."""
    said = {
        "period": entry.payload["month"], "state": "closed", "snapshot": entry.payload["snapshot"], "totals": entry.payload["totals"],
        "coverage": entry.payload["coverage"], "exception": document["exception"], "corrections": correction_summary(document),
        "warnings": document["warnings"], "files": files, "version": entry.payload.get("version", 1),
    }  # fmt: skip
    for name, value in said.items():
        if shown.get(name, 1 if name == "version" else None) != value:
            yield f"its row names other {name} than the close on record"
    receipt = shown["ledger_entry"]
    if (receipt["id"], receipt["leaf_hash"]) != (entry.id, entry.leaf_hash.hex()):
        yield "its row names another ledger entry than that of its close"


def _closers(session: Session, entry: Entry, document: dict[str, Any], row: Period | PeriodVersion) -> Iterator[str]:
    """The addresses of the people whom the entry names. Who was erased has none any more: their part is not held."""
    signed = [str(one) for one in entry.payload.get("signed_by", [])]
    known = {one.id: one.email for one in session.exec(select(Person).where(Person.org_id == row.org_id))}
    erased = {email for email in known.values() if email.endswith(f"@{ERASED}")}
    if row.closed_by in erased or erased & {known.get(one, "") for one in signed}:
        return
    wanted = " and ".join(known.get(one, one) for one in signed) if len(signed) > 1 else document["prepared_by"]
    if row.closed_by != wanted:
        yield "its row names another person than the close on record"
