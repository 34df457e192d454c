"""Langfuse's observations: rows of the blob export, pages of the public API."""

from __future__ import annotations

from typing import Any

from connector_samples.sample import Sample, lines


def _secret(record: dict[str, Any], params: str) -> None:
    record["metadata"].update(api_key="hunter2", headers="hunter2")
    record[params] = '{"temperature": 0.2, "api_key": "hunter2", "extra_headers": {"authorization": "hunter2"}}'


SAMPLES = {
    "langfuse.export": Sample(
        "langfuse",
        lines("langfuse_export.jsonl"),
        9,
        negative=lambda r: r["usage_details"].update(input=-5),
        timeless=lambda r: r.update(start_time=None),
        nameless=lambda r: r.update(id=None),
        extra=lambda r: (r["usage_details"].update(a_new_class_of_tokens=7), r["metadata"].update({"my.label": "blue"})),
        secret=lambda r: _secret(r, "model_parameters"),
    ),
    "langfuse.api": Sample(
        "langfuse",
        lines("langfuse_api.jsonl"),
        5,
        negative=lambda r: r["data"][0]["usageDetails"].update(input=-5),
        timeless=lambda r: r["data"][0].update(startTime=None),
        nameless=lambda r: r["data"][0].update(id=None),
        extra=lambda r: (
            r["data"][0]["usageDetails"].update(a_new_class_of_tokens=7),
            r["data"][0]["metadata"].update({"my.label": "blue"}),
        ),
        secret=lambda r: _secret(r["data"][0], "modelParameters"),
    ),
}
