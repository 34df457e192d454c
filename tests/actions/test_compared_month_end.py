"""What docs/compared-month-end.md says of our side: a closed month after a price change, a key that is gone, and a late event."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from test_close_period import AFTER, LIST, MORE, calls, prices

from governor.actions.close_period import close, closed_files, status
from governor.actions.context import OPERATOR, SYSTEM
from governor.actions.export_month import export_month
from governor.actions.import_prices import import_prices

OCTOBER, NOVEMBER = "2026-10", "2026-11"
KEYED = """
kind: workflow
id: by-key
owner: olga@acme.example
cost_center: CC-7
risk_tier: low
data_class: internal
match:
  - {api_key_alias: key-of-seven}
routes:
  - {id: current, provider: openai, model: gpt-4o, regions: [us-east-1], approved_until: 2027-03-31}
"""


def test_a_closed_month_stands_and_what_changed_is_in_the_next(world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world.apply(MORE)
    world.apply(KEYED)
    finn = world.person("finn")
    import_prices(world.ctx, finn, prices())
    calls(world, "ads", count=25, workflow="ad-copy", model="gpt-4o-mini", tokens=(3_001, 1_499))
    calls(world, "seven", count=40, workflow=None, tokens=(10_007, 333), api_key_alias="key-of-seven", api_key_id="hash-7")
    world.now = AFTER
    closed = close(world.ctx, finn, OCTOBER, tmp_path)
    october = {file.name: file.sha256 for file in closed_files(world.ctx, OCTOBER)[1]}
    journal = export_month(world.ctx, OPERATOR, OCTOBER, "netsuite", out=tmp_path / "j.csv")["sha256"]
    assert closed["totals"]["statement_total"] == "1.17"

    # 1. the price of gpt-4o input doubles in the book, for October as well
    world.later(hours=1)
    monkeypatch.setitem(LIST, "gpt-4o", ("5", "10"))
    import_prices(world.ctx, SYSTEM, prices())
    # 2. the gateway's key is deleted: no later call carries it, and nothing that was stored is asked of the gateway again
    # 3. a call of October arrives in November
    calls(world, "late", count=1, workflow="ad-copy", model="gpt-4o-mini", tokens=(1_000_000, 0), at=datetime(2026, 10, 31, 23, tzinfo=UTC))

    assert {file.name: file.sha256 for file in closed_files(world.ctx, OCTOBER)[1]} == october
    assert export_month(world.ctx, OPERATOR, OCTOBER, "netsuite", out=tmp_path / "j.csv")["sha256"] == journal
    open_month = status(world.ctx, NOVEMBER)
    [corrections] = open_month["corrections"]
    assert corrections["charge_month"] == OCTOBER
    price_change = Decimal(40 * 10_007) * Decimal("2.5") / 1_000_000
    late = Decimal("0.15")
    assert Decimal(corrections["contracted_cost"]) == price_change + late
