"""Envoy AI Gateway's access log: model calls, and one of an MCP tool."""

from __future__ import annotations

from connector_samples.sample import Sample, lines

SAMPLES = {
    "envoy.access_log": Sample(
        "envoy",
        lines("envoy_access_log.jsonl"),
        5,
        negative=lambda r: r.update({"gen_ai.usage.input_tokens": -5}),
        timeless=lambda r: r.update(start_time="-"),
        nameless=lambda r: r.update({"x-request-id": "-"}),
        extra=lambda r: r.update({"gen_ai.usage.a_new_class_of_tokens": 7, "my.label": "blue"}),
        secret=lambda r: r.update({"authorization": "hunter2", "x-api-key": "hunter2", "subscription-key": "hunter2"}),
    ),
}
