"""OpenRouter's generation records."""

from __future__ import annotations

from connector_samples.sample import Sample, lines

SAMPLES = {
    "openrouter.generation": Sample(
        "openrouter",
        lines("openrouter_generation.jsonl"),
        5,
        negative=lambda r: r["data"].update(native_tokens_prompt=-5),
        timeless=lambda r: r["data"].update(created_at=None),
        nameless=lambda r: r["data"].update(id=None),
        extra=lambda r: r["data"].update({"native_tokens_a_new_class": 7, "my.label": "blue"}),
        secret=lambda r: r["data"].update(api_key="hunter2", headers={"authorization": "hunter2"}, access_token="hunter2"),
    ),
}
