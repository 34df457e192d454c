"""Kong's logging plugins: calls of the newer and the older form, and a request that met no model."""

from __future__ import annotations

from typing import Any

from connector_samples.sample import Sample, lines


def _no_id(record: dict[str, Any]) -> None:
    record["request"].pop("id")
    record["response"]["headers"].pop("x-kong-request-id")


def _secret(record: dict[str, Any]) -> None:
    record.update(api_key="hunter2", my_token="hunter2")
    record["request"]["headers"].update(authorization="Bearer hunter2", apikey="hunter2")
    record["ai"]["sanitizer"] = {"sanitized_items": [{"original": "hunter2"}]}


SAMPLES = {
    "kong.file_log": Sample(
        "kong",
        lines("kong_file_log.jsonl"),
        5,
        negative=lambda r: r["ai"]["proxy"]["usage"].update(prompt_tokens=-5),
        timeless=lambda r: r.update(started_at=None),
        nameless=_no_id,
        extra=lambda r: (r["ai"]["proxy"]["usage"].update(a_new_class_of_tokens=7), r.update({"my.label": "blue"})),
        secret=_secret,
    ),
}
