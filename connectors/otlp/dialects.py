"""Attribute names of the dialects in the field, as tables: OpenTelemetry GenAI (current and older), OpenInference, OpenLLMetry, LiteLLM.

Owns: which attribute says what, in order of preference; which dialect a span speaks; whether it claims to be a model call.
Does not own: building rows (calls). Invariants: mappings are data; a name met in no table is kept as metadata or usage_raw, never guessed.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from connectors.otlp.wire import ERROR, Span, sound
from connectors.providers import BATCH_READS, MANAGED, OPERATIONS, TOOL_CALLS

LONGEST_JSON: Final = 4 << 20
MODEL_OPERATIONS: Final = {
    "chat", "text_completion", "generate_content", "embeddings", "completion", "responses", "rerank", "image_generation",
    "transcription", "speech", "moderation", "chat_completion", "messages",
}  # fmt: skip
# spans that organise work; when they carry usage it is the sum of their children, or of calls nobody instrumented
STRUCTURE_OPERATIONS: Final = {
    "invoke_agent": "agent", "create_agent": "agent", "invoke_workflow": "workflow", "execute_tool": "tool", "retrieval": "tool",
    "execute_task": "workflow", "plan": "agent",
}  # fmt: skip
_INFERENCE_KINDS: Final = {"LLM": "chat", "EMBEDDING": "embeddings", "RERANKER": "rerank"}
_INFERENCE_STRUCTURE: Final = {"AGENT": "agent", "CHAIN": "workflow", "TOOL": "tool", "RETRIEVER": "tool"}
_SYNONYMS: Final = {"chat_completion": "chat", "messages": "chat", "completion": "text_completion"}
_REQUEST_TYPES: Final = {"chat": "chat", "completion": "text_completion", "embedding": "embeddings", "rerank": "rerank"}
_VERCEL: Final = {"doGenerate": "chat", "doStream": "chat", "doEmbed": "embeddings"}
_TRACELOOP_SCOPE: Final = re.compile(r"^(opentelemetry\.instrumentation\.[a-z]+(\.v\d+)?|@traceloop/.*)$")
_TRACELOOP_MARKS: Final = ("gen_ai.is_streaming", "llm.request.type", "llm.is_streaming", "gen_ai.openai.api_base")

NAMES: Final[dict[str, tuple[str, ...]]] = {
    "response_id": ("gen_ai.response.id", "llm.response.id", "ai.response.id"),
    "provider": ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system", "ai.model.provider"),
    "requested_model": ("litellm.model_group", "llm.request.model_name", "gen_ai.request.model", "embedding.model_name", "reranker.model_name",
                        "ai.model.id"),
    "response_model": ("gen_ai.response.model", "llm.response.model_name", "llm.model_name", "ai.response.model"),
    "routed_model": ("litellm.provider.model",),
    "input": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.usage.prompt_tokens", "llm.token_count.prompt",
              "ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens"),
    "output": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.usage.completion_tokens",
               "llm.token_count.completion", "ai.usage.outputTokens", "ai.usage.completionTokens"),
    "total": ("gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total", "ai.usage.totalTokens"),
    "cache_read": ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens", "gen_ai.usage.input_tokens.cached",
                   "gen_ai.usage.details.cache_read_tokens", "gen_ai.usage.details.cached_tokens", "gen_ai.usage.details.cache_read_input_tokens",
                   "gen_ai.usage.details.cached_content_tokens", "llm.token_count.prompt_details.cache_read", "llm.usage.cache_read_input_tokens",
                   "ai.usage.inputTokenDetails.cacheReadTokens", "ai.usage.cachedInputTokens"),
    "cache_write": ("gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_write.input_tokens",
                    "gen_ai.usage.cache_creation_input_tokens", "gen_ai.usage.input_tokens.cache_creation",
                    "gen_ai.usage.cache_write_input_tokens", "gen_ai.usage.input_tokens.cache_write", "gen_ai.usage.details.cache_write_tokens",
                    "gen_ai.usage.details.cache_creation_input_tokens",
                    "llm.token_count.prompt_details.cache_write", "llm.usage.cache_creation_input_tokens",
                    "ai.usage.inputTokenDetails.cacheWriteTokens"),
    "cache_write_5m": ("anthropic.usage.cache_creation.ephemeral_5m_input_tokens", "gen_ai.usage.details.ephemeral_5m_input_tokens"),
    "cache_write_1h": ("anthropic.usage.cache_creation.ephemeral_1h_input_tokens", "gen_ai.usage.details.ephemeral_1h_input_tokens"),
    "reasoning": ("gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens", "gen_ai.usage.output_tokens.reasoning",
                  "gen_ai.usage.details.reasoning_tokens", "gen_ai.usage.details.thoughts_tokens", "gen_ai.usage.details.thinking_tokens",
                  "llm.token_count.completion_details.reasoning", "llm.usage.reasoning_tokens",
                  "ai.usage.outputTokenDetails.reasoningTokens", "ai.usage.reasoningTokens"),
    "audio_in": ("gen_ai.usage.audio.input_tokens", "gen_ai.usage.details.input_audio_tokens", "llm.token_count.prompt_details.audio",
                 "gen_ai.usage.input_tokens.audio"),
    "audio_out": ("gen_ai.usage.audio.output_tokens", "gen_ai.usage.details.output_audio_tokens", "llm.token_count.completion_details.audio",
                  "gen_ai.usage.output_tokens.audio"),
    "image_in": ("gen_ai.usage.image.input_tokens",),
    "image_out": ("gen_ai.usage.image.output_tokens",),
    # Claude shortened the conversation on its way: billed beside the answer's own tokens
    "compacted_in": ("anthropic.usage.compaction.input_tokens",),
    "compacted_out": ("anthropic.usage.compaction.output_tokens",),
    "cost": ("litellm.cost.total", "gen_ai.cost.total_cost", "gen_ai.usage.total_cost", "gen_ai.usage.cost", "llm.cost.total",
             "operation.cost"),
    "cost_input": ("litellm.cost.input", "gen_ai.cost.input_cost", "gen_ai.usage.input_cost", "llm.cost.prompt"),
    "cost_output": ("litellm.cost.output", "gen_ai.cost.output_cost", "gen_ai.usage.output_cost", "llm.cost.completion"),
    "cost_tools": ("litellm.cost.tool_usage", "gen_ai.cost.tool_usage_cost"),
    "cost_cache_read": ("gen_ai.cost.cache_read_cost",),
    "cost_cache_write": ("gen_ai.cost.cache_creation_cost",),
    "stream": ("gen_ai.request.stream", "gen_ai.request.is_stream", "gen_ai.is_streaming", "llm.is_streaming"),
    "ttft_ms": ("ai.response.msToFirstChunk", "openrouter.first_token_ms"),
    "ttft_s": ("gen_ai.response.time_to_first_chunk", "gen_ai.client.operation.time_to_first_chunk", "gen_ai.server.time_to_first_token"),
    "service_tier": ("openai.response.service_tier", "gen_ai.openai.response.service_tier", "anthropic.response.service_tier",
                     "gen_ai.response.service_tier"),
    "provider_request_id": ("anthropic.request.id", "openai.request.id", "aws.request_id"),
    "api_base": ("gen_ai.openai.api_base", "server.address"),
    "region": ("aws.region", "cloud.region"),
    "session": ("gen_ai.conversation.id", "session.id", "traceloop.association.properties.session_id", "ai.telemetry.metadata.sessionId",
                "ai.settings.context.sessionId"),
    "user": ("user.id", "enduser.id", "gen_ai.user", "llm.user", "litellm.metadata.user_api_key_end_user_id",
             "metadata.user_api_key_end_user_id", "traceloop.association.properties.user_id", "ai.telemetry.metadata.userId",
             "ai.settings.context.userId"),
    "workflow": ("gen_ai.workflow.name", "workflow.id", "workflow.name", "traceloop.workflow.name",
                 "traceloop.association.properties.workflow", "ai.telemetry.metadata.workflow", "ai.settings.context.workflow", "mlflow.traceTag.workflow"),
    "step": ("ai.telemetry.functionId", "gen_ai.agent.name"),
    "prompt_id": ("gen_ai.prompt.name", "traceloop.prompt.key", "prompt.id"),
    "prompt_version": ("traceloop.prompt.version", "llm.prompt_template.version", "prompt.version"),
    "finish": ("gen_ai.response.finish_reasons", "gen_ai.response.finish_reason", "llm.finish_reason", "anthropic.message.stop_reason", "ai.response.finishReason"),
    "http_status": ("http.response.status_code", "http.status_code", "litellm.provider.error.code"),
    "error_type": ("error.type", "exception.type"),
    "call_id": ("litellm.call_id",),
    "key_id": ("litellm.api_key.hash", "metadata.user_api_key_hash"),
    "key_alias": ("litellm.metadata.user_api_key_alias", "metadata.user_api_key_alias", "openrouter.api_key_name"),
    "team_id": ("litellm.team.id", "metadata.user_api_key_team_id"),
    "team_name": ("litellm.team.alias", "metadata.user_api_key_team_alias"),
    "principal": ("litellm.metadata.user_api_key_user_id", "metadata.user_api_key_user_id", "openrouter.creator_user_id"),
    "api_method": ("litellm.call_type", "llm.request.type", "gen_ai.operation.name"),
}  # fmt: skip
# only a stream has chunks: version 7 of Vercel's AI SDK says in no other way that it streamed
FIRST_CHUNK: Final = ("gen_ai.response.time_to_first_chunk", "gen_ai.client.operation.time_to_first_chunk")
USAGE_PREFIXES: Final = ("gen_ai.usage.", "llm.usage.", "llm.token_count.", "anthropic.usage.", "ai.usage.")
PARAMETER_PREFIXES: Final = ("gen_ai.request.", "llm.request.")
ENVIRONMENT: Final = ("deployment.environment.name", "deployment.environment")


def pick(attributes: dict[str, Any], fact: str) -> Any:
    """The first attribute of the fact that says something; an empty string says nothing."""
    for name in NAMES[fact]:
        value = attributes.get(name)
        if value is not None and value != "":
            return value
    return None


def dialect_of(span: Span) -> str:
    attributes = span.attributes
    if span.scope == "litellm" or "litellm.call_id" in attributes:
        return "litellm"
    if "openinference.span.kind" in attributes:
        return "openinference"
    if any(mark in attributes for mark in _TRACELOOP_MARKS) or any(name.startswith("traceloop.") for name in attributes):
        return "openllmetry"
    return "openllmetry" if _TRACELOOP_SCOPE.match(span.scope) and "gen_ai.operation.name" in attributes else "gen_ai"


def has_usage_names(attributes: dict[str, Any]) -> bool:
    return pick(attributes, "input") is not None or pick(attributes, "output") is not None


def operation_of(span: Span, dialect: str) -> str | None:
    """The model operation this span claims to be, or None for a span that organises work or helps."""
    attributes = span.attributes
    if _opens_a_stream(span):
        return None
    if dialect == "openinference":
        return _INFERENCE_KINDS.get(str(attributes.get("openinference.span.kind", "")).upper())
    named = str(attributes.get("gen_ai.operation.name") or "")
    if not named and dialect == "litellm":  # before 1.80 or so it had this name alone
        named = str(attributes.get("llm.request.type") or "")
    named = OPERATIONS.get(named, named)
    if named in MODEL_OPERATIONS:
        return _SYNONYMS.get(named, named)
    if named in STRUCTURE_OPERATIONS or named in TOOL_CALLS:
        return None
    if dialect == "litellm":  # its helper spans carry a model name but no operation
        managed = re.fullmatch(MANAGED, named) and not (named in BATCH_READS and pick(attributes, "input"))
        return None if managed else named or None
    return named_otherwise(attributes) if not named or "ai.operationId" in attributes else _unlisted(attributes, named)


def _opens_a_stream(span: Span) -> bool:
    """Logfire tells of a stream in a record of its own when it ends; the span of the request has ended by then and knows nothing."""
    if not span.scope.startswith("logfire.") or span.status == ERROR or has_usage_names(span.attributes):
        return False
    asked = json_attribute(span.attributes, "request_data")
    return isinstance(asked, dict) and asked.get("stream") is True


def named_otherwise(attributes: dict[str, Any]) -> str | None:
    """Vercel's operation ids, OpenLLMetry's request types; before those, a model, a provider and token counts together were a claim."""
    if "ai.operationId" in attributes:
        return _VERCEL.get(str(attributes["ai.operationId"]).rpartition(".")[2])
    requested = _REQUEST_TYPES.get(str(attributes.get("llm.request.type", "")))
    return requested or (_unlisted(attributes, "chat") if pick(attributes, "provider") else None)


def _unlisted(attributes: dict[str, Any], named: str) -> str | None:
    return named if has_usage_names(attributes) and pick(attributes, "requested_model") else None


def structure_kind(span: Span) -> str:
    attributes = span.attributes
    named = str(attributes.get("gen_ai.operation.name", ""))
    kind = "tool" if named in TOOL_CALLS else STRUCTURE_OPERATIONS.get(named)
    kind = kind or _INFERENCE_STRUCTURE.get(str(attributes.get("openinference.span.kind", "")).upper())
    traceloop = str(attributes.get("traceloop.span.kind", ""))
    return kind or (traceloop if traceloop in ("workflow", "agent", "tool") else "workflow" if traceloop == "task" else "other")


def json_attribute(attributes: dict[str, Any], name: str) -> Any:
    """An attribute that is JSON in a string (or was already structured); None when it is neither."""
    value = attributes.get(name)
    if not isinstance(value, str):
        return value
    if len(value) > LONGEST_JSON:
        return None
    try:
        return sound(json.loads(value), value.encode())
    except (ValueError, RecursionError):
        return None
