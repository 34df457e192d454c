"""Later traffic against the approved route: what counts for it, what counts against it, what counts for nothing."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from governor.actions import verify_change
from governor.actions.cutover import cutover
from governor.actions.decide import approve
from governor.actions.findings import route_findings
from governor.actions.gateway_snippets import EXPORTS, snippet
from governor.actions.show_change import show_change
from governor.errors import Invalid, WrongState

CANDIDATE = {"provider": "openai", "model": "gpt-4.1-mini", "region": "us-east-1"}


def group(calls: int, model: str | None = "gpt-4.1-mini", provider: str | None = "openai", **more: Any) -> SimpleNamespace:
    values = {"region": None, "is_fallback": False, "route_status": "approved", "contracted_pico": calls * 10**9, "examples": ("r1",)}
    known = {"workflow_id": "fnol-triage", "traffic_class": "production", "calls": calls, "model": model, "provider": provider}
    return SimpleNamespace(**{**values, **known, **more})


@pytest.mark.parametrize(
    ("seen", "where"),
    [
        (group(1), "on_route"),
        (group(1, "gpt-4.1-mini-2025-04-14"), "on_route"),
        (group(1, "openai/gpt-4.1-mini"), "on_route"),
        (group(1, region="us-east-1"), "on_route"),
        (group(1, region="eu-west-1"), "elsewhere"),
        (group(1, "gpt-4.1-mini-preview"), "elsewhere"),
        (group(1, "gpt-4.1"), "elsewhere"),
        (group(1, provider="azure"), "elsewhere"),
        (group(1, None), "elsewhere"),
        (group(1, "gpt-4o", is_fallback=True), "fallback"),
        (group(1, "gpt-4o", is_fallback=True, route_status="unapproved"), "elsewhere"),
    ],
)
def test_where_a_call_counts(seen: Any, where: str) -> None:
    found = verify_change.observe([seen], CANDIDATE)
    assert {name: found[name] for name in ("on_route", "fallback", "elsewhere")} == {"on_route": 0, "fallback": 0, "elsewhere": 0} | {
        where: 1
    }


def cut_over(world: Any) -> str:
    change = world.reviewed()
    for who in ("dana", "sol"):
        approve(world.ctx, world.person(who), change["id"], digest=change["digest"], reason="ok")
    cutover(world.ctx, world.person("rae"), change["id"])
    world.later(days=1)
    return str(change["id"])


def see(monkeypatch: pytest.MonkeyPatch, *groups: Any) -> None:
    """Traffic as the governed window would give it; the window itself is tested with its own action."""
    monkeypatch.setattr(verify_change, "govern", lambda *_: SimpleNamespace(groups=list(groups)))


def test_verified_then_drifted_then_verified_again(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    number, dana = cut_over(world), world.person("dana")
    see(monkeypatch, group(95), group(5, "gpt-4o"))
    first = verify_change.verify_change(world.ctx, dana, number)
    assert (first["state"], first["share"]) == ("verified", "95.00")
    see(monkeypatch, group(949), group(51, "gpt-4o"))
    second = verify_change.verify_change(world.ctx, dana, number)
    assert (second["state"], second["share"]) == ("drifted", "94.90")
    assert show_change(world.ctx, number)["verification"]["routes"][1]["examples"] == ["r1"]
    world.later(hours=1)
    see(monkeypatch, group(100), group(1000, "gpt-4o", is_fallback=True))
    assert verify_change.verify_change(world.ctx, dana, number)["state"] == "verified"
    assert [entry["type"] for entry in world.entries()][-3:] == ["change:verify", "change:drift", "change:verify"]


def traffic(monkeypatch: pytest.MonkeyPatch, world: Any, *moves: tuple[int, str]) -> None:
    """An hour's call each hour from the cutover on; (day, model) says from which day on it is which."""
    start = world.ctx.now() - timedelta(days=1)

    def govern(_: Any, since: Any, until: Any) -> Any:
        hours = [start + timedelta(hours=at) for at in range(24 * 400) if since <= start + timedelta(hours=at) < until]
        models = [[model for day, model in moves if at >= start + timedelta(days=day)][-1] for at in hours]
        return SimpleNamespace(groups=[group(models.count(model), model) for model in sorted(set(models))])

    monkeypatch.setattr(verify_change, "govern", govern)


def test_the_clock_finds_traffic_that_left_after_months_and_that_came_back(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    number = cut_over(world)
    traffic(monkeypatch, world, (0, "gpt-4.1-mini"), (120, "gpt-4o"), (122, "gpt-4.1-mini"))
    found, last = [], 1
    for day in (1, 119, 120, 121, 122, 128, 129, 130):
        world.later(days=day - last)
        last = day
        if verify_change.watch_cutovers(world.ctx):
            found.append((day, show_change(world.ctx, number)["state"]))
        assert not verify_change.watch_cutovers(world.ctx), "a second look on the same day records nothing"
        drifts = [one for one in route_findings(world.ctx, month_of_now(world)) if one.rule == "route.drift"]
        assert len(drifts) == (121 <= day < 129)
    assert found == [(1, "verified"), (121, "drifted"), (129, "verified")]
    types = [entry["type"] for entry in world.entries() if entry["type"] in {"change:verify", "change:drift"}]
    assert types == ["change:verify", "change:drift", "change:verify"]


def test_a_route_that_was_set_right_is_verified_by_what_came_since(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    number, dana = cut_over(world), world.person("dana")
    traffic(monkeypatch, world, (0, "gpt-4.1-mini"), (3, "gpt-4o"), (5, "gpt-4.1-mini"))
    world.later(days=4)
    assert verify_change.verify_change(world.ctx, dana, number)["state"] == "drifted"
    soon = verify_change.verify_change(world.ctx, dana, number)
    assert (soon["state"], soon["enough"]) == ("drifted", False)
    world.later(days=1)
    assert verify_change.verify_change(world.ctx, dana, number)["state"] == "verified"


def month_of_now(world: Any) -> Any:
    now = world.ctx.now()
    return SimpleNamespace(start=now - timedelta(days=1), end=now + timedelta(days=1))


def test_a_change_that_another_one_followed_is_left_alone(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    number = cut_over(world)
    traffic(monkeypatch, world, (0, "gpt-4o"))
    monkeypatch.setattr(verify_change, "newest_cutovers", lambda _: [])
    assert verify_change.watch_cutovers(world.ctx) == []
    assert show_change(world.ctx, number)["state"] == "cutover"


def test_too_little_traffic_is_no_answer(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    number = cut_over(world)
    size = len(world.entries())
    see(monkeypatch, group(19), group(500, workflow_id="other"), group(500, traffic_class="shadow"))
    found = verify_change.verify_change(world.ctx, world.person("rae"), number)
    assert (found["state"], found["enough"], found["calls"]) == ("cutover", False, 19)
    assert len([entry for entry in world.entries()[size:] if entry["type"].startswith("change:")]) == 0


def test_nothing_is_verified_before_the_cutover(world: Any) -> None:
    change = world.reviewed()
    with pytest.raises(WrongState):
        verify_change.verify_change(world.ctx, world.person("rae"), change["id"])


@pytest.mark.parametrize("name", sorted(EXPORTS))
@pytest.mark.parametrize("provider", ["openai", "azure", "bedrock", "anthropic", "vertex_ai"])
def test_snippets_name_route_workflow_and_change_and_no_secret(name: str, provider: str) -> None:
    text = snippet(name, "fnol-triage", CANDIDATE | {"provider": provider}, "RC-1")
    assert yaml.safe_load(text)
    for word in ("gpt-4.1-mini", "fnol-triage", "RC-1"):
        assert word.lower() in text.lower()
    assert "sk-" not in text


def test_an_unknown_export_is_refused_before_anything_happens(world: Any) -> None:
    with pytest.raises(Invalid):
        snippet("nginx", "w", CANDIDATE, "RC-1")
    change = world.reviewed()
    with pytest.raises(Invalid):
        cutover(world.ctx, world.person("rae"), change["id"], export="nginx")
