"""A preview says what an ingest would do, and stores nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from governor.actions import preview_source as module
from governor.actions.context import OPERATOR, Context
from governor.actions.ingest import ingest
from governor.actions.preview_source import preview_source
from governor.errors import Invalid, NotFound

FIXTURES = Path(__file__).parents[1] / "connectors/fixtures"
EVENTS = FIXTURES / "mapping_llm_usage_events.jsonl"
MAPPING = "mapping:llm_usage_events"


def test_it_counts_what_an_ingest_then_stores(ctx: Context, tmp_path: Path) -> None:
    broken = tmp_path / "events.jsonl"
    broken.write_text(EVENTS.read_text() + '{"id": "x"}\n' + '{"id": "y", "created_at": "soon"}\nnot json\n')
    said = preview_source(ctx, str(broken), MAPPING)
    assert (said["records"], said["calls"], said["rejected"], said["other_spans"], said["repeated_ids"]) == (8, 5, 3, 0, 0)
    assert (said["without_usage"], said["without_cost"], said["complete"]) == (1, 1, True)
    assert said["forms"] == {"llm_usage_events.row": 5}
    assert {one["code"]: (one["records"], one["example"]["row"]) for one in said["reasons"]} == {"bad_time": (2, 5), "invalid_json": (1, 7)}
    [stored] = ctx.lake.query("SELECT (SELECT count(*) FROM {calls}) + (SELECT count(*) FROM lake.quarantine) AS n").to_pylist()
    assert stored["n"] == 0
    counts = ingest(ctx, OPERATOR, MAPPING, [str(broken)])
    assert (counts["read"], counts["stored"], counts["quarantined"]) == (said["records"], said["calls"], said["rejected"])


def test_each_call_says_where_its_workflow_and_owner_came_from(ctx: Context, world: Any) -> None:
    world.apply(
        "kind: workflow\nid: search\nowner: olga@acme.example\ncost_center: CC-1\nrisk_tier: low\ndata_class: internal\n"
        "match:\n  - {app: 'policy-*', source: events}\nroutes:\n  - {id: r, provider: openai, model: gpt-4o, approved_until: 2027-03-31}\n"
    )
    rows = preview_source(ctx, str(EVENTS), MAPPING, source="events")["first"]
    assert [(row["workflow"], row["owner"]) for row in rows[3:]] == [("search", "olga@acme.example")] * 2
    assert (rows[3]["rule"], rows[3]["reason"]) == ("search#1", "rule search#1: app is policy-* and source is events")
    assert (rows[0]["workflow"], rows[0]["owner"], rows[0]["claimed_workflow"]) == (None, None, "fnol-triage")
    assert "no rule matches" in rows[0]["reason"]
    assert (rows[0]["cost_amount"], rows[0]["cost_currency"], rows[2]["cost_amount"]) == ("0.0001302", "USD", None)
    assert preview_source(ctx, str(EVENTS), MAPPING)["first"][3]["workflow"] is None  # not that source


def test_without_a_home_there_is_only_the_claim() -> None:
    said = preview_source(None, str(EVENTS), MAPPING)
    assert [row["claimed_workflow"] for row in said["first"]] == ["fnol-triage"] * 3 + [None] * 2
    assert {row["workflow"] for row in said["first"]} == {None}
    assert json.dumps(said)


def test_it_detects_names_what_it_does_not_know_and_shows_no_more_than_twenty(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing of ours")
    (tmp_path / "log.jsonl").write_bytes((FIXTURES / "litellm_generic_api.jsonl").read_bytes())
    said = preview_source(None, str(tmp_path))
    assert (said["connectors"], said["not_recognised"]) == ({"litellm": 1}, [str(tmp_path / "notes.txt")])
    assert (said["calls"], len(said["first"])) == (25, 20)


def test_ids_that_repeat_are_counted(tmp_path: Path) -> None:
    mapping = tmp_path / "own.yaml"
    mapping.write_text(
        "name: own.row\nabout: x\nwitness: tracer\nfinds: [id]\ncolumns: {source_record_id: feature, start_time: created_at, requested_model: model}\n"
    )
    assert preview_source(None, str(EVENTS), f"mapping:{mapping}")["repeated_ids"] == 3


def test_a_large_input_is_read_in_part_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = tmp_path / "large.jsonl"
    large.write_text(EVENTS.read_text() * 10)
    monkeypatch.setattr(module, "MOST", 20)
    monkeypatch.setattr(module, "_BATCH", 5)
    said = preview_source(None, str(large), MAPPING)
    assert (said["complete"], said["records"]) == (False, 20)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "odd.bin").write_bytes(b"\x00\x01 nothing")
    with pytest.raises(Invalid, match=r"odd\.bin"):
        preview_source(None, str(tmp_path / "odd.bin"))
    with pytest.raises(NotFound):
        preview_source(None, str(tmp_path / "gone.jsonl"))
    with pytest.raises(NotFound, match="fluentd"):
        preview_source(None, str(EVENTS), "fluentd")
    with pytest.raises(Invalid, match="no such mapping"):
        preview_source(None, str(EVENTS), "mapping:gone.yaml")
