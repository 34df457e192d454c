"""The statement says how far the month agrees with the bills: the numbers of the reconciliation on record, a bridge for each provider, or that there is none."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from governor.actions.close_checklist import close_checklist
from governor.actions.close_period import close, files_of
from governor.actions.govern import govern_month
from governor.actions.import_prices import import_prices
from governor.actions.our_usage import our_usage
from governor.actions.period_way import period_way
from governor.actions.reconcile_period import latest, reconcile_period
from governor.chargeback.statement import for_cost_center
from governor.ports import Payload
from governor.prices.formats import read_prices
from reports.statement import render_html
from tests.actions.test_close_period import AFTER, MORE, OCTOBER, calls, prices

HAIKU = "provider,model,meter,amount,per,valid_from\nanthropic,claude-haiku-4-5,input,1,1000000,\nanthropic,claude-haiku-4-5,output,5,1000000,\n"
SETTLED = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def month(world: Any) -> Any:
    world.apply(MORE)
    import_prices(world.ctx, world.person("finn"), prices())
    import_prices(world.ctx, world.person("finn"), read_prices(HAIKU, "haiku.csv"))
    calls(world, "fnol", count=40, tokens=(1_000_000, 33_333))
    calls(world, "ads", count=25, workflow="ad-copy", model="gpt-4o-mini", tokens=(3_001, 1_499))
    calls(world, "claude", count=5, model="claude-haiku-4-5", provider="anthropic", tokens=(100_000, 1_000))
    calls(world, "google", count=1, model="gemini-x", provider="google", tokens=(1, 1))
    world.now = AFTER
    world.later(days=17)
    assert world.now >= SETTLED
    return world


def bill(world: Any, *, more: str = "0") -> bytes:
    """What we know, as a bill; `more`: what OpenAI charges beyond it."""
    rows = ["date,provider,model,meter,quantity,amount,currency"]
    for line in our_usage(world.ctx, OCTOBER).lines:
        cost = Decimal(line.cost_pico) / 10**12
        extra = Decimal(more) if (line.model, line.meter) == ("gpt-4o", "output") else Decimal(0)
        rows.append(f"{line.day},{line.issuer},{line.model},{line.meter},{line.quantity},{cost + extra:f},USD")
    return ("\n".join(rows) + "\n").encode()


def compared(world: Any, **faults: str) -> dict[str, Any]:
    reconcile_period(world.ctx, world.person("finn"), OCTOBER, bills=[("csv", [Payload(uri="bill.csv", body=bill(world, **faults))])])
    found = latest(world.ctx, OCTOBER)
    assert found is not None
    return found


def closed(world: Any) -> dict[str, Any]:
    close(world.ctx, world.person("finn"), OCTOBER)
    with world.ctx.rows.session() as session:
        return json.loads(next(file.body for file in files_of(session, world.ctx.org, OCTOBER) if file.name == "statement-2026-10.json"))


def seen(document: dict[str, Any]) -> str:
    page = render_html(for_cost_center(document, "CC-4100"))
    return re.sub(r"\s+", " ", re.sub(r"<svg.*?</svg>", "[chart]", page, flags=re.DOTALL))


def test_a_verdict_on_part_of_the_spend_says_on_which(month: Any) -> None:
    """One small bill that agrees is no month that was looked at: page, way and statement say how much it speaks of."""
    rows = bill(month).decode().splitlines()
    only = "\n".join(row for row in rows if ",openai," not in row).encode()
    reconcile_period(month.ctx, month.person("finn"), OCTOBER, bills=[("csv", [Payload(uri="bill.csv", body=only)])])
    found = latest(month.ctx, OCTOBER)
    assert found is not None
    ours, without = Decimal(found["ours"]), {one["issuer"]: Decimal(one["ours"]) for one in found["without_bill"]}
    assert (found["status"], without.keys()) == ("reconciled", {"openai"})
    share = int(ours * 10_000 / (ours + without["openai"]))
    told = f"of {share // 100}.{share % 100:02}% of our spend: no bill of openai ({without['openai']:,.2f} USD)"
    [item] = [one for one in close_checklist(month.ctx, OCTOBER)["items"] if one["name"] == "Reconciled with bills"]
    assert (item["state"], item["text"]) == ("look", f"the newest comparison says reconciled, {told}")
    [step] = [one for one in period_way(month.ctx, OCTOBER)["way"] if one["name"] == "reconciled"]
    assert step["text"].endswith(f"says reconciled, {told}")
    page = seen(closed(month))
    assert "The bills that were brought agree with us within the limits; <b>of openai there was none</b>." in page


def test_the_statement_prints_the_numbers_of_the_reconciliation(month: Any) -> None:
    found = compared(month, more="1.25")
    document = closed(month)
    said = document["reconciliation"]
    assert {name: said[name] for name in ("ours", "invoice", "difference", "net", "gross", "digest")} == {
        name: found[name] for name in ("ours", "invoice", "difference", "net", "gross", "digest")
    }
    assert {one["issuer"]: one["difference"] for one in said["issuers"]} == {"anthropic": "0.00", "openai": "1.25"}
    for one in said["issuers"]:
        steps = sum((Decimal(amount) for _, amount in one["steps"]), Decimal(0))
        assert Decimal(one["ours"]) + steps == Decimal(one["invoice"])
    for name in ("ours", "invoice", "difference"):
        assert sum(Decimal(one[name]) for one in said["issuers"]) == Decimal(found[name])
    for cause, amount in found["bridge"].items():
        assert sum(Decimal(one["bridge"][cause]) for one in found["issuers"]) == Decimal(amount)
    page = seen(document)
    assert page.count("[chart]") == 1, "OpenAI's bridge; Anthropic has nothing to bridge"
    assert "Nothing to bridge: both sides say the same" in page
    assert f"{Decimal(found['gross']['percent']):.2f} %" in page
    assert found["digest"] in page
    assert "Not reconciled" not in page


def test_without_a_bill_the_statement_says_so(month: Any) -> None:
    document = closed(month)
    assert document["reconciliation"] is None
    page = seen(document)
    assert "<b>Not reconciled.</b> When this month was closed, no bill" in page
    compared(month)
    assert json.loads(json.dumps(closed(month)))["reconciliation"] is None, "a later comparison changes no closed month"


def test_a_result_of_an_earlier_version_prints_one_bridge_of_all_providers(month: Any) -> None:
    from governor.chargeback.reconciliation.bridge import printed

    found = compared(month, more="1.25")
    found["issuers"] = [{name: one[name] for name in ("issuer", "ours", "billed_usage", "net", "gross")} for one in found["issuers"]]
    (one,) = printed(found)["issuers"]
    assert (one["issuer"], one["difference"], one["gross"]) == ("anthropic, openai", found["difference"], found["gross"])


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext (poppler-utils) is not installed")
def test_the_pdf_has_the_section(month: Any, tmp_path: Path) -> None:
    compared(month, more="1.25")
    close(month.ctx, month.person("finn"), OCTOBER, tmp_path)
    text = subprocess.run(
        ["pdftotext", "-layout", tmp_path / "statement-2026-10-CC-4100.pdf", "-"], capture_output=True, text=True, check=True
    ).stdout
    assert "Reconciled with the providers" in text
    assert "Invoice minus ours" in text


def test_what_is_counted_in_units_costs_the_same_on_both_sides(world: Any) -> None:
    """Four pictures a call, at a contract's price for a picture, whatever the provider charged."""
    world.apply(MORE)
    world.apply(
        "kind: contract_price\nprovider: fal\nmodel: flux\nmeter: image\nprice: {amount: '0.02', per: '1'}\nvalid_from: 2026-10-01\n"
    )
    said = {
        "usage_raw": '{"output_units": 4}',
        "input_tokens": None,
        "output_tokens": None,
        "cost_source": "provider_billed",
        "cost_amount": Decimal("0.2"),
    }
    calls(world, "flux", count=3, model="flux", **said | {"provider": "fal"})
    ours = sum(line.cost_pico for line in our_usage(world.ctx, OCTOBER).lines)
    assert ours == sum(group.contracted_pico for group in govern_month(world.ctx, OCTOBER).groups) == 3 * 4 * 20_000_000_000
