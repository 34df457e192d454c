"""LiteLLM's payload log and spend rows."""

from __future__ import annotations

from typing import Any

from connector_samples.sample import Sample, lines


def _payload_extra(record: dict[str, Any]) -> None:
    record["metadata"]["usage_object"]["a_new_class_of_tokens"] = 7
    record["metadata"]["spend_logs_metadata"] = {"my.label": "blue"}


def _payload_secret(record: dict[str, Any]) -> None:
    record["proxy_server_request"] = {"headers": {"authorization": "Bearer hunter2"}}
    record["metadata"]["requester_custom_headers"] = {"x-secret": "hunter2"}
    record["metadata"]["requester_metadata"] = {"headers": {"authorization": "hunter2"}, "api_key": "hunter2", "fine": "kept"}
    record["model_parameters"] = {"temperature": 1, "extra_headers": {"authorization": "hunter2"}, "api_key": "hunter2"}


SAMPLES = {
    "litellm.generic_api": Sample(
        "litellm",
        lines("litellm_generic_api.jsonl"),
        25,
        negative=lambda r: r["metadata"]["usage_object"].update(prompt_tokens=-5),
        timeless=lambda r: r.update(startTime=None),
        nameless=lambda r: r.update(id=None, litellm_call_id=None),
        extra=_payload_extra,
        secret=_payload_secret,
    ),
    "litellm.spend_logs": Sample(
        "litellm",
        lines("litellm_spend_logs.jsonl"),
        21,
        negative=lambda r: r["metadata"]["usage_object"].update(prompt_tokens=-5),
        timeless=lambda r: r.update(startTime="soon"),
        nameless=lambda r: (r.update(request_id=None), r["metadata"].update(litellm_call_id=None)),
        extra=_payload_extra,
        secret=_payload_secret,
    ),
}
