"""A change is asked for: what can be read, who may ask, what is fixed; and its shadow run is started once."""

from functools import partial
from typing import Any

import pytest
from sqlmodel import select

from governor.actions.plan_options import budget_pico, instant, parameters, share, whole
from governor.actions.propose import read_candidate
from governor.actions.show_change import list_changes, show_change
from governor.actions.start_shadow import MOST_RUNS, start_shadow
from governor.errors import BudgetExceeded, Forbidden, GovernorError, Invalid, NotFound, Refused, Unauthenticated, WrongState
from governor.store.rows.changes import ShadowRun
from governor.store.rows.jobs import Job


@pytest.mark.parametrize(
    ("text", "provider", "model", "region"),
    [
        ("anthropic/claude-haiku-4-5@us-east-1", "anthropic", "claude-haiku-4-5", "us-east-1"),
        ("openai/gpt-4o", "openai", "gpt-4o", ""),
        (
            "aws.bedrock/anthropic.claude-3-5-haiku-20241022-v1:0@eu-central-1",
            "aws.bedrock",
            "anthropic.claude-3-5-haiku-20241022-v1:0",
            "eu-central-1",
        ),
        ("gcp.vertex_ai/claude-sonnet-4@20250514@europe-west1", "gcp.vertex_ai", "claude-sonnet-4@20250514", "europe-west1"),
        ("gcp.vertex_ai/claude-sonnet-4@20250514", "gcp.vertex_ai", "claude-sonnet-4@20250514", ""),
        ("openrouter/meta-llama/llama-4", "openrouter", "meta-llama/llama-4", ""),
    ],
)
def test_candidates_are_read(text: str, provider: str, model: str, region: str) -> None:
    assert read_candidate(text) == {"provider": provider, "model": model, "region": region}


@pytest.mark.parametrize("text", ["gpt-4o", "/gpt-4o", "openai/", "openai/ x", ""])
def test_unreadable_candidates_are_refused(text: str) -> None:
    with pytest.raises(Invalid, match="candidate"):
        read_candidate(text)


def test_a_proposal_fixes_plan_and_digest(world: Any) -> None:
    made = world.propose()
    assert (made["id"], made["state"]) == ("RC-1", "draft")
    assert [need["role"] for need in made["needs"]] == ["owner", "security"]
    shown = show_change(world.ctx, made["id"])
    assert shown["digest"] == made["digest"]
    assert shown["baseline"]["model"] == "gpt-4o"
    assert world.propose()["id"] == "RC-2"
    assert [row["id"] for row in list_changes(world.ctx)] == ["RC-2", "RC-1"]
    assert list_changes(world.ctx, workflow="other") == []
    with pytest.raises(Invalid):
        list_changes(world.ctx, state="open")
    with pytest.raises(NotFound):
        show_change(world.ctx, "RC-99")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"workflow": "nope"}, NotFound),
        ({"endpoint": "nope"}, NotFound),
        ({"baseline": "nope"}, Invalid),
        ({"candidate": "openai/gpt-4o@us-east-1"}, Invalid),
        ({"candidate": "OpenAI/GPT-4o@us-east-1"}, Invalid),
        ({"retention_days": -5}, Invalid),
        ({"retention_days": 10**9}, Invalid),
        ({"budget_usd": "1e-999999"}, Invalid),
        ({"reason": " "}, Invalid),
        ({"budget_usd": "0"}, Invalid),
        ({"budget_usd": "NaN"}, Invalid),
        ({"budget_usd": "lots"}, Invalid),
    ],
)
def test_wrong_proposals_leave_nothing(world: Any, options: dict[str, Any], error: type[GovernorError]) -> None:
    size = len(world.entries())
    world.person("rae")
    with pytest.raises(error):
        world.propose(**options)
    assert list_changes(world.ctx) == []
    assert len(world.entries("change:propose")) == 0
    assert len(world.entries()) == size + 1, "only the token of rae"


def test_who_may_propose(world: Any) -> None:
    from governor.actions.context import OPERATOR
    from governor.actions.propose import propose

    for who in ("sol", "finn", "ada"):
        with pytest.raises(Forbidden):
            world.propose(who)
    with pytest.raises(Unauthenticated):
        propose(world.ctx, OPERATOR, workflow="fnol-triage", candidate="openai/gpt-4o", endpoint="gateway-shadow", reason="x")
    assert world.propose("dana")["id"] == "RC-1"


def test_without_an_approved_route_in_force_there_is_nothing_to_compare_with(world: Any) -> None:
    world.later(days=200)
    with pytest.raises(Refused, match="no approved route in force"):
        world.propose()


def test_a_run_is_started_once_and_its_job_leaves_with_the_transaction(world: Any) -> None:
    change = world.propose()
    first = start_shadow(world.ctx, world.person("rae"), change["id"])
    again = start_shadow(world.ctx, world.person("rae"), change["id"])
    assert (first["run"], first["job"]) == (again["run"], again["job"])
    with world.ctx.rows.session() as session:
        assert len(session.exec(select(ShadowRun)).all()) == 1
        assert [job.actor for job in session.exec(select(Job)).all()] == ["replay"]
    assert [entry["payload"]["author"] for entry in world.entries("change:shadow")] == [world.person("rae").id]
    with pytest.raises(Forbidden):
        start_shadow(world.ctx, world.person("sol"), change["id"])


def test_a_job_that_was_given_up_can_be_tried_again(world: Any) -> None:
    change = world.propose()
    started = start_shadow(world.ctx, world.person("rae"), change["id"])
    with world.ctx.rows.session(write=True) as session:
        job = session.get(Job, started["job"])
        assert job is not None
        job.state, job.attempts, job.error = "failed", 8, "unavailable: no endpoint"
        session.add(job)
    assert show_change(world.ctx, change["id"])["runs"][0]["error"] == "unavailable: no endpoint"
    assert start_shadow(world.ctx, world.person("rae"), change["id"])["run"] == started["run"]
    with world.ctx.rows.session() as session:
        job = session.get(Job, started["job"])
        assert job is not None
        assert (job.state, job.attempts) == ("waiting", 0)


def test_runs_are_not_repeated_until_one_passes(world: Any) -> None:
    change = world.propose()
    for _ in range(MOST_RUNS):
        world.shadow(change["id"])
    with pytest.raises(BudgetExceeded):
        start_shadow(world.ctx, world.person("rae"), change["id"])


def test_a_decided_change_is_not_replayed(world: Any) -> None:
    from governor.actions.decide import reject

    change = world.reviewed()
    reject(world.ctx, world.person("dana"), change["id"], digest=change["digest"], reason="no")
    with pytest.raises(WrongState):
        start_shadow(world.ctx, world.person("rae"), change["id"])


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (share, "NaN"),
        (share, "1e-999999"),
        (partial(share, name="discordance"), "nan"),
        (parameters, [1, 2]),
        (parameters, "temperature"),
        (parameters, {"temperature": "hot"}),
        (parameters, {"top_p": {"decimal": "much"}}),
        (parameters, {"thinking": {"budget_tokens": "many"}}),
        (partial(budget_pico, name="judge.budget_usd"), "1e999999"),
        (partial(instant, name="since"), "0001-01-01T00:00:00+14:00"),
        (partial(whole, name="concurrency", least=1, most=256), "9" * 5000),
    ],
)
def test_a_wrong_plan_option_is_named(read: Any, value: Any) -> None:
    name = read.keywords["name"] if isinstance(read, partial) else {share: "max_excluded_share", parameters: "params"}[read]
    with pytest.raises(Invalid, match=name) as told:
        read(value)
    assert len(told.value.message) < 200


def test_parameters_that_can_be_sent_are_kept_as_they_are() -> None:
    assert parameters(None) == parameters({}) == {}
    assert parameters({"temperature": None, "stop": ["x"]}) == {"temperature": None, "stop": ["x"]}
    assert parameters({"temperature": 0.5}) == {"temperature": {"decimal": "0.5"}}
