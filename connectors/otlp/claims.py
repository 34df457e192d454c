"""What a span's caller says about itself: user metadata and tags.

Owns: telling a user's attributes from a convention's; reading nested metadata. Does not own: what a claim is worth (attribution).
Invariants: names that look like secrets are never kept, nor what may be one in an address; nested text is read as literals only, nothing is evaluated.
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any, Final

from connectors.addresses import bare_attribute
from connectors.keys import HIDDEN_NAME
from connectors.otlp.bodies import CONTENT_NAMES
from connectors.otlp.dialects import NAMES, pick
from connectors.otlp.wire import Span, sound

_SECRET: Final = re.compile(HIDDEN_NAME)
_KNOWN: Final = frozenset(name for names in NAMES.values() for name in names)
_STANDARD: Final = re.compile(
    r"^(gen_ai\.|llm\.|litellm\.|openinference\.|ai\.|anthropic\.|openai\.|http\.|url\.|server\.|network\.|client\.|telemetry\.|otel\."
    r"|process\.|host\.|os\.|service\.|code\.|thread\.|error\.|exception\.|db\.|rpc\.|input\.|output\.|embedding\.|metadata$|tag\.tags$)"
)
# where OpenLLMetry, Vercel's AI SDK (to version 6, and from 7 on) and LangSmith put what the caller says
_OF_THE_CALLER: Final = ("traceloop.association.properties.", "ai.telemetry.metadata.", "ai.settings.context.", "langsmith.metadata.")
_PYTHON_LIMIT: Final = 16 << 10


def loose(value: Any) -> Any:
    """LiteLLM writes nested metadata as Python's str(dict); literal_eval reads literals only and runs nothing."""
    if not isinstance(value, str) or not value.startswith(("{", "[")) or len(value) > _PYTHON_LIMIT:
        return value
    for reader in (str, _python):
        try:
            text = reader(value)
            return sound(json.loads(text), text.encode())
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
    return value


def _python(value: str) -> str:
    """Python's literals as JSON: what follows need not know of sets, tuples as keys or half surrogates. Raises TypeError for a key that is no text."""
    return json.dumps(ast.literal_eval(value), default=str)


def claims(span: Span) -> dict[str, str]:
    """User metadata: whatever is not a convention's own attribute. Resource facts come first, the span's win."""
    found: dict[str, Any] = {}
    for source in (span.resource, span.attributes):
        found |= {name: value for name, value in source.items() if _is_own(name)}
    for nested in ("metadata", "metadata.requester_metadata", "metadata.spend_logs_metadata"):
        given = loose(span.attributes.get(nested))
        if isinstance(given, dict):
            found |= given
    for prefix in _OF_THE_CALLER:
        found |= {name.removeprefix(prefix): value for name, value in span.attributes.items() if name.startswith(prefix)}
    if (workflow := pick(span.attributes, "workflow")) is not None:
        found.setdefault("workflow", workflow)
    kept = {str(k): bare_attribute(str(k), v) for k, v in found.items() if not _SECRET.search(str(k))}
    return {k: _plain(v) for k, v in kept.items() if v is not None}


def _is_own(name: str) -> bool:
    return not (_STANDARD.match(name) or name in _KNOWN or name.startswith("metadata.") or CONTENT_NAMES.match(name))


def _plain(value: Any) -> str:
    return value[:4000] if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)[:4000]


def tags(span: Span) -> list[str] | None:
    given = loose(span.attributes.get("tag.tags"))
    return [str(tag) for tag in given if not str(tag).startswith("User-Agent:")] if isinstance(given, list) else None
