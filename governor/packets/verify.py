"""Is this packet what it says? Bytes and a trust text in, one line per check out. No home, no database, no network.

Owns: the order of checks and what each needs. Does not own: the formats (ledger/, container.py, statement.py) and the four-eyes rules (approvals.py).
Invariants: keys come from the trust text only; a check that cannot run because an earlier one failed says so and never passes; absence of a required
thing is a failure, absence of knowledge is `undecided`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from governor.errors import GovernorError, IntegrityError
from governor.ledger.canonical import same, sha256_hex
from governor.ledger.entry import Entry
from governor.ledger.note import parse_note
from governor.ledger.trust import check_root, parse_trust
from governor.packets import container, period
from governor.packets.approvals import APPROVED, check_approvals
from governor.packets.binding import check_binding
from governor.packets.case import Case, NotChecked, Undecided, matching_files, need, text
from governor.packets.history import check_checkpoint, check_events, check_policy, check_redactions
from governor.packets.period_checks import (
    check_changes,
    check_period_approvals,
    check_period_evidence,
    check_period_redactions,
    check_range,
)
from governor.packets.recomputed import PAIRS, check_verdict
from governor.packets.report import Check, Report
from governor.packets.statement import PREDICATE_TYPE, UnknownKey, open_envelope, unverified_predicate

VERSION: Final = 1


def verify_packet(packet: bytes, trust: bytes | str | None, *, root: str = "") -> Report:
    """Never raises for a bad packet; that is a report. Raises Invalid when the trust text itself is malformed, or not signed by the `root` asked for."""
    believed = None if trust is None else parse_trust(trust.encode() if isinstance(trust, str) else trust)
    if root and believed is not None:
        check_root(believed, root)
    report = Report(title="unreadable", sha256=sha256_hex(packet), trust=believed.sha256 if believed else "")
    report.root = believed.root_text if believed else ""
    try:
        files = container.unpack(packet)
    except container.NewerVersion as error:
        report.checks.append(Check("container", "undecided", error.message))
        return report
    except IntegrityError as error:
        report.checks.append(Check("container", "fail", error.message))
        return report
    report.title = _title(files)
    if believed is None:
        report.checks.append(Check("container", "undecided", "no trust file: nothing in a packet can vouch for itself"))
        return report
    case = Case(files, believed)
    for name, check in checks_of(files):
        report.checks.append(_run(name, check, case, {earlier.status for earlier in report.checks}))
    return report


def checks_of(files: Mapping[str, bytes]) -> list[tuple[str, Callable[[Case], Check]]]:
    """The ten checks of a change packet, and one more where a pair table is there to compute the verdict from; or those of a period packet."""
    if container.is_period(files):
        return [*PERIOD_CHECKS]
    more = [("verdict", check_verdict)] if PAIRS in files else []
    return [*CHECKS[:4], *more, *CHECKS[4:]]


def _run(name: str, check: Callable[[Case], Check], case: Case, earlier: set[str]) -> Check:
    """A check without ground is no finding of its own where the only cause is a key the trust file does not name."""
    try:
        return check(case)
    except NotChecked as error:
        return Check(name, "undecided" if "undecided" in earlier and "fail" not in earlier else "fail", error.message)
    except (Undecided, UnknownKey) as error:
        return Check(name, "undecided", error.message)
    except GovernorError as error:
        return Check(name, "fail", error.message)
    except Exception as error:  # noqa: BLE001 - a maimed packet may break any assumption; it must never look like a crash or a pass
        return Check(name, "fail", f"malformed ({type(error).__name__}: {error})")


def _title(files: Mapping[str, bytes]) -> str:
    try:
        claimed = unverified_predicate(files[container.STATEMENT])
        if container.is_period(files):
            return f"{claimed['period']['name']} period packet, {claimed['log']}: {period.plural(len(claimed['changes']))}"
        change = claimed["change"]
        route = f"{_route(change['baseline'])} -> {_route(change['candidate'])}"
        return f"{change['id']} route change, {change['workflow']}: {route}"
    except (GovernorError, KeyError, TypeError):
        return "unreadable"


def _route(route: Any) -> str:
    if not isinstance(route, Mapping):
        return str(route)
    return f"{route.get('model', '?')}@{route.get('provider', '?')}"


def _container(case: Case) -> Check:
    note = parse_note(text(case.files[container.SEAL]))
    if note.text != container.seal_text(case.files):
        raise IntegrityError(_seal_difference(note.text, case.files))
    if len(note.signatures) != 1:
        raise IntegrityError("the seal needs exactly one signature")
    for issuer in case.trust.issuers:
        signed = note.signed_by(issuer.key)
        if signed is False:
            raise IntegrityError(f"the seal's signature by {issuer.key.name} does not verify")
        if signed:
            case.issuer = issuer
            return Check(
                "container",
                "ok",
                f"canonical, {len(case.files)} files, nothing unlisted, seal by {issuer.key.name} (key {issuer.key_id[:8]}..)",
            )
    raise Undecided(f"sealed by {note.signatures[0].name}, whose key the trust file does not name")


def _seal_difference(sealed: str, files: Mapping[str, bytes]) -> str:
    lines = [line.partition("  ") for line in sealed.splitlines()[1:]]
    listed = {name: value for value, _, name in lines}
    for name, body in container.ordered(files):
        if name != container.SEAL and listed.get(name) != sha256_hex(body):
            return f"{name} is not what the seal says"
    return "the seal lists other files than the packet holds"


def _statement(case: Case) -> Check:
    kind = period.PREDICATE_TYPE if container.is_period(case.files) else PREDICATE_TYPE
    found, issuer = open_envelope(case.files[container.STATEMENT], case.trust.issuers, kind)
    if case.issuer is not None and issuer.key_id != case.issuer.key_id:
        raise IntegrityError("statement and seal are signed by different issuers")
    subjects: dict[str, str] = {}
    for subject in found["subject"]:
        if set(subject) != {"name", "digest"} or set(subject["digest"]) != {"sha256"} or subject["name"] in subjects:
            raise IntegrityError("statement subjects are malformed")
        subjects[subject["name"]] = subject["digest"]["sha256"]
    if not same(found["predicate"].get("version"), VERSION):
        raise Undecided("the statement is of a newer version")
    case.issuer, case.subjects, case.predicate = issuer, subjects, found["predicate"]
    valid = f"{issuer.first}..{'' if issuer.last is None else issuer.last}"
    return Check("statement", "ok", f"DSSE Ed25519 by {issuer.key.name}, key valid for tree sizes {valid}")


def evidence_named(events: Sequence[Entry]) -> dict[str, str]:
    """Digest of each evidence file as the ledger names it last."""
    return {str(item["name"]): str(item["sha256"]) for event in events for item in event.body["evidence"]}


def _evidence(case: Case) -> Check:
    count = matching_files(case)
    bound = 0
    for name, value in evidence_named(case.events).items():
        if case.subjects.get(f"evidence/{name}") != value:
            raise IntegrityError(f"evidence/{name} is not the file the ledger names")
        bound += 1
    if count == 0:
        raise IntegrityError("the packet holds no evidence")
    return Check("evidence", "ok", f"{count} of {count} files match their SHA-256; {bound} of them bound by ledger entries; report matches")


def _approvals(case: Case) -> Check:
    need(case.proven, "the events are not proven")
    return check_approvals(case.change, case.events)


def _binding(case: Case) -> Check:
    need(case.proven, "the events are not proven")
    if case.change["state"] not in APPROVED:
        return Check("binding", "none", "nothing was approved")
    found = check_binding(case.predicate, case.events)
    return Check(
        "binding", "ok", f"approved digest {found[:8]}.. re-derived from request, plan, sample, evidence, policy bundle and price book"
    )


def _timestamp(_: Case) -> Check:
    return Check("timestamp", "none", "no RFC 3161 token (not required by the trust file)")


CHECKS: Final[tuple[tuple[str, Callable[[Case], Check]], ...]] = (
    ("container", _container),
    ("statement", _statement),
    ("events", check_events),
    ("evidence", _evidence),
    ("binding", _binding),
    ("approvals", _approvals),
    ("policy", check_policy),
    ("checkpoint", check_checkpoint),
    ("redactions", check_redactions),
    ("timestamp", _timestamp),
)
PERIOD_CHECKS: Final[tuple[tuple[str, Callable[[Case], Check]], ...]] = (
    ("container", _container),
    ("statement", _statement),
    ("range", check_range),
    ("evidence", check_period_evidence),
    ("changes", check_changes),
    ("approvals", check_period_approvals),
    ("checkpoint", check_checkpoint),
    ("redactions", check_period_redactions),
    ("timestamp", _timestamp),
)
