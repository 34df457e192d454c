"""Helicone's request rows, a page each."""

from __future__ import annotations

from connector_samples.sample import Sample, lines

SAMPLES = {
    "helicone.requests": Sample(
        "helicone",
        lines("helicone_requests.jsonl"),
        5,
        negative=lambda r: r["data"][0].update(prompt_tokens=-5),
        timeless=lambda r: r["data"][0].update(request_created_at=None),
        nameless=lambda r: r["data"][0].update(request_id=None),
        extra=lambda r: (
            r["data"][0].update(a_new_class_of_tokens=7),
            r["data"][0]["request_properties"].update({"my.label": "blue"}),
        ),
        secret=lambda r: (
            r["data"][0].update(auth_hash="hunter2", request_headers={"authorization": "hunter2"}),
            r["data"][0]["request_properties"].update({"api_key": "hunter2", "headers": "hunter2"}),
            r["data"][0]["request_body"].update(api_key="hunter2", extra_headers={"authorization": "hunter2"}),
        ),
    ),
}
