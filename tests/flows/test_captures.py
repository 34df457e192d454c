"""Real captures through the real command line: what Governor stores equals what each source can know, alone and together."""

import itertools
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from governor.demo.guide import Guide

CAPTURES = Path(__file__).parents[2] / "../shared/data/captures"
MONTH = "2026-11"

pytestmark = pytest.mark.skipif(not CAPTURES.exists(), reason="../shared/data/captures is not here")

GENERIC = CAPTURES / "litellm/generic_api/raw"
SPEND = CAPTURES / "litellm/SpendLogs.jsonl"
OTEL = CAPTURES / "litellm/litellm_otel/raw"


@pytest.fixture(scope="module")
def views() -> Any:
    return json.loads((CAPTURES / "expected_views.json").read_text())


@pytest.fixture
def guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Guide:
    monkeypatch.delenv("GOVERNOR_TOKEN", raising=False)
    made = Guide(tmp_path / "home", Console(quiet=True))
    made.do("init")
    return made


def by_status(guide: Guide) -> dict[str, Any]:
    return {row["status"]: row for row in guide.do("usage", "--period", MONTH, "--by", "status")["rows"]}


def exported(guide: Guide, tmp_path: Path) -> Any:
    path = tmp_path / "calls.parquet"
    guide.do("calls", "export", "--period", MONTH, "-o", str(path))
    table = pq.read_table(path)
    return table.filter(table["cost_bearing"])


def ok(table: Any) -> Any:
    return table.filter(pc.equal(table["status"], "ok"))


def hits(table: Any) -> int:
    return int(pc.sum(pc.starts_with(pc.fill_null(table["gateway_cache"], ""), "hit")).as_py() or 0)


def test_spend_logs_alone(guide: Guide, views: Any, tmp_path: Path) -> None:
    view = views["litellm"]["spendlogs"]
    counts = guide.do("ingest", "litellm", str(SPEND))
    assert (counts["read"], counts["stored"]) == (view["rows"], view["rows"])
    rows = by_status(guide)
    assert rows["ok"]["calls"] == view["ok"]
    assert sum(row["calls"] for status, row in rows.items() if status != "ok") == view["failed"]
    assert rows["ok"]["input_tokens"] == view["input_ok"]
    assert rows["ok"]["output_tokens"] == view["output_ok"]
    table = exported(guide, tmp_path)
    assert hits(ok(table)) == view["gateway_cache_hits"]
    assert round(Decimal(str(pc.sum(table["cost_amount"]).as_py())), 6) == Decimal(view["gateway_cost"])
    assert guide.do("ingest", "litellm", str(SPEND))["stored"] == 0


def test_generic_api_alone(guide: Guide, views: Any, tmp_path: Path) -> None:
    view = views["litellm"]["generic_api"]
    counts = guide.do("ingest", "auto", str(GENERIC))
    assert (counts["read"], counts["stored"]) == (view["records"], view["records"])
    rows = by_status(guide)
    assert rows["ok"]["calls"] == view["ok"]
    assert sum(row["calls"] for status, row in rows.items() if status != "ok") == view["failed_attempts"]
    assert (rows["ok"]["input_tokens"], rows["ok"]["output_tokens"]) == (view["input_ok"], view["output_ok"])
    table = exported(guide, tmp_path)
    assert hits(ok(table)) == view["gateway_cache_hits"]
    assert round(Decimal(str(pc.sum(table["cost_amount"]).as_py())), 6) == Decimal(view["gateway_cost"])


@pytest.mark.parametrize("order", list(itertools.permutations(("spend", "generic", "otel"))), ids="-".join)
def test_all_witnesses_merge_in_any_order(guide: Guide, views: Any, tmp_path: Path, order: tuple[str, ...]) -> None:
    view = views["litellm"]["all_witnesses_merged"]
    sources = {"spend": ("litellm", SPEND), "generic": ("litellm", GENERIC), "otel": ("otlp", OTEL)}
    for name in order:
        connector, path = sources[name]
        guide.do("ingest", connector, str(path))
    table = ok(exported(guide, tmp_path))
    assert table.num_rows == view["ok_cost_bearing"]
    assert hits(table) == view["of_which_gateway_cache_hits"]


def test_tokens_equal_the_providers_own_log(guide: Guide, tmp_path: Path) -> None:
    truth = {}
    for line in (CAPTURES / "litellm/truth.jsonl").read_text().splitlines():
        served = json.loads(line)
        if served["response_id"]:
            # the provider's own input excludes Anthropic's cache tokens; ours includes them
            cached = (served["cached_tokens"] or 0) + (served["cache_write_tokens"] or 0) if served["kind"] == "anthropic" else 0
            truth[served["response_id"]] = (served["case"], (served["prompt_tokens"] or 0) + cached, served["completion_tokens"])
    exceptions = json.loads((CAPTURES / "expected_views.json").read_text())["litellm"]["exceptions"]
    guide.do("ingest", "litellm", str(SPEND), str(GENERIC))
    compared = 0
    for row in ok(exported(guide, tmp_path)).to_pylist():
        served = truth.get(row["provider_response_id"])
        if served is None or served[0] in exceptions or str(row["gateway_cache"]).startswith("hit"):
            continue
        compared += 1
        assert row["input_tokens"] == served[1], row["provider_response_id"]
        assert (row["output_tokens"] or 0) == (served[2] or 0), row["provider_response_id"]
    assert compared > 150


@pytest.mark.parametrize("flavour", ["genai_json", "openinference_json", "traceloop_json"])
def test_instrumentations_alone(guide: Guide, views: Any, tmp_path: Path, flavour: str) -> None:
    view = views["otel"][flavour]
    counts = guide.do("ingest", "otlp", str(CAPTURES / "otel" / flavour / "raw"))
    assert counts["read"] + counts["other_spans"] == view["spans"]
    assert counts["read"] == view["calls"] + view["anthropic_calls_seen_twice"]
    table = exported(guide, tmp_path)
    assert table.num_rows == view["calls"]
    assert ok(table).num_rows == view["ok"]
    with_usage = pc.or_(pc.is_valid(table["input_tokens"]), pc.is_valid(table["output_tokens"]))
    assert pc.sum(with_usage).as_py() == view["calls_with_usage"]
