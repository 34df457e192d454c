"""Period packets with one flaw each: name -> (how it is made, the check that must find it, in which words)."""

import base64
import json
from collections.abc import Callable
from typing import Any

from packet_story import ISSUER
from period_story import DANA, NEEDS, RITA, PeriodStory, Step, at

from governor.ledger.canonical import canonical_json, sha256_hex
from governor.packets import container
from governor.packets.statement import PAYLOAD_TYPE, pae

Built = tuple[bytes, bytes]
Files = dict[str, bytes]
CASES: dict[str, tuple[Callable[[], Built], str, str]] = {}
OTHER_ROOT = "range proof leads to another root"


def told(name: str, check: str, reason: str, change: Callable[[PeriodStory], object]) -> None:
    """A flaw of the story itself, told by an issuer who signs it."""

    def build() -> Built:
        story = PeriodStory()
        change(story)
        return story.packet(), story.trust

    assert name not in CASES
    CASES[name] = (build, check, reason)


def resealed(name: str, check: str, reason: str, change: Callable[[Files], object]) -> None:
    """A flaw of the files, sealed again by the issuer."""

    def build() -> Built:
        story = PeriodStory()
        files = container.unpack(story.packet())
        files.pop(container.SEAL)
        change(files)
        return container.pack(container.sealed(files, ISSUER, story.issuer)), story.trust

    assert name not in CASES
    CASES[name] = (build, check, reason)


def claimed(name: str, check: str, reason: str, change: Callable[[dict[str, Any]], object]) -> None:
    """A flaw of the statement, signed and on record."""

    def again(story: PeriodStory) -> None:
        def restate(body: bytes) -> bytes:
            statement = json.loads(base64.b64decode(json.loads(body)["payload"]))
            change(statement["predicate"])
            payload = canonical_json(statement)
            signature = base64.b64encode(story.issuer.sign(pae(PAYLOAD_TYPE, payload))).decode()
            signatures = [{"keyid": sha256_hex(story.issuer.public_key), "sig": signature}]
            return canonical_json({"payload": base64.b64encode(payload).decode(), "payloadType": PAYLOAD_TYPE, "signatures": signatures})

        story.restate = restate

    told(name, check, reason, again)


def lines(change: Callable[[list[bytes]], object]) -> Callable[[Files], None]:
    def apply(files: Files) -> None:
        found = files[container.RANGE].split(b"\n")[:-1]
        change(found)
        files[container.RANGE] = b"".join(line + b"\n" for line in found)

    return apply


def proof(change: Callable[[str], str]) -> Callable[[Files], None]:
    return lambda files: files.update({container.RANGE_PROOF: change(files[container.RANGE_PROOF].decode()).encode()})


def without_a_change(files: Files) -> None:
    """RC-8's rejection is gone, and the range says it never was."""
    lines(lambda found: found.pop(9))(files)
    proof(lambda text: text.replace("range 2 15", "range 2 14"))(files)


def _after_cutover(story: PeriodStory) -> None:
    approval, moved = story.steps[7], story.steps[8]
    approval.when, moved.when = moved.when, approval.when
    story.steps[7], story.steps[8] = moved, approval
    assert moved.actor == RITA


# ---- the range
resealed("period_entry_missing", "range", "range.jsonl does not hold the entries of the range", lines(lambda found: found.pop(9)))
resealed("period_change_missing_and_renumbered", "range", OTHER_ROOT, without_a_change)
resealed("period_entry_twice", "range", OTHER_ROOT, lines(lambda found: found.__setitem__(9, found[8])))
resealed("period_two_swapped", "range", OTHER_ROOT, lines(lambda found: found.insert(3, found.pop(4))))
resealed("period_entry_edited", "range", OTHER_ROOT, lines(lambda found: found.__setitem__(9, found[9].replace(b"RC-8", b"RC-5"))))
resealed(
    "period_entry_not_canonical", "range", "entry 5: JSON is not in canonical form", lines(lambda found: found.__setitem__(3, b" " + found[3]))
)  # fmt: skip
resealed(
    "period_last_line_cut",
    "range",
    "range.jsonl does not hold the entries of the range",
    lambda files: files.update({"range.jsonl": files["range.jsonl"][:-1]}),
)
resealed("period_no_lines", "range", "range.jsonl does not hold the entries of the range", lambda files: files.update({"range.jsonl": b""}))
resealed(
    "period_proof_of_another_format", "range", "not a governor.example/range-proof/v1 file", proof(lambda text: text.replace("/v1", "/v2"))
)
resealed("period_proof_without_end_of_line", "range", "not a governor.example/range-proof/v1 file", proof(lambda text: text[:-1]))
resealed(
    "period_proof_without_range", "range", "range proof has no range line", proof(lambda text: text.replace("range 2 15", "leaves 2 15"))
)
resealed(
    "period_proof_with_zero_in_front",
    "range",
    "begin of the range is not a number",
    proof(lambda text: text.replace("range 2", "range 02")),
)
resealed("period_proof_hash_too_short", "range", "range proof hashes are not SHA-256 hashes", proof(lambda text: text + "AAAA\n"))
resealed("period_proof_too_short", "range", "range proof is too short", proof(lambda text: "\n".join(text.split("\n")[:-2]) + "\n"))
resealed("period_proof_too_long", "range", "range proof is too long", proof(lambda text: text + "A" * 43 + "=\n"))
resealed(
    "period_proof_another_hash",
    "range",
    OTHER_ROOT,
    proof(lambda text: "\n".join([*text.split("\n")[:-2], "A" * 43 + "=", ""])),
)
resealed("period_proof_of_other_leaves", "range", OTHER_ROOT, proof(lambda text: text.replace("range 2 15", "range 1 14")))
resealed(
    "period_proof_beyond_the_tree",
    "range",
    "range proof does not fit its range and size",
    proof(lambda text: text.replace("range 2 15", "range 9 22")),
)
resealed("period_file_without_its_proof", "container", "unlisted file range.jsonl", lambda files: files.pop("range.proof"))
told(
    "period_ends_early",
    "range",
    "the range ends early: nothing shows what was recorded after entry 12",
    lambda story: vars(story).update(end=13),
)
told(
    "period_begins_late",
    "range",
    "the range begins late: nothing shows what was recorded before entry 5",
    lambda story: vars(story).update(begin=5, earlier=(1,)),
)
told(
    "period_issued_later_than_it_covers", "range", "the range ends early: nothing shows what was recorded after entry 13",
    lambda story: vars(story).update(end=14, more=1) or story.steps.pop(),
)  # fmt: skip
told(
    "period_holds_more_before",
    "range",
    "the range holds more than 2026-Q4 and the entry on either side",
    lambda story: vars(story).update(begin=1, earlier=()),
)
told("period_time_steps_back", "range", "the times of record step back", lambda story: vars(story.steps[10]).update(when=at(10, 6)))
told("period_issued_before_its_end", "range", "the times of record step back", lambda story: vars(story).update(issued=at(12, 31)))


def another_tree() -> Built:
    """The range and its proof of another log, under the checkpoint of this one."""
    story, other = PeriodStory(), PeriodStory()
    other.steps[3].payload["status"] = "aborted_budget"
    files, swapped = container.unpack(story.packet()), container.unpack(other.packet())
    files = {**files, **{name: swapped[name] for name in (container.RANGE, container.RANGE_PROOF)}}
    files.pop(container.SEAL)
    return container.pack(container.sealed(files, ISSUER, story.issuer)), story.trust


CASES["period_of_another_tree"] = (another_tree, "range", OTHER_ROOT)

# ---- the issue
ISSUE = 15
NOT_THIS_ISSUE = "packet.event.json does not record the issue of this statement"
told(
    "period_issue_of_another_statement",
    "range",
    NOT_THIS_ISSUE,
    lambda story: story.forge.update({ISSUE: lambda body: body["payload"].update(statement_sha256="0" * 64)}),
)
told(
    "period_issue_of_another_period",
    "range",
    NOT_THIS_ISSUE,
    lambda story: story.forge.update({ISSUE: lambda body: body["payload"].update(period="2026-Q3")}),
)
told(
    "period_issue_of_another_type",
    "range",
    NOT_THIS_ISSUE,
    lambda story: story.forge.update({ISSUE: lambda body: body.update(type="packet:issue")}),
)

told(
    "period_withdrawn_by_an_approver",
    "approvals",
    "RC-8: the change was withdrawn by somebody who neither asked for it nor is an admin",
    lambda story: vars(story.steps[11]).update(type="change:withdraw", payload={**story.steps[11].payload, "before": "in_review"}),
)

# ---- the statement
claimed(
    "period_count_changed",
    "changes",
    "the counts of the statement are not those of the entries",
    lambda said: said["counts"].update({"change:reject": 0}),
)
claimed(
    "period_count_left_out",
    "changes",
    "the counts of the statement are not those of the entries",
    lambda said: said["counts"].pop("source:ingest"),
)
claimed(
    "period_change_left_out",
    "changes",
    "the changes of the statement are not those of the entries: RC-8",
    lambda said: said["changes"].pop(1),
)
claimed(
    "period_change_invented",
    "changes",
    "the changes of the statement are not those of the entries",
    lambda said: said["changes"].append(dict(said["changes"][0], id="RC-99")),
)
claimed(
    "period_state_changed",
    "changes",
    "the changes of the statement are not those of the entries: RC-8",
    lambda said: said["changes"][1].update(state="approved"),
)
claimed(
    "period_requester_changed",
    "changes",
    "the changes of the statement are not those of the entries: RC-7",
    lambda said: said["changes"][0].update(requester="p-8"),
)
claimed(
    "period_other_bounds",
    "range",
    "the period of the statement has other bounds than its name",
    lambda said: said["period"].update(to="2026-12-01T00:00:00.000000Z"),
)
claimed(
    "counts_true_for_one",
    "changes",
    "the counts of the statement are not those of the entries",
    lambda said: said["counts"].update({"change:cutover": True}),
)
claimed("period_of_no_form", "range", "not a period: '2026-Q7'", lambda said: said["period"].update(name="2026-Q7"))
claimed("period_of_no_day", "range", "not a period: '2026-11-31'", lambda said: said["period"].update(name="2026-11-31"))
claimed("period_unnamed", "range", "the statement names no period", lambda said: said.pop("period"))
claimed(
    "period_another_range", "range", "the statement names another range than the packet holds", lambda said: said["range"].update(end=14)
)
claimed(
    "period_other_leaves",
    "range",
    "the statement names another range than the packet holds",
    lambda said: said["range"].update(leaves_sha256="0" * 64),
)
claimed(
    "period_another_log",
    "range",
    "the statement names another log than the checkpoint",
    lambda said: said.update(log="other.example/ledger"),
)
claimed("period_newer_version", "statement", "the statement is of a newer version", lambda said: said.update(version=2))

# ---- the changes
told(
    "period_story_without_its_beginning",
    "changes",
    "change RC-7 has a gap: number 1 is missing",
    lambda story: vars(story).update(earlier=()),
)
told(
    "period_stray_earlier_entry",
    "changes",
    "events/0.json belongs to no change of the period",
    lambda story: vars(story).update(earlier=(0, 1)),
)
told(
    "period_entry_of_another_predecessor",
    "changes",
    "entry number 4 of change RC-7 does not follow the one before it",
    lambda story: story.forge.update({5: lambda body: body.update(stream_prev="0" * 64)}),
)
told(
    "period_requester_approved",
    "approvals",
    "RC-7: the requester approved (role owner)",
    lambda story: vars(story.steps[5]).update(actor={**DANA, "ref": "p-1"}),
)
told(
    "period_approved_by_one_person",
    "approvals",
    "RC-7: one person approved more than once",
    lambda story: vars(story.steps[7]).update(actor={**DANA, "roles": ["owner", "security"]}),
)
told(
    "period_approval_without_the_role",
    "approvals",
    "RC-7: the security approval came from someone without that role",
    lambda story: vars(story.steps[7]).update(actor={**DANA, "ref": "p-4"}),
)
told(
    "period_cut_over_without_security",
    "approvals",
    "RC-7: role security: nobody approved",
    lambda story: story.steps.__setitem__(7, Step("source:ingest", "source/litellm", at(10, 5), {})),
)
told(
    "period_approval_weaker_than_policy_demands",
    "approvals",
    "RC-7: role security: policy asked for a passkey, and the approval is weaker",
    lambda story: story.steps[4].payload.update(needs=[NEEDS[0], {**NEEDS[1], "strength": "passkey"}]),
)
told("period_approved_after_cutover", "approvals", "RC-7: the security approval came after cutover", _after_cutover)
resealed(
    "period_disclosure_invented",
    "redactions",
    "disclosures/5.json discloses what the entry did not commit to",
    lambda files: files.update({"disclosures/5.json": b'["WyJhIiwiYiIsImMiXQ"]'}),
)
resealed(
    "period_disclosure_of_no_entry",
    "redactions",
    "disclosures/99.json belongs to no event",
    lambda files: files.update({"disclosures/99.json": b"[]"}),
)
resealed(
    "period_evidence_swapped",
    "evidence",
    "evidence/changes.csv does not match its SHA-256",
    lambda files: files.update({"evidence/changes.csv": b"id\n"}),
)
told(
    "period_change_left_out_of_the_list",
    "changes",
    "evidence/changes.csv does not list the changes of the entries",
    lambda story: vars(story).update(listed=lambda body: b"".join(line for line in body.splitlines(True) if b"RC-8" not in line)),
)
told(
    "period_list_of_another_state",
    "changes",
    "evidence/changes.csv does not list the changes of the entries",
    lambda story: vars(story).update(listed=lambda body: body.replace(b",rejected,", b",approved,")),
)
resealed("period_earlier_without_proof", "range", "events/1.json or its proof is missing", lambda files: files.pop("events/1.tlog-proof"))
resealed(
    "period_earlier_proof_without_event", "range", "proof without event: events/1.tlog-proof", lambda files: files.pop("events/1.json")
)
