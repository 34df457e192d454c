"""What a replayed or recorded call costs, in exact pico-USD at contracted prices, and the most one may cost before it is sent.

Owns: usage -> rated -> pico-USD for shadow. Does not own: the price book. Invariants: unknown is None, never zero; the worst case bounds tokens by bytes.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from governor.actions.price_row import counted, price_row
from governor.policy.catalog_data import bare_model
from governor.ports import ModelReply
from governor.prices.book import PriceBook
from governor.prices.rate import Usage, rate_group
from governor.shadow.families import family_of
from governor.shadow.plan import Arm
from governor.store.lake_units import UNIT_SUMS

ELSE: Final = 64  # what providers put around messages and tools
PICTURE_TOKENS: Final = 8_000  # above what providers count for one picture
DEAR_PICTURES: Final = {"gpt-4o-mini": 50_000}  # but for this model: 2,833 tokens and 5,667 for each of up to eight tiles
VERSION: Final = re.compile(r"(?:[-@:.](?:preview|exp|beta|latest|\d{3,}).*)?")  # behind the name of a model
TOKENS: Final = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "reasoning_tokens",
    "audio_input_tokens", "audio_output_tokens", "image_input_tokens", "image_output_tokens",
)  # fmt: skip
RECORDED: Final = (
    "provider", "model", "region", "service_tier", "status", "gateway_cache", *TOKENS, "units", *UNIT_SUMS, "cost_source", "cost_currency", "cost_amount",
)  # fmt: skip


class Pricer:
    """One book, with memory: calls alike are rated once."""

    def __init__(self, book: PriceBook) -> None:
        self._book = book
        self._known: dict[tuple[Any, ...], int | None] = {}
        # between two of them a price stays
        self._changes = book.boundaries(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))

    def missing(self, arm: Arm, at: datetime) -> str:
        """Why this route cannot be priced; empty when it can."""
        rated = rate_group(self._book, arm.provider, arm.model, at, Usage(1000, 1000), region=arm.region or None)
        return "" if rated.contracted_pico is not None else (rated.detail or rated.reason)

    def tokens(self, arm: Arm, at: datetime, *, input_tokens: int, output_tokens: int) -> int | None:
        return self._rate(arm.provider, arm.model, arm.region or None, None, at, (input_tokens, output_tokens))

    def reply(self, arm: Arm, at: datetime, reply: ModelReply) -> int | None:
        """None where the endpoint gave no usage, or zeros because it did not count: no prompt and no answer is nothing."""
        if not reply.input_tokens or reply.output_tokens is None or (not reply.output_tokens and (reply.text or reply.tool_calls)):
            return None
        counts = (
            reply.input_tokens, reply.output_tokens, reply.cache_read_tokens, reply.cache_write_tokens, None, reply.reasoning_tokens,
        )  # fmt: skip
        return self._rate(arm.provider, arm.model, arm.region or None, None, at, counts)

    def recorded(self, row: dict[str, Any]) -> int | None:
        """What production paid for a call, as the month has it: by the book of its time with all that it used, else the provider's own charge."""
        key = (bisect_right(self._changes, row["start_time"]), *(row[name] for name in RECORDED))
        if key not in self._known:
            usage = Usage(counts=counted(row), **{name: row[name] for name in TOKENS})
            one = row | {"context_band": None, "cost_unknown_calls": 0}  # one call says its own band
            self._known[key] = price_row(one, self._book, row["start_time"], usage)[0].contracted_pico
        return self._known[key]

    def other(self, arm: Arm, named: str) -> bool:
        """Does the name that answered mean another model than the route's: of another family, or an entry of its own with the route's provider?
        A name that nobody knows (an alias of the gateway's) says nothing, and neither does a version of the same name.
        """
        asked = {arm.model, arm.asked_model}
        families = {family_of(name) for name in asked} - {""}
        if families and family_of(named) not in {*families, ""}:
            return True
        if any(version_of(name, named) for name in asked):
            return False
        entries = {self._entry(arm.provider, name) for name in asked} - {""}
        return bool(entries) and self._entry(arm.provider, named) not in {*entries, ""}

    def _entry(self, provider: str, model: str) -> str:
        found = self._book.find(provider, model) or self._book.find(provider, bare_model(model))
        return found.model if found else ""

    def dearest(self, model: str, at: datetime, reply: ModelReply) -> int | None:
        """The reply at the highest price that anybody asks for this model; None where nobody does."""
        found = (self.reply(Arm(provider, bare_model(model)), at, reply) for provider in self._book.providers)
        return max((cost for cost in found if cost is not None), default=None)

    def worst(
        self, arm: Arm, at: datetime, messages: Sequence[Mapping[str, Any]], params: Mapping[str, Any], max_output_tokens: int
    ) -> int:
        """The most this call may cost: a token is at least a byte, and the answer may be as long as allowed."""
        return self.tokens(arm, at, input_tokens=most_tokens(messages, params, arm.model), output_tokens=max_output_tokens) or 0

    def _rate(
        self, provider: str | None, model: str | None, region: str | None, tier: str | None, at: datetime, counts: Sequence[int | None]
    ) -> int | None:
        """`counts` in the order of TOKENS, as many as are known."""
        key = (provider, model, region, tier, bisect_right(self._changes, at), counts)
        if key not in self._known:
            known: dict[str, Any] = dict(zip(TOKENS, counts, strict=False))
            self._known[key] = rate_group(self._book, provider, model, at, Usage(**known), tier=tier, region=region).contracted_pico
        return self._known[key]


def version_of(asked: str, named: str) -> bool:
    """Is one of two names a snapshot or a preview of the other, or was the newest of its kind asked, whatever that is?"""
    short, long = sorted((bare_model(asked), bare_model(named)), key=len)
    return "latest" in asked or (long.startswith(short) and VERSION.fullmatch(long[len(short) :]) is not None)


def most_tokens(messages: Sequence[Mapping[str, Any]], params: Mapping[str, Any], model: str) -> int:
    """An upper bound of the input's tokens."""
    size, pictures = size_of(messages, params)
    return size + pictures * picture_tokens(model)


def picture_tokens(model: str) -> int:
    return next((most for name, most in DEAR_PICTURES.items() if name in model.lower()), PICTURE_TOKENS)


def size_of(messages: Sequence[Mapping[str, Any]], params: Mapping[str, Any]) -> tuple[int, int]:
    """(bytes of all that a model is shown as text, pictures). A schema of the answer is shown too; a picture's bytes are no text."""
    shown = {"messages": list(messages), **{name: params[name] for name in ("tools", "response_format") if params.get(name)}}
    text = json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    if b'"image' not in text:
        return len(text) + ELSE, 0
    pictures = 0

    def strip(value: Any) -> Any:
        nonlocal pictures
        if isinstance(value, Mapping):
            if value.get("type") in {"image_url", "image"}:
                pictures += 1
                return {}
            return {key: strip(item) for key, item in value.items()}
        return [strip(item) for item in value] if isinstance(value, list | tuple) else value

    return len(json.dumps(strip(shown), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")) + ELSE, pictures
