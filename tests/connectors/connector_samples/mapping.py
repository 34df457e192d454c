"""Mappings that users name themselves: a metering table, a former tracing tool's export, a client's own log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from connector_samples.sample import FIXTURES, Sample, lines

MAPPINGS = FIXTURES.parents[2] / "connectors/mappings"


def _with(name: str) -> Callable[[Any], Any]:
    return lambda connector: connector.with_file(Path(MAPPINGS / f"{name}.yaml"))


SAMPLES = {
    "mapping.llm_usage_events": Sample(
        "mapping",
        lines("mapping_llm_usage_events.jsonl"),
        5,
        negative=lambda r: r.update(input_tokens=-5),
        timeless=lambda r: r.update(created_at=None),
        nameless=lambda r: r.update(id=None),
        extra=lambda r: (r["usage"].update(a_new_class_of_tokens=7), r["metadata"].update({"my.label": "blue"})),
        secret=lambda r: r.update(headers={"authorization": "hunter2"}, metadata={"api_key": "hunter2", "headers": {"cookie": "hunter2"}}),
        make=_with("llm_usage_events"),
    ),
    "mapping.martian_client_logs": Sample(
        "mapping",
        lines("mapping_martian_client_logs.jsonl"),
        4,
        negative=lambda r: r["response"]["usage"].update(prompt_tokens=-5),
        timeless=lambda r: r.update(timestamp="soon"),
        nameless=lambda r: r.update(request_id=None),
        extra=lambda r: (r["response"]["usage"].update(a_new_class_of_tokens=7), r["metadata"].update({"my.label": "blue"})),
        secret=lambda r: (
            r["metadata"].update(api_key="hunter2"),
            r["request"].update(extra_headers={"authorization": "hunter2"}, api_key="hunter2"),
        ),
        make=_with("martian_client_logs"),
    ),
    "mapping.humanloop": Sample(
        "mapping",
        lines("mapping_humanloop.jsonl"),
        4,
        negative=lambda r: r.update(prompt_tokens=-5),
        timeless=lambda r: r.update(start_time=None, created_at=None),
        nameless=lambda r: r.update(id=None),
        extra=lambda r: (r["provider_response"]["usage"].update(a_new_class_of_tokens=7), r["metadata"].update({"my.label": "blue"})),
        secret=lambda r: (r["metadata"].update(password="hunter2"), r["provider_request"].update(headers={"authorization": "hunter2"})),
        make=_with("humanloop"),
    ),
}
