"""LangSmith's runs."""

from __future__ import annotations

from connector_samples.sample import Sample, lines

SAMPLES = {
    "langsmith.runs": Sample(
        "langsmith",
        lines("langsmith_runs.jsonl"),
        6,
        negative=lambda r: r.update(prompt_tokens=-5),
        timeless=lambda r: r.update(start_time=None),
        nameless=lambda r: r.update(id=None),
        extra=lambda r: (r["prompt_token_details"].update(a_new_class_of_tokens=7), r["extra"]["metadata"].update({"my.label": "blue"})),
        secret=lambda r: (
            r["extra"]["metadata"].update(api_key="hunter2", headers="hunter2"),
            r["extra"]["invocation_params"].update(api_key="hunter2", extra_headers={"authorization": "hunter2"}),
        ),
    ),
}
