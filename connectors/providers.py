"""Gateway names of providers and operations, as OpenTelemetry GenAI names them (semantic conventions 1.41).

Owns: the tables, what a name of several parts means, and whom a model's id names where a framework stands in its provider's place.
Does not own: prices. Invariants: a name that is not listed passes through in lower case, a host that is not listed names nobody.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

PROVIDERS: Final = {
    "openai": "openai",
    "text-completion-openai": "openai",
    "openai_responses": "openai",
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "azure_text": "azure.ai.openai",
    "azure-openai": "azure.ai.openai",
    "azureopenai": "azure.ai.openai",
    "az.ai.openai": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "azure-ai": "azure.ai.inference",
    "azure_ai_inference": "azure.ai.inference",
    "az.ai.inference": "azure.ai.inference",
    "anthropic": "anthropic",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "bedrockconverse": "aws.bedrock",
    "amazon-bedrock": "aws.bedrock",
    "amazon bedrock": "aws.bedrock",
    "amazon_bedrock": "aws.bedrock",
    "bedrock_mantle": "aws.bedrock",
    "bedrock-mantle": "aws.bedrock",
    "aws_bedrock": "aws.bedrock",
    "aws": "aws.bedrock",
    "aws-bedrock": "aws.bedrock",
    "sagemaker": "aws.sagemaker",
    "sagemaker_chat": "aws.sagemaker",
    "vertex_ai": "gcp.vertex_ai",
    "vertex_ai_beta": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "vertex-ai": "gcp.vertex_ai",
    "google-vertex-ai": "gcp.vertex_ai",
    "google vertex": "gcp.vertex_ai",
    "google-vertex": "gcp.vertex_ai",
    "google_vertex": "gcp.vertex_ai",
    "google_vertexai": "gcp.vertex_ai",
    "google_anthropic_vertex": "gcp.vertex_ai",
    "google-cloud": "gcp.vertex_ai",
    "vertex": "gcp.vertex_ai",
    "vertexanthropic": "gcp.vertex_ai",
    "google.vertex": "gcp.vertex_ai",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "google-ai-studio": "gcp.gemini",
    "google ai studio": "gcp.gemini",
    "google_ai_studio": "gcp.gemini",
    "google-gla": "gcp.gemini",
    "google_genai": "gcp.gemini",
    "googlegenai": "gcp.gemini",
    "googleai": "gcp.gemini",
    "cohere": "cohere",
    "cohere_chat": "cohere",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "mistral-ai": "mistral_ai",
    "codestral": "mistral_ai",
    "text-completion-codestral": "mistral_ai",
    "groq": "groq",
    "deepseek": "deepseek",
    "perplexity": "perplexity",
    "perplexity-ai": "perplexity",
    "xai": "x_ai",
    "x-ai": "x_ai",
    "grok": "x_ai",
    "watsonx": "ibm.watsonx.ai",
    "watsonx_text": "ibm.watsonx.ai",
}


def provider_named(raw: str) -> str:
    """Vercel's AI SDK says which of a provider's interfaces it used (openai.responses, google.vertex.chat): of such a name the longest
    beginning that is known counts. OpenTelemetry's own names have dots too. OpenLLMetry names LlamaIndex's class (anthropic_llm).
    """
    name = raw.lower().removesuffix("_llm")
    parts = [] if name in PROVIDERS.values() else name.split(".")
    return next((PROVIDERS[known] for end in range(len(parts), 0, -1) if (known := ".".join(parts[:end])) in PROVIDERS), name)


# frameworks that write their own name where the provider's belongs; LiteLLM writes that it does not know
_FRAMEWORKS: Final = frozenset(
    ("strands-agents", "gcp.vertex.agent", "langchain", "langgraph", "llamaindex", "llama_index", "crewai", "agno", "autogen", "haystack",
     "microsoft.agent_framework", "langfuse", "mlflow", "unknown")
)  # fmt: skip
_MODELS: Final = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        # an inference profile, a model or an ARN of Bedrock; no other provider writes these
        (r"arn:aws[a-z-]*:bedrock:.*|(?:(?:us|us-gov|eu|apac|jp|au|ca|global)\.)?(?:anthropic|amazon|meta|mistral|cohere|ai21|deepseek|openai|qwen|writer)\..+",
         "aws.bedrock"),
        # a maker's plain name: other providers' ids of the same model have a prefix
        (r"claude-[^/]+", "anthropic"),
        (r"(?:gpt-|chatgpt-|text-embedding-(?:3-|ada-)|o[1345](?:-|$))[^/]*", "openai"),
        (r"gemini-[^/]+", "gcp.gemini"),
        (r"(?:mistral|magistral|codestral|ministral)-[^/]+", "mistral_ai"),
    )
)  # fmt: skip


def provider_of(raw: str, model: str | None) -> str | None:
    """provider_named, but where a framework names itself its model's id says who serves, and if it does not, nobody does."""
    if raw.lower() not in _FRAMEWORKS:
        return provider_named(raw)
    name = (model or "").lower()
    named = PROVIDERS.get(name.partition("/")[0]) if "/" in name else None
    return named or next((provider for models, provider in _MODELS if models.fullmatch(name)), None)


OPERATIONS: Final = {
    name: operation
    for operation, names in {
        "chat": "acompletion completion anthropic_messages aanthropic_messages",
        "responses": "aresponses responses",
        "text_completion": "atext_completion text_completion",
        "embeddings": "aembedding embedding",
        "generate_content": "agenerate_content generate_content agenerate_content_stream generate_content_stream",
        "image_generation": "aimage_generation image_generation aimage_edit image_edit",
        "transcription": "atranscription transcription",
        "speech": "aspeech speech",
        "rerank": "arerank rerank",
        "moderation": "amoderation moderation",
    }.items()
    for name in names.split()
}

# LiteLLM logs the tools that it calls over MCP beside the calls of models
TOOL_CALLS: Final = ("call_mcp_tool", "list_mcp_tools")
# and requests that make, read or drop objects at the provider (files, batches, stored answers, videos); what a finished batch used is read with it
BATCH_READS: Final = ("aretrieve_batch", "retrieve_batch")
MANAGED: Final = (
    r"a?_?(?:(?:create|list|retrieve|cancel|delete|get|upload|add|update)_(?:files?|batch(?:es)?|assistants?|threads?|messages?|fine_tuning_jobs?"
    r"|responses|input_items|containers?|container_files?|sandbox|skills?|realtime_[a-z_]+)"
    r"|(?:file|video|vector_store|vector_store_file)_(?:create|list|retrieve|delete|content|update|status|retrieve_job|create_character|get_character))"
)

# hosts of providers' own APIs; a gateway that knows an address only says with it who served
_HOSTS: Final = tuple(
    (re.compile(rf"([a-z0-9.-]+\.)?(?:{hosts})"), name)
    for hosts, name in (
        (r"openai\.azure\.com|cognitiveservices\.azure\.com", "azure.ai.openai"),
        (r"services\.ai\.azure\.com|models\.ai\.azure\.com|inference\.ai\.azure\.com", "azure.ai.inference"),
        (r"api\.openai\.com", "openai"),
        (r"api\.anthropic\.com", "anthropic"),
        (r"bedrock-runtime(-fips)?\.[a-z0-9-]+\.amazonaws\.com", "aws.bedrock"),
        (r"generativelanguage\.googleapis\.com", "gcp.gemini"),
        (r"([a-z0-9-]+-)?aiplatform\.googleapis\.com", "gcp.vertex_ai"),
        (r"api\.mistral\.ai", "mistral_ai"),
        (r"api\.cohere\.(com|ai)", "cohere"),
        (r"api\.groq\.com", "groq"),
        (r"api\.deepseek\.com", "deepseek"),
        (r"api\.perplexity\.ai", "perplexity"),
        (r"api\.x\.ai", "x_ai"),
    )
)


def provider_at(address: str) -> str | None:
    """Whose API a URL is; None where its host is nobody's that is known."""
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        return None
    found = next((name for hosts, name in _HOSTS if hosts.fullmatch(host)), None)
    # Foundry serves several makers at one host
    return "azure.ai.openai" if found == "azure.ai.inference" and "/openai/" in address else found
