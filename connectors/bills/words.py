"""What a bill's words say about a line: model, meter, tier, kind.

Owns: the vocabulary that providers share. Does not own: which column holds the words. Invariants: nothing is guessed from an amount; words that are left over are the
model's name; a line without a known meter is `other` and keeps its words.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from governor.prices.names import canonical_tier

# first match wins: a cached input token is also an input token
METERS: Final = (
    (
        "cache_write_1h",
        r"cache[ _.-]*(?:write|creation|storage)[^,;]*?(?:1[ -]?h(?:our|r)?\b)|ephemeral_1h\w*|(?:1h|1 hour) cache write\w*",
    ),
    (
        "cache_write",
        r"cache[ _.-]*(?:write|creation)(?:[ _-]*(?:5[ -]?m(?:in(?:ute)?s?)?))?|ephemeral_5m\w*|5 ?m(?:in(?:ute)?s?)? cache writes?|\bcd[ _-]*wr\b",
    ),
    (
        "cache_read",
        r"cache[ _.-]*(?:read|hits?)(?:s)?|cached[ _-]*(?:inp(?:u?t)?)?|c?cchd[ _-]*(?:inp(?:u?t)?)?|cache(?=[ _-]*inp)|\bc[dh][ _-]*inp?t?\b",
    ),
    ("web_search", r"web[ _-]*search\w*|grounding\w*"),
    ("code_execution", r"code[ _-]*(?:execution|interpreter)\w*"),
    ("file_search", r"file[ _-]*search\w*"),
    ("provisioned", r"provisioned\w*|\bptu\w*|model units?"),
    ("training", r"\b(?:fine[ _-]?tuning|training)\b\w*|\bft\b"),
    ("audio_output", r"audio[ _-]*(?:out(?:put|p)?)\b"),
    ("audio_input", r"audio[ _-]*(?:inp(?:ut)?|in)\b"),
    ("image_output", r"image[ _-]*(?:out(?:put|p)?)\b"),
    ("image_input", r"image[ _-]*(?:inp(?:ut)?|in)\b"),
    ("reasoning", r"reasoning|thinking"),
    ("output", r"\bout(?:put|p|pt)?\b|\bopt\b|completions?|\bcandidates?\b|response"),
    ("input", r"\binp(?:ut|t)?\b|\bprompts?\b"),
    ("embedding", r"\bembedding tokens?\b"),
)
TIERS: Final = (("batch", r"\bbatch(?:[ _-]*api)?\b"), ("flex", r"\bflex\b"), ("priority", r"\bpriority\b|\bpp\b"))
LEFT_OVER: Final = re.compile(
    r"\b(?:(?:glbl|gl|dz) l|tokens?|token[ _-]*counts?|counts?|usage|uncached|text|glbl|gl|global|rgnl|regnl|regional|dzone|dz|datazone|data zone|zone|"
    r"(?:short|long|sh|lo) ?co|std|rg|dzn|cross[ -]region|mantle|predictions?|azure openai(?: service)?|on[ _-]?demand|1k|1m|units?|calls?|requests?|"
    r"short|long|context|ctx|30m|latency[ -]optimized|window|standard|writes?|reads?|us|eu)\b",
    re.IGNORECASE,
)
KINDS: Final = (
    ("tax", r"\b(?:tax|vat|gst)\b"),
    ("credit", r"\b(?:credits?|refunds?|grant|promotion\w*)\b"),
    ("discount", r"\bdiscounts?\b"),
    ("commitment", r"\b(?:commitments?|committed)\b"),
    ("rounding", r"\brounding\b"),
    ("fee", r"\b(?:fees?|support plan|surcharge)\b"),
)


FAMILY: Final = re.compile(r"\b(?:gpt(?=\d|\b)|(?:grok|deepseek|kimi|llama)\b)", re.IGNORECASE)
WITHOUT_FAMILY: Final = re.compile(r"(?!o\d)[a-z]?\d", re.IGNORECASE)


class Said(NamedTuple):
    """tier None: the words name none."""

    model: str
    meter: str
    tier: str | None


def said(text: str) -> Said:
    """`gpt-5-2025-08-07, cached input` -> the model, cache_read, no tier named."""
    rest, meter, tier = text, "other", None
    for name, pattern in TIERS:
        found = re.search(pattern, rest, re.IGNORECASE)
        if found:
            tier, rest = name, rest[: found.start()] + " " + rest[found.end() :]
            break
    for name, pattern in METERS:
        found = re.search(pattern, rest, re.IGNORECASE)
        if found:
            meter, rest = name, rest[: found.start()] + " " + rest[found.end() :]
            break
    if meter in {"cache_read", "cache_write", "cache_write_1h"}:
        rest = re.sub(r"\b(?:inp(?:u?t)?|cached?)\b", " ", rest, flags=re.IGNORECASE)
    if meter == "embedding" or (meter == "other" and re.search(r"embedding", rest, re.IGNORECASE)):
        meter = "input"  # all that an embedding is charged for
    model = re.sub(r"\s+", " ", LEFT_OVER.sub(" ", rest.replace(",", " "))).strip(" -_.:/")
    return Said(model, meter, tier)


def with_family(model: str, product: str) -> str:
    """Azure leaves the family to the product: `5.4 mini` of `Azure OpenAI GPT5` is gpt-5.4 mini, `V4 Pro` of `Azure Deepseek Models` DeepSeek's."""
    family = FAMILY.search(product)
    return f"{family[0].lower()}-{model}" if family and WITHOUT_FAMILY.match(model) else model


def kind_of(text: str) -> str:
    """usage, unless the words say what else it is."""
    return next((kind for kind, pattern in KINDS if re.search(pattern, text, re.IGNORECASE)), "usage")


def tier_of(name: object) -> str | None:
    """A tier from a column of its own; None when the column is empty."""
    return canonical_tier(str(name)) if name not in (None, "") else None
