"""Cloudflare AI Gateway: rows of its logs API, and single entries with bodies."""

from __future__ import annotations

import json
from typing import Any

from connector_samples.sample import Sample, lines

SECRETS = {"api_key": "hunter2", "headers": {"authorization": "hunter2"}}


def _secret_body(entry: dict[str, Any]) -> None:
    asked = json.loads(entry["result"]["request_head"]) | {"api_key": "hunter2", "extra_headers": {"authorization": "hunter2"}}
    entry["result"].update(request_head=json.dumps(asked), metadata=json.dumps(SECRETS))


def _extra_body(entry: dict[str, Any]) -> None:
    answered = json.loads(entry["result"]["response_head"])
    answered["usage"]["a_new_class_of_tokens"] = 7
    entry["result"].update(response_head=json.dumps(answered), metadata=json.dumps({"my.label": "blue"}))


def _negative_body(entry: dict[str, Any]) -> None:
    answered = json.loads(entry["result"]["response_head"])
    answered["usage"]["prompt_tokens"] = -5
    entry["result"].update(response_head=json.dumps(answered))


SAMPLES = {
    "cloudflare.logs": Sample(
        "cloudflare",
        lines("cloudflare_logs.jsonl"),
        6,
        negative=lambda r: r.update(tokens_in=-5),
        timeless=lambda r: r.update(created_at=None),
        nameless=lambda r: r.update(id=None),
        extra=lambda r: r.update(a_new_class_of_tokens=7, metadata=json.dumps({"my.label": "blue"})),
        secret=lambda r: r.update(metadata=json.dumps(SECRETS)),
    ),
    "cloudflare.log": Sample(
        "cloudflare",
        lines("cloudflare_log.jsonl"),
        5,
        negative=_negative_body,
        timeless=lambda r: r["result"].update(created_at=None),
        nameless=lambda r: r["result"].update(id=None),
        extra=_extra_body,
        secret=_secret_body,
    ),
}
