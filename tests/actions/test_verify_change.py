"""Later traffic against the approved route: what counts for it, what counts against it, what counts for nothing."""

from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from governor.actions import verify_change
from governor.actions.cutover import cutover
from governor.actions.decide import approve
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
    see(monkeypatch, group(100), group(1000, "gpt-4o", is_fallback=True))
    assert verify_change.verify_change(world.ctx, dana, number)["state"] == "verified"
    assert [entry["type"] for entry in world.entries()][-3:] == ["change:verify", "change:drift", "change:verify"]


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
