"""Kong AI Gateway: what its logging plugins write (http-log, file-log and their kin), mapping `kong`.

Owns: finding the model calls inside a record, whatever version wrote it, and opening the bodies, which are text. Does not own: the mapping.
Invariants: a record of traffic that met no model is structure; a call made by a transformer plugin is a call of its own;
text that a sanitizer found is never kept.

Up to 3.9 every AI plugin wrote its own block (`ai.ai-proxy.usage.prompt_token`), since then there is one (`ai.proxy.usage.prompt_tokens`).
"""

from __future__ import annotations

from typing import Any, Final

from connectors.addresses import bare_attribute
from connectors.mapping import shipped
from connectors.providers import provider_at
from connectors.reshaped import OURS, Parts, ReshapedConnector, client_claims, first_of, listed, named, opened, unknown_fields

_MAIN: Final = ("proxy", "ai-proxy", "ai-proxy-advanced")
# where an answer counts its input, what of it a cache gave and took, its output and its reasoning; whether the cache and the reasoning stand beside
_WORDS: Final = (
    ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens", "output_tokens_details.thinking_tokens", True, False),
    ("input_tokens", "input_tokens_details.cached_tokens", "input_tokens_details.cache_write_tokens",
     "output_tokens", "output_tokens_details.reasoning_tokens", False, False),
    ("prompt_tokens", "prompt_tokens_details.cached_tokens", "prompt_tokens_details.cache_write_tokens",
     "completion_tokens", "completion_tokens_details.reasoning_tokens", False, False),
    ("inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens", "outputTokens", "", True, False),
    ("promptTokenCount", "cachedContentTokenCount", "", "candidatesTokenCount", "thoughtsTokenCount", False, True),
)  # fmt: skip
_JUDGE: Final = "ai-llm-as-judge"
_OUTER: Final = frozenset({
    "ai", "authenticated_entity", "client_ip", "consumer", "consumer_groups", "latencies", "request", "response", "route", "service",
    "source", "started_at", "tries", "trace_id", "upstream_status", "upstream_uri", "workspace", "workspace_name", "threats", "call",
})  # fmt: skip


class KongConnector(ReshapedConnector):
    def parts(self, record: dict[str, Any]) -> Parts | None:
        ai = named(record.get("ai"))
        # the judge's block stands beside the proxy's or inside it
        blocks = {name: block for part in (named(ai.get("proxy")), ai) for name, block in part.items() if _ran(block)}
        if _ran(ai):  # some versions leave the plugin's name out
            blocks["proxy"] = ai
        if not blocks:
            return None
        outer = {name: value for name, value in record.items() if name != "ai"}
        return {self.mappings[0].name: [outer | {"call": _call(record, ai, name, block)} for name, block in blocks.items()]}


def _ran(block: Any) -> bool:
    return isinstance(named(block).get("meta"), dict) or isinstance(named(block).get("usage"), dict)


def _call(record: dict[str, Any], ai: dict[str, Any], name: str, block: dict[str, Any]) -> dict[str, Any]:
    request, meta, usage = named(record.get("request")), named(block.get("meta")), named(block.get("usage"))
    identity = request.get("id") or named(named(record.get("response")).get("headers")).get("x-kong-request-id")
    targets = [target for target in listed(block.get("tried_targets") or block.get("tries")) if isinstance(target, dict)]
    if name == _JUDGE:  # it names the model it judges as the one asked, and that one's targets
        meta, targets = meta | {"request_model": meta.get("response_model")}, []
    payload, shared = named(block.get("payload")), named(ai.get("payload"))
    guards = _guards(ai, block)
    answered = opened(payload.get("response") or shared.get("response"))
    latency = named(record.get("latencies")).get("request") if name in _MAIN else None  # a transformer's call is a part of the request
    duration = latency if latency is not None else meta.get("llm_latency")
    said = {key: value for key, value in meta.items() if value != "UNSPECIFIED"}
    return {
        "id": identity if name in _MAIN or not identity else f"{identity}:{name}",
        "plugin": name,
        "meta": said,
        "provider": _served_by(targets[-1]) if targets else None,
        "usage": usage,
        "counts": _counts(usage, named(answered)),
        "ttft": usage.get("time_to_first_token") if meta.get("request_mode") == "stream" else None,
        "cache": _cache(block),
        "targets": [{key: bare_attribute(key, value) for key, value in target.items()} for target in targets] or None,
        "attempts": len(targets) or None,
        "route_type": targets[-1].get("route_type") if targets else None,
        "duration": duration,
        "basis": "provider_only" if duration is not None and duration is not latency else None,
        "fell_back_from": targets[0].get("model") if len(targets) > 1 and targets[0].get("model") != targets[-1].get("model") else None,
        "fell_back": len(targets) > 1 if targets else None,
        "guards": guards or None,
        "blocked": "blocked" if _stopped(guards) and (_status(record) or 0) >= 400 else None,  # noqa: PLR2004
        "request": opened(payload.get("request") or shared.get("request")),
        "response": answered,
        "metadata": unknown_fields(record, _OUTER) | client_claims(request.get("headers"), OURS) | _consumer(record),
    }


def _counts(usage: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """Kong's counts; where it tells no parts, those of the logged answer that it took them from, with every part inside its whole.

    Up to 3.10, and in its open source to this day, it counts neither Anthropic's and Bedrock's cached tokens nor Gemini's thoughts.
    """
    if "prompt_tokens_details" in usage or "completion_tokens_details" in usage:
        return usage
    body = named(answer.get("usageMetadata") or answer.get("usage"))
    for asked, cached, written, told, thought, cache_beside, thoughts_beside in _WORDS:
        given, read, wrote, said, thoughts = (_at(body, path) for path in (asked, cached, written, told, thought))
        counted = first_of(usage.get("prompt_tokens"), usage.get("prompt_token"))
        if given is None or given != counted or read is wrote is thoughts is None:
            continue
        whole = given + ((read or 0) + (wrote or 0) if cache_beside else 0)
        answered = (said or 0) + (thoughts or 0 if thoughts_beside else 0)
        return {
            "prompt_tokens": whole,
            "completion_tokens": answered,
            "total_tokens": whole + answered,
            "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": wrote},
            "completion_tokens_details": {"reasoning_tokens": thoughts},
        }
    return usage


def _at(body: dict[str, Any], path: str) -> int | None:
    first, _, rest = path.partition(".")
    found = named(body.get(first)).get(rest) if rest else body.get(first)
    return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else None


def _served_by(target: dict[str, Any]) -> str | None:
    """Kong calls Gemini `gemini` at either of Google's doors; the host says which."""
    return provider_at(f"https://{target.get('host') or ''}{target.get('upstream_uri') or ''}")


def _cache(block: dict[str, Any]) -> str | None:
    cache = named(block.get("cache"))
    status = str(cache.get("cache_status") or "").lower()
    if status == "hit":  # only a semantic hit says what made the embedding
        return "hit_semantic" if cache.get("embeddings_provider") or cache.get("embeddings_model") else "hit_exact"
    return "none" if status in ("miss", "bypass", "refresh") else None


def _guards(ai: dict[str, Any], block: dict[str, Any]) -> dict[str, Any]:
    found = {name: value for part in (ai, block) for name, value in part.items() if "guard" in name or name in ("sanitizer", "audit")}
    return {
        name: {key: one for key, one in value.items() if key != "sanitized_items"} if isinstance(value, dict) else value
        for name, value in found.items()
    }


def _stopped(guards: dict[str, Any]) -> bool:
    blocks = [named(value) for value in guards.values()]
    return any(
        block.get("guards_triggered_count") or any(value for name, value in block.items() if name.endswith("block_reason"))
        for block in blocks
    )


def _status(record: dict[str, Any]) -> int | None:
    status = named(record.get("response")).get("status")
    return status if isinstance(status, int) else None


def _consumer(record: dict[str, Any]) -> dict[str, Any]:
    consumer = named(record.get("consumer"))
    return {f"consumer.{name}": consumer[name] for name in ("custom_id", "username") if isinstance(consumer.get(name), str)}


connector = KongConnector("kong", [shipped("kong")])
