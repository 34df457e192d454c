"""Policy over a million calls: group in DuckDB, decide each distinct question once, join back. Prints; asserts only that the answer is whole."""

import os
from dataclasses import fields
from time import perf_counter
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from governor.actions.judge import judge, prepare
from governor.policy.bundle import load_bundle
from governor.policy.embedded import RegorusEngine
from governor.policy.question import CallQuestion

CALLS = 1_000_000
WORKFLOWS = 200
COLUMNS = [field.name for field in fields(CallQuestion)]

# 200 workflows that mostly use their route, sometimes another model, region, environment or fallback: what a company's month looks like.
TRAFFIC = f"""
CREATE TABLE calls AS
SELECT
    i AS id,
    CASE WHEN r < 0.02 THEN NULL ELSE 'wf-' || (i % {WORKFLOWS}) END AS workflow_id,
    CASE WHEN r < 0.02 THEN 'unmapped' ELSE 'mapped' END AS attribution_status,
    CASE WHEN m < 0.97 THEN 'openai' ELSE 'azure.ai.openai' END AS provider,
    CASE WHEN m < 0.90 THEN 'gpt-4o-2024-08-06' WHEN m < 0.99 THEN 'gpt-4o-mini' ELSE 'gpt-4.1' END AS model,
    CASE WHEN m < 0.90 OR m >= 0.98 THEN 'gpt-4o' ELSE 'gpt-4o-mini' END AS requested_model,
    CASE (i // 7) % 3 WHEN 0 THEN 'us-east-1' WHEN 1 THEN 'eu-west-1' ELSE NULL END AS region,
    CASE WHEN r < 0.98 THEN 'production' ELSE 'staging' END AS environment,
    NULL::VARCHAR AS data_class,
    m >= 0.97 AS is_fallback,
    CASE WHEN m >= 0.97 THEN 'gpt-4o' END AS fallback_from,
    'production' AS traffic_class,
    CASE WHEN i % 2 = 0 THEN '2026-10-01T00:00:00Z' ELSE '2026-10-15T00:00:00Z' END AS "at"
FROM (SELECT i, random() AS r, random() AS m FROM range({CALLS}) t(i))
"""


def catalog() -> dict[str, Any]:
    return {
        "workflows": [
            {
                "id": f"wf-{number}",
                "owner": f"owner{number}@acme.example",
                "environment": "production",
                "risk_tier": "medium",
                "data_class": ("internal", "internal", "confidential")[number % 3],
                "routes": [
                    {"id": "current", "provider": "openai", "model": "gpt-4o", "regions": ["us-*", "eu-*"], "approved_until": "2027-03-31"},
                    {"id": "next", "provider": "openai", "model": "gpt-4o-mini", "approved_until": "2027-03-31"},
                ],
                "fallback": [{"provider": "azure.openai", "model": "gpt-4o"}],
            }
            for number in range(WORKFLOWS)
        ]
    }


@pytest.mark.bench
def test_policy_over_a_million_calls() -> None:
    connection = duckdb.connect()
    connection.execute("SELECT setseed(0.5)")
    connection.execute(TRAFFIC)
    engine = RegorusEngine()
    prepare(engine, load_bundle(), catalog())
    names = ", ".join(f'"{name}"' for name in COLUMNS)

    started = perf_counter()
    groups = connection.execute(f"SELECT {names} FROM calls GROUP BY ALL").to_arrow_table().to_pylist()
    grouped, busy = perf_counter(), sum(os.times()[:4])
    decisions = judge(engine, [CallQuestion(**group) for group in groups])
    judged, evaluated = perf_counter(), sum(os.times()[:4]) - busy
    answers = pa.table(
        {
            **{name: pa.array([group[name] for group in groups], pa.bool_() if name == "is_fallback" else pa.string()) for name in COLUMNS},
            "status": [decision.status for decision in decisions],
        }
    )
    connection.register("answers", answers)
    on = " AND ".join(f'calls."{name}" IS NOT DISTINCT FROM answers."{name}"' for name in COLUMNS)
    rows = connection.execute(f"SELECT status, count(*) FROM calls JOIN answers ON {on} GROUP BY ALL ORDER BY ALL").fetchall()
    joined = perf_counter()

    print(  # noqa: T201 - a bench prints
        f"\npolicy over {CALLS:,} calls: {joined - started:.2f} s"
        f" = group {grouped - started:.2f} + decide {len(groups):,} distinct {judged - grouped:.2f} + join back {joined - judged:.2f};"
        f" {len(groups) / max(evaluated, 1e-9):,.0f} decisions/s of CPU, {CALLS / (joined - started):,.0f} calls/s; {dict(rows)}"
    )
    assert sum(count for _, count in rows) == CALLS
    assert len(decisions) == len(groups)
