"""The period packet: every ledger entry of a day, a month, a quarter or a year, and what these entries say of each change.

Owns: the bounds of a period, the range proof as a file, the population of changes, the state that entries tell. Does not own: the packet's bytes
(container.py), its checks (period_checks.py). Invariants: a period is the half-open interval of `recorded_at` in UTC, which never steps back, so its entries
are one unbroken range of leaves; everything said of a change is derived from entries, never from a table.
"""

from __future__ import annotations

import base64
import csv
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from governor.errors import Invalid
from governor.ledger.canonical import sha256_hex
from governor.ledger.checkpoint import parse_decimal
from governor.ledger.entry import Entry
from governor.ledger.merkle import HASH_SIZE
from governor.ledger.note import strict_base64

PREDICATE_TYPE: Final = "https://governor.example/attestation/period/v1"
HEADER: Final = "governor.example/range-proof/v1"
CHANGE: Final = "change/"
COLUMNS: Final = ("id", "workflow", "state", "requester", "requested_at", "last_at", "entries", "first_idx", "last_idx", "digest")
MAX_HASHES: Final = 126  # two borders of a tree of 2^63 leaves
_NAME: Final = re.compile(r"([12][0-9]{3})(?:-(?:Q([1-4])|(0[1-9]|1[0-2])(?:-(0[1-9]|[12][0-9]|3[01]))?))?", re.ASCII)
_SHADOW: Final = {"done": "in_review", "planned": "shadowing", "running": "shadowing"}
_AFTER: Final = {
    "change:propose": "draft",
    "change:submit": "in_review",
    "change:review": "in_review",
    "change:reject": "rejected",
    "change:expire": "expired",
    "change:cutover": "cutover",
    "change:verify": "verified",
    "change:drift": "drifted",
    "change:withdraw": "withdrawn",
}


@dataclass(frozen=True)
class Numbered:
    """An entry at its place in the log."""

    idx: int
    entry: Entry

    @property
    def recorded_at(self) -> str:
        return str(self.entry.body["recorded_at"])


def period_bounds(name: str) -> tuple[str, str]:
    """First instant of the period and of the one after, as the ledger writes instants. `2026-10-05`, `2026-10`, `2026-Q4` or `2026`. Raises Invalid."""
    found = _NAME.fullmatch(name)
    if found is None or (found[4] and not _is_day(name)):
        raise Invalid(f"not a period: {name!r}", hint="write a day as 2026-10-05, a month as 2026-10, a quarter as 2026-Q4, a year as 2026")
    year, quarter, month, day = found.groups()
    if day:
        return f"{name}T00:00:00.000000Z", f"{date.fromisoformat(name) + timedelta(days=1)}T00:00:00.000000Z"
    first, months = (3 * int(quarter) - 2, 3) if quarter else (int(month), 1) if month else (1, 12)
    after = int(year) * 12 + first - 1 + months
    return f"{year}-{first:02d}-01T00:00:00.000000Z", f"{after // 12:04d}-{after % 12 + 1:02d}-01T00:00:00.000000Z"


def _is_day(name: str) -> bool:
    try:
        date.fromisoformat(name)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class RangeProof:
    """Hashes of the subtrees left and right of leaves [begin, end), in order (RFC 6962 nodes); the checkpoint is the one of packet.tlog-proof."""

    begin: int
    end: int
    hashes: tuple[bytes, ...]

    @property
    def text(self) -> str:
        return "\n".join([HEADER, f"range {self.begin} {self.end}", *(base64.b64encode(one).decode() for one in self.hashes)]) + "\n"


def parse_range(text: str) -> RangeProof:
    """Raises Invalid for anything but the one spelling of a range proof."""
    lines = text.split("\n")
    if len(lines) < 3 or lines.pop(0) != HEADER or lines.pop() != "":  # noqa: PLR2004 - header, range, the end of the last line
        raise Invalid(f"not a {HEADER} file")
    words = lines.pop(0).split(" ")
    if len(words) != 3 or words[0] != "range":  # noqa: PLR2004 - the word and two numbers
        raise Invalid("range proof has no range line")
    begin, end = parse_decimal(words[1], "begin of the range"), parse_decimal(words[2], "end of the range")
    hashes = tuple(strict_base64(line) for line in lines)
    if len(hashes) > MAX_HASHES or any(len(one) != HASH_SIZE for one in hashes):
        raise Invalid("range proof hashes are not SHA-256 hashes")
    return RangeProof(begin, end, hashes)


def inside(numbered: Sequence[Numbered], name: str) -> list[Numbered]:
    """The entries recorded in the period."""
    first, after = period_bounds(name)
    return [one for one in numbered if first <= one.recorded_at < after]


def leaves_digest(numbered: Sequence[Numbered]) -> str:
    return sha256_hex(b"".join(one.entry.leaf_hash for one in numbered))


def counts(numbered: Sequence[Numbered]) -> dict[str, int]:
    """How many entries of each type."""
    return dict(Counter(one.entry.type for one in numbered))


def plural(number: int) -> str:
    return f"{number} change{'' if number == 1 else 's'}"


def change_of(one: Numbered) -> str:
    """The change an entry is about, or empty text."""
    stream = str(one.entry.body["stream"])
    return stream.removeprefix(CHANGE) if stream.startswith(CHANGE) else ""


def streams(numbered: Sequence[Numbered], name: str) -> dict[str, list[Numbered]]:
    """The whole story, as far as the period tells it, of every change that moved in the period, in the order in which they first did."""
    moved = {change_of(one): None for one in inside(numbered, name) if change_of(one) and one.entry.type.startswith("change:")}
    _, after = period_bounds(name)
    found: dict[str, list[Numbered]] = {change: [] for change in moved}
    for one in sorted(numbered, key=lambda one: one.idx):
        if change_of(one) in found and one.recorded_at < after:
            found[change_of(one)].append(one)
    return found


def population(numbered: Sequence[Numbered], name: str) -> list[dict[str, Any]]:
    """One line per change that moved in the period."""
    lines = []
    for change, story in streams(numbered, name).items():
        moves = [one for one in inside(story, name) if one.entry.type.startswith("change:")]
        entries = [one.entry for one in story]
        first = entries[0]
        lines.append(
            {
                "id": change,
                "workflow": str(first.payload.get("workflow", "")),
                "state": state_of(entries),
                "digest": digest_of(entries),
                "requester": first.actor_ref,
                "requested_at": first.body["recorded_at"],
                "last_at": moves[-1].recorded_at,
                "entries": len(moves),
                "first_idx": moves[0].idx,
                "last_idx": moves[-1].idx,
            }
        )
    return lines


def digest_of(entries: Sequence[Entry]) -> str:
    """The digest the newest entry of a change names."""
    return next((str(entry.payload["digest"]) for entry in reversed(entries) if entry.payload.get("digest")), "")


def state_of(entries: Sequence[Entry]) -> str:
    """Where a change stands after these entries. An approval makes it approved once every role of the last review has answered."""
    state, needed, answered = "", set[str](), set[str]()
    for entry in entries:
        if entry.type == "change:shadow":
            state = _SHADOW.get(str(entry.payload.get("status")), "draft")
        elif entry.type == "change:approve":
            answered.add(str(entry.payload.get("role")))
            state = "approved" if needed <= answered else "in_review"
        else:
            state = _AFTER.get(entry.type, state)
        if entry.type == "change:review":
            needed, answered = {str(need.get("role")) for need in entry.payload["needs"]}, set()
    return state


def population_csv(changes: Sequence[Mapping[str, Any]]) -> bytes:
    """The changes as an auditor samples them: one line each, in the order in which they first moved."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([[_plain(line[name]) for name in COLUMNS] for line in changes])
    return out.getvalue().encode()


def _plain(value: Any) -> Any:
    """A spreadsheet must not take text for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value
