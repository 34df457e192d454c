"""OpenTelemetry: OTLP/HTTP trace requests in protobuf or JSON, in the dialects OTel GenAI (current and older), OpenInference, OpenLLMetry
and LiteLLM's own spans.

Owns: everything that knows OTLP. Does not own: the receiver's HTTP, applying witness keys (the store).
Invariants: read-only; one row per span that claims a model call, and the key of its real call in dup_group_key.

How one call seen twice is recognised, whichever request, file or batch each view arrives in:
1. both views carry the provider's response id (an attribute, or the first member of OpenInference's recorded response): they share the key
   `response:<id>`. This covers the Anthropic SDK's own span beside any instrumentation, child or sibling, and nested instrumentations.
2. LiteLLM's spans carry litellm.call_id: they share `litellm:<call id>:...` with LiteLLM's logs, and name `response:<id>` in dup_alias_key,
   so that the client's own spans of the same call give way.
3. a view without an id has the key `span:<trace>:<span>`, or of Bedrock's own log row where it has AWS's request id; a call inside it names
   that key in dup_alias_key. Any parent is named, known or not: naming a span that claims no call does nothing. Which of the two has usage,
   the store looks at; it also knows spans by their answers.
4. an agent or workflow span with usage is a row of grain span_rollup; calls inside it name it, so it counts only where nothing inside does.
   A call that names a span which claims no call names what is around that one: the lake climbs, since it may come in a later read.
Nothing of this depends on batching.
Not decidable: two sibling views of one call where one has neither id nor recorded response (content hidden) are two calls.
"""

from connectors.otlp.reader import Otlp

connector = Otlp()
__all__ = ["Otlp", "connector"]
