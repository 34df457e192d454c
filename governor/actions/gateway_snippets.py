"""What the owner of a gateway would write to move one route, as text. Governor changes no gateway.

Owns: one small snippet per gateway format. Does not own: applying it. Invariants: pure text from an approved change; no key or secret in it,
only the name of the variable the gateway reads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import yaml

from governor.errors import Invalid
from governor.policy.catalog_data import canonical_provider

# gen_ai.provider.name -> the prefix or slug each gateway uses
LITELLM: Final = {
    "azure.ai.openai": "azure",
    "aws.bedrock": "bedrock",
    "gcp.vertex_ai": "vertex_ai",
    "gcp.gemini": "gemini",
    "mistral_ai": "mistral",
    "x_ai": "xai",
    "azure.ai.inference": "azure_ai",
}
PORTKEY: Final = LITELLM | {
    "azure.ai.openai": "azure-openai",
    "gcp.vertex_ai": "vertex-ai",
    "gcp.gemini": "google",
    "mistral_ai": "mistral-ai",
}
KONG: Final = LITELLM | {"azure.ai.openai": "azure", "gcp.vertex_ai": "gemini", "mistral_ai": "mistral"}
OPENROUTER: Final = {
    "mistral_ai": "mistralai",
    "gcp.gemini": "google",
    "gcp.vertex_ai": "google",
    "x_ai": "x-ai",
    "azure.ai.openai": "openai",
}


def snippet(name: str, workflow: str, route: Mapping[str, Any], change: str) -> str:
    """Configuration for one approved route. Raises Invalid for a gateway without a snippet."""
    if name not in EXPORTS:
        raise Invalid(f"no export for {name!r}", hint=f"exports: {', '.join(EXPORTS)}")
    return EXPORTS[name](workflow, route, change)


def _yaml(document: Any, change: str) -> str:
    note = f"# {change}: written for the owner of the gateway to review and apply; Governor changes no gateway\n"
    return note + yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def _key(provider: str) -> str:
    return f"{provider.replace('-', '_').upper()}_API_KEY"


def litellm(workflow: str, route: Mapping[str, Any], change: str) -> str:
    provider = canonical_provider(route["provider"])
    prefix = LITELLM.get(provider, provider)
    params: dict[str, Any] = {"model": f"{prefix}/{route['model']}", "api_key": f"os.environ/{_key(prefix)}"}
    if route.get("region"):
        params["aws_region_name" if prefix == "bedrock" else "region_name"] = route["region"]
    info = {"governor_change": change, "governor_workflow": workflow}
    return _yaml({"model_list": [{"model_name": workflow, "litellm_params": params, "model_info": info}]}, change)


def portkey(workflow: str, route: Mapping[str, Any], change: str) -> str:
    provider = canonical_provider(route["provider"])
    document: dict[str, Any] = {
        "strategy": {"mode": "single"},
        "targets": [{"provider": f"@{PORTKEY.get(provider, provider)}", "override_params": {"model": route["model"]}}],
        "metadata": {"workflow": workflow, "governor_change": change},
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def kong(workflow: str, route: Mapping[str, Any], change: str) -> str:
    provider = canonical_provider(route["provider"])
    config = {
        "route_type": "llm/v1/chat",
        "model": {"provider": KONG.get(provider, provider), "name": route["model"]},
        "logging": {"log_statistics": True, "log_payloads": False},
    }
    plugin = {"name": "ai-proxy", "route": workflow, "tags": [f"governor:{change}", f"workflow:{workflow}"], "config": config}
    return _yaml({"_format_version": "3.0", "plugins": [plugin]}, change)


def envoy(workflow: str, route: Mapping[str, Any], change: str) -> str:
    match = {"headers": [{"type": "Exact", "name": "x-workflow", "value": workflow}]}
    backend = {"name": canonical_provider(route["provider"]).replace(".", "-").replace("_", "-"), "modelNameOverride": route["model"]}
    metadata = {"name": f"{workflow}-{change}".lower(), "annotations": {"governor/change": change}}
    document = {
        "apiVersion": "aigateway.envoyproxy.io/v1alpha1",
        "kind": "AIGatewayRoute",
        "metadata": metadata,
        "spec": {"rules": [{"matches": [match], "backendRefs": [backend]}]},
    }
    return _yaml(document, change)


def openrouter(workflow: str, route: Mapping[str, Any], change: str) -> str:
    provider = canonical_provider(route["provider"])
    slug = OPENROUTER.get(provider, provider)
    document = {
        "model": f"{slug}/{route['model']}",
        "provider": {"order": [slug], "allow_fallbacks": False},
        "metadata": {"workflow": workflow, "governor_change": change},
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


EXPORTS: Final[Mapping[str, Callable[[str, Mapping[str, Any], str], str]]] = {
    "litellm": litellm,
    "portkey": portkey,
    "kong": kong,
    "envoy": envoy,
    "openrouter": openrouter,
}
