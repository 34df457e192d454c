"""The slowest and the dearest calls of a month: of days that were kept as of the calls themselves, and days are counted again only where something of them changed."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import ceil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from connectors.units import with_units
from governor.actions.apply import apply
from governor.actions.context import OPERATOR, SYSTEM, Context, open_context
from governor.actions.govern import govern_month
from governor.actions.governed_rows import TOKENS as COUNTS
from governor.actions.import_prices import import_prices
from governor.actions.price_row import price_row
from governor.actions.windows import Window, measured
from governor.calls import CALL_SCHEMA, CONTENT_SCHEMA, REJECT_SCHEMA, SPAN_SCHEMA
from governor.catalog import parse_documents
from governor.ports import Batch
from governor.prices.price import price_of
from governor.prices.rate import Usage
from governor.prices.seed import Seed
from governor.settings import load_settings
from governor.store import lake_slices

NOW = datetime(2026, 11, 2, tzinfo=UTC)
OCTOBER = "2026-10"
CEILINGS = {"triage": 30_000_000_000, "intake": 12_000_000_000}
CATALOG = """
kind: workflow
id: triage
owner: dana@acme.example
match: [{api_key_alias: triage-key}]
routes:
  - {id: current, provider: openai, model: gpt-4o, approved_until: 2026-10-20}
---
kind: workflow
id: intake
owner: dana@acme.example
match: [{metadata.workflow: intake}]
routes: []
"""
PEOPLE = "kind: person\nemail: dana@acme.example\nroles: [owner]\n---"


def drawn(first: int, size: int, *, key: str = "triage-key", on: int = 0, source: str = "litellm.generic_api") -> Batch:
    """on: the day of October; 0 for all. From another source: what it saw of the same calls, each with the key."""
    draw, calls = random.Random(first), []
    for number in range(first, first + size):
        minute = (on - 1) * 1440 + draw.randrange(1440) if on else draw.randrange(31 * 1440)
        start, model = (
            datetime(2026, 10, 1, tzinfo=UTC) + timedelta(minutes=minute),
            draw.choice(["gpt-4o", "gpt-4o", "banded", "stepped", "unknown-1", "drawn", "plain"]),
        )
        told = draw.randrange(9000)
        counts = draw.choice([{}, {}, {}, {"web_search": draw.choice([1, 4])}, {"file_search": 1}, {"image": 1}])
        charged, drawn_tokens = draw.choice([None, None, Decimal("0.031")]), draw.choice([None, 40])
        if model == "plain":
            counts, charged, drawn_tokens = {}, None, None
        calls.append(
            {
                "record_id": f"{source}{number:064x}", "revision": 0, "source_kind": source, "dup_group_key": f"response:{number}", "source_instance": "test",
                "source_record_id": f"call-{number}", "raw_sha256": f"{number:064x}", "grain": "attempt", "cost_bearing": True, "start_time": start,
                "end_time": start, "time_basis": "start", "duration_ms": draw.choice([None, draw.random() * 4000]), "provider": "openai",
                "requested_model": model, "response_model": model, "input_tokens": draw.choice([None, told, told]),
                "cache_read_tokens": draw.choice([None, told // 3]), "output_tokens": draw.randrange(900), "status": draw.choice(["ok", "ok", "error"]),
                "traffic_class": draw.choice(["production", "production", "shadow"]), "usage_source": "provider",
                "usage_raw": with_units("{}", {name: Decimal(count) for name, count in counts.items()}), "image_output_tokens": drawn_tokens,
                "cost_source": "provider_billed" if charged else "gateway_estimate", "cost_amount": charged, "cost_currency": "USD",
                "gateway_cache": draw.choice(["none", None, "hit_exact"]), "api_key_alias": draw.choice([key, "other", None]) if source == "litellm.generic_api" else key,
                "metadata": [("workflow", draw.choice(["intake", "elsewhere"]))],
            }
        )  # fmt: skip
    table = pa.Table.from_arrays(
        [pa.array([one.get(field.name) for one in calls], field.type) for field in CALL_SCHEMA], schema=CALL_SCHEMA
    )
    return Batch(table, REJECT_SCHEMA.empty_table(), SPAN_SCHEMA.empty_table(), CONTENT_SCHEMA.empty_table())


@pytest.fixture
def ctx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    monkeypatch.setattr(lake_slices, "LEAST", 0)
    context = open_context(load_settings(home=tmp_path / "home"), create=True)
    context.now = lambda: datetime(2026, 9, 1, tzinfo=UTC)
    apply(context, OPERATOR, parse_documents(PEOPLE + CATALOG, "catalog.yaml"))
    listed = {"kind": "list", "provider": "openai", "per": 1_000_000}
    prices: list[dict[str, Any]] = [
        *({"model": "gpt-4o", "meter": meter, "amount": amount} for meter, amount in (("input", "2.5"), ("cache_read", "1"), ("output", "10.0000003"))),
        *({"model": "banded", "meter": "input", "amount": amount, **band} for amount, band in (("2", {"context_max": 4000}), ("5", {"context_min": 4000}))),
        {"model": "banded", "meter": "output", "amount": "20"},
        {"model": "stepped", "meter": "input", "amount": "3", "context_max": 2001, "band_rule": "marginal"},
        {"model": "stepped", "meter": "input", "amount": "6", "context_min": 2001, "band_rule": "marginal"},
        {"model": "stepped", "meter": "output", "amount": "12"},
        {"model": "plain", "meter": "input", "amount": "40"}, {"model": "plain", "meter": "output", "amount": "40"},
        {"model": "gpt-4o", "meter": "web_search", "amount": "10000"},
        {"model": "drawn", "meter": "input", "amount": "1"}, {"model": "drawn", "meter": "output", "amount": "1"},
        {"model": "drawn", "meter": "image_output", "amount": "900"}, {"model": "banded", "meter": "file_search", "amount": "1"},
    ]  # fmt: skip
    import_prices(context, SYSTEM, Seed("csv", "test", tuple(price_of({**listed, **price}) for price in prices), ()))
    context.now = lambda: NOW
    context.lake.ingest("batch-1", [drawn(0, 3000)], NOW)
    yield context
    context.close()


def by_hand(ctx: Context) -> dict[str, tuple[Any, ...]]:
    """The measures from the calls themselves, one by one: p95, calls over the ceiling, the dearest."""
    month = govern_month(ctx, OCTOBER)
    owner = {(group.epoch_start, *group.keys.values()): group.workflow_id for group in month.groups}
    names = list(month.groups[0].keys)
    epochs = sorted({month.start, *(mark for mark in month.timeline.boundaries if month.start < mark < month.end)})
    slow, over = defaultdict(list), defaultdict(list)
    for call in ctx.lake.calls(start=month.start, end=month.end, cost_bearing=True).to_pylist():
        epoch = max(mark for mark in epochs if mark <= call["start_time"])
        said = dict(call["metadata"] or ())
        way = (epoch, *(said.get(key.removeprefix("metadata.")) if "." in key else call[key] for key in names))
        name = owner.get(way)
        if name is None or call["traffic_class"] != "production":
            continue
        if call["status"] == "ok" and call["duration_ms"] is not None:
            slow[name].append(call["duration_ms"])
        usage = Usage(
            counts=tuple(json.loads(call["usage_raw"]).get("governor_units", {}).items()), **{name: call[name] for name in COUNTS}
        )
        row = call | {"model": call["response_model"], "context_band": None, "cost_unknown_calls": int(call["cost_amount"] is None)}
        cost = price_row(row, month.book, epoch, usage)[0].contracted_pico
        if cost is not None and cost > CEILINGS.get(name, 10**30) and not str(call["gateway_cache"]).startswith("hit"):
            over[name].append(cost)
    found = {}
    for name in ("intake", "triage"):
        ordered = sorted(slow[name])
        p95 = ceil(ordered[max(1, len(ordered) - len(ordered) * 5 // 100) - 1]) if ordered else None
        found[name] = (p95, len(over[name]), max(over[name], default=None))
    return found


def told(ctx: Context) -> dict[str, tuple[Any, ...]]:
    month = govern_month(ctx, OCTOBER)
    windows: list[Window] = measured(ctx, month, OCTOBER, CEILINGS, ["intake", "triage"])
    return {one.workflow_id: (one.p95_ms, one.calls_over_ceiling, one.max_call_pico) for one in windows}


def kept(ctx: Context) -> set[str]:
    return {path.name for path in ctx.lake._kept.glob("*.arrow")}


def test_kept_days_and_calls_one_by_one_say_the_same(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = by_hand(ctx)
    assert all(p95 and over and most for p95, over, most in wanted.values()), "the draw reaches every measure"
    first = told(ctx)
    before = kept(ctx)
    assert first == told(ctx) == wanted
    assert kept(ctx) == before
    with monkeypatch.context() as patch:
        patch.setattr(lake_slices, "LEAST", 10**12)
        assert told(ctx) == wanted


def test_new_calls_change_their_day_alone_though_they_bring_a_new_key(ctx: Context) -> None:
    told(ctx)
    before = kept(ctx)
    ctx.lake.ingest("batch-2", [drawn(10_000, 60, key="a key nobody knew", on=9)], NOW)
    assert told(ctx) == by_hand(ctx)
    assert {name[:8] for name in kept(ctx) - before} == {"20261009"}


def test_few_new_calls_leave_a_day_as_it_was_counted_until_what_was_nobodys_is_somebodys(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(ctx)
    whole = []
    note = lake_slices._Asked.note
    monkeypatch.setattr(lake_slices._Asked, "note", lambda asked, number: (whole.append(asked.spans[number].day), note(asked, number))[1])
    ctx.lake.ingest("batch-2", [drawn(20_000, 8, key="a key nobody knew", on=9)], NOW)
    assert told(ctx) == by_hand(ctx)
    assert whole == [], "the answer of eight calls was put beside that of the day"
    ctx.now = lambda: datetime(2026, 10, 1, tzinfo=UTC)
    apply(
        ctx,
        OPERATOR,
        parse_documents(
            CATALOG.replace("[{api_key_alias: triage-key}]", "[{api_key_alias: triage-key}, {api_key_alias: other}]"), "c.yaml"
        ),
    )
    ctx.now = lambda: NOW
    ctx.lake.ingest("batch-3", [drawn(30_000, 8, on=9)], NOW)
    assert told(ctx) == by_hand(ctx)
    assert datetime(2026, 10, 9, tzinfo=UTC) in whole


def test_another_owner_ceiling_or_price_is_another_answer(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    before = told(ctx)
    monkeypatch.setitem(CEILINGS, "triage", 5_000_000_000)
    lower = told(ctx)
    assert lower["triage"][1] > before["triage"][1]
    assert lower == by_hand(ctx)
    ctx.now = lambda: datetime(2026, 10, 12, 7, tzinfo=UTC)
    apply(ctx, OPERATOR, parse_documents(CATALOG.replace("triage-key", "other"), "catalog.yaml"))
    ctx.now = lambda: NOW
    names, moved = kept(ctx), told(ctx)
    assert moved == by_hand(ctx) != lower
    assert min(name[:8] for name in kept(ctx) - names) == "20261012"
    dearer = {"kind": "list", "provider": "openai", "model": "gpt-4o", "per": 1_000_000}
    rows = tuple(price_of({**dearer, "meter": meter, "amount": "15"}) for meter in ("input", "output"))
    ctx.now = lambda: NOW + timedelta(hours=1)
    import_prices(ctx, SYSTEM, Seed("csv", "later", rows, ()))
    ctx.now = lambda: NOW + timedelta(hours=2)
    assert told(ctx) == by_hand(ctx)
    assert told(ctx)["triage"][1] > moved["triage"][1]


def test_what_another_witness_knew_decides_whose_call_it_is(ctx: Context) -> None:
    before = told(ctx)
    ctx.lake.ingest("batch-2", [drawn(0, 800, source="otlp.gen_ai", key="triage-key")], NOW)
    after = told(ctx)
    assert after == by_hand(ctx) != before
