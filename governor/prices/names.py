"""What providers and service tiers are called here: the values of `gen_ai.provider.name`, and the standard tier as empty text.

Owns: aliases seen in gateways. Invariants: a name that is not known stays as it was, in lower case; nothing is guessed from a model's name.
"""

from __future__ import annotations

from typing import Final

ALIASES: Final = {
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "azure-openai": "azure.ai.openai",
    "azure.openai": "azure.ai.openai",
    "az.ai.openai": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "azure-ai": "azure.ai.inference",
    "az.ai.inference": "azure.ai.inference",
    "aws": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "aws_bedrock": "aws.bedrock",
    "aws-bedrock": "aws.bedrock",
    "amazon-bedrock": "aws.bedrock",
    "vertex": "gcp.vertex_ai",
    "vertex_ai": "gcp.vertex_ai",
    "vertex-ai": "gcp.vertex_ai",
    "google_vertex": "gcp.vertex_ai",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "google_ai_studio": "gcp.gemini",
    "gcp.gen_ai": "gcp.gemini",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "mistral-ai": "mistral_ai",
    "perplexity-ai": "perplexity",
    "xai": "x_ai",
    "x-ai": "x_ai",
    "together_ai": "together",
    "together-ai": "together",
    "fireworks_ai": "fireworks",
    "fireworks-ai": "fireworks",
    "moonshot": "moonshotai",
    "voyage": "voyageai",
    "novita-ai": "novita",
    "z-ai": "zai",
    "zhipu": "zhipuai",
    "workers-ai": "cloudflare",
}
STANDARD_TIERS: Final = frozenset({"", "default", "standard", "auto", "on_demand", "on-demand", "regular", "standard_only"})
TIER_NAMES: Final = {"on_demand_priority": "priority", "on_demand_flex": "flex"}  # as Vertex AI calls them


def canonical_provider(name: str | None) -> str:
    """The provider's one name; empty text when the source named none."""
    plain = (name or "").strip().lower()
    return ALIASES.get(plain, plain)


def canonical_tier(name: str | None) -> str:
    """Empty text for the standard tier, else the tier in lower case."""
    plain = (name or "").strip().lower()
    return "" if plain in STANDARD_TIERS else TIER_NAMES.get(plain, plain)


def model_spellings(provider: str, model: str) -> list[str]:
    """The model as called, then without a `provider/` prefix that says the same provider again (gateways write both)."""
    plain = model.strip()
    prefix, slash, rest = plain.partition("/")
    if slash and rest and canonical_provider(prefix) == provider:
        return [plain, rest]
    return [plain]
