"""Vertex AI's request-response logging: rows of the BigQuery table."""

from __future__ import annotations

from connector_samples.sample import Sample, both, lines

SAMPLES = {
    "vertex.rows": Sample(
        "vertex",
        lines("vertex_rows.jsonl"),
        5,
        negative=lambda r: r["full_response"]["usageMetadata"].update(promptTokenCount=-5),
        timeless=both(lambda r: r.update(logging_time=None), lambda r: r["full_response"].update(createTime=None)),
        nameless=lambda r: r.update(request_id=None),
        extra=both(
            lambda r: r["full_response"]["usageMetadata"].update(a_new_class_of_tokens=7),
            lambda r: r["full_request"]["labels"].update({"my.label": "blue"}),
        ),
        secret=both(
            lambda r: r["full_request"]["labels"].update(api_key="hunter2", headers="hunter2"),
            lambda r: r["full_request"].update(api_key="hunter2", headers={"authorization": "hunter2"}),
        ),
    ),
}
