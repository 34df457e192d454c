"""Azure API Management: messages of an Event Hub, which hold several rows of a call, and rows of a Log Analytics query."""

from __future__ import annotations

from typing import Any

from connector_samples.sample import Sample, lines


def _properties(record: dict[str, Any], **changes: Any) -> None:
    record["records"][0]["properties"].update(changes)


def _timeless(record: dict[str, Any]) -> None:
    for row in record["records"]:
        row["time"] = None


def _nameless(record: dict[str, Any]) -> None:
    record["records"] = record["records"][:1]
    record["records"][0]["correlationId"] = ""
    record["records"][0]["properties"]["correlationId"] = ""


def _extra(record: dict[str, Any]) -> None:
    _properties(record, a_new_class_of_tokens=7)
    record["records"][-1]["properties"]["traceRecords"] = [{"metadata": {"my.label": "blue"}}]


def _secret(record: dict[str, Any]) -> None:
    headers = {"Ocp-Apim-Subscription-Key": "hunter2", "x-api-key": "hunter2", "Authorization": "hunter2", "x-auth-token": "hunter2"}
    record["records"][-1]["properties"].update(requestHeaders=headers, backendUrl="https://x.example/chat/completions?key=hunter2")


SAMPLES = {
    "azure_apim.event_hub": Sample(
        "azure_apim",
        lines("azure_apim_event_hub.jsonl"),
        5,
        negative=lambda r: _properties(r, promptTokens=-5),
        timeless=_timeless,
        nameless=_nameless,
        extra=_extra,
        secret=_secret,
    ),
    "azure_apim.log_analytics": Sample(
        "azure_apim",
        lines("azure_apim_log_analytics.jsonl"),
        4,
        negative=lambda r: r.update(PromptTokens=-5),
        timeless=lambda r: r.update(TimeGenerated=None),
        nameless=lambda r: r.update(CorrelationId=None),
        extra=lambda r: r.update(A_new_class_of_tokens=7, a_new_class_of_tokens=7, Metadata='{"my.label": "blue"}'),
        secret=lambda r: r.update(Metadata='{"api_key": "hunter2"}'),
    ),
}
