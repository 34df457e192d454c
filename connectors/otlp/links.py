"""How the spans of a trace relate: which span is another view of the same call, and the keys that say so across files and requests.

Owns: dup_group_key and dup_alias_key of span rows. Does not own: applying them, nor which view knows tokens (the store).
Invariants: a key depends on one span alone wherever an id exists, so that any batching and any order of arrival give the same groups.

    LiteLLM's own spans    litellm:<call id>:ok:<response id>   or   litellm:<call id>:failed      (the keys of the litellm connector)
    LiteLLM's span of a batch  litellm:batch:<batch id>
    a span with a response id                                       response:<id>
    a span of Amazon's SDK without one                              bedrock-row:<request id>       (a row of the bedrock connector)
    a span without either                                           span:<trace>:<span>
    aliases: LiteLLM's span names response:<id>; any other call names the call-claiming span it is inside, span:<trace>:<parent>.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from connectors.keys import STRONG_ID
from connectors.otlp.wire import Span
from connectors.providers import BATCH_READS

_STRONG: Final = re.compile(STRONG_ID)
_DEPTH: Final = 256


@dataclass(slots=True)
class Claim:
    """A span that became a row."""

    span: Span
    row: dict[str, Any]
    rollup: bool


def own_key(trace: str, span: str) -> str:
    return f"span:{trace}:{span}"


def link(claims: list[Claim], parents: dict[tuple[str, str], str]) -> None:
    """Sets the keys. parents: (trace, span) -> parent span of every span in the window, calls or not."""
    found = {(claim.span.trace_id, claim.span.span_id): claim for claim in claims}
    for claim in claims:
        claim.row["dup_group_key"] = _group(claim)
    for claim in claims:
        claim.row["dup_alias_key"] = _alias(claim, *_outer(claim, found, parents))


def _group(claim: Claim) -> str:
    row, span = claim.row, claim.span
    answer, call = row["provider_response_id"], row["call_group_id"]
    if claim.rollup:
        return own_key(span.trace_id, span.span_id)
    if row["source_kind"] == "otlp.litellm" and answer and row["operation"] in BATCH_READS:
        return f"litellm:batch:{answer}"
    if row["source_kind"] == "otlp.litellm" and call:
        return f"litellm:{call}:ok:{answer or ''}" if row["status"] == "ok" else f"litellm:{call}:failed"
    if answer:
        return f"response:{answer}" if _STRONG.fullmatch(answer) else f"response:{span.trace_id}:{answer}"
    if logged := span.attributes.get("aws.request_id"):
        return f"bedrock-row:{logged}"
    return own_key(span.trace_id, span.span_id)


def _outer(claim: Claim, found: dict[tuple[str, str], Claim], parents: dict[tuple[str, str], str]) -> tuple[Claim | None, str]:
    """The nearest enclosing call in the window, else the nearest ancestor that is not in it (it may come later)."""
    trace, parent, seen = claim.span.trace_id, claim.span.parent_id, 0
    while parent and seen < _DEPTH:
        outer = found.get((trace, parent))
        if outer is not None:
            return (outer, "") if outer is not claim else (None, "")
        if (trace, parent) not in parents:
            return None, parent
        parent, seen = parents[trace, parent], seen + 1
    return None, ""


def _alias(claim: Claim, outer: Claim | None, parent: str) -> str | None:
    row = claim.row
    answer = row["provider_response_id"]
    if row["source_kind"] == "otlp.litellm" and row["status"] == "ok" and answer and _STRONG.fullmatch(answer):
        return f"response:{answer}"
    if outer is None:
        return own_key(claim.span.trace_id, parent) if parent else None
    # an enclosing span with an answer of its own is another call (a tool that asks a model), not a wrapper of this one
    other = not outer.rollup and outer.row["provider_response_id"] is not None and answer is not None
    key: str = outer.row["dup_group_key"]
    return None if other or key == row["dup_group_key"] else key
