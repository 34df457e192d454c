"""Each provider's bill for a known month, read by its reader and compared: nothing differs; then each fault alone lands in its own term."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

sys.path.insert(0, str(Path(__file__).parents[1] / "chargeback"))

import bills_of_usage as made

from connectors.bills import anthropic, aws, azure, focus, gcp, generic, openai, openrouter
from governor.actions.read_bill import recognised
from governor.chargeback.reconciliation.bill import Bill
from governor.chargeback.reconciliation.bridge import CAUSES, Reconciled, document, reconcile
from governor.chargeback.reconciliation.cells import UsageLine
from governor.errors import Invalid, TooLarge
from governor.ports import BillReader, Payload

READERS: dict[str, BillReader] = {
    "openai": openai.reader, "anthropic": anthropic.reader, "aws": aws.reader, "azure": azure.reader, "gcp": gcp.reader,
    "openrouter": openrouter.reader,
}  # fmt: skip
EVERY = sorted(READERS)
SAMPLES = Path("../shared/data/billing/providers")


def read(issuer: str, body: bytes) -> Bill:
    found = READERS[issuer].read(Payload(f"{issuer}.bill", body=body))
    assert not found.rejected
    return found


def compared(issuer: str, billed: list[UsageLine], ours: list[UsageLine] | None = None) -> Reconciled:
    bill = read(issuer, made.BILLS[issuer](billed))
    return reconcile(made.MONTH, made.usage(issuer) if ours is None else ours, bill.lines, now=made.SETTLED)


def only(found: Reconciled, cause: str, amount: int) -> None:
    """The amount is in its own term, nothing anywhere else, and the bridge holds."""
    assert {name: value for name, value in found.terms.items() if value} == {cause: amount}
    assert found.ours_pico + sum(found.terms.values()) == found.invoice_pico


@pytest.mark.parametrize("issuer", EVERY)
def test_a_bill_of_the_same_month_agrees_to_the_last_digit(issuer: str) -> None:
    found = compared(issuer, made.usage(issuer))
    assert (found.gross_pico, found.net_pico, found.status) == (0, 0, "reconciled")
    assert not any(found.terms.values())
    assert found.ours_pico == found.invoice_pico == sum(line.cost_pico for line in made.usage(issuer))
    assert len(found.cells) == 31 * 2 * (1 if issuer == "openrouter" else 3)


@pytest.mark.parametrize("issuer", EVERY)
def test_the_reader_recognises_its_own_bill_and_no_other(issuer: str) -> None:
    head = made.BILLS[issuer](made.usage(issuer))[:65536]
    assert {name for name in EVERY if READERS[name].detect(head, "x") >= 0.5} == {issuer}


@pytest.mark.parametrize("issuer", [name for name in EVERY if name != "openrouter"])
def test_cache_reads_that_we_took_for_plain_input(issuer: str) -> None:
    """The provider counted more tokens as cached than we saw; the total of input is the same."""
    true = made.usage(issuer)
    seen, owed = [], 0
    for line in true:
        lost = line.quantity * 241 // 1000
        if line.meter == "cache_read":
            seen.append(made.more(line, -lost))
        elif line.meter == "input":
            cached = next(one for one in true if (one.day, one.model, one.meter) == (line.day, line.model, "cache_read"))
            seen.append(made.more(line, cached.quantity * 241 // 1000))
        else:
            seen.append(line)
    owed = sum(line.cost_pico for line in true) - sum(line.cost_pico for line in seen)
    found = compared(issuer, true, seen)
    assert found.terms["unexplained"] == found.terms["price"] == found.terms["not_captured"] == found.terms["captured_not_billed"] == 0
    assert found.terms["token_class"] + found.terms["rounding"] == owed
    assert abs(found.terms["rounding"]) <= 400  # prices of a third of a pico-dollar: one each line


@pytest.mark.parametrize("issuer", [name for name in EVERY if name != "openrouter"])
def test_tokens_counted_in_two_classes(issuer: str) -> None:
    """We counted 72% more input than there was, because one modality is inside another; output agrees."""
    true = made.usage(issuer)
    seen = made.changed(
        true,
        lambda line: made.more(line, line.quantity * 72 // 100) if line.meter == "input" and line.model == made.MODELS[issuer][0] else line,
    )
    found = compared(issuer, true, seen)
    owed = sum(line.cost_pico for line in true) - sum(line.cost_pico for line in seen)
    assert found.terms["token_class"] + found.terms["rounding"] == owed
    assert abs(found.terms["rounding"]) <= 200
    assert found.terms["unexplained"] == 0


@pytest.mark.parametrize("issuer", EVERY)
def test_cents_read_as_dollars(issuer: str) -> None:
    true = made.usage(issuer)
    seen = made.changed(true, lambda line: replace(line, cost_pico=line.cost_pico * 100, list_pico=line.list_pico * 100))
    found = compared(issuer, true, seen)
    only(found, "price", -99 * sum(line.cost_pico for line in true))
    assert any("factor of exactly 100" in note for note in found.notes)
    assert found.status == "mismatch"


@pytest.mark.parametrize("issuer", EVERY)
def test_traffic_that_bypassed_the_gateway(issuer: str) -> None:
    true = made.usage(issuer)
    ours = [line for line in true if line.model != made.MODELS[issuer][1] or line.day > "2026-10-09"]
    hidden = sum(line.cost_pico for line in true) - sum(line.cost_pico for line in ours)
    only(compared(issuer, true, ours), "not_captured", hidden)
    part = made.changed(true, lambda line: made.more(line, -(line.quantity // 4)) if line.model == made.MODELS[issuer][0] else line)
    hidden = sum(line.cost_pico for line in true) - sum(line.cost_pico for line in part)
    found = compared(issuer, true, part)
    assert found.terms["unexplained"] == 0
    if issuer != "openrouter":  # its one price for all meters cannot tell a quarter of each
        only(found, "not_captured", hidden)


@pytest.mark.parametrize("issuer", EVERY)
def test_calls_the_provider_did_not_bill(issuer: str) -> None:
    true = made.usage(issuer)
    billed = [line for line in true if line.model != made.MODELS[issuer][1]]
    only(compared(issuer, billed), "captured_not_billed", sum(line.cost_pico for line in billed) - sum(line.cost_pico for line in true))


@pytest.mark.parametrize("issuer", EVERY)
def test_a_late_day(issuer: str) -> None:
    """The last day is not on the bill; or a day is billed with the next one's date."""
    true = made.usage(issuer)
    billed = [line for line in true if line.day != "2026-10-31"]
    late = sum(line.cost_pico for line in true if line.day == "2026-10-31")
    only(compared(issuer, billed), "timing", -late)
    found = compared(issuer, made.changed(true, lambda line: replace(line, day="2026-10-12") if line.day == "2026-10-11" else line))
    assert found.terms == dict.fromkeys(CAUSES, 0)
    assert found.gross_pico == 2 * sum(line.cost_pico for line in true if line.day == "2026-10-11")


def test_a_young_day_is_pending_and_no_mismatch() -> None:
    true = made.usage("aws")
    billed = [line for line in true if line.day < "2026-10-29"]
    ours = [line for line in true if line.day <= "2026-10-31"]
    bill = read("aws", made.aws(billed))
    now = datetime(2026, 11, 1, 1, tzinfo=UTC)
    found = reconcile(made.MONTH, ours, bill.lines, now=now)
    assert found.status == "pending"
    assert found.gross_pico == 0
    assert [day for _, day in found.pending_days] == ["2026-10-29", "2026-10-30", "2026-10-31"]
    only(found, "timing", -sum(line.cost_pico for line in true if line.day >= "2026-10-29"))
    assert reconcile(made.MONTH, ours, bill.lines, now=made.SETTLED).status == "mismatch"


def test_a_hundred_more_and_a_hundred_less_is_gross_and_not_net() -> None:
    true = made.usage("openai")
    shift = 100 * 10**12
    first, second = (
        next(place for place, line in enumerate(true) if line.model == model and line.meter == "output" and line.day == "2026-10-20")
        for model in made.MODELS["openai"]
    )
    billed = list(true)
    billed[first] = replace(true[first], cost_pico=true[first].cost_pico + shift)
    billed[second] = replace(true[second], cost_pico=true[second].cost_pico - shift)
    found = compared("openai", billed)
    assert (found.net_pico, found.gross_pico) == (0, 200 * 10**12)
    assert found.status == "mismatch"
    assert [line["status"] for line in document(found)["lines"][:3]] == ["mismatch", "mismatch", "matched"]


def test_credit_tax_fee_and_discount_of_aws() -> None:
    true = made.usage("aws")
    for said, cause, amount in (
        ("Credit", "credits", "-5.25"),
        ("Tax", "tax", "6.35"),
        ("Fee", "fees", "12.5"),
        ("SavingsPlanRecurringFee", "commitment", "40"),
    ):
        row = {
            **made.aws_rows(true[:1])[0],
            "line_item_line_item_type": said,
            "line_item_unblended_cost": amount,
            "line_item_usage_amount": "0",
        }
        bill = read("aws", made._csv([*made.aws_rows(true), row]))
        found = reconcile(made.MONTH, true, bill.lines, now=made.SETTLED)
        only(found, cause, int(Decimal(amount) * 10**12))
        assert (found.gross_pico, found.status) == (0, "reconciled")
    rows = [
        row | {"line_item_net_unblended_cost": str(Decimal(row["line_item_unblended_cost"]) * Decimal("0.9"))}
        for row in made.aws_rows(true)
    ]
    found = reconcile(made.MONTH, true, read("aws", made._csv(rows)).lines, now=made.SETTLED)
    assert {name for name, value in found.terms.items() if value} <= {"discount", "rounding"}
    assert abs(found.terms["discount"] + sum(line.cost_pico for line in true) // 10) < 10**6


def test_credit_tax_and_rounding_of_google() -> None:
    true = made.usage("gcp")
    rows = made.gcp_rows(true)
    rows[0] = rows[0] | {
        "credits": [{"type": "PROMOTION", "amount": Decimal("-3.5")}, {"type": "COMMITTED_USAGE_DISCOUNT", "amount": Decimal("-1.05")}]
    }
    rows.append(rows[1] | {"cost_type": "tax", "cost": Decimal("7.25"), "sku": {"description": "Tax"}})
    rows.append(rows[1] | {"cost_type": "rounding_error", "cost": Decimal("0.004"), "sku": {"description": "Invoice rounding"}})
    found = reconcile(made.MONTH, true, read("gcp", b"\n".join(made._json(row) for row in rows)).lines, now=made.SETTLED)
    terms = {name: value for name, value in found.terms.items() if value}
    assert terms == {"credits": -35 * 10**11, "commitment": -105 * 10**10, "tax": 725 * 10**10, "rounding": 4 * 10**9}


def test_an_exchange_rate() -> None:
    """A bill in euros: refused without a rate; at our books' rate the gap between both rates is its own term."""
    true = made.usage("azure")
    euros = made.changed(true, lambda line: replace(line, cost_pico=line.cost_pico * 4 // 5))
    lines = read("azure", made.azure(euros, "EUR")).lines
    with pytest.raises(Invalid, match="EUR"):
        reconcile(made.MONTH, true, lines, now=made.SETTLED)
    fair = reconcile(made.MONTH, true, lines, now=made.SETTLED, booked={"EUR": Decimal("1.25")})
    assert {name for name, value in fair.terms.items() if value} <= {"rounding"}
    off = reconcile(made.MONTH, true, lines, now=made.SETTLED, booked={"EUR": Decimal("1.30")})
    assert {name for name, value in off.terms.items() if value} <= {"fx", "rounding"}
    assert abs(off.terms["fx"] - sum(line.cost_pico for line in true) // 25) < 10**6
    stated = [replace(line, usd_rate=Decimal("1.25")) for line in lines]
    both = reconcile(made.MONTH, true, stated, now=made.SETTLED, booked={"EUR": Decimal("1.30")})
    assert both.terms["fx"] == off.terms["fx"]


def test_a_tier_we_did_not_see() -> None:
    true = made.usage("openai")
    body = json.loads(b"[" + made.openai(true).replace(b"}\n{", b"},{") + b"]", parse_float=Decimal)
    saved = Decimal(0)
    for page in body:
        for bucket in page["data"]:
            for one in bucket["results"]:
                if one["line_item"].startswith("gpt-5-mini") and one["line_item"].endswith(" output"):
                    one["line_item"] = "gpt-5-mini-2025-08-07 batch, output"
                    saved += one["amount"]["value"] - one["amount"]["value"] / 2
                    one["amount"]["value"] /= 2
    found = reconcile(made.MONTH, true, read("openai", made._json(body)).lines, now=made.SETTLED)
    only(found, "tier", -int(saved * 10**12))


def test_focus_and_plain_csv() -> None:
    rows = [
        {
            "BilledCost": f"{made.dollars(line.cost_pico):f}", "ListCost": f"{made.dollars(line.list_pico):f}", "BillingCurrency": "USD",
            "ChargeCategory": "Usage", "ChargePeriodStart": f"{line.day}T00:00:00Z", "ProviderName": "Microsoft", "ServiceName": "Azure OpenAI",
            "ServiceCategory": "AI and Machine Learning", "SubAccountId": "sub-1", "ConsumedQuantity": f"{Decimal(line.quantity) / 1000:f}",
            "ConsumedUnit": "1K Tokens", "x_SkuMeterName": f"{made.AZURE_NAMES[line.model]} {made.AZURE_METERS[line.meter]} glbl Tokens",
        }
        for line in made.usage("azure")
    ]  # fmt: skip
    tax = rows[0] | {"ChargeCategory": "Tax", "BilledCost": "19.00", "ListCost": "0", "ConsumedQuantity": ""}
    bill = focus.reader.read(Payload("f.csv", body=made._csv([*rows, tax])))
    assert not bill.rejected
    only(reconcile(made.MONTH, made.usage("azure"), bill.lines, now=made.SETTLED), "tax", 19 * 10**12)
    plain = [
        {
            "date": line.day,
            "provider": "openai",
            "model": line.model,
            "meter": line.meter,
            "amount": f"{made.dollars(line.cost_pico):f}",
            "quantity": line.quantity,
        }
        for line in made.usage("openai")
    ]
    bill = generic.reader.read(Payload("p.csv", body=made._csv(plain)))
    assert reconcile(made.MONTH, made.usage("openai"), bill.lines, now=made.SETTLED).gross_pico == 0


def test_a_row_that_is_not_understood_is_named() -> None:
    rows = made.aws_rows(made.usage("aws")[:3])
    rows[1]["line_item_unblended_cost"] = "12,5x"
    rows[2]["line_item_line_item_type"] = "Surprise"
    rows.append(rows[0] | {"line_item_product_code": "AmazonEC2"})
    bill = aws.reader.read(Payload("cur.csv", body=made._csv(rows)))
    assert [(one.row, one.field) for one in bill.rejected] == [(3, "line_item_unblended_cost"), (4, "line_item_line_item_type")]
    assert bill.skipped == {"AmazonEC2": 1}
    assert len(bill.lines) == 1


@pytest.mark.parametrize("amount", ["2,51", "0,123", "1.234,50", "1234,567", "-0,5"])
def test_a_file_with_a_decimal_comma_is_refused_whole(amount: str) -> None:
    """Else 1,234 in the row before it would be a thousand."""
    text = f'date,provider,model,amount\n2026-09-05,openai,gpt-4o,"1,234"\n2026-09-06,openai,gpt-4o,"{amount}"\n'
    with pytest.raises(Invalid, match=f"eu.csv: row 3, amount: '{amount}' has a decimal comma") as refused:
        generic.reader.read(Payload("eu.csv", body=text.encode()))
    assert "nothing of this file was taken" in str(refused.value.hint)


@pytest.mark.parametrize("amount", ["1,234", "1,234,567", "12,345.50", "$1,000", "-1,000", "0.123", ".5", "1e2", "29859"])
def test_a_comma_between_thousands_is_read(amount: str) -> None:
    text = f'date,provider,model,amount\n2026-09-05,openai,gpt-4o,"{amount}"\n'
    (line,) = generic.reader.read(Payload("us.csv", body=text.encode())).lines
    assert line.amount == Decimal(amount.replace(",", "").replace("$", ""))


@pytest.mark.parametrize("issuer", EVERY)
def test_a_bill_that_powershell_wrote_is_read_as_any_other(issuer: str) -> None:
    body = made.BILLS[issuer](made.usage(issuer))
    written = body.decode().encode("utf-16")
    assert READERS[issuer].detect(written, "bill") == READERS[issuer].detect(body, "bill") > 0
    assert READERS[issuer].read(Payload("bill", body=written)).lines == read(issuer, body).lines


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "members": lambda body: gzip.compress(body[:100]) + gzip.compress(body[100:]),
    "zstd": zstandard.compress,
    "frames": lambda body: zstandard.compress(body[:100]) + zstandard.compress(body[100:]),
    "UTF-16 in gzip": lambda body: gzip.compress(body.decode().encode("utf-16")),
}


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("issuer", EVERY)
def test_a_packed_bill_is_recognised_and_read_as_it_is(issuer: str, packed: str) -> None:
    body = made.BILLS[issuer](made.usage(issuer))
    there = PACKED[packed](body)
    assert READERS[issuer].detect(there, "bill.gz") == READERS[issuer].detect(body, "bill") > 0
    assert READERS[issuer].read(Payload("bill.gz", body=there)).lines == read(issuer, body).lines


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_bill_whose_archive_ends_early_is_refused(pack: Callable[[bytes], bytes]) -> None:
    with pytest.raises(Invalid, match=r"bill\.gz: the archive ends early"):
        READERS["openai"].read(Payload("bill.gz", body=pack(made.BILLS["openai"](made.usage("openai")))[:-9]))


def test_a_bill_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.bills.reading.SENT_LIMIT", 1 << 20)
    with pytest.raises(TooLarge, match=r"bill\.zst: larger than 1 MiB unpacked"):
        generic.reader.read(Payload("bill.zst", body=zstandard.compress(b"date,amount\n" + b" " * (2 << 20))))


@pytest.mark.parametrize("sent", [False, True])
def test_a_bill_in_parquet_is_recognised_wherever_it_is(tmp_path: Path, sent: bool) -> None:
    rows = list(csv.DictReader(io.StringIO(made.BILLS["aws"](made.usage("aws")).decode())))
    path = tmp_path / "cur.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    payload = Payload("cur.parquet", body=path.read_bytes()) if sent else Payload("cur.parquet", path=path)
    assert recognised(payload).name == "aws"
    assert len(recognised(payload).read(payload).lines) == len(rows)
    broken = Payload("cur.parquet", body=path.read_bytes()[:200])
    with pytest.raises(Invalid, match=r"no reader of bills recognises cur\.parquet"):
        recognised(broken)


@pytest.mark.parametrize(
    ("issuer", "document", "where"),
    [
        ("openai", {"data": [{"start_time": 1790000000, "results": [5]}]}, "not shaped as a bill"),
        ("anthropic", {"data": [{"starting_at": "2026-10-01T00:00:00Z", "results": ["x"]}]}, "not shaped as a bill"),
        ("aws", {"ResultsByTime": [5]}, "not shaped as a bill"),
        ("gcp", [{"usage_start_time": "2026-10-01", "cost": 1, "sku": {"description": "Gemini"}, "usage": "x"}], "row"),
        ("anthropic", [{"starting_at": "2026-10-01T00:00:00Z", "output_tokens": 1, "cache_creation": 5}], "row"),
    ],
)
def test_a_bill_of_another_shape_is_refused_or_its_row_is_named(issuer: str, document: object, where: str) -> None:
    payload = Payload("bill.json", body=json.dumps(document).encode())
    if where == "row":
        assert [(one.row, one.field) for one in READERS[issuer].read(payload).rejected] == [(1, "row")]
        return
    with pytest.raises(Invalid, match=where):
        READERS[issuer].read(payload)


def test_rows_of_a_table_are_numbered_behind_its_header() -> None:
    body = b"date,model,usage\n2026-10-01,openai/gpt-4o,few\n"
    assert [one.row for one in openrouter.reader.read(Payload("activity.csv", body=body)).rejected] == [2]


def test_a_row_of_more_values_than_columns_is_named_and_not_read_shifted() -> None:
    body = b"date,provider,model,meter,amount\n2026-10-01,openai,gpt-4o,input,1,234.50\n2026-10-01,openai,gpt-4o,output,7.00,\n"
    found = generic.reader.read(Payload("bill.csv", body=body))
    assert [(one.row, one.field) for one in found.rejected] == [(2, "row")]
    assert [line.amount for line in found.lines] == [Decimal("7.00")]


def test_usage_beside_costs_gives_tokens_and_a_usage_report_alone_is_refused() -> None:
    true = made.usage("anthropic")
    report = {
        "data": [
            {
                "starting_at": f"{day}T00:00:00Z",
                "results": [
                    {"model": model, "service_tier": "standard", "workspace_id": "wrkspc_01"}
                    | {made.ANTHROPIC_METERS[line.meter]: line.quantity for line in members if line.model == model}
                    for model in made.MODELS["anthropic"]
                ],
            }
            for day, members in made.by_day(true).items()
        ]
    }
    tokens = read("anthropic", json.dumps(report).encode()).lines
    with pytest.raises(Invalid, match="no money"):
        reconcile(made.MONTH, true, tokens, now=made.SETTLED)
    dearer = made.changed(true, lambda line: replace(line, cost_pico=line.cost_pico * 11 // 10))
    found = reconcile(made.MONTH, true, [*read("anthropic", made.anthropic(dearer)).lines, *tokens], now=made.SETTLED)
    only(found, "price", sum(line.cost_pico for line in dearer) - sum(line.cost_pico for line in true))


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="../shared/data/billing is not here")
def test_the_providers_own_samples_are_read_whole() -> None:
    readers = [*READERS.values(), focus.reader, generic.reader]
    counts = {}
    for path in sorted(SAMPLES.iterdir()):
        reader = max(readers, key=lambda one: one.detect(path.read_bytes()[:65536], str(path)))
        if reader.detect(path.read_bytes()[:65536], str(path)):
            bill = reader.read(Payload(path.name, path=path))
            assert not bill.rejected, path
            counts[path.stem] = (reader.name, len(bill.lines))
    assert counts == {
        "anthropic_cost_report": ("anthropic", 2),
        "anthropic_usage_report_messages": ("anthropic", 5),
        "aws_cost_explorer_get_cost_and_usage": ("aws", 1),
        "aws_cur2_bedrock": ("aws", 6),
        "azure_actual_cost_openai": ("azure", 4),
        "gcp_billing_export_vertex": ("gcp", 4),
        "openai_costs_group_by_project_line_item": ("openai", 4),
        "openai_usage_completions": ("openai", 3),
        "openrouter_activity": ("openrouter", 1),
    }


def test_a_bill_that_counts_in_a_unit_it_does_not_name() -> None:
    """Same money, other count: no difference. Without a pricing unit Bedrock's token meters count thousands."""
    true = made.usage("aws")
    rows = [{name: value for name, value in row.items() if name != "pricing_unit"} for row in made.aws_rows(true)]
    bill = read("aws", made._csv(rows))
    assert sum(line.quantity or 0 for line in bill.lines) == sum(line.quantity for line in true)
    rows = [row | {"pricing_unit": "Units"} for row in rows]
    found = reconcile(made.MONTH, true, read("aws", made._csv(rows)).lines, now=made.SETTLED)
    assert (found.gross_pico, found.terms) == (0, dict.fromkeys(CAUSES, 0))
