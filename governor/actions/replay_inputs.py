"""What is sent and what production answered: the content of a sampled call as requests and as measured facts.

Owns: reading captured content, the request of an arm, facts of a reply. Does not own: whether it may be sent (replay_gate.py), sending, money.
Invariants: both arms get the same messages and parameters; text is measured here and never stored in a row; content that is gone, or no chat, is an exclusion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final

import msgspec
import pyarrow as pa
from sqlmodel import col, select

from governor.actions.context import Context
from governor.actions.replay_price import picture_tokens, size_of
from governor.errors import IntegrityError, NotFound
from governor.ledger.canonical import canonical_json
from governor.ports import ModelReply, ModelRequest
from governor.shadow.conversation import chat, chat_params
from governor.shadow.guards import SHORT, Contract, Facts, digests, indicators
from governor.shadow.parsed import parsed
from governor.shadow.plan import Arm, ReplayPlan, plain, unplain
from governor.store.capture import Captured, capture, redact
from governor.store.rows.changes import ReplayResult

LIMIT_NAMES: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")
OTHER_ROUTE: Final = "answer_of_the_other_model"  # how a reply failed that names the model of the other route
THIRD_MODEL: Final = "answer_of_another_model"  # and one of neither route
LEAST_OUTPUT: Final = 16  # a recorded cap below this is a probe, not a limit worth keeping


@dataclass(frozen=True)
class Input:
    """The captured request of a call."""

    messages: list[dict[str, Any]]
    params: dict[str, Any]
    limit: int | None

    @property
    def tools(self) -> Sequence[Mapping[str, Any]]:
        return self.params.get("tools") or ()

    @cached_property
    def asked(self) -> str:
        """The words of the last user turn."""
        content = next((one.get("content") for one in reversed(self.messages) if one.get("role") == "user"), "")
        parts = content if isinstance(content, list) else [content]
        return "\n".join(str(part.get("text") or "") if isinstance(part, Mapping) else str(part or "") for part in parts)

    @cached_property
    def given(self) -> str:
        """All that a model is shown, as one text. Kept: every arm needs it."""
        return canonical_json(plain({"messages": self.messages, "params": self.params})).decode()

    @cached_property
    def size(self) -> tuple[int, int]:
        """Bytes and pictures. Kept: every arm needs it."""
        return size_of(self.messages, self.params)

    def bound(self, model: str) -> int:
        """No more tokens are in it as this model counts."""
        size, pictures = self.size
        return size + pictures * picture_tokens(model)

    @cached_property
    def step(self) -> int:
        """Place of this call in a trace with tools: one more than the turns the model already had. 0: a conversation without tools."""
        if not self.tools and not any(message.get("role") == "tool" for message in self.messages):
            return 0
        return 1 + len([message for message in self.messages if message.get("role") == "assistant"])

    @property
    def must_call(self) -> bool:
        choice = self.params.get("tool_choice")
        return choice == "required" or isinstance(choice, Mapping)


def read_input(ctx: Context, sha256: str | None) -> Input | None:
    """None when the content is not held any more or is no conversation."""
    document = read_document(ctx, sha256)
    messages = document.get("messages") if isinstance(document, Mapping) else None
    if (
        not isinstance(messages, list)
        or not messages
        or not all(isinstance(message, Mapping) and message.get("role") for message in messages)
    ):
        return None
    params: dict[str, Any] = {**(document.get("params") or {})} if document is not None else {}
    if document is not None and document.get("tools"):
        params["tools"] = document["tools"]
    limits = [params.pop(name) for name in LIMIT_NAMES if name in params]
    limit = next((value for value in limits if isinstance(value, int) and value >= LEAST_OUTPUT), None)
    return Input(chat(messages), chat_params(params), limit)


def read_document(ctx: Context, sha256: str | None) -> Any:
    if not sha256:
        return None
    try:
        return parsed(ctx.content.get(sha256))
    except (NotFound, IntegrityError, ValueError):
        return None


def request_of(plan: ReplayPlan, run_id: str, position: int, arm: str, route: Arm, found: Input) -> ModelRequest:
    """The idempotency key names run, position and arm, so that a retry after a crash is the same wish."""
    return ModelRequest(
        idempotency_key=f"{run_id}-{position}-{arm}",
        model=route.asked_model,
        messages=found.messages,
        params={**found.params, **unplain(plan.params)} if plan.params else found.params,
        max_output_tokens=min(found.limit or plan.max_output_tokens, plan.max_output_tokens),
        timeout_s=plan.timeout_ms / 1000,
        metadata={"run": run_id, "model": route.model},
        stream=plan.stream,
    )


def redacted(found: Input) -> Input:
    """The same conversation with personal data and secrets named by their kind. It depends on nothing but the text, so every arm is sent the same."""
    return Input(hidden(found.messages), hidden(found.params), found.limit)


def hidden(value: Any) -> Any:
    """Every text in it redacted."""
    if isinstance(value, str):
        return redact(value.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")
    if isinstance(value, Mapping):
        return {key: hidden(item) for key, item in value.items()}
    return [hidden(item) for item in value] if isinstance(value, list | tuple) else value


def answer_document(ctx: Context, plan: ReplayPlan, arm: str, sha256: str | None) -> Any:
    """What an arm answered. Of a plan that redacts production's answer is redacted too: it was given to the whole prompt, and neither a judge nor
    who compares blind may see from it which side it is.
    """
    found = read_document(ctx, sha256)
    return hidden(found) if plan.redact and arm == "recorded" else found


def measure_reply(reply: ModelReply, contract: Contract, found: Input) -> Facts:
    """Facts without text. An error is named by its kind only: an endpoint's message may repeat the prompt."""
    guards = indicators(
        status=reply.status,
        text=reply.text,
        tool_calls=reply.tool_calls,
        finish_reason=reply.finish_reason,
        contract=contract,
        tools=found.tools,
        must_call=found.must_call,
        prompt=lambda: found.given,
        asked=found.asked,
    )
    ok = reply.status == "ok"
    text, answer = digests(reply.text, reply.tool_calls, contract) if ok else ("", "")
    return Facts(
        status=reply.status,
        guards=guards,
        text=text,
        answer=answer,
        called=bool(reply.tool_calls),
        http_status=reply.http_status,
        finish_reason=reply.finish_reason,
        response_model=reply.response_model,
        error=""
        if ok
        else reply.error
        if reply.error in {OTHER_ROUTE, THIRD_MODEL}
        else f"http_{reply.http_status}"
        if reply.http_status
        else reply.status,
        input_tokens=reply.input_tokens,
        cache_read_tokens=reply.cache_read_tokens,
        cache_write_tokens=reply.cache_write_tokens,
        output_tokens=reply.output_tokens,
        reasoning_tokens=reply.reasoning_tokens,
        duration_us=round(reply.duration_ms * 1000),
        ttft_us=None if reply.ttft_ms is None else round(reply.ttft_ms * 1000),
        retries=reply.retries,
        dropped_params=tuple(reply.dropped_params),
        step=found.step,
    )


def measure_recorded_reply(ctx: Context, plan: ReplayPlan, row: Mapping[str, Any], reply: ModelReply, given: Input) -> Facts:
    """Production's reply against the prompt that production sent; where the arms get a redacted one, what is compared is redacted as well."""
    if not plan.redact:
        return measure_reply(reply, plan.output_contract, given)
    found = measure_reply(reply, plan.output_contract, read_input(ctx, row["input_sha256"]) or given)
    if reply.status != "ok":
        return found
    text, answer = digests(hidden(reply.text), hidden(reply.tool_calls), plan.output_contract)
    return msgspec.structs.replace(found, text=text, answer=answer)


def recorded_reply(ctx: Context, row: Mapping[str, Any]) -> ModelReply | None:
    """Production's reply as one of ours; None when the call succeeded and its output is not held."""
    duration = float(row["duration_ms"] or 0)
    if row["status"] != "ok":
        return ModelReply("error", http_status=row["http_status"] or 0, duration_ms=duration)
    document = read_document(ctx, row["output_sha256"])
    if not isinstance(document, Mapping):
        return None
    message = document.get("message") or {}
    content = message.get("content") if isinstance(message, Mapping) else str(message)
    calls = message.get("tool_calls") if isinstance(message, Mapping) else None
    if isinstance(content, list):
        content = "".join(str(part.get("text") or "") for part in content if isinstance(part, Mapping))
    return ModelReply(
        "ok",
        text=str(content or ""),
        tool_calls=tuple(calls) if isinstance(calls, list) else (),
        finish_reason=str(document.get("finish_reason") or ""),
        response_model=row["response_model"] or "",
        input_tokens=row["input_tokens"],
        cache_read_tokens=row["cache_read_tokens"],
        output_tokens=row["output_tokens"],
        duration_ms=duration,
    )


def keep_output(ctx: Context, reply: ModelReply, mode: str, known: set[str] | None = None) -> str:
    """The reply's text into the content store, as the workflow's capture mode lets it; its address, empty where nothing may be kept.
    known: addresses this run put away before; it is added to.
    """
    if reply.tool_calls or len(reply.text) > SHORT:
        kept = capture(mode, said([plain(call) for call in reply.tool_calls], reply.text, reply.finish_reason))
    else:
        kept = captured_words(mode, reply.text, reply.finish_reason)
    if kept.body is None or kept.sha256 is None:
        return ""
    if known is None or kept.sha256 not in known:
        ctx.content.put(kept.sha256, kept.body)
    if known is not None:
        known.add(kept.sha256)
    return kept.sha256


def said(calls: Sequence[Any], text: str, finish_reason: str) -> bytes:
    """A reply as the content store has it."""
    return canonical_json({"message": {"role": "assistant", "content": text, "tool_calls": calls}, "finish_reason": finish_reason})


@lru_cache(maxsize=1024)
def captured_words(mode: str, text: str, finish_reason: str) -> Captured:
    """Short answers are often the same."""
    return capture(mode, said([], text, finish_reason))


def reply_addresses(ctx: Context, addresses: Sequence[str]) -> list[str]:
    """Where replies to these captured inputs are kept: who erases a prompt erases what shadow runs answered to it."""
    asked = pa.table({"address": pa.array(sorted(set(addresses)), pa.string())})
    found = ctx.lake.query("SELECT DISTINCT c.record_id FROM {calls} AS c JOIN asked ON asked.address = c.input_sha256", {}, asked=asked)
    records: list[str] = found["record_id"].to_pylist()
    kept: set[str] = set()
    with ctx.rows.session() as session:
        for at in range(0, len(records), 500):
            query = select(ReplayResult.output_sha256).where(
                ReplayResult.org_id == ctx.org,
                col(ReplayResult.record_id).in_(records[at : at + 500]),
                ReplayResult.output_sha256 != "",
                ReplayResult.arm != "recorded",
            )
            kept.update(session.exec(query))
    return sorted(kept)
