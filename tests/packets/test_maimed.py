"""Packets that are signed and sealed without a flaw, but lie: each fails in the check it should, for the reason it should."""

import copy
import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from packet_story import withdraw

from governor.evidence import EvidenceItem
from governor.ledger.canonical import canonical_json
from governor.packets import container
from governor.packets.verify import verify_packet

Maim = Callable[[Any], None]
CASES: dict[str, tuple[str, str, Maim]] = {}


def case(check: str, reason: str) -> Callable[[Maim], Maim]:
    def keep(maim: Maim) -> Maim:
        CASES[maim.__name__] = (check, reason, maim)
        return maim

    return keep


def approve_by(story: Any, at: int, ref: str, *roles: str) -> None:
    story.chapters[at].actor = {**story.chapters[at].actor, "ref": ref, "roles": sorted(roles)}


@case("approvals", "the requester approved")
def requester_approved(story: Any) -> None:
    approve_by(story, 3, "p-1", "owner", "requester")


@case("approvals", "the author of the evidence approved")
def evidence_author_approved(story: Any) -> None:
    story.chapters[1].payload["author"] = "p-3"


@case("approvals", "one person approved more than once")
def one_person_in_two_roles(story: Any) -> None:
    approve_by(story, 4, "p-2", "owner", "security")


@case("approvals", "without that role")
def approver_lacks_the_role(story: Any) -> None:
    approve_by(story, 4, "p-3", "finance")


@case("approvals", "not given by a person")
def approved_by_the_system(story: Any) -> None:
    story.chapters[3].actor = {"kind": "system", "ref": "system", "roles": ["owner"], "auth": {}}


@case("approvals", "an approval entry is malformed")
def approver_signed_in_by_words(story: Any) -> None:
    story.chapters[3].actor = {**story.chapters[3].actor, "auth": "token"}


@case("approvals", "role security: nobody approved")
def security_never_asked(story: Any) -> None:
    del story.chapters[4]


@case("approvals", "a later review put another digest before the deciders")
def reviewed_again_after_the_approvals(story: Any) -> None:
    """The evidence changed, so nobody had approved what was cut over; the statement still tells of the first digest."""
    again = copy.deepcopy(story.chapters[2])
    again.payload["digest"] = "f" * 64
    story.chapters.insert(5, again)


@case("approvals", "the author of the evidence approved (role owner)")
def runner_without_a_named_author_approved(story: Any) -> None:
    del story.chapters[1].payload["author"]
    story.chapters[1].actor = story.chapters[3].actor


@case("approvals", "role owner: nobody approved")
def approved_before_the_review(story: Any) -> None:
    """Of the same digest, but before policy was asked about it for the last time."""
    story.chapters[2:4] = [story.chapters[3], story.chapters[2]]


@case("approvals", "role security: approved another digest (stale)")
def stale_digest(story: Any) -> None:
    story.chapters[4].payload["digest"] = "0" * 64


@case("approvals", "no review of the statement's digest")
def statement_of_another_digest(story: Any) -> None:
    story.document["change"]["digest"] = "1" * 64


@case("approvals", "came after cutover")
def approved_after_cutover(story: Any) -> None:
    late, cutover = story.chapters[4], story.chapters[5]
    verified = type(late)("change:verify", late.actor, {"change": "RC-42"})
    story.chapters[4:] = [cutover, late, verified]
    story.document["change"]["state"] = "verified"


@case("approvals", "had expired at cutover")
def expired_approval(story: Any) -> None:
    story.chapters[3].payload["expires_at"] = "2026-11-20T20:00:00.000000Z"


@case("approvals", "empty matrix")
def nobody_needed(story: Any) -> None:
    story.chapters[2].payload["needs"] = []


@case("approvals", "no decision is on record")
def never_decided(story: Any) -> None:
    del story.chapters[3:]


@case("approvals", "the last decision on record is change:reject")
def rejected_but_said_approved(story: Any) -> None:
    story.chapters[5].type = "change:reject"


@case("approvals", "the last decision on record is change:withdraw")
def withdrawn_but_said_approved(story: Any) -> None:
    withdraw(story)
    story.document["change"]["state"] = "approved"


@case("events", "differs from the ledger in change.withdrawn_by")
def withdrawn_by_somebody_else(story: Any) -> None:
    withdraw(story)
    story.document["change"]["withdrawn_by"] = "p-2"


@case("events", "differs from the ledger in change.withdrawn_at")
def withdrawn_at_another_time(story: Any) -> None:
    withdraw(story)
    story.document["change"]["withdrawn_at"] = "2026-11-20T16:02:11Z"


@case("events", "differs from the ledger in change.withdrawn_note")
def withdrawn_for_another_reason(story: Any) -> None:
    withdraw(story)
    story.document["change"]["withdrawn_note"] = "the endpoint was down"


@case("approvals", "the change was not withdrawn by a person")
def withdrawn_by_the_system(story: Any) -> None:
    withdraw(story)
    story.chapters[4].actor = story.chapters[2].actor
    story.document["change"]["withdrawn_by"] = "system"


@case("approvals", "by somebody who neither asked for it nor is an admin")
def withdrawn_by_an_approver(story: Any) -> None:
    withdraw(story)
    story.chapters[4].actor = story.chapters[3].actor
    story.document["change"]["withdrawn_by"] = "p-2"


@case("approvals", "the change was withdrawn after its cutover")
def withdrawn_after_the_cutover(story: Any) -> None:
    cutover = story.chapters[5]
    withdraw(story)
    story.chapters.insert(4, cutover)
    del story.document["change"]["withdrawn_at"]


@case("approvals", "the change was decided on after it was withdrawn")
def approved_after_it_was_withdrawn(story: Any) -> None:
    rest = story.chapters[4:]
    withdrawn = type(rest[0])("change:withdraw", story.chapters[0].actor, {**rest[1].payload, "before": "in_review"})
    story.chapters[4:] = [withdrawn, *rest]


@case("policy", "no policy decision on the statement's digest")
def no_policy(story: Any) -> None:
    story.chapters[2].policy = None


@case("policy", "policy decided 'deny'")
def policy_denied(story: Any) -> None:
    story.chapters[2].policy = {**story.chapters[2].policy, "result": "deny"}
    story.document["policy"] = story.chapters[2].policy


@case("policy", "policy bundle_sha256 of the statement differs")
def other_bundle(story: Any) -> None:
    story.document["policy"] = {**story.document["policy"], "bundle_sha256": "3" * 64}


@case("binding", "candidate of the statement is not the one that was requested")
def another_candidate_in_the_statement(story: Any) -> None:
    story.document["change"]["candidate"] = {"provider": "bedrock", "model": "opus"}


@case("binding", "approved digest is not that of this request")
def another_request_than_approved(story: Any) -> None:
    story.document["request"]["budget_usd"] = "2000"


@case("binding", "verdict and evidence are not the ones that were approved")
def another_verdict_in_the_statement(story: Any) -> None:
    story.document["shadow"]["verdict"]["n_prefix"] = 3000


@case("binding", "approved digest is not that of this request")
def another_price_book_on_record(story: Any) -> None:
    story.chapters[2].payload["parts"]["price_book"] = "5" * 64


@case("events", "number 4 is missing")
def missing_event(story: Any) -> None:
    story.skip = frozenset({4})


@case("events", "number 6 is missing")
def missing_last_event(story: Any) -> None:
    story.skip = frozenset({6})


@case("events", "belongs to change/RC-7")
def foreign_event(story: Any) -> None:
    story.chapters[1].stream = "change/RC-7"


@case("events", "another requester")
def other_requester(story: Any) -> None:
    story.document["change"]["requester"] = "p-9"


@case("evidence", "is not the file the ledger names")
def evidence_swapped(story: Any) -> None:
    story.evidence[0] = EvidenceItem("verdict.json", "application/json", canonical_json({"verdict": "pass", "n_prefix": 3000}))


@case("evidence", "is not the file the ledger names")
def evidence_left_out(story: Any) -> None:
    del story.evidence[1]


@case("evidence", "holds no evidence")
def no_evidence(story: Any) -> None:
    story.evidence.clear()
    story.chapters[1].evidence.clear()  # the review shares the list


@case("checkpoint", "log signature of acme.example/ledger does not verify")
def forged_checkpoint(story: Any) -> None:
    real = story.log
    forger = type(real)("forger")
    forged = story.checkpoint

    def sign() -> str:
        story.log = _Masked(real, forger)
        try:
            return str(forged())
        finally:
            story.log = real

    story.checkpoint = sign


class _Masked:
    """Shows one key and signs with another."""

    def __init__(self, shown: Any, used: Any) -> None:
        self.public_key, self.sign = shown.public_key, used.sign


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_lie_is_found_where_it_is(story: Any, name: str) -> None:
    check, reason, maim = CASES[name]
    maim(story)
    report = verify_packet(story.packet(), story.trust)
    assert report.exit_code == 1, report.text()
    found = next(found for found in report.checks if found.name == check)
    assert (found.status, reason in found.detail) == ("fail", True), report.text()
    assert next(found for found in report.checks if found.name == "container").status == "ok", (
        "the flaw is in what is said, not in the file"
    )


def resealed(story: Any, change: Callable[[dict[str, bytes]], None]) -> bytes:
    """The packet with other files, sealed again by the issuer."""
    files = container.unpack(story.packet())
    files.pop(container.SEAL)
    change(files)
    return container.pack(container.sealed(files, "acme.example/issuer", story.issuer))


@pytest.mark.parametrize(
    ("check", "reason", "change"),
    [
        ("container", "unlisted file", lambda files: files.update({"notes.txt": b"hello"})),
        ("container", "unlisted file", lambda files: files.update({"evidence/../x": b"hello"})),
        ("container", "report.pdf is missing", lambda files: files.pop("report.pdf")),
        ("evidence", "evidence/more.csv is not named by the statement", lambda files: files.update({"evidence/more.csv": b"1"})),
        ("evidence", "evidence/pairs.csv is missing", lambda files: files.pop("evidence/pairs.csv")),
        ("evidence", "evidence/pairs.csv does not match its SHA-256", lambda files: files.update({"evidence/pairs.csv": b"1"})),
        ("evidence", "report.pdf does not match its SHA-256", lambda files: files.update({"report.pdf": b"%PDF another"})),
        ("events", "or its proof is missing", lambda files: files.pop("events/3.tlog-proof")),
        ("events", "proof without event", lambda files: files.pop("events/3.json")),
        ("events", "leads to another root", lambda files: files.update({"events/3.json": files["events/5.json"]})),
        ("events", "proves another index", lambda files: files.update({"events/3.tlog-proof": files["events/5.tlog-proof"]})),
        ("events", "issued before its last event", lambda files: files.update({"packet.tlog-proof": files["events/3.tlog-proof"]})),
        ("redactions", "belongs to no event", lambda files: files.update({"disclosures/99.json": b"[]"})),
        ("redactions", "did not commit to", lambda files: files.update({"disclosures/1.json": files["disclosures/7.json"]})),
        ("statement", "malformed", lambda files: files.update({"statement.dsse.json": b"{}"})),
        ("statement", "DSSE with one signature", lambda files: files.update({"statement.dsse.json": files["statement.dsse.json"].replace(b"in-toto", b"in-tot0")})),
    ],
)  # fmt: skip
def test_a_packet_resealed_around_a_swap(story: Any, check: str, reason: str, change: Callable[[dict[str, bytes]], None]) -> None:
    report = verify_packet(resealed(story, change), story.trust)
    assert report.exit_code == 1, report.text()
    found = next(found for found in report.checks if found.name == check)
    assert (found.status, reason in found.detail) == ("fail", True), report.text()


def test_another_checkpoint_among_the_proofs(story: Any) -> None:
    packet_files = container.unpack(story.packet())
    story.chapters[0].personal = {}
    others = container.unpack(story.packet())

    def mix(files: dict[str, bytes]) -> None:
        files.clear()
        files.update(packet_files)
        files.pop(container.SEAL)
        files["events/5.tlog-proof"] = others["events/5.tlog-proof"]

    report = verify_packet(resealed(story, mix), story.trust)
    assert "events/5.tlog-proof is under another checkpoint" in next(check.detail for check in report.checks if check.name == "events")


def test_a_broken_seal_names_the_file(story: Any) -> None:
    files = container.unpack(story.packet())
    files["evidence/pairs.csv"] = b"swapped"
    report = verify_packet(container.pack(files), story.trust)
    assert report.checks[0].detail == "evidence/pairs.csv is not what the seal says"


def test_a_newer_packet_is_undecided(story: Any) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("mimetype", container.MIMETYPE.replace(b".v1", b".v2"))
    report = verify_packet(buffer.getvalue(), story.trust)
    assert report.exit_code == 2
    assert "newer version" in report.checks[0].detail


def test_a_compressed_copy_is_not_the_packet(story: Any) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in container.ordered(container.unpack(story.packet())):
            archive.writestr(name, body)
    assert verify_packet(buffer.getvalue(), story.trust).exit_code == 1
