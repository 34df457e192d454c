"""MLflow traces of one call each, as autologging without a workflow around it makes them."""

from __future__ import annotations

import json
from typing import Any

from connector_samples.sample import Sample, both, lines


def _attribute(name: str, **facts: Any) -> Any:
    def change(trace: dict[str, Any]) -> None:
        attributes = trace["data"]["spans"][0]["attributes"]
        attributes[name] = json.dumps(json.loads(attributes[name]) | facts)

    return change


SAMPLES = {
    "mlflow.traces": Sample(
        "mlflow",
        lines("mlflow_calls.jsonl"),
        4,
        negative=_attribute("mlflow.chat.tokenUsage", input_tokens=-5),
        timeless=lambda r: r["data"]["spans"][0].update(start_time_unix_nano=None),
        nameless=lambda r: r["data"]["spans"][0].update(span_id=None),
        extra=both(
            _attribute("mlflow.chat.tokenUsage", a_new_class_of_tokens=7),
            lambda r: r["info"]["tags"].update({"my.label": "blue"}),
        ),
        secret=both(
            _attribute("mlflow.spanInputs", api_key="hunter2", extra_headers={"authorization": "hunter2"}),
            lambda r: r["info"]["tags"].update(api_key="hunter2", headers="hunter2"),
        ),
    ),
}
