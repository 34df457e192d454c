"""PromptLayer's requests."""

from __future__ import annotations

from connector_samples.sample import Sample, lines

SAMPLES = {
    "promptlayer.requests": Sample(
        "promptlayer",
        lines("promptlayer_requests.jsonl"),
        4,
        negative=lambda r: r["request_response"]["usage"].update(prompt_tokens=-5),
        timeless=lambda r: r.update(request_start_time=None),
        nameless=lambda r: r.update(id=None),
        extra=lambda r: (r["request_response"]["usage"].update(a_new_class_of_tokens=7), r.update(metadata={"my.label": "blue"})),
        secret=lambda r: (
            r.update(metadata={"api_key": "hunter2", "headers": "hunter2"}),
            r["function_kwargs"].update(api_key="hunter2", extra_headers={"authorization": "hunter2"}),
        ),
    ),
}
