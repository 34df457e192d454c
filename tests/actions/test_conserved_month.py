"""From traffic to the printed total: what calls cost is what every file of the closed month says, to the pico-USD before rounding and to the cent after.

One month is drawn from a seed; the other is two weeks of the ServeGen traces (windows of expected requests), priced, shared out and closed.
"""

from __future__ import annotations

import csv
import io
import json
import random
import re
import shutil
import subprocess
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from sqlmodel import select

from governor.actions.charge_month import charge_month
from governor.actions.close_period import close, files_of
from governor.actions.context import SYSTEM
from governor.actions.import_prices import import_prices
from governor.calls import CALL_SCHEMA, CONTENT_SCHEMA, REJECT_SCHEMA, SPAN_SCHEMA
from governor.ports import Batch
from governor.prices.price import price_of
from governor.prices.seed import Seed
from governor.store.rows.periods import PeriodLine

VOLUME = Path(__file__).parents[3] / "shared/data/volume"
OCTOBER = "2026-10"
START = datetime(2026, 10, 1, tzinfo=UTC)
AFTER = datetime(2026, 11, 3, 9, tzinfo=UTC)
RATES = {  # model -> pico-USD for a token in, from cache, out
    "m-small": (37_037, 3_703, 148_151),
    "m-mid": (1_234_567, 123_457, 9_876_543),
    "m-large": (2_500_001, 1_250_003, 10_000_007),
}
WORKFLOWS = {"claims": "CC-10", "search": "CC-SHARED", "chat": 'CC "20", north', "batch": "CC-30"}
CATALOG = """
kind: workflow
id: {id}
owner: dana@acme.example
cost_center: '{center}'
risk_tier: low
data_class: internal
match:
  - {{metadata.workflow: {id}}}
routes:
  - {{id: s, provider: openai, model: m-small, approved_until: 2027-03-31}}
  - {{id: m, provider: openai, model: m-mid, approved_until: 2027-03-31}}
  - {{id: l, provider: openai, model: m-large, approved_until: 2027-03-31}}
"""
RULES = """
kind: allocation
id: search-for-all
valid_from: 2026-10-01
order: 10
method: proportional
source: {cost_center: CC-SHARED}
"""
PLAN = """
kind: rate_plan
id: platform
valid_from: 2026-10-01
plan: tiered
tiers: [{up_to: "10", percent: "7.77"}, {percent: "3.333"}]
cost_centers: [CC-10, CC-30]
recovers_to: CC-PLATFORM
"""
COMMITMENT = """
kind: commitment
id: mid-ahead
valid_from: 2026-10-01
provider: openai
models: [m-mid]
starts: 2026-10-01
ends: 2027-01-01
monthly_amount: "0.987654321"
unused: {percents: {CC-10: "33.3", CC-30: "66.7"}}
"""
Use = dict[str, Any]  # workflow, model, requests by name and sums of tokens


def worth(use: Use) -> int:
    """Pico-USD, from the traffic itself."""
    fresh, cached, out = RATES[use["model"]]
    return int((use["input"] - use["cached"]) * fresh + use["cached"] * cached + use["output"] * out)


def store(world: Any, uses: list[Use]) -> None:
    rows = [
        {
            "record_id": f"use-{number}", "source_record_id": f"use-{number}", "raw_sha256": f"use-{number}", "dup_group_key": f"response:use-{number}",
            "revision": 0, "source_kind": "litellm.generic_api", "source_instance": "prod", "ingest_uri": "a.jsonl", "ingest_row": number, "grain": "attempt",
            "cost_bearing": True, "sample_rate": 1.0, "start_time": use["at"], "provider": "openai", "requested_model": use["model"],
            "response_model": use["model"], "status": "ok", "input_tokens": use["input"], "cache_read_tokens": use["cached"],
            "output_tokens": use["output"], "traffic_class": "production", "duration_ms": 10.0, "metadata": [("workflow", use["workflow"])],
        }
        for number, use in enumerate(uses)
    ]  # fmt: skip
    empty = [schema.empty_table() for schema in (REJECT_SCHEMA, SPAN_SCHEMA, CONTENT_SCHEMA)]
    counts = world.ctx.lake.ingest("batch-uses", [Batch(pa.Table.from_pylist(rows, schema=CALL_SCHEMA), *empty)], AFTER)
    assert counts.stored == len(rows)


def prepared(world: Any) -> Any:
    for name, center in WORKFLOWS.items():
        world.apply(CATALOG.format(id=name, center=center))
    meters = ("input", "cache_read", "output")
    rows = [
        price_of({"kind": "list", "provider": "openai", "model": model, "meter": meter, "amount": str(Decimal(rate).scaleb(-6)), "per": 1_000_000})
        for model, rates in RATES.items()
        for meter, rate in zip(meters, rates, strict=True)
    ]  # fmt: skip
    import_prices(world.ctx, SYSTEM, Seed("csv", "test", tuple(rows), ()))
    world.now = AFTER
    world.apply(RULES, world.person("finn"))
    return world


def check(world: Any, exact: int, folder: Path) -> dict[str, Any]:
    """Close October and read every total back from the bytes of its files. exact: what it must come to."""
    charged = charge_month(world.ctx, OCTOBER)
    assert sum(line.contracted_pico for line in charged.lines) == exact
    closed = close(world.ctx, world.person("finn"), OCTOBER, folder)
    assert closed["state"] == "closed"
    with world.ctx.rows.session() as session:
        stored = session.exec(select(PeriodLine.contracted_pico).where(PeriodLine.month == OCTOBER)).all()
        files = {file.name: file.body for file in files_of(session, world.ctx.org, OCTOBER)}
    assert sum(stored) == exact, "the lines that were sealed"
    total = Decimal(closed["totals"]["statement_total"])
    assert Decimal(closed["totals"]["contracted_cost"]) == Decimal(exact).scaleb(-12)
    assert total == round(Decimal(exact).scaleb(-12), 2)
    document = json.loads(files[f"statement-{OCTOBER}.json"])
    printed = {"csv": Decimal(0), "pdf": Decimal(0)}
    for name, body in files.items():
        if name.startswith(f"statement-{OCTOBER}-") and name.endswith(".csv"):
            printed["csv"] += added(body, "amount")
            printed["pdf"] += pdf_total(folder / name.replace(".csv", ".pdf"))
    assert printed == {"csv": total, "pdf": total}
    focus, journal = files[f"focus-{OCTOBER}.csv"], files[f"journal-{OCTOBER}.csv"]
    assert added(focus, "BilledCost") == total
    assert added(journal, "debit") == added(journal, "credit")
    posted = list(csv.DictReader(io.StringIO(journal.decode())))
    back = sum((Decimal(row["credit"]) for row in posted if row["cost_center"] and row["credit"]), Decimal(0))
    assert added(journal, "debit") - back == total, "what is charged, less what is given back; all of it where nothing is"
    (parquet,) = duckdb.sql(f"SELECT sum(BilledCost) FROM '{folder}/focus-{OCTOBER}.parquet'").fetchone() or (None,)
    assert parquet == total
    assert {Decimal(file["total"]) for file in closed["files"] if file["name"].startswith(("focus", "journal"))} == {total}
    assert sum(Decimal(center["contracted_cost"]) for center in document["cost_centers"]) == Decimal(exact).scaleb(-12)
    return closed


def added(body: bytes, column: str) -> Decimal:
    return sum((Decimal(row[column]) for row in csv.DictReader(io.StringIO(body.decode())) if row[column]), Decimal(0))


def pdf_total(path: Path) -> Decimal:
    """The large number on the first page, as a reader sees it; parentheses are a minus."""
    text = subprocess.run(["pdftotext", "-layout", "-l", "1", path, "-"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"Total (?:to be charged|to be given back|not allocated)\s.*?(\(?)\$([\d,]+\.\d\d)", text, re.DOTALL)
    assert found is not None, text[:600]
    amount = Decimal(found[2].replace(",", ""))
    return -amount if found[1] else amount


pdftotext = pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext (poppler-utils) is not installed")


@pdftotext
@pytest.mark.parametrize("seed", [1, 20_261_031])
def test_a_drawn_month_is_the_same_in_every_file(seed: int, world: Any, tmp_path: Path) -> None:
    draw = random.Random(seed)
    uses = []
    for _ in range(600):
        tokens = draw.randrange(1, 90_000)
        uses.append(
            {"workflow": draw.choice(list(WORKFLOWS)), "model": draw.choice(list(RATES)), "at": START + timedelta(seconds=draw.randrange(31 * 86_400)),
             "input": tokens, "cached": draw.choice((0, tokens, draw.randrange(tokens))), "output": draw.randrange(8_000)}
        )  # fmt: skip
    store(prepared(world), uses)
    world.apply(PLAN, world.person("finn"))
    world.apply(COMMITMENT, world.person("finn"))
    ahead = 987_654_321_000
    covered = sum(worth(use) for use in uses if use["model"] == "m-mid")
    assert covered > ahead, "more than was bought ahead: the rest is charged as ever"
    check(world, sum(map(worth, uses)), tmp_path / "out")  # paid ahead instead of by the call, to the same amount


@pdftotext
def test_two_weeks_of_servegen_are_the_same_in_every_file(world: Any, tmp_path: Path) -> None:
    if not VOLUME.is_dir():
        pytest.skip("../shared/data/volume is not here")
    uses = servegen()
    assert len(uses) > 9_000
    assert len({use["at"].date() for use in uses}) == 14
    store(prepared(world), uses)
    exact = sum(map(worth, uses))
    closed = check(world, exact, tmp_path / "out")
    journal = (tmp_path / "out" / f"journal-{OCTOBER}.csv").read_bytes()
    assert added(journal, "debit") == added(journal, "credit") == Decimal(closed["totals"]["statement_total"])
    assert Decimal(closed["totals"]["statement_total"]) > 1_000_000, "millions of dollars, to the cent"
    with world.ctx.rows.session() as session:
        lines = [json.loads(row.body) for row in session.exec(select(PeriodLine).where(PeriodLine.month == OCTOBER))]
    parts: dict[str, int] = defaultdict(int)
    for line in lines:
        if line["rule"].startswith("search-for-all@"):
            parts[line["origin"]] += int(line["contracted_pico"])
    assert sum(parts.values()) == sum(worth(use) for use in uses if use["workflow"] == "search"), "shared out whole"


def servegen() -> list[Use]:
    """Language traffic by client in windows of six hours: requests expected in its windows of ten minutes, times its tokens a request then."""
    rows = duckdb.sql(f"""WITH t AS (SELECT model, client_id, window_start_s // 21600 AS w, input_tokens_mean AS i, output_tokens_mean AS o
            FROM '{VOLUME}/servegen_client_token_stats_6h.parquet' WHERE category = 'language'),
        m AS (SELECT model, avg(i) AS i, avg(o) AS o FROM t GROUP BY ALL)
        SELECT r.model, r.client_id, r.window_start_s // 21600 AS w, sum(round(r.expected_requests))::BIGINT AS requests,
            any_value(round(coalesce(t.i, m.i) * 1000)::BIGINT), any_value(round(coalesce(t.o, m.o) * 1000)::BIGINT)
        FROM '{VOLUME}/servegen_client_windows_600s.parquet' r LEFT JOIN t ON t.model = r.model AND t.client_id = r.client_id
            AND t.w = r.window_start_s // 21600 JOIN m ON m.model = r.model
        WHERE r.category = 'language' GROUP BY ALL HAVING requests > 0 ORDER BY ALL""").fetchall()
    names = list(WORKFLOWS)
    return [
        {"workflow": names[client % len(names)], "model": model, "at": START + timedelta(hours=6 * window, seconds=client),
         "input": requests * read // 1000, "cached": requests * read // 1000 * (client % 7) // 10, "output": requests * written // 1000}
        for model, client, window, requests, read, written in rows
    ]  # fmt: skip
