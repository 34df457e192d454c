"""Who trained a model, and which judges are refused."""

import pytest

from governor.errors import Invalid, Refused
from governor.shadow.families import family_of, judge_family, resolved


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("gpt-4o-2024-08-06", "openai"),
        ("azure.openai/o3-mini", "openai"),
        ("ft:gpt-4o-mini:acme::abc", "openai"),
        ("anthropic.claude-3-5-haiku-20241022-v1:0", "anthropic"),
        ("us.meta.llama3-1-405b-instruct-v1:0", "meta"),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", "mistral"),
        ("Qwen/QwQ-32B", "alibaba"),
        ("command-r-plus", "cohere"),
        ("amazon.nova-pro-v1:0", "amazon"),
        ("gemini-2.5-flash", "google"),
        ("our-own-model", ""),
        ("supernova-7b", ""),
    ],
)
def test_the_name_tells_the_family(model: str, family: str) -> None:
    assert family_of(model) == family


def test_a_judge_of_an_arms_family_is_refused_through_aliases() -> None:
    arms = ("gpt-4o", "claude-haiku-4-5")
    assert judge_family("mistral-large", arms, {}) == "mistral"
    with pytest.raises(Refused, match="same family"):
        judge_family("claude-opus-4", arms, {})
    with pytest.raises(Refused, match="same family"):
        judge_family("judge-prod", arms, {"judge-prod": "gateway-large", "gateway-large": "gpt-4.1"})
    with pytest.raises(Refused, match="same family"):
        judge_family("mistral-large", ("our-baseline", "claude-haiku-4-5"), {"our-baseline": "mixtral-8x7b"})
    with pytest.raises(Invalid, match="nobody knows"):
        judge_family("our-own-model", arms, {})
    assert judge_family("our-own-model", arms, {}, "Acme") == "acme"
    with pytest.raises(Invalid, match="not acme"):
        judge_family("claude-opus-4", arms, {}, "acme")
    assert resolved("a", {"a": "b", "b": "a"}) == "a"
