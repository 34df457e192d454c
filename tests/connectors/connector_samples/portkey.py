"""Portkey's log export."""

from __future__ import annotations

from connector_samples.sample import Sample, lines

SAMPLES = {
    "portkey.export": Sample(
        "portkey",
        lines("portkey_export.jsonl"),
        4,
        negative=lambda r: r["response"]["body"]["usage"].update(prompt_tokens=-5),
        timeless=lambda r: r.update(created_at=None),
        nameless=lambda r: r.update(id=None),
        extra=lambda r: (
            r["response"]["body"]["usage"].update(a_new_class_of_tokens=7),
            r["metadata"].update(key=["my.label"], value=["blue"]),
        ),
        secret=lambda r: (
            r["metadata"].update(key=["api_key", "headers"], value=["hunter2", "hunter2"]),
            r["request"]["body"].update(api_key="hunter2", extra_headers={"authorization": "hunter2"}),
        ),
    ),
}
