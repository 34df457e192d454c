"""The checks that read the ledger entries of a packet: inclusion, completeness, policy, checkpoint, redactions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from governor.errors import GovernorError, IntegrityError
from governor.ledger import merkle
from governor.ledger.canonical import canonical_json, parse_canonical, same, sha256_hex
from governor.ledger.checkpoint import parse_checkpoint
from governor.ledger.entry import Disclosure, Entry
from governor.ledger.note import MLDSA_COSIGNATURE, Note, parse_note
from governor.ledger.proof import parse_proof
from governor.ledger.trust import WRONG
from governor.ledger.types import change_stream
from governor.packets import container
from governor.packets.approvals import requesters
from governor.packets.binding import last_review
from governor.packets.case import Case, Undecided, need, text
from governor.packets.report import Check
from governor.packets.told import check_told, words_of

ALLOWED: Final = frozenset({"allow", "allowed"})


def check_events(case: Case) -> Check:
    """The change's whole stream is in the log, in order, and so is the entry that issued this packet."""
    _read_events(case)
    if not case.events or case.issue is None:
        raise IntegrityError("no proven events")
    stream = change_stream(str(case.change.get("id")))
    previous: Entry | None = None
    for position, entry in enumerate([*case.events, case.issue], 1):
        if entry.body["stream"] != stream:
            raise IntegrityError(f"entry {entry.id} belongs to {entry.body['stream']}, not to {stream}")
        if entry.stream_seq != position:
            raise IntegrityError(f"stream has a gap: number {position} is missing")
        if entry.body["stream_prev"] != (None if previous is None else previous.leaf_hash.hex()):
            raise IntegrityError(f"entry number {position} does not follow the one before it")
        previous = entry
    listed = [[line[name] for name in ("idx", "id", "type", "stream_seq", "leaf_sha256")] for line in case.predicate["events"]]
    held = [[_index(case, entry), entry.id, entry.type, entry.stream_seq, entry.leaf_hash.hex()] for entry in case.events]
    if not same(listed, held):
        raise IntegrityError("the statement lists other events than the packet holds")
    if case.issue.type != "packet:issue" or case.issue.payload.get("statement_sha256") != sha256_hex(case.files[container.STATEMENT]):
        raise IntegrityError("packet.event.json does not record the issue of this statement")
    if case.change.get("requester") not in requesters(case.events):
        raise IntegrityError("the statement names another requester than the ledger")
    if case.checkpoint is None or case.predicate.get("log") != case.checkpoint.origin:
        raise IntegrityError("the statement names another log than the checkpoint")
    check_told(case.predicate, [(_index(case, entry), entry, _words(case, entry)) for entry in case.events])
    case.proven = True
    count = len(case.events)
    return Check(
        "events",
        "ok",
        f"{count} of {count} in ledger {case.checkpoint.origin}; stream complete 1..{count}, no gap; issue of this packet recorded",
    )


def _index(case: Case, entry: Entry) -> int:
    return next(
        int(name.removeprefix("events/").removesuffix(".json"))
        for name, body in case.files.items()
        if name.startswith("events/") and name.endswith(".json") and body == entry.leaf
    )


def _words(case: Case, entry: Entry) -> str:
    try:
        texts = parse_canonical(case.files[f"disclosures/{_index(case, entry)}.json"])
    except (KeyError, GovernorError):
        return ""  # what is there and cannot be read fails the check of redactions
    return words_of([Disclosure("", text) for text in texts if isinstance(text, str)] if isinstance(texts, list) else [])


def _read_events(case: Case) -> None:
    """Entries and the checkpoint they are proven under. All proofs must carry the same checkpoint."""
    numbers = sorted(
        int(name.removeprefix("events/").removesuffix(".json"))
        for name in case.files
        if name.startswith("events/") and name.endswith(".json")
    )
    proofs = {f"events/{number}.tlog-proof" for number in numbers}
    stray = {name for name in case.files if name.startswith("events/") and name.endswith(".tlog-proof")} - proofs
    if stray or not numbers:
        raise IntegrityError(f"proof without event: {min(stray)}" if stray else "the packet holds no events")
    first = parse_proof(text(case.files[container.ISSUE_PROOF]))
    case.note = parse_note(first.checkpoint)
    case.checkpoint = parse_checkpoint(case.note.text)
    for number in numbers:
        case.events.append(included(case, f"events/{number}.json", f"events/{number}.tlog-proof", first.checkpoint, number))
    if first.index <= numbers[-1]:
        raise IntegrityError("the packet was issued before its last event")
    case.issue = included(case, container.ISSUE_EVENT, container.ISSUE_PROOF, first.checkpoint, first.index)


def included(case: Case, event: str, proof: str, checkpoint: str, number: int) -> Entry:
    if event not in case.files or proof not in case.files:
        raise IntegrityError(f"{event} or its proof is missing")
    found = parse_proof(text(case.files[proof]))
    if found.checkpoint != checkpoint or found.extra is not None:
        raise IntegrityError(f"{proof} is under another checkpoint")
    if found.index != number:
        raise IntegrityError(f"{proof} proves another index")
    tree = case.checkpoint
    if tree is None:
        raise IntegrityError("no checkpoint could be read")
    try:
        entry = Entry.parse(case.files[event])
        merkle.verify_inclusion(found.index, tree.size, entry.leaf_hash, found.hashes, tree.root)
    except GovernorError as error:
        raise IntegrityError(f"{event}: {error.message}") from None
    return entry


def check_policy(case: Case) -> Check:
    need(case.proven, "the events are not proven")
    review = last_review(case.change, case.events)
    decision = None if review is None else review.body["policy"]
    claimed = case.predicate.get("policy")
    if review is None or not isinstance(decision, Mapping) or not isinstance(claimed, Mapping):
        raise IntegrityError("no policy decision on the statement's digest is on record")
    for name in ("bundle_sha256", "result"):
        if decision.get(name) != claimed.get(name):
            raise IntegrityError(f"policy {name} of the statement differs from the ledger")
    if decision["result"] not in ALLOWED and case.change["state"] not in {"rejected", "expired", "withdrawn"}:
        raise IntegrityError(f"policy decided {decision['result']!r}, yet the change was approved")
    for name, told in (("policy", decision), ("needs", review.payload["needs"]), ("violations", review.payload.get("violations", []))):
        if name in case.predicate and canonical_json(case.predicate[name]) != canonical_json(told):
            raise IntegrityError(f"the statement differs from the ledger in {name}")
    return Check(
        "policy", "ok", f"bundle {str(decision['bundle_sha256'])[:8]}..; decision {decision['result']} at {review.body['occurred_at']}"
    )


def check_checkpoint(case: Case) -> Check:
    if case.note is None or case.checkpoint is None:
        raise IntegrityError("no checkpoint could be read")
    origin, size = case.checkpoint.origin, case.checkpoint.size
    keys = [key for key in case.trust.logs if key.name == origin]
    signed = [case.note.signed_by(key) for key in keys]
    for key, found in zip(keys, signed, strict=True):
        if found is False:
            raise IntegrityError(
                f"the {'ML-DSA-44 cosignature' if key.algorithm == MLDSA_COSIGNATURE else 'log signature'} of {origin} does not verify"
            )
    pairs = list(zip(keys, signed, strict=True))
    first = [pair for pair in pairs if pair[0].algorithm != MLDSA_COSIGNATURE] or pairs  # the second key stands in for no first one
    if not any(found for _, found in first):
        raise Undecided(f"checkpoint of {origin} is not signed by a log of the trust file")
    if not any(found and case.trust.log_covers(key, size) for key, found in first):
        raise IntegrityError(f"the log key is not valid for tree size {size}")
    if case.issuer is not None and not case.issuer.covers(size):
        raise IntegrityError(f"the issuer key is not valid for tree size {size}")
    second = [found for key, found in pairs if key.algorithm == MLDSA_COSIGNATURE and case.trust.log_covers(key, size)]
    told = f"size {size}, log key ok" + (f", ML-DSA-44 cosignature {'ok' if True in second else 'missing'}" if second else "")
    return _witnessed(case, case.note, told, "warn" if second and True not in second else "ok")


def _witnessed(case: Case, note: Note, told: str, status: str) -> Check:
    """The witnesses, after the log; a wrong cosignature is told also where the quorum is met without it."""
    against = {name: case.trust.against(name, note) for name in case.trust.witnesses}
    seen = [name for name, said in against.items() if not said]
    counted = f"witnesses {len(seen)} of {len(against)}"
    if not case.trust.quorum_met(seen):
        lacking = "; ".join(f"{name} {said}" for name, said in against.items() if said)
        raise Undecided(f"{told}, but {counted} do not meet quorum {case.trust.quorum}: {lacking}")
    wrong = [name for name, said in against.items() if said == WRONG]
    doubt = "".join(f"; {name} {WRONG}" for name in wrong)
    status = "warn" if wrong else status
    if case.trust.quorum == "none":
        return Check("checkpoint", status, f"{told}, no witness required by the trust file{doubt}")
    times = [when for name in seen if (when := note.cosigned_at(case.trust.witnesses[name])) is not None]
    latest = datetime.fromtimestamp(max(times), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Check("checkpoint", status, f"{told}, {counted}: seen no later than {latest}{doubt}")


def check_redactions(case: Case) -> Check:
    need(case.proven, "the events are not proven")
    shown = hidden = 0
    for entry in case.events:
        promised = set(entry.body["_sd"])
        name = f"disclosures/{_index(case, entry)}.json"
        texts = parse_canonical(case.files[name]) if name in case.files else []
        given = {Disclosure("", text).digest for text in texts}
        if not given <= promised or len(given) != len(texts):
            raise IntegrityError(f"{name} discloses what the entry did not commit to")
        shown, hidden = shown + len(given), hidden + len(promised - given)
    known = {f"disclosures/{_index(case, entry)}.json" for entry in case.events}
    stray = [found for found in case.files if found.startswith("disclosures/") and found not in known]
    if stray:
        raise IntegrityError(f"{stray[0]} belongs to no event")
    if hidden:
        return Check("redactions", "warn" if shown else "none", f"{hidden} personal fields withheld, {shown} shown; commitments intact")
    return Check(
        "redactions", "ok" if shown else "none", f"{shown} personal fields shown, each as committed" if shown else "no personal fields"
    )
