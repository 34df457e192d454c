"""Braintrust's project logs."""

from __future__ import annotations

from connector_samples.sample import Sample, lines

SAMPLES = {
    "braintrust.project_logs": Sample(
        "braintrust",
        lines("braintrust_project_logs.jsonl"),
        6,
        negative=lambda r: r["metrics"].update(prompt_tokens=-5),
        timeless=lambda r: (r["metrics"].update(start=None), r.update(created=None)),
        nameless=lambda r: r.update(id=None),
        extra=lambda r: (r["metrics"].update(a_new_class_of_tokens=7), r["metadata"].update({"my.label": "blue"})),
        secret=lambda r: r["metadata"].update(api_key="hunter2", headers="hunter2", extra_headers={"authorization": "hunter2"}),
    ),
}
