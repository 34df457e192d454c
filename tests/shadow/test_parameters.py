"""The table of parameters: nothing that shapes an answer disappears without a word, on either wire and for each family."""

from typing import Any

import pytest

from governor.shadow.parameters import ANTHROPIC, BLOCKED, NAMES, OPENAI, OURS, refused, translate

EVERYTHING: dict[str, Any] = {
    "temperature": 0.5, "top_p": 0.9, "top_k": 4, "presence_penalty": 0.1, "frequency_penalty": 0.1, "logit_bias": {"1": 1}, "stop_sequences": ["END"], "seed": 3,
    "response_format": {"type": "json_object"}, "tools": [{"type": "function"}], "tool_choice": "auto", "parallel_tool_calls": False, "reasoning_effort": "low",
    "verbosity": "low", "thinking": {"type": "enabled", "budget_tokens": 1500}, "surprise": 1,
}  # fmt: skip


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
@pytest.mark.parametrize("model", ["gpt-4o", "o3-mini", "gpt-5", "claude-sonnet-4-5", "llama-4", "openai/gpt-5-mini"])
def test_every_parameter_is_sent_changed_or_dropped(protocol: str, model: str) -> None:
    found = translate(protocol, model, EVERYTHING, 8000)
    told = {NAMES.get(name, name) for name in {*found.sent, *found.changed, *found.dropped}}
    assert {NAMES.get(name, name) for name in EVERYTHING} <= told
    assert not set(found.sent) & set(found.dropped)
    assert "surprise" in found.dropped
    assert set(found.sent) <= OPENAI | ANTHROPIC


def test_a_reasoning_model_takes_no_sampling_and_another_no_effort() -> None:
    assert {"temperature", "top_p", "logit_bias", "stop"} <= set(translate("openai", "o3-mini", EVERYTHING, 100).dropped)
    found = translate("openai", "gpt-4o", {"reasoning_effort": "low", "temperature": 0}, 100)
    assert (found.sent, found.dropped) == ({"temperature": 0}, ("reasoning_effort",))


def test_thinking_and_effort_stand_for_each_other_where_they_can() -> None:
    there = translate("anthropic", "claude-sonnet-4-5", {"reasoning_effort": "low"}, 4096)
    assert there.sent["thinking"] == {"type": "enabled", "budget_tokens": 1024}
    assert there.changed == {"reasoning_effort": "thinking"}
    back = translate("openai", "gpt-5", {"thinking": {"type": "enabled", "budget_tokens": 2000}}, 4096)
    assert (back.sent, back.changed, back.dropped) == ({"reasoning_effort": "medium"}, {"thinking": "reasoning_effort"}, ())


@pytest.mark.parametrize(
    ("params", "limit", "model"),
    [
        ({"temperature": 0}, 4096, "claude-sonnet-4-5"),
        ({"tool_choice": "required"}, 4096, "claude-sonnet-4-5"),
        ({}, 500, "claude-sonnet-4-5"),
        ({}, 4096, "claude-3-haiku"),
    ],
)
def test_an_effort_is_dropped_where_thinking_is_not_possible(params: dict[str, Any], limit: int, model: str) -> None:
    found = translate("anthropic", model, {"reasoning_effort": "low", **params}, limit)
    assert "thinking" not in found.sent
    assert found.dropped == ("reasoning_effort",)


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
@pytest.mark.parametrize(
    ("model", "sent"),
    [
        ("claude-3-5-sonnet-20241022", {"temperature", "top_p"}),
        ("claude-sonnet-4-20250514", {"temperature", "top_p"}),
        ("claude-opus-4-20250514", {"temperature", "top_p"}),
        ("claude-opus-4-1-20250805", {"temperature"}),
        ("anthropic.claude-haiku-4-5-20251001-v1:0", {"temperature"}),
        ("anthropic/claude-sonnet-4.5", {"temperature"}),
        ("claude-opus-4-7", set()),
        ("claude-opus-4.8", set()),
        ("claude-sonnet-5", set()),
        ("claude-fable-5", set()),
        ("gpt-4o", {"temperature", "top_p"}),
    ],
)
def test_a_model_of_claude_is_told_no_more_of_sampling_than_it_takes(protocol: str, model: str, sent: set[str]) -> None:
    """More is answered with HTTP 400, and the candidate would fail by it."""
    found = translate(protocol, model, {"temperature": 0.2, "top_p": 0.9}, 100)
    assert set(found.sent) == sent
    assert set(found.dropped) == {"temperature", "top_p"} - sent
    assert translate(protocol, model, {"top_p": 0.9}, 100).sent == ({"top_p": 0.9} if sent else {})


def test_a_model_that_thinks_as_it_sees_fit_gets_no_budget_for_it() -> None:
    recorded = {"thinking": {"type": "enabled", "budget_tokens": 2000}}
    found = translate("anthropic", "claude-opus-4-8", recorded, 4096)
    assert (found.sent, found.changed) == ({"thinking": {"type": "adaptive"}}, {"thinking": "thinking.adaptive"})
    found = translate("anthropic", "claude-sonnet-5", {"reasoning_effort": "low", "temperature": 0}, 4096)
    assert (found.sent, found.changed) == ({"thinking": {"type": "adaptive"}}, {"reasoning_effort": "thinking.adaptive"})
    assert translate("anthropic", "claude-opus-4-8", {"thinking": {"type": "disabled"}}, 4096).sent == {"thinking": {"type": "disabled"}}


def test_what_would_be_another_kind_of_answer_is_blocked() -> None:
    assert refused({"n": 2, "audio": {"voice": "x"}, "modalities": ["text"]}) == ["audio", "n"]
    assert refused({"n": 1, "functions": []}) == []
    assert not BLOCKED & (OPENAI | ANTHROPIC | OURS)


def test_thinking_that_leaves_no_room_for_the_answer_is_dropped_and_said() -> None:
    recorded = {"thinking": {"type": "enabled", "budget_tokens": 10_000}}
    found = translate("anthropic", "claude-sonnet-4-5", recorded, 4096)
    assert (found.sent, found.dropped) == ({}, ("thinking",))
    assert translate("anthropic", "claude-sonnet-4-5", recorded, 16_000).sent == recorded
