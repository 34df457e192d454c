"""Every operation of the OpenAPI document under generated requests, right and wrong, of an admin and of an auditor, on a home with traffic.

No 5xx but 503, no traceback, and every answer is what the document says: status, media type, headers, schema, no field beside it. Deterministic; a longer run is
`make fuzz` (GOVERNOR_FUZZ_EXAMPLES).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from governor.actions.ingest import ingest
from governor.asgi import create_app
from governor.demo.run import CANDIDATE, WORKFLOW, last_month
from governor.demo.traffic import make_month
from governor.settings import load_settings

EXAMPLES = int(os.environ.get("GOVERNOR_FUZZ_EXAMPLES", "3"))
BESIDE = {
    "UsageSums",
    "CutSums",
    "PartSums",
    "ShadowPlan",
    "ShadowVerdict",
}  # what else stands in them depends on the question, or is many statistics


def unnamed(schema: Any, value: Any, models: dict[str, Any], where: str = "") -> list[str]:
    """Fields that are sent and not in the document: a generated client would not have them."""
    if "$ref" in schema:
        name = schema["$ref"].split("/")[-1]
        return [] if name in BESIDE else unnamed(models[name], value, models, where)
    for part in (*schema.get("oneOf", ()), *schema.get("anyOf", ())):
        if value is not None and part.get("type") != "null":
            return unnamed(part, value, models, where)
    if isinstance(value, list):
        return [found for one in value for found in unnamed(schema.get("items", {}), one, models, f"{where}[]")]
    known = schema.get("properties")
    if not isinstance(value, dict) or not known:
        return []
    return [f"{where}.{name}" for name in value if name not in known] + [
        found for name in known.keys() & value.keys() for found in unnamed(known[name], value[name], models, f"{where}.{name}")
    ]


def every_field_is_named(ctx: Any, response: Any, case: Any) -> None:
    told = case.operation.schema.raw_schema
    success = case.operation.definition.raw["responses"].get(str(response.status_code), {})
    schema = (success.get("content") or {}).get("application/json", {}).get("schema")
    if schema and response.status_code < 300:
        assert unnamed(schema, response.json(), told["components"]["schemas"]) == []


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    every_field_is_named,
]
PEOPLE = ("admin@acme.example", "ada@acme.example")


def operations(app: Any) -> dict[str, Any]:
    config = schemathesis.Config()
    document = schemathesis.openapi.from_asgi("/schema/openapi.json", app, config=config)
    return {f"{one.ok().method.upper()} {one.ok().path}": one.ok() for one in document.get_all_operations()}


LABELS = sorted(
    f"{method.upper()} {path}"
    for path, methods in create_app(load_settings()).openapi_schema.to_schema()["paths"].items()
    for method in methods
    if isinstance(methods[method], dict)
)


@pytest.fixture(scope="module")
def world(
    open_door: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[dict[str, Any], dict[str, str], dict[str, list[Any]]]]:
    """Operations, tokens, and what the home really holds by path parameter: a month of calls, a proposed change, tokens, a ledger."""
    folder = tmp_path_factory.mktemp("fuzz")
    with open_door(folder / "home") as door:
        month = make_month(folder / "month", last_month(datetime.now(UTC)), calls=800)
        ingest(door.ctx, door.admin, "litellm", [str(path) for path in month.files])
        asked = {"workflow": WORKFLOW, "candidate": CANDIDATE, "endpoint": "gateway-shadow", "sample": 60, "margins": {"quality": "0.1"}}
        change = door.post("/api/v1/changes", "rae@acme.example", json={**asked, "reason": "same quality for less"})
        assert change.status_code == 201, change.text
        tokens = {who: door.token(who) for who in (*PEOPLE, "dana@acme.example")}
        theirs = door.get("/api/v1/tokens", params={"email": "dana@acme.example"}).json()["items"][0]["id"]
        known = {
            "month": [one["month"] for one in door.get("/api/v1/periods").json()["items"]],
            "record_id": door.ctx.lake.query("SELECT record_id FROM lake.calls ORDER BY 1 LIMIT 3")["record_id"].to_pylist(),
            "name": [door.get("/api/v1/ledger/entries").json()["items"][0]["id"], "0", "statement.csv"],
            "source": ["litellm", "otlp", "csv", "auto"],
            "change_id": [change.json()["id"]],
            "token_id": [theirs],
            "position": [0, 1],
            "form": ["csv", "xlsx"],
            "path": ["0/000", "0/000.p/1", "entries/000.p/3"],
            "kind": ["workflow", "person"],
        }
        app = create_app(door.ctx.settings, context=door.ctx, with_worker=False)
        yield operations(app), tokens, known


@pytest.mark.parametrize("label", LABELS)
def test_every_answer_is_as_documented(world: Any, label: str, caplog: pytest.LogCaptureFixture) -> None:
    made, tokens, known = world
    operation = made[label]
    modes = (
        list(schemathesis.GenerationMode) if operation.body or list(operation.iter_parameters()) else [schemathesis.GenerationMode.POSITIVE]
    )

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def run(data: st.DataObject) -> None:
        for mode in modes:
            real = {
                name: data.draw(st.sampled_from(known[name])) for name in known if "{" + name + "}" in label and data.draw(st.booleans())
            }
            case = data.draw(operation.as_strategy(generation_mode=mode, path_parameters=real or None))
            for who in PEOPLE:
                case.headers = {**(case.headers or {}), "Authorization": f"Bearer {tokens[who]}"}
                case.call_and_validate(checks=CHECKS, timeout=120)

    run()
    assert "Traceback" not in caplog.text
