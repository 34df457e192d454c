"""Azure API Management and Azure OpenAI: resource logs as Event Hub, storage account and Log Analytics hand them out.

Owns: the envelopes (`{"records": [...]}`, `{"tables": [...]}`, a row alone), joining the rows of one call, putting chunked bodies together.
Does not own: the mappings (`azure_apim_llm`, `azure_apim_gateway`, `azure_openai`).
Invariants: only rows of one document are joined, so what a document becomes never depends on what is read beside it; the row with sequence
number 0 is the call, later ones are its bodies; a body with a piece missing is no body.

One call is several rows with one CorrelationId. GatewayLlmLogs counts its tokens (row 0) and holds the prompt (row 1) and the answer (from
row 2, in pieces of 32 KB); GatewayLogs says how it ended, how long it took and who called. Where they come in different documents they are
two witnesses of one call, under the same key.
"""

from __future__ import annotations

import re
from typing import Any, Final

from connectors.archives import head_of
from connectors.mapping import shipped
from connectors.providers import provider_at
from connectors.reshaped import Parts, ReshapedConnector, client_claims, first_of, listed, named, opened, text_of

_LLM: Final = "azure_apim.llm_log"
_GATEWAY: Final = "azure_apim.gateway_log"
_OPENAI: Final = "azure_apim.openai_log"
_SURE: Final = 0.9
_MARKS: Final = (  # each a set of marks that must all be there; the head of a document may be cut
    (rb'"[cC]ategory"\s*:\s*"Gateway(Llm)?Logs"', rb'"[cC]orrelationId(_g|_s)?"|"operationName"|"Level"'),
    (rb'"[cC]ategory"\s*:\s*"RequestResponse"', rb'"[oO]perationName"', rb'"[rR]esult(Signature|Type)"|"properties"'),
    (rb'"CorrelationId"', rb'"PromptTokens"', rb'"(DeploymentName|ModelName)"'),
    (rb'"CorrelationId"', rb'"BackendTime"|"TotalTime"', rb'"(ApimSubscriptionId|ApiId|BackendId)"'),
)
_SUFFIX: Final = re.compile(r"_[sdgbt]$")  # the legacy AzureDiagnostics table marks every name with its type
_MODEL_PATHS: Final = re.compile(
    r"/(chat/completions|completions|responses|embeddings|messages|invoke|converse|images/generations)(-stream)?/?$"
)
_DEPLOYMENT: Final = re.compile(r"/(?:deployments|model)/([^/]+)/")
_OPERATIONS: Final = {"chat/completions": "chat", "messages": "chat", "converse": "chat", "completions": "text_completion",
    "responses": "responses", "embeddings": "embeddings", "images/generations": "image_generation"}  # fmt: skip

Row = dict[str, Any]


class AzureConnector(ReshapedConnector):
    def detect(self, head: bytes, uri: str) -> float:  # noqa: ARG002 - the name of a blob says nothing sure
        text = head_of(head)
        return _SURE if text.lstrip()[:1] in (b"{", b"[") and any(all(re.search(mark, text) for mark in marks) for marks in _MARKS) else 0.0

    def parts(self, record: dict[str, Any]) -> Parts | None:
        rows = [_row(row) for row in _rows(record)]
        found: Parts = {}
        bodies: dict[str, list[Row]] = {}
        gateways: dict[str, list[Row]] = {}
        calls, others = [], []
        for row in rows:
            identity = str(row.get("correlationid") or "")
            if row["form"] == _OPENAI:
                found.setdefault(_OPENAI, []).append(_openai(row))
            elif row["form"] == _GATEWAY:
                gateways.setdefault(identity, []).append(row)
            elif row["form"] == _LLM and not _whole(row.get("sequencenumber")):
                calls.append(row)
            elif row["form"] == _LLM:
                bodies.setdefault(identity, []).append(row)
            else:
                others.append(row)
        for row in calls:
            identity = str(row.get("correlationid") or "")
            around = gateways.pop(identity, [{}])
            found.setdefault(_LLM, []).append(_call(row, bodies.pop(identity, []), around[0]))
            gateways |= {identity: around[1:]} if around[1:] else {}
        for left in gateways.values():
            found.setdefault(_GATEWAY, []).extend(_through(row) for row in left)
        structure = [row for left in bodies.values() for row in left] + others
        if structure:
            found.setdefault(_LLM, []).extend(_structure(row) for row in structure)
        return found


def _rows(record: Row) -> list[Row]:
    """The rows of a document: an Event Hub message, the answer of a Log Analytics query, or a row by itself."""
    if isinstance(record.get("records"), list):
        return [row if isinstance(row, dict) else {"value": row} for row in record["records"]]
    if isinstance(record.get("tables"), list):
        rows: list[Row] = []
        for table in map(named, record["tables"]):
            names = [str(named(column).get("name")) for column in listed(table.get("columns"))]
            rows += [dict(zip(names, row, strict=False)) if isinstance(row, list) else {"value": row} for row in listed(table.get("rows"))]
        return rows
    return [record]


def _row(given: Row) -> Row:
    """One flat row with lower-case names, whichever way it came, and the form it has."""
    properties = opened(first_of(given.get("properties"), given.get("Properties")))
    whole = {str(name): value for name, value in given.items()} | {str(name): value for name, value in named(properties).items()}
    legacy = "ResourceProvider" in given or given.get("Type") == "AzureDiagnostics"
    row = {(_SUFFIX.sub("", name) if legacy else name).lower(): value for name, value in whole.items() if value not in ("", None)}
    row["as_given"] = whole
    category = str(row.get("category") or row.get("type") or row.get("tablename") or "").lower()
    if category == "requestresponse":
        row["form"] = _OPENAI
    elif category in ("gatewayllmlogs", "apimanagementgatewayllmlog") or "prompttokens" in row or "sequencenumber" in row:
        row["form"] = _LLM
    elif category in ("gatewaylogs", "apimanagementgatewaylogs") or (not category and ("totaltime" in row or "backendtime" in row)):
        row["form"] = _GATEWAY
    else:
        row["form"] = None if category or "metricname" in row else _LLM
    return row


def _call(row: Row, bodies: list[Row], around: Row) -> Row:
    """The call that row 0 counts, with its bodies and what the gateway's own row says about it."""
    counted = [_whole(row.get(name)) for name in ("prompttokens", "completiontokens", "promptcachedtokens")]
    nothing = not any(counted)
    bodies = sorted([row, *bodies], key=lambda one: _whole(one.get("sequencenumber")) or 0)
    asked = opened(text_of([one.get("requestmessages") for one in bodies]) or None)
    answered = opened(text_of([one.get("responsemessages") for one in bodies]) or None)
    response = _gateway_body(around, "responsebody")
    streamed = str(row.get("isstreamcompletion")).lower() == "true"
    call = _gateway_facts(around) | {
        "id": row.get("correlationid"),
        "is_call": "yes" if first_of(row.get("modelname"), row.get("deploymentname")) or not nothing else "no",
        "time": first_of(row.get("timegenerated"), row.get("time"), around.get("timegenerated"), around.get("time")),
        "deployment": first_of(row.get("deploymentname"), row.get("modelname")),
        "model": first_of(row.get("modelname"), response.get("model")),
        "response_id": first_of(row.get("requestid"), response.get("id")),
        "method": row.get("operationname") if not str(row.get("operationname")).startswith("Microsoft.ApiManagement/") else None,
        "api_version": row.get("apiversion"),
        "region": first_of(row.get("region"), row.get("location")),
        "stream": row.get("isstreamcompletion"),
        "input": None if nothing else row.get("prompttokens"),  # three zeros: nothing was counted
        "output": None if nothing else row.get("completiontokens"),
        "total": None if nothing else row.get("totaltokens"),
        "cached": None if nothing else row.get("promptcachedtokens"),
        "counts_apart": "yes" if _anthropic(row) else "no",
        "usage": {name: value for name, value in row["as_given"].items() if "tokens" in name.lower() and value is not None},
        "request": {"messages": asked} if isinstance(asked, list) else asked,
        "response": response,
        "answer": answered[0] if isinstance(answered, list) and answered else answered,
    }
    if "http_status" not in call and nothing and not streamed and answered is None:
        call |= {"status": "error", "error": "no_answer"}  # nothing was counted and nothing answered; only the gateway's row knows why
    call["metadata"] = call.get("metadata", {}) | _said(row)
    return call


def _through(row: Row) -> Row:
    """A request that the gateway passed on; a call where it went to a model."""
    request, response = _gateway_body(row, "requestbody"), _gateway_body(row, "responsebody")
    address = str(first_of(row.get("backendurl"), row.get("url")) or "").split("?")[0]
    path, place = _MODEL_PATHS.search(address), _DEPLOYMENT.search(address)
    usage = named(response.get("usage"))
    return _gateway_facts(row) | {
        "id": row.get("correlationid"),
        "is_call": "yes" if path or usage else "no",
        "operation": _OPERATIONS.get(path[1]) if path else None,
        "time": first_of(row.get("timegenerated"), row.get("time")),
        "deployment": first_of(place[1] if place else None, request.get("model")),
        "asked_model": request.get("model"),
        "model": response.get("model"),
        "response_id": response.get("id"),
        "region": first_of(row.get("region"), row.get("location")),
        "stream": request.get("stream"),
        "usage": usage or None,
        "counts_apart": "yes" if "cache_read_input_tokens" in usage else "no",
        "request": request or None,
        "response": response,
    }


def _gateway_facts(row: Row) -> Row:
    """What GatewayLogs alone knows: how it ended, how long it took, who called."""
    headers = first_of(opened(row.get("requestheaders")), opened(row.get("backendrequestheaders")))
    backend = str(row["backendurl"]) if "backendurl" in row else None
    found = {
        "http_status": row.get("responsecode"),
        "backend_status": row.get("backendresponsecode"),
        "duration": first_of(row.get("totaltime"), row.get("durationms")),
        "backend_time": row.get("backendtime"),
        "subscription": row.get("apimsubscriptionid"),
        "product": row.get("productid"),
        "user": row.get("userid"),
        "api": row.get("apiid"),
        "backend": row.get("backendid"),
        "backend_url": backend,
        "provider": provider_at(backend) if backend else None,
        "workspace": row.get("workspaceid"),
        "gateway_cache": row.get("cache"),
        "error_reason": row.get("lasterrorreason"),
        "error_message": row.get("lasterrormessage"),
        "traceparent": named(headers).get("traceparent"),
    }
    facts: Row = {name: value for name, value in found.items() if value is not None}
    if row:
        facts["metadata"] = _said(row)
    return facts


def _gateway_body(row: Row, name: str) -> Row:
    return named(first_of(opened(row.get(name)), opened(row.get("backend" + name))))


def _said(row: Row) -> Row:
    """What people attached: x- headers that the diagnostic logs, records of trace policies, a Metadata column of their own query."""
    found: Row = {}
    for name in ("requestheaders", "backendrequestheaders"):
        found |= client_claims(opened(row.get(name)))
    for trace in listed(opened(row.get("tracerecords"))):
        found |= named(named(trace).get("metadata"))
    return found | named(opened(row.get("metadata")))


def _openai(row: Row) -> Row:
    """Azure OpenAI's own log: it names deployment, times and status, and counts no token."""
    given = {name: value for name, value in row.items() if name not in ("form", "as_given", "properties")}
    return given | {"is_call": "yes" if row.get("modeldeploymentname") or row.get("modelname") else "no"}


def _structure(row: Row) -> Row:
    """A body without its call, or a row of another category: counted, not a call."""
    return {
        "id": row.get("correlationid") or "none",
        "is_call": "no",
        "time": first_of(row.get("timegenerated"), row.get("time")),
        "method": row.get("category"),
    }


def _anthropic(row: Row) -> bool:
    """Anthropic's counts leave cached tokens out of the prompt; the log passes them on as they are."""
    return str(row.get("requestid", "")).startswith("msg_") or str(row.get("modelname", "")).lower().startswith("claude")


def _whole(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return 0


connector = AzureConnector("azure_apim", [shipped("azure_apim_llm"), shipped("azure_apim_gateway"), shipped("azure_openai")])
