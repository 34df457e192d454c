"""LiteLLM: the payload its loggers send (generic_api, S3, GCS) and the rows of its spend table, as files, by push or from its database.

Owns: everything that knows LiteLLM's formats. Does not own: the lake, where files come from, the receiver's HTTP.
Invariants: read-only; request headers, proxy_server_request, budgets and key values are never kept.
"""

from connectors.litellm.reader import LiteLLM

connector = LiteLLM()
__all__ = ["LiteLLM", "connector"]
