"""Who trained a model: a judge of the same family as an arm prefers its own kind.

Owns: names of models to families. Does not own: who serves them (a provider's name says nothing: Azure serves OpenAI's models).
Invariants: a name nobody knows has no family, and then only the operator can say it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from governor.errors import Invalid, Refused

FAMILIES: Final[Mapping[str, str]] = {
    "openai": r"gpt|chatgpt|o[1345](?![a-z0-9])|davinci|codex",
    "anthropic": r"claude",
    "google": r"gemini|gemma|palm|bison",
    "meta": r"llama|codellama",
    "mistral": r"mistral|mixtral|ministral|codestral|magistral|devstral|pixtral",
    "alibaba": r"qwen|qwq",
    "deepseek": r"deepseek",
    "cohere": r"command|aya",
    "amazon": r"nova|titan",
    "xai": r"grok",
    "microsoft": r"phi|wizardlm",
    "nvidia": r"nemotron",
    "moonshot": r"kimi|moonshot",
    "zhipu": r"glm|chatglm",
    "ibm": r"granite",
    "ai21": r"jamba|jurassic",
}
WORD: Final = re.compile(r"(?:^|[^a-z0-9])(?:" + "|".join(f"(?P<{name}>{names})" for name, names in FAMILIES.items()) + ")")


def family_of(model: str) -> str:
    """The family a model's name tells, whatever stands before or after it; empty when it tells none.

    A fine-tune named `ft:gpt-4o:acme` is OpenAI's; of a name with two families the first counts.
    """
    found = WORD.search(model.lower())
    return str(found.lastgroup) if found else ""


def resolved(model: str, aliases: Mapping[str, str]) -> str:
    """The model behind a name, through aliases of routes and endpoints; a ring of aliases ends where it began."""
    seen: set[str] = set()
    while model in aliases and model not in seen:
        seen.add(model)
        model = aliases[model]
    return model


def judge_family(model: str, arms: Iterable[str], aliases: Mapping[str, str], stated: str = "") -> str:
    """The judge's family. Raises Refused when an arm is of the same one, Invalid when it cannot be known and nobody said it."""
    behind = resolved(model, aliases)
    told = family_of(behind) or family_of(model)
    stated = stated.strip().lower()
    if told and stated and stated != told:
        raise Invalid(f"judge {model} is of family {told}, not {stated}", hint="leave `family` out")
    found = told or stated
    if not found:
        raise Invalid(f"nobody knows the family of judge {model}", hint='say who trained it: "family": "..." in the judge option')
    for arm in arms:
        other = resolved(arm, aliases)
        if found in {family_of(other), family_of(arm)} or behind.lower() == other.lower():
            raise Refused(
                f"judge {model} is of the same family ({found}) as {arm}, and judges prefer their own kind",
                hint="take a judge of another family than both routes",
            )
    return found
