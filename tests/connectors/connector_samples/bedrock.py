"""Bedrock's model invocation logs: as S3 keeps them and as CloudWatch delivers them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from connector_samples.sample import Sample, both, lines

Change = Callable[[dict[str, Any]], None]


def inside(change: Change) -> Change:
    """The same change to the record in the first event of an envelope."""

    def apply(envelope: dict[str, Any]) -> None:
        event = envelope["logEvents"][0]
        record = json.loads(event["message"])
        change(record)
        event["message"] = json.dumps(record)

    return apply


CHANGES: dict[str, Change] = {
    "negative": lambda r: r["input"].update(inputTokenCount=-5),
    "timeless": lambda r: r.update(timestamp=None),
    "nameless": lambda r: r.update(requestId=None),
    "extra": both(
        lambda r: r["output"]["outputBodyJson"]["usage"].update(a_new_class_of_tokens=7),
        lambda r: r["requestMetadata"].update({"my.label": "blue"}),
    ),
    "secret": both(
        lambda r: r["requestMetadata"].update(api_key="hunter2", headers="hunter2"),
        lambda r: r["input"]["inputBodyJson"].update(api_key="hunter2", headers={"authorization": "hunter2"}),
    ),
}

SAMPLES = {
    "bedrock.s3": Sample("bedrock", lines("bedrock_invocations.jsonl"), 8, **CHANGES),
    "bedrock.cloudwatch": Sample(
        "bedrock", lines("bedrock_cloudwatch.jsonl"), 5, **{name: inside(change) for name, change in CHANGES.items()}
    ),
}
