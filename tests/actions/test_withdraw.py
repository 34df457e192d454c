"""A change is taken back by whoever asked for it: from every state before the cutover, with nothing left to decide and the ledger in agreement."""

from typing import Any

import pytest
from sqlmodel import select

from governor.actions.context import OPERATOR
from governor.actions.cutover import cutover
from governor.actions.decide import approve, reject
from governor.actions.decision_times import decision_times
from governor.actions.expire import expire_changes
from governor.actions.export_packet import export_packet
from governor.actions.export_period import export_period
from governor.actions.export_trust import export_trust
from governor.actions.inbox import inbox, waiting_count
from governor.actions.notify import notices
from governor.actions.people import authenticate, create_token
from governor.actions.propose import asked_in
from governor.actions.replay import replay
from governor.actions.show_change import list_changes, show_change
from governor.actions.start_shadow import start_shadow
from governor.actions.state_rows import state_problems
from governor.actions.watch import watch
from governor.actions.withdraw import withdraw
from governor.cli.change_text import print_change
from governor.errors import GovernorError
from governor.packets.verify import verify_packet
from governor.store.rows.changes import Change, ShadowRun
from governor.store.rows.reviews import ReviewLabel
from governor.web.change import steps_of


def approved(world: Any) -> dict[str, Any]:
    change = world.reviewed()
    for who in ("dana", "sol"):
        approve(world.ctx, world.person(who), change["id"], digest=change["digest"], reason="ok")
    return dict(change)


def shadowing(world: Any) -> dict[str, Any]:
    change = world.propose()
    start_shadow(world.ctx, world.person("rae"), change["id"])
    return dict(change)


def expired(world: Any) -> dict[str, Any]:
    change = world.reviewed()
    approve(world.ctx, world.person("dana"), change["id"], digest=change["digest"], reason="ok")
    world.later(days=15)
    expire_changes(world.ctx)
    return dict(change)


def rejected(world: Any) -> dict[str, Any]:
    change = world.reviewed()
    reject(world.ctx, world.person("dana"), change["id"], digest=change["digest"], reason="no")
    return dict(change)


def moved(world: Any) -> dict[str, Any]:
    change = approved(world)
    cutover(world.ctx, world.person("rae"), change["id"])
    return change


def problems(world: Any) -> list[str]:
    with world.ctx.rows.session() as session:
        return state_problems(session, world.ctx.org)


def refused(verb: Any, *args: Any, **options: Any) -> str:
    with pytest.raises(GovernorError) as error:
        verb(*args, **options)
    return error.value.code


BEFORE = {
    "draft": (lambda world: world.propose(), ["draft"]),
    "shadowing": (shadowing, ["draft", "shadowing"]),
    "in_review": (lambda world: world.reviewed(), ["draft", "shadowing", "in_review"]),
    "approved": (approved, ["draft", "shadowing", "in_review", "approved"]),
    "expired": (expired, ["draft", "shadowing", "in_review"]),
}


@pytest.mark.parametrize("before", sorted(BEFORE))
def test_from_every_state_before_the_cutover(world: Any, before: str) -> None:
    make, steps = BEFORE[before]
    change = make(world)
    world.later(minutes=1)
    done = withdraw(world.ctx, world.person("rae"), change["id"], reason=" the provider ends this model ")
    assert (done["state"], done["before"], done["reason"]) == ("withdrawn", before, "the provider ends this model")
    shown = show_change(world.ctx, change["id"], world.person("rae"))
    assert shown["next"].startswith("a withdrawn change stays withdrawn")
    assert (shown["withdrawal"]["by"], shown["withdrawal"]["reason"]) == ("rae@acme.example", "the provider ends this model")
    assert not shown["you"]["may_withdraw"]
    assert not shown["stale"]
    assert [need["may"] for need in shown["needs"]] == [[] for _ in shown["needs"]]
    assert steps_of(shown) == [*((name, "done") for name in steps), ("withdrawn", "now")]
    (entry,) = world.entries("change:withdraw")
    assert entry["payload"]["digest"] == shown["digest"]
    assert "provider ends" not in str(entry["payload"])
    assert problems(world) == []
    assert [row["id"] for row in list_changes(world.ctx, state="withdrawn")] == [change["id"]]
    for verb in (approve, reject):
        assert (
            refused(verb, world.ctx, world.person("dana"), change["id"], digest=shown["digest"], reason="late")
            in {"wrong_state", "missing_evidence"}
        )  # fmt: skip
    assert refused(withdraw, world.ctx, world.person("rae"), change["id"], reason="again") == "wrong_state"
    assert refused(start_shadow, world.ctx, world.person("rae"), change["id"]) == "wrong_state"
    assert refused(cutover, world.ctx, world.person("rae"), change["id"]) == "wrong_state"
    assert expire_changes(world.ctx) == []


@pytest.mark.parametrize(("make", "says"), [(moved, "propose the earlier route"), (rejected, "stays rejected")], ids=["moved", "rejected"])
def test_what_is_over_is_not_withdrawn(world: Any, make: Any, says: str) -> None:
    change = make(world)
    with pytest.raises(GovernorError) as error:
        withdraw(world.ctx, world.person("rae"), change["id"], reason="too late")
    assert error.value.code == "wrong_state"
    assert says in error.value.hint
    assert world.entries("change:withdraw") == []


def test_only_the_requester_or_an_admin_and_only_with_a_reason(world: Any) -> None:
    change = world.reviewed()
    for who in ("dana", "sol", "ada"):
        assert refused(withdraw, world.ctx, world.person(who), change["id"], reason="x") == "forbidden"
    assert refused(withdraw, world.ctx, OPERATOR, change["id"], reason="x") == "unauthenticated"
    assert refused(withdraw, world.ctx, world.person("rae"), change["id"], reason="  ") == "invalid"
    narrow = create_token(world.ctx, world.admin, email="rae@acme.example", scopes=["read"])["token"]
    assert refused(withdraw, world.ctx, authenticate(world.ctx, narrow), change["id"], reason="x") == "forbidden"
    assert show_change(world.ctx, change["id"], world.person("sol"))["you"]["may_withdraw"] is False
    assert show_change(world.ctx, change["id"])["state"] == "in_review"
    assert withdraw(world.ctx, world.person("multi"), change["id"], reason="rae has left")["state"] == "withdrawn"


def test_who_was_asked_is_not_asked_any_more_and_hears_of_it(world: Any) -> None:
    world.apply("kind: notification\nid: chat\nchannel: apprise\nsecret: env:CHAT\nevents: [approval.waiting, approval.withdrawn]\n")
    change, draft = world.reviewed(), world.propose()
    watch(world.ctx)
    dana = world.person("dana")
    assert waiting_count(world.ctx, dana) == 1
    withdraw(world.ctx, world.person("rae"), change["id"], reason="not now")
    withdraw(world.ctx, world.person("rae"), draft["id"], reason="not now")
    found = inbox(world.ctx, dana)
    assert (waiting_count(world.ctx, dana), found["decide"], found["watch"]) == (0, [], [])
    assert watch(world.ctx) == 0
    told = notices(world.ctx)
    assert [(one["event"], one["data"]["change"]) for one in told] == [
        ("approval.withdrawn", change["id"]),
        ("approval.waiting", change["id"]),
    ]
    assert told[0]["data"]["roles"] == ["owner", "security"]
    assert [one["notification"] for one in told[0]["deliveries"]] == ["chat"]


def test_a_run_that_no_worker_has_begun_is_stopped_and_its_job_ends(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    change = shadowing(world)
    done = withdraw(world.ctx, world.person("rae"), change["id"], reason="wrong candidate")
    run = show_change(world.ctx, change["id"])["runs"][0]
    assert done["stopped"] == {"id": run["id"], "spent_pico": "0", "reserved_pico": "0"}
    assert run["status"] == "aborted_withdrawn"
    assert replay(world.ctx, run["id"]) == {"run": run["id"], "status": "aborted_withdrawn", "verdict": None}
    assert show_change(world.ctx, change["id"])["state"] == "withdrawn"
    print_change(show_change(world.ctx, change["id"], world.person("dana")))
    out = capsys.readouterr().out
    assert "withdrawn by rae@acme.example: wrong candidate. Its shadow run is stopped; $0.0000 was spent" in out
    assert "[not asked any more]" in out


def test_times_to_decide_leave_it_out(world: Any) -> None:
    change = approved(world)
    assert decision_times(list_changes(world.ctx), world.now)["decided"] == 1
    withdraw(world.ctx, world.person("rae"), change["id"], reason="no")
    assert decision_times(list_changes(world.ctx), world.now)["decided"] == 0


def test_a_bound_part_that_moved_before_does_not_stand_in_the_way(world: Any) -> None:
    change = approved(world)
    world.later(minutes=5)
    world.apply('kind: contract_price\nprovider: openai\nmodel: gpt-4o\nmeter: input\nprice: {amount: "2.10"}\nvalid_from: 2026-10-01')
    withdraw(world.ctx, world.person("rae"), change["id"], reason="prices moved")
    shown = show_change(world.ctx, change["id"])
    assert (shown["digest"], shown["stale"]) == (change["digest"], False)
    assert problems(world) == []


def test_packets_tell_of_it(world: Any) -> None:
    change, draft = world.reviewed(), world.propose()
    for one in (change, draft):
        withdraw(world.ctx, world.person("rae"), one["id"], reason="not now")
    assert refused(export_packet, world.ctx, world.admin, draft["id"]) == "wrong_state"
    packet = export_packet(world.ctx, world.admin, change["id"])
    trust = export_trust(world.ctx).encode()
    report = verify_packet(packet, trust)
    assert report.exit_code == 0, report.text()
    assert "not approved: withdrawn" in report.text()
    month = verify_packet(export_period(world.ctx, world.admin, world.now.strftime("%Y-%m")), trust)
    assert month.exit_code == 0, month.text()


def test_an_edited_row_shows(world: Any) -> None:
    change = world.reviewed()
    withdraw(world.ctx, world.person("rae"), change["id"], reason="no")
    with world.ctx.rows.session(write=True) as session:
        row = session.exec(select(Change).where(Change.id == change["id"])).one()
        row.state = "in_review"
        session.add(row)
    assert problems(world) == [f"{change['id']}: its row says in_review, the ledger withdrawn"]


def test_it_is_asked_for_anew_and_the_try_before_is_seen(world: Any) -> None:
    change = world.reviewed()
    withdraw(world.ctx, world.person("rae"), change["id"], reason="larger sample")
    asked = asked_in(world.ctx, change["id"])
    again = world.propose(reason=asked["reason"], margins=asked["margins"])
    (before,) = show_change(world.ctx, again["id"])["asked_before"]
    assert (before["id"], before["state"]) == (change["id"], "withdrawn")
    with world.ctx.rows.session() as session:
        assert not session.exec(select(ReviewLabel)).all()
        assert len(session.exec(select(ShadowRun)).all()) == 1
