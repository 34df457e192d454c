"""Envoy AI Gateway: its JSON access log, mapping `envoy`.

Owns: what "-" means, telling a person's own fields from Envoy's, the operation that a path names. Does not own: the mapping.
Invariants: "-" is how Envoy says nothing, and never a value.

The log is what the EnvoyProxy resource says it is. The names are those of the project's own example; `genai_*` are those of its first one.
"""

from __future__ import annotations

from typing import Any, Final

from connectors.mapping import shipped
from connectors.reshaped import Parts, ReshapedConnector, client_claims, unknown_fields

_USAGE: Final = ("gen_ai.usage.", "genai_tokens_")
_ENVOYS: Final = frozenset({
    ":authority", ":method", ":path", "authority", "bytes_received", "bytes_sent", "connection_termination_details",
    "downstream_local_address", "downstream_remote_address", "duration", "method", "path", "protocol", "request.path",
    "requested_server_name", "response_code", "response_code_details", "response_flags", "route_name", "session.id", "start_time",
    "trace_id", "traceparent", "upstream_cluster", "upstream_host", "upstream_local_address", "upstream_transport_failure_reason",
    "user-agent", "x-envoy-origin-path", "x-envoy-upstream-service-time", "x-forwarded-for", "x-request-id",
})  # fmt: skip
_OPERATIONS: Final = {
    "/chat/completions": "chat",
    "/messages": "chat",
    "/responses": "responses",
    "/completions": "text_completion",
    "/embeddings": "embeddings",
    "/images/generations": "image_generation",
    "/rerank": "rerank",
}


class EnvoyConnector(ReshapedConnector):
    def parts(self, record: dict[str, Any]) -> Parts | None:
        said = {name: value for name, value in record.items() if value not in ("-", "", None)}
        own = {
            name: value
            for name, value in unknown_fields(said, _ENVOYS).items()
            if not name.startswith(("gen_ai.", "genai_", "mcp", "jsonrpc"))
        }
        usage = {name: value for name, value in said.items() if name.startswith(_USAGE)}
        path = str(said.get("x-envoy-origin-path") or said.get("request.path") or said.get(":path") or said.get("path") or "").split("?")[0]
        operation = next((operation for end, operation in _OPERATIONS.items() if path.endswith(end)), None)
        return {self.mappings[0].name: [said | {"own": own | client_claims(own), "usage": usage, "operation": operation, "path": path}]}


_LOG: Final = shipped("envoy")
_FIRST: Final = _LOG.model_copy(update={"finds": ("genai_model_name", "start_time", "response_code", "x-request-id")})
connector = EnvoyConnector("envoy", [_LOG, _FIRST])
