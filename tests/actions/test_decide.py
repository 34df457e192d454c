"""Who may decide on a change, on what, until when: every refusal with its own code, and nothing left behind by a refused decision."""

import json
from dataclasses import replace
from typing import Any

import pytest
from sqlmodel import delete, select

from governor.actions.assess import assess
from governor.actions.cutover import cutover
from governor.actions.decide import approve, reject
from governor.actions.decision_times import decision_times
from governor.actions.expire import expire_changes
from governor.actions.export_packet import export_packet
from governor.actions.export_trust import export_trust
from governor.actions.inbox import inbox, waiting_count
from governor.actions.load_catalog import catalog_as_of
from governor.actions.people import authenticate, create_token
from governor.actions.review import ensure_review
from governor.actions.show_change import list_changes, show_change
from governor.actions.state_rows import state_problems
from governor.catalog import begins
from governor.cli.change_text import print_change
from governor.errors import GovernorError
from governor.ledger.types import change_stream
from governor.packets.verify import verify_packet
from governor.store.rows.changes import Approval, EvidenceFile
from governor.store.rows.reviews import ReviewLabel
from tests.actions.conftest import CATALOG


def code(verb: Any, world: Any, who: str, change: dict[str, Any], **options: Any) -> str:
    """The error code of a decision that must be refused."""
    with pytest.raises(GovernorError) as refused:
        verb(world.ctx, world.person(who), change["id"], **{"digest": change["digest"], "reason": "because", **options})
    return refused.value.code


def votes(world: Any) -> int:
    with world.ctx.rows.session() as session:
        return len(session.exec(select(Approval)).all())


def test_two_people_approve_and_the_ledger_tells_it_in_order(world: Any) -> None:
    change = world.reviewed()
    assert [need["role"] for need in change["needs"]] == ["owner", "security"]
    assert [need["may"] for need in change["needs"]] == [["dana@acme.example"], ["multi@acme.example", "sol@acme.example"]]
    first = approve(world.ctx, world.person("dana"), change["id"], digest=change["digest"], reason="evidence read")
    assert (first["state"], first["role"], first["open"]) == ("in_review", "owner", ["security"])
    second = approve(world.ctx, world.person("sol"), change["id"], digest=change["digest"], reason="no new exposure")
    assert (second["state"], second["role"]) == ("approved", "security")
    types = [entry["type"] for entry in world.entries() if entry["stream"] == change_stream(change["id"])]
    assert types == ["change:propose", "change:shadow", "change:shadow", "change:review", "change:approve", "change:approve"]
    assert [entry["payload"]["role"] for entry in world.entries("change:approve")] == ["owner", "security"]
    assert b"acme.example" not in json.dumps([entry["payload"] for entry in world.entries()]).encode()


def test_nobody_decides_before_there_is_evidence(world: Any) -> None:
    change = world.propose()
    assert code(approve, world, "dana", change) == "missing_evidence"
    assert code(reject, world, "dana", change) == "missing_evidence"


def test_requester_and_author_of_the_evidence_cannot_decide(world: Any) -> None:
    world.apply("kind: person\nemail: rae@acme.example\nroles: [requester, security]")
    change = world.propose("rae")
    world.shadow(change["id"], "multi")
    change = show_change(world.ctx, change["id"])
    assert code(approve, world, "rae", change) == "separation_of_duties"
    assert code(reject, world, "rae", change) == "separation_of_duties"
    assert code(approve, world, "multi", change) == "separation_of_duties"
    assert votes(world) == 0


def test_an_author_of_an_earlier_run_stays_barred(world: Any) -> None:
    change = world.propose("rae")
    world.shadow(change["id"], "multi")
    world.shadow(change["id"], "rae")
    assert code(approve, world, "multi", show_change(world.ctx, change["id"])) == "separation_of_duties"


def test_one_person_answers_one_role(world: Any) -> None:
    world.apply("kind: person\nemail: dana@acme.example\nroles: [owner, security]")
    change = world.reviewed()
    approve(world.ctx, world.person("dana"), change["id"], digest=change["digest"], reason="as owner")
    assert code(approve, world, "dana", change, role="security") == "separation_of_duties"
    assert show_change(world.ctx, change["id"])["state"] == "in_review"


def test_only_a_needed_role_that_the_person_holds_answers(world: Any) -> None:
    change = world.reviewed()
    assert code(approve, world, "ada", change) == "role_not_needed"
    assert code(approve, world, "finn", change) == "role_not_needed"
    assert code(approve, world, "sol", change, role="finance") == "role_not_needed"
    assert code(approve, world, "sol", change, role="owner") == "role_not_needed"
    approve(world.ctx, world.person("sol"), change["id"], digest=change["digest"], reason="ok")
    assert code(approve, world, "multi", change) == "role_not_needed"


def test_the_owner_answers_for_the_workflow_and_another_owner_only_stands_in(world: Any) -> None:
    change = world.reviewed()
    assert code(approve, world, "olga", change) == "role_not_needed"
    own = world.reviewed("dana")
    assert own["needs"][0]["may"] == ["olga@acme.example"]
    assert code(approve, world, "dana", own) == "separation_of_duties"
    assert approve(world.ctx, world.person("olga"), own["id"], digest=own["digest"], reason="stands in")["role"] == "owner"


@pytest.mark.parametrize("digest", ["0" * 64, "", "not a digest"])
def test_another_digest_is_stale(world: Any, digest: str) -> None:
    change = world.reviewed()
    assert code(approve, world, "dana", change, digest=digest) == "stale_approval"
    assert code(reject, world, "dana", change, digest=digest) == "stale_approval"


def touch_catalog(world: Any) -> None:
    world.apply(
        "kind: workflow\nid: fnol-triage\nowner: dana@acme.example\ndata_class: confidential\nrisk_tier: high\n"
        "routes: [{id: current, provider: openai, model: gpt-4o, regions: [us-east-1], approved_until: 2027-03-31}]"
    )


def touch_prices(world: Any) -> None:
    world.apply('kind: contract_price\nprovider: openai\nmodel: gpt-4o\nmeter: input\nprice: {amount: "2.10"}\nvalid_from: 2026-10-01')


def touch_evidence(world: Any) -> None:
    with world.ctx.rows.session(write=True) as session:
        file = session.exec(select(EvidenceFile).where(EvidenceFile.name == "verdict.json")).one()
        file.body += b" "
        session.add(file)


def touch_bundle(world: Any) -> None:
    from dataclasses import replace

    world.ctx.__dict__["bundle"] = replace(world.ctx.bundle, revision="f" * 64)


@pytest.mark.parametrize("touch", [touch_catalog, touch_prices, touch_evidence, touch_bundle])
def test_a_changed_part_voids_what_was_approved_so_far(world: Any, touch: Any) -> None:
    change = world.reviewed()
    approve(world.ctx, world.person("dana"), change["id"], digest=change["digest"], reason="ok")
    world.later(minutes=5)
    touch(world)
    assert code(approve, world, "sol", change) == "stale_approval"
    shown = show_change(world.ctx, change["id"])
    assert shown["digest"] != change["digest"]
    assert [vote["counts"] for vote in shown["approvals"]] == [False]
    assert {need["status"] for need in shown["needs"]} == {"open"}
    for who in ("sol", "dana"):
        done = approve(world.ctx, world.person(who), change["id"], digest=shown["digest"], reason="read again")
    assert done["state"] == "approved"
    reviews = [entry["payload"]["digest"] for entry in world.entries("change:review")]
    assert reviews == [change["digest"], shown["digest"]]


def test_an_approved_change_that_moved_goes_back_to_review_at_cutover(world: Any) -> None:
    change = world.reviewed()
    for who in ("dana", "sol"):
        approve(world.ctx, world.person(who), change["id"], digest=change["digest"], reason="ok")
    world.later(minutes=5)
    assert show_change(world.ctx, change["id"])["next"].startswith("move the route in your gateway")
    touch_catalog(world)
    assert show_change(world.ctx, change["id"])["next"].startswith(
        "leave the route as it is"
    )  # approvals are void: nobody moves it on their word
    with pytest.raises(GovernorError) as refused:
        cutover(world.ctx, world.person("rae"), change["id"])
    assert refused.value.code == "stale_approval"
    assert show_change(world.ctx, change["id"])["state"] == "in_review"


def test_who_lost_the_role_or_the_account_is_still_named_and_it_is_said(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    change = world.reviewed()
    approve(world.ctx, world.person("sol"), change["id"], digest=change["digest"], reason="ok")
    need = show_change(world.ctx, change["id"])["needs"][1]
    assert (need["by"], need["by_holds_role"]) == ("sol@acme.example", True)
    world.apply("kind: person\nemail: sol@acme.example\nroles: [security]\ndisabled: true")
    shown = show_change(world.ctx, change["id"])
    assert (shown["needs"][1]["by"], shown["needs"][1]["status"], shown["needs"][1]["by_holds_role"]) == (
        "sol@acme.example",
        "answered",
        False,
    )
    print_change(shown)
    assert "answered by sol@acme.example, who no longer holds that role" in " ".join(capsys.readouterr().out.split())


def test_an_approval_expires_before_the_others_decide(world: Any) -> None:
    change = world.reviewed()
    approve(world.ctx, world.person("dana"), change["id"], digest=change["digest"], reason="ok")
    world.later(days=world.ctx.settings.approval_days, minutes=1)
    assert code(approve, world, "sol", change) == "expired_approval"
    assert show_change(world.ctx, change["id"])["state"] == "expired"
    assert code(approve, world, "sol", change) == "wrong_state"
    assert len(world.entries("change:expire")) == 1


def test_an_approval_expires_before_the_cutover_and_fresh_evidence_reopens(world: Any) -> None:
    change = world.reviewed()
    for who in ("dana", "sol"):
        approve(world.ctx, world.person(who), change["id"], digest=change["digest"], reason="ok")
    world.later(days=15)
    with pytest.raises(GovernorError) as refused:
        cutover(world.ctx, world.person("rae"), change["id"])
    assert refused.value.code == "expired_approval"
    assert show_change(world.ctx, change["id"])["state"] == "expired"
    world.shadow(change["id"])
    again = show_change(world.ctx, change["id"])
    assert again["state"] == "in_review"
    assert again["digest"] != change["digest"]


def test_old_evidence_carries_no_decision_until_it_is_measured_again(world: Any) -> None:
    change = world.reviewed()
    world.later(days=world.ctx.settings.evidence_days, minutes=1)
    with pytest.raises(GovernorError) as refused:
        approve(world.ctx, world.person("dana"), change["id"], digest=change["digest"], reason="ok")
    assert refused.value.code == "policy_refused"
    assert refused.value.hint.startswith(f"run `governor change shadow {change['id']}` for fresh evidence")
    shown = show_change(world.ctx, change["id"], world.person("dana"))
    assert "the evaluation plan expired 2027-01-31T" in shown["you"]["why_not"]
    assert shown["next"].startswith(f"run `governor change shadow {change['id']}`")
    world.shadow(change["id"])
    again = show_change(world.ctx, change["id"])
    assert approve(world.ctx, world.person("dana"), change["id"], digest=again["digest"], reason="read anew")["role"] == "owner"


def test_the_inbox_asks_nobody_to_move_a_route_whose_approvals_are_void(world: Any) -> None:
    change = world.reviewed()
    for who in ("dana", "sol"):
        approve(world.ctx, world.person(who), change["id"], digest=change["digest"], reason="ok")
    (item,) = inbox(world.ctx, world.person("rae"))["act"]
    assert item["why"].startswith("everybody needed has approved")
    touch_prices(world)
    (item,) = inbox(world.ctx, world.person("rae"))["act"]
    assert item["why"].startswith("leave the route as it is")


def test_no_approval_outlives_its_evidence(world: Any) -> None:
    change = world.reviewed()
    world.later(days=world.ctx.settings.evidence_days - 2)
    for who in ("dana", "sol"):
        approve(world.ctx, world.person(who), change["id"], digest=change["digest"], reason="ok")
    world.later(days=3)
    assert code(lambda ctx, actor, change_id, **_: cutover(ctx, actor, change_id), world, "rae", change) == "expired_approval"
    assert show_change(world.ctx, change["id"])["state"] == "expired"


def test_what_was_cut_over_in_time_is_not_refused_for_its_age(world: Any) -> None:
    change = world.reviewed()
    for who in ("dana", "sol"):
        approve(world.ctx, world.person(who), change["id"], digest=change["digest"], reason="ok")
    cutover(world.ctx, world.person("rae"), change["id"])
    world.later(days=world.ctx.settings.evidence_days + 1)
    shown = show_change(world.ctx, change["id"])
    assert (shown["state"], shown["policy"]["violations"]) == ("cutover", [])


def test_it_is_said_until_when_the_approvals_hold(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    change = world.reviewed()
    assert change["expires_at"] is None
    approve(world.ctx, world.person("dana"), change["id"], digest=change["digest"], reason="ok")
    first = show_change(world.ctx, change["id"])["expires_at"]
    world.later(days=3)
    approve(world.ctx, world.person("sol"), change["id"], digest=change["digest"], reason="ok")
    shown = show_change(world.ctx, change["id"])
    assert (shown["state"], shown["expires_at"], first[:16]) == ("approved", first, "2026-11-16T09:01")
    print_change(shown)
    assert "until   2026-11-16 09:01 UTC: then the first approval runs out" in " ".join(capsys.readouterr().out.split(" "))
    world.later(days=12)
    assert show_change(world.ctx, change["id"])["expires_at"] == first, "also while the sweep has not come"


def test_fresh_evidence_after_an_approval_that_expired_is_undecided(world: Any) -> None:
    change = world.reviewed()
    for who in ("dana", "sol"):
        approve(world.ctx, world.person(who), change["id"], digest=change["digest"], reason="ok")
    world.later(days=15)
    assert expire_changes(world.ctx) == [change["id"]]
    world.shadow(change["id"])
    world.later(days=2)
    (row,) = list_changes(world.ctx)
    assert (row["state"], row["decided_at"]) == ("in_review", None)
    times = decision_times([row], world.now)
    assert (times["decided"], times["put"], times["waiting"]) == (0, None, 1)
    again = show_change(world.ctx, change["id"])
    approve(world.ctx, world.person("dana"), change["id"], digest=again["digest"], reason="ok")
    world.later(days=15)
    assert expire_changes(world.ctx) == [change["id"]]
    report = verify_packet(export_packet(world.ctx, world.admin, change["id"]), export_trust(world.ctx).encode())
    assert report.exit_code == 0, report.text()


def test_the_sweep_expires_only_what_is_due(world: Any) -> None:
    early, late = world.reviewed(), world.reviewed()
    approve(world.ctx, world.person("dana"), early["id"], digest=early["digest"], reason="ok")
    world.later(days=10)
    approve(world.ctx, world.person("dana"), late["id"], digest=late["digest"], reason="ok")
    world.later(days=5)
    assert expire_changes(world.ctx) == [early["id"]]
    assert expire_changes(world.ctx) == []
    assert [row["id"] for row in list_changes(world.ctx, state="in_review")] == [late["id"]]


def test_a_change_that_cannot_be_assessed_keeps_no_other_from_expiring(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, fine = world.reviewed(), world.reviewed()
    for change in (broken, fine):
        approve(world.ctx, world.person("dana"), change["id"], digest=change["digest"], reason="ok")
    world.later(days=15)

    def assess_all_but_one(ctx: Any, session: Any, change: Any, now: Any) -> Any:
        if change.id == broken["id"]:
            raise ValueError("its request is damaged")
        return assess(ctx, session, change, now)

    with monkeypatch.context() as patch:
        patch.setattr("governor.actions.expire.assess", assess_all_but_one)
        assert expire_changes(world.ctx) == [fine["id"]]
    assert expire_changes(world.ctx) == [broken["id"]]


def test_a_failed_verdict_can_be_rejected_but_not_approved(world: Any) -> None:
    change = world.propose()
    world.shadow(change["id"], worse=80)
    shown = show_change(world.ctx, change["id"], world.person("dana"))
    assert shown["verdict"]["verdict"] == "fail"
    assert shown["policy"]["allow"] is False
    assert shown["you"]["code"] == "policy_refused"
    assert code(approve, world, "dana", shown) == "policy_refused"
    assert votes(world) == 0
    assert reject(world.ctx, world.person("dana"), change["id"], digest=shown["digest"], reason="worse")["state"] == "rejected"
    assert code(approve, world, "sol", shown) == "wrong_state"


def test_a_run_without_verdict_leads_back_to_draft(world: Any) -> None:
    change = world.propose()
    world.shadow(change["id"], status="aborted_budget")
    shown = show_change(world.ctx, change["id"])
    assert shown["state"] == "draft"
    assert shown["verdict"] is None
    assert code(approve, world, "dana", shown) == "missing_evidence"


def test_tokens_that_only_push_or_read_decide_nothing(world: Any) -> None:
    change = world.reviewed()
    narrow = create_token(world.ctx, world.admin, email="dana@acme.example", scopes=["read", "ingest:litellm"])["token"]
    with pytest.raises(GovernorError) as refused:
        approve(world.ctx, authenticate(world.ctx, narrow), change["id"], digest=change["digest"], reason="x")
    assert refused.value.code == "forbidden"


def test_the_operator_decides_nothing(world: Any) -> None:
    from governor.actions.context import OPERATOR

    change = world.reviewed()
    with pytest.raises(GovernorError) as refused:
        approve(world.ctx, OPERATOR, change["id"], digest=change["digest"], reason="x")
    assert refused.value.code == "unauthenticated"


def test_the_page_tells_the_reader_why_not(world: Any) -> None:
    change = world.reviewed()
    assert show_change(world.ctx, change["id"], world.person("rae"))["you"]["code"] == "separation_of_duties"
    assert show_change(world.ctx, change["id"], world.person("ada"))["you"]["code"] == "role_not_needed"
    assert show_change(world.ctx, change["id"], world.person("dana"))["you"] == {
        "may_approve": True,
        "role": "owner",
        "why_not": None,
        "code": None,
        "may_reject": True,
        "may_withdraw": False,
    }
    assert show_change(world.ctx, change["id"], world.person("rae"))["you"]["may_reject"] is False


def test_cutover_approves_the_route_in_the_catalog_and_ends_it(world: Any) -> None:
    change = world.reviewed()
    with pytest.raises(GovernorError) as early:
        cutover(world.ctx, world.person("rae"), change["id"])
    assert early.value.code == "wrong_state"
    for who in ("dana", "sol"):
        approve(world.ctx, world.person(who), change["id"], digest=change["digest"], reason="ok")
    before = world.now
    at = world.later(hours=1)
    done = cutover(world.ctx, world.person("rae"), change["id"], export="litellm", note="model group switched")
    assert done["state"] == "cutover"
    assert "openai/gpt-4.1-mini" in done["export"]["text"]
    routes = catalog_as_of(world.ctx).workflows["fnol-triage"].routes
    assert [(route.id, route.approved_until) for route in routes] == [("rc-1", "2027-03-31"), ("current", "2027-03-31")]
    assert routes[0].approved_from is not None
    assert begins(routes[0].approved_from) == at
    assert routes[0].change == change["id"]
    assert [route.id for route in catalog_as_of(world.ctx, before).workflows["fnol-triage"].routes] == ["current"]
    assert show_change(world.ctx, change["id"])["digest"] == change["digest"], "what was approved stays what was approved"
    again = world.propose(candidate="anthropic/claude-haiku-4-5@us-east-1")
    assert show_change(world.ctx, again["id"])["baseline"]["route"] == "rc-1", "the next change starts from the new route"


@pytest.mark.parametrize(("until", "why"), [("soon", "write a date"), ("2026-02-30", "write a date"), ("2020-01-01", "lies before")])
def test_an_end_of_the_new_route_that_is_none_is_refused_in_words(world: Any, until: str, why: str) -> None:
    change = world.reviewed()
    for who in ("dana", "sol"):
        approve(world.ctx, world.person(who), change["id"], digest=change["digest"], reason="ok")
    with pytest.raises(GovernorError, match=f"cannot end on '{until}'.*{why}") as refused:
        cutover(world.ctx, world.person("rae"), change["id"], approved_until=until)
    assert refused.value.code == "invalid"
    assert show_change(world.ctx, change["id"])["state"] == "approved"


def test_a_catalog_file_from_before_the_cutover_keeps_its_route(world: Any) -> None:
    """Teams apply the same file from their repository again and again."""
    change = world.reviewed()
    for who in ("dana", "sol"):
        approve(world.ctx, world.person(who), change["id"], digest=change["digest"], reason="ok")
    world.later(hours=1)
    cutover(world.ctx, world.person("rae"), change["id"])
    world.later(hours=1)

    def routes() -> list[tuple[str, str]]:
        return [(route.id, route.approved_until) for route in catalog_as_of(world.ctx).workflows["fnol-triage"].routes]

    before = routes()
    assert [route for route, _ in before] == ["rc-1", "current"]
    assert world.apply(CATALOG).changes == []
    edited = CATALOG.replace("cost_center: CC-4100", "cost_center: CC-4200")
    assert [change.path for change in world.apply(edited).changes[0].fields] == ["cost_center"]
    assert routes() == before
    world.later(hours=1)
    ended = "routes:\n  - {id: rc-1, provider: openai, model: gpt-4.1-mini, approved_until: 2026-11-01}"
    world.apply(edited.replace("routes:", ended, 1))
    assert routes()[0] == ("rc-1", "2026-11-01"), "a file that names it decides"


def test_a_version_planned_for_later_takes_the_new_route_over(world: Any) -> None:
    change = world.reviewed()
    for who in ("dana", "sol"):
        approve(world.ctx, world.person(who), change["id"], digest=change["digest"], reason="ok")
    workflow = CATALOG.partition("---")[0]
    for center, start in ((1, "2026-11-10"), (2, "2026-11-20")):
        world.apply(workflow.replace("cost_center: CC-4100", f"cost_center: CC-{center}\nvalid_from: {start}"))
    world.later(hours=1)
    cutover(world.ctx, world.person("rae"), change["id"])
    for days, center in ((0, "CC-4100"), (10, "CC-1"), (10, "CC-2")):
        found = catalog_as_of(world.ctx, world.later(days=days)).workflows["fnol-triage"]
        assert (found.cost_center, [route.id for route in found.routes]) == (center, ["rc-1", "current"])


def test_an_approval_by_a_clock_that_is_behind_counts(world: Any) -> None:
    """Another host put the change before its deciders; what was recorded as approved was void."""
    change = world.reviewed()
    world.later(minutes=-3)
    for who in ("dana", "sol"):
        done = approve(world.ctx, world.person(who), change["id"], digest=change["digest"], reason="ok")
    assert done["state"] == "approved"
    assert [vote["counts"] for vote in show_change(world.ctx, change["id"])["approvals"]] == [True, True]
    assert cutover(world.ctx, world.person("rae"), change["id"])["state"] == "cutover"
    with world.ctx.rows.session() as session:
        assert state_problems(session, world.ctx.org) == []


def test_the_count_beside_the_inbox_leaves_out_what_this_person_may_not_decide(world: Any) -> None:
    """Whoever labelled answers made the evidence; whoever approved as one role answers no other."""
    change = world.reviewed()
    sol, dana = world.person("sol"), world.person("dana")
    both = replace(dana, roles=dana.roles | {"security"})
    assert [waiting_count(world.ctx, who) for who in (sol, dana, both)] == [1, 1, 1]
    label = {"org_id": world.ctx.org, "change_id": change["id"], "run_id": "run", "pick": "a", "labelled_at": world.ctx.now()}
    for position, (reviewer, person, state, left) in enumerate(
        [("sol@acme.example", sol.id, "draft", 1), ("sol@acme.example", "admin", "submitted", 0), ("a guest", sol.id, "submitted", 0)]
    ):
        with world.ctx.rows.session(write=True) as session:
            session.exec(delete(ReviewLabel))
            session.add(ReviewLabel(**label, position=position, reviewer=reviewer, person_id=person, state=state))
        assert waiting_count(world.ctx, sol) == left
        assert waiting_count(world.ctx, dana) == 1
    approve(world.ctx, dana, change["id"], digest=change["digest"], reason="ok")
    assert [waiting_count(world.ctx, who) for who in (dana, both, world.person("multi"))] == [0, 0, 1]


@pytest.mark.parametrize("ahead", [0, 20])
def test_parts_that_move_away_and_back_are_decided_on_anew(world: Any, ahead: int) -> None:
    """The digest is the first one again; what was approved before the newest review is void, for the verifiers too, also by a clock that was ahead."""
    change = world.reviewed()
    world.later(minutes=ahead)
    for who in ("dana", "sol"):
        approve(world.ctx, world.person(who), change["id"], digest=change["digest"], reason="ok")
    world.later(minutes=-ahead)
    for text in (None, CATALOG):
        world.later(minutes=5)
        touch_catalog(world) if text is None else world.apply(text)
        ensure_review(world.ctx, change["id"])
    back = show_change(world.ctx, change["id"])
    assert (back["state"], back["digest"]) == ("in_review", change["digest"])
    assert [vote["counts"] for vote in back["approvals"]] == [False, False]
    assert [need["may"] for need in back["needs"]] == [["dana@acme.example"], ["multi@acme.example", "sol@acme.example"]]
    assert [waiting_count(world.ctx, world.person(who)) for who in ("dana", "sol")] == [1, 1]
    world.later(minutes=5)
    for who, state in (("dana", "in_review"), ("multi", "approved")):
        done = approve(
            world.ctx,
            world.person(who),
            change["id"],
            digest=change["digest"],
            reason="read again",
            role="" if who == "dana" else "security",
        )
        assert done["state"] == state
    with world.ctx.rows.session() as session:
        assert state_problems(session, world.ctx.org) == []
    assert len(world.entries("change:review")) == 3
    assert len(world.entries("change:approve")) == 4
    assert cutover(world.ctx, world.person("rae"), change["id"])["state"] == "cutover"
