"""The checks of a period packet: no entry left out, the changes are what the entries say, each approved one by the right people.

Owns: these checks. Does not own: container, statement, checkpoint (the same as of any packet). Invariants: completeness follows from the range proof and
from the entries at both borders, never from a list; a state, a count or a name that the entries do not give is a failure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from governor.errors import GovernorError, IntegrityError
from governor.ledger import merkle
from governor.ledger.canonical import parse_canonical, same, sha256_hex
from governor.ledger.checkpoint import parse_checkpoint
from governor.ledger.entry import Disclosure, Entry
from governor.ledger.note import parse_note
from governor.ledger.proof import parse_proof
from governor.packets import container
from governor.packets.approvals import APPROVED, check_approvals
from governor.packets.case import Case, NotChecked, matching_files, need, text
from governor.packets.history import included
from governor.packets.period import (
    Numbered,
    RangeProof,
    counts,
    inside,
    leaves_digest,
    parse_range,
    period_bounds,
    plural,
    population,
    population_csv,
    streams,
)
from governor.packets.report import Check

POPULATION: Final = "evidence/changes.csv"  # what an auditor draws a sample from


def check_range(case: Case) -> Check:
    """Every entry of the period is here, under one checkpoint, and so is the entry that issued this packet."""
    name = _period(case)
    first, after = period_bounds(name)
    proof = parse_range(text(case.files[container.RANGE_PROOF]))
    issue_proof = parse_proof(text(case.files[container.ISSUE_PROOF]))
    case.note = parse_note(issue_proof.checkpoint)
    case.checkpoint = parse_checkpoint(case.note.text)
    found = _leaves(case, proof)
    merkle.verify_range(proof.begin, case.checkpoint.size, [one.entry.leaf_hash for one in found], proof.hashes, case.checkpoint.root)
    issue = included(case, container.ISSUE_EVENT, container.ISSUE_PROOF, issue_proof.checkpoint, issue_proof.index)
    if issue_proof.index < proof.end:
        raise IntegrityError("the packet was issued before its last entry")
    _check_times(found, issue)
    if any(one.recorded_at < first for one in found[1:]) or any(one.recorded_at >= after for one in found[:-1]):
        raise IntegrityError(f"the range holds more than {name} and the entry on either side")
    if proof.begin > 0 and found[0].recorded_at >= first:
        raise IntegrityError(f"the range begins late: nothing shows what was recorded before entry {proof.begin}")
    closed = found[-1].recorded_at >= after
    if not closed and issue_proof.index != proof.end:
        raise IntegrityError(f"the range ends early: nothing shows what was recorded after entry {proof.end - 1}")
    _check_issue(case, issue, name)
    if case.predicate.get("log") != case.checkpoint.origin:
        raise IntegrityError("the statement names another log than the checkpoint")
    said = case.predicate["range"]
    if not same(said, {"begin": proof.begin, "end": proof.end, "leaves_sha256": leaves_digest(found)}):
        raise IntegrityError("the statement names another range than the packet holds")
    case.numbered, case.issue, case.proven = [*_earlier(case, issue_proof.checkpoint, proof.begin), *found], issue, True
    held = inside(found, name)
    when = str(issue.body["recorded_at"])
    how_far = "the whole period" if closed or when >= after else f"so far, until {when}"
    return Check(
        "range",
        "ok",
        f"{len(held)} entries of {name} (UTC), {held[0].idx}..{held[-1].idx} in ledger {case.checkpoint.origin}, none missing, {how_far};"
        " issue of this packet recorded",
    )


def _period(case: Case) -> str:
    if not case.predicate:
        raise NotChecked("not checked: the statement did not verify")
    said = case.predicate.get("period")
    if not isinstance(said, Mapping) or not isinstance(said.get("name"), str):
        raise IntegrityError("the statement names no period")
    first, after = period_bounds(said["name"])
    if said != {"name": said["name"], "from": first, "to": after}:
        raise IntegrityError("the period of the statement has other bounds than its name")
    return str(said["name"])


def _leaves(case: Case, proof: RangeProof) -> list[Numbered]:
    body = case.files[container.RANGE]
    lines = body.split(b"\n")
    if lines.pop() != b"" or not lines or len(lines) != proof.end - proof.begin:
        raise IntegrityError(f"{container.RANGE} does not hold the entries of the range")
    found = []
    for idx, leaf in enumerate(lines, proof.begin):
        try:
            found.append(Numbered(idx, Entry.parse(leaf)))
        except GovernorError as error:
            raise IntegrityError(f"entry {idx}: {error.message}") from None
    return found


def _check_times(found: Sequence[Numbered], issue: Entry) -> None:
    times = [*(one.recorded_at for one in found), str(issue.body["recorded_at"])]
    if times != sorted(times):
        raise IntegrityError("the times of record step back")


def _check_issue(case: Case, issue: Entry, name: str) -> None:
    recorded = issue.type == "period:issue" and issue.payload.get("statement_sha256") == sha256_hex(case.files[container.STATEMENT])
    if not recorded or issue.payload.get("period") != name:
        raise IntegrityError("packet.event.json does not record the issue of this statement")


def _earlier(case: Case, checkpoint: str, begin: int) -> list[Numbered]:
    """Entries from before the period, of changes that moved in it."""
    names = [name for name in case.files if name.startswith("events/")]
    numbers = sorted(int(name.removeprefix("events/").removesuffix(".json")) for name in names if name.endswith(".json"))
    stray = {name for name in names if name.endswith(".tlog-proof")} - {f"events/{number}.tlog-proof" for number in numbers}
    if stray:
        raise IntegrityError(f"proof without event: {min(stray)}")
    if numbers and numbers[-1] >= begin:
        raise IntegrityError(f"events/{numbers[-1]}.json is not from before the range")
    return [
        Numbered(number, included(case, f"events/{number}.json", f"events/{number}.tlog-proof", checkpoint, number)) for number in numbers
    ]


def check_changes(case: Case) -> Check:
    """Counts and changes of the statement are those of the entries, and no change's story has a gap."""
    need(case.proven, "the entries are not proven")
    name = _period(case)
    stories = streams(case.numbered, name)
    for change, story in stories.items():
        previous = None
        for position, one in enumerate(story, 1):
            if one.entry.stream_seq != position:
                raise IntegrityError(f"change {change} has a gap: number {position} is missing")
            if one.entry.body["stream_prev"] != previous:
                raise IntegrityError(f"entry number {position} of change {change} does not follow the one before it")
            previous = one.entry.leaf_hash.hex()
    begin = case.predicate["range"]["begin"]
    stray = next(
        (one for one in case.numbered if one.idx < begin and one.entry.body["stream"].removeprefix("change/") not in stories), None
    )
    if stray is not None:
        raise IntegrityError(f"events/{stray.idx}.json belongs to no change of the period")
    held = inside(case.numbered, name)
    if not same(case.predicate.get("counts"), counts(held)):
        raise IntegrityError("the counts of the statement are not those of the entries")
    found = population(case.numbered, name)
    if not same(case.predicate.get("changes"), found):
        raise IntegrityError(
            f"the changes of the statement are not those of the entries{_first_difference(case.predicate.get('changes'), found)}"
        )
    if case.files.get(POPULATION) != population_csv(found):
        raise IntegrityError(f"{POPULATION} does not list the changes of the entries")
    states = Counter(line["state"] for line in found)
    each = ", ".join(f"{number} {state}" for state, number in sorted(states.items()))
    return Check(
        "changes", "ok", f"{plural(len(found))}{f' ({each})' if each else ''}, each with its whole story; {len(counts(held))} types counted"
    )


def _first_difference(said: Any, found: Sequence[Mapping[str, Any]]) -> str:
    known = {line.get("id"): line for line in said if isinstance(line, Mapping)} if isinstance(said, list) else {}
    other = next((line["id"] for line in found if known.get(line["id"]) != line), None)
    return f": {other}" if other is not None else ""


def check_period_approvals(case: Case) -> Check:
    """Every change that stands approved, or went further, was approved by the people policy asked for; every withdrawn one taken back by its own."""
    need(case.proven, "the entries are not proven")
    name = _period(case)
    lines = {line["id"]: line for line in population(case.numbered, name)}
    approved = 0
    for change, story in streams(case.numbered, name).items():
        line = lines[change]
        if line["state"] not in {*APPROVED, "withdrawn"}:
            continue
        found = check_approvals(line, [one.entry for one in story])
        if found.status != "ok":
            raise IntegrityError(f"{change}: {found.detail}")
        approved += line["state"] in APPROVED
    if not approved:
        return Check("approvals", "none", f"none of {plural(len(lines))} was approved")
    return Check(
        "approvals",
        "ok",
        f"{approved} of {plural(len(lines))} approved, each by the roles policy asked for, not by requester or evidence author",
    )


def check_period_evidence(case: Case) -> Check:
    count = matching_files(case)
    if count == 0:
        raise IntegrityError("the packet holds no evidence")
    return Check("evidence", "ok", f"{count} of {count} files match their SHA-256; report matches")


def check_period_redactions(case: Case) -> Check:
    need(case.proven, "the entries are not proven")
    shown = hidden = 0
    for one in case.numbered:
        promised, name = set(one.entry.body["_sd"]), f"disclosures/{one.idx}.json"
        texts = parse_canonical(case.files[name]) if name in case.files else []
        given = {Disclosure("", disclosed).digest for disclosed in texts}
        if not given <= promised or len(given) != len(texts):
            raise IntegrityError(f"{name} discloses what the entry did not commit to")
        shown, hidden = shown + len(given), hidden + len(promised - given)
    known = {f"disclosures/{one.idx}.json" for one in case.numbered}
    stray = next((found for found in case.files if found.startswith("disclosures/") and found not in known), None)
    if stray is not None:
        raise IntegrityError(f"{stray} belongs to no event")
    if hidden:
        return Check("redactions", "warn" if shown else "none", f"{hidden} personal fields withheld, {shown} shown; commitments intact")
    return Check(
        "redactions", "ok" if shown else "none", f"{shown} personal fields shown, each as committed" if shown else "no personal fields"
    )
