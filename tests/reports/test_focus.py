"""The FOCUS file: exact, complete, and refused by our own rules as soon as it is corrupted."""

import csv
import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from governor.chargeback.lines import UNITS
from governor.errors import Invalid
from governor.prices.units import UNIT_METERS
from reports.focus import FOCUS_COLUMNS, render_csv
from reports.focus_check import check_file
from reports.focus_files import SPLIT_COLUMNS, VERSIONS, columns, focus_rows, render_parquet
from reports.focus_files import _split as split
from reports.focus_files import render_csv as render_exact
from reports.focus_rules import check

SHARED = Path(__file__).parents[2] / "../shared/data/focus"
Rows = list[dict[str, str]]


@pytest.fixture(scope="module")
def rows(month: dict[str, Any]) -> Rows:
    return list(csv.DictReader(io.StringIO(render_csv(month).decode())))


def as_csv(rows: Rows, names: list[str] | None = None) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, names or list(rows[0]), lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def test_billed_cost_sums_to_the_statement_in_all_and_per_cost_center(rows: Rows, month: dict[str, Any]) -> None:
    assert sum(Decimal(row["BilledCost"]) for row in rows) == Decimal(month["totals"]["statement_total"])
    for center in month["cost_centers"]:
        assert sum(Decimal(row["BilledCost"]) for row in rows if row["SubAccountId"] == center["id"]) == Decimal(center["total"])


def test_exact_costs_sum_to_the_exact_totals(rows: Rows, month: dict[str, Any]) -> None:
    assert sum(Decimal(row["ListCost"]) for row in rows) == Decimal(month["totals"]["list_cost"])
    assert sum(Decimal(row["EffectiveCost"]) for row in rows) == Decimal(month["totals"]["contracted_cost"])


def test_every_cost_is_its_unit_price_times_its_quantity_exactly(rows: Rows) -> None:
    priced = [row for row in rows if row["ListUnitPrice"]]
    assert len(priced) == len(rows) - 2  # the unpriced model's input and output
    for row in priced:
        for cost, unit in (("ListCost", "ListUnitPrice"), ("ContractedCost", "ContractedUnitPrice")):
            assert Decimal(row[unit]) * Decimal(row["PricingQuantity"]) == Decimal(row[cost])


@pytest.mark.parametrize("render", [render_exact, render_parquet])
def test_no_row_agrees_with_a_statement_of_no_line_and_with_nothing_else(render: Callable[..., bytes], month: dict[str, Any]) -> None:
    empty = month | {"cost_centers": []}
    body = render(empty, "1.2")
    assert check_file(body, empty) == []
    assert [one.what for one in check_file(body)] == ["holds no row"]
    assert "holds no row" in [one.what for one in check_file(body, month)]
    assert check_file(b"", empty)  # not even a header


@pytest.mark.parametrize("meter", [*UNIT_METERS, "request", "reported_cost"])
def test_every_unit_that_is_priced_passes_our_own_check(meter: str, month: dict[str, Any]) -> None:
    center = month["cost_centers"][0]
    price = {"amount": "0.04", "per": 1}
    counted = {"meter": meter, "unit": UNITS[meter], "quantity": 7, "list_price": price, "contract_price": price}
    line = center["lines"][0] | counted | {"list_cost": "0.28", "contracted_cost": "0.28"}
    body = render_csv(month | {"cost_centers": [center | {"lines": [line]}]})
    assert check_file(body) == []


@pytest.mark.parametrize("render", [render_exact, render_parquet])
def test_a_charge_of_the_provider_is_priced_through_in_any_currency(render: Callable[..., bytes], month: dict[str, Any]) -> None:
    center = month["cost_centers"][0]
    price = {"amount": "1", "per": 10**12}
    counted = {"meter": "reported_cost", "unit": UNITS["reported_cost"], "quantity": 17_335_766_567_000, "list_price": price}
    line = center["lines"][0] | counted | {"contract_price": price, "list_cost": "17.335766567", "contracted_cost": "17.335766567"}
    fx = {"currency": "EUR", "rate": "0.9234567891", "source": "ECB", "date": "2026-10-30"}
    document = month | {"cost_centers": [center | {"lines": [line]}], "fx": fx}
    assert check_file(render(document, "1.2")) == []
    row = next(focus_rows(document, "1.2"))
    assert (row["PricingQuantity"], row["PricingUnit"], row["PricingCurrencyListUnitPrice"]) == (Decimal("17.335766567"), "USD", 1)
    billion = line | {"quantity": str(10**21), "list_cost": "1000000000.00", "contracted_cost": "1000000000.00"}
    assert check_file(render(document | {"cost_centers": [center | {"lines": [billion]}]}, "1.2")) == []


def test_corrections_keep_the_original_charge_period(rows: Rows) -> None:
    found = [row for row in rows if row["ChargeClass"] == "Correction"]
    assert found
    assert {row["ChargePeriodStart"] for row in found} == {"2026-09-01T00:00:00Z"}
    assert {row["BillingPeriodStart"] for row in found} == {"2026-10-01T00:00:00Z"}
    assert any(Decimal(row["BilledCost"]) < 0 for row in found)


def test_an_unpriced_use_is_marked_never_a_plain_zero(rows: Rows) -> None:
    found = [row for row in rows if row["x_PriceSource"] == "unpriced"]
    assert [(row["ConsumedQuantity"], row["x_UnpricedReason"]) for row in found] == [
        ("120000.0", "unknown_model"),
        ("31000.0", "unknown_model"),
    ]


def test_unpriced_tiers_of_one_model_are_rows_of_their_own(month: dict[str, Any]) -> None:
    center = next(one for one in month["cost_centers"] if one["unpriced"])
    uses = [center["unpriced"][0] | {"detail": f"no price for service tier {tier!r}"} for tier in ("batch", "priority")]
    document = month | {"cost_centers": [center | {"unpriced": [*uses, uses[1] | {"input_tokens": 7, "detail": "no price was in force"}]}]}
    body = render_csv(document)
    assert check_file(body, document) == []
    assert "service tier 'batch'" in body.decode()
    wrong = body.replace(b",7.0,", b",8.0,")
    assert {one.column for one in check_file(wrong, document)} >= {"ConsumedQuantity"}
    assert [one.column for one in check_file(render_csv(month | {"cost_centers": [center]}), document)] == ["x_LineId"] * 4


def test_parts_in_a_currency_of_small_units_are_as_exact_as_they_were_in_dollars(rows: Rows) -> None:
    parts = shared_out(rows)
    for part in parts:
        part |= {"BillingCurrency": "VND", "x_ExchangeRate": "26325.5"}
        for name in ("ListCost", "ContractedCost", "EffectiveCost"):
            cost = Decimal(part[name]) + Decimal("0.0000000000009")  # what rounding to a pico-dollar may leave
            part["PricingCurrencyEffectiveCost"] = f"{cost:f}"  # of EffectiveCost, the last of them
            part[name] = f"{(cost * Decimal('26325.5')).quantize(Decimal(1).scaleb(-12)):f}"
        for name in ("ListUnitPrice", "ContractedUnitPrice"):
            part[name] = f"{Decimal(part[name]) * Decimal('26325.5'):f}"
    assert not [one for one in check(as_csv(parts)) if one.column not in {"BilledCost", "AllocatedMethodDetails"}]
    parts[0]["ListCost"] = f"{Decimal(parts[0]['ListCost']) * Decimal('0.998'):f}"
    assert {one.column for one in check(as_csv(parts))} >= {"ListCost"}


def test_text_that_a_spreadsheet_would_run_is_defused_and_numbers_are_left_alone(rows: Rows) -> None:
    assert {row["x_Workflow"] for row in rows if "HYPERLINK" in row["x_Workflow"]} == {"'=HYPERLINK(1)"}
    assert any(row["BilledCost"].startswith("-") for row in rows)


def test_our_file_has_no_problem_and_the_same_bytes_every_time(month: dict[str, Any]) -> None:
    assert check(render_csv(month)) == []
    assert render_csv(month) == render_csv(json.loads(json.dumps(month)))


def test_decimals_have_a_point_and_no_exponent(rows: Rows) -> None:
    for row in rows:
        for name in ("BilledCost", "ListCost", "PricingQuantity", "ConsumedQuantity"):
            assert "." in row[name]
            assert "E" not in row[name].upper()


def usage(rows: Rows) -> dict[str, str]:
    return next(row for row in rows if row["ChargeClass"] == "" and Decimal(row["ListCost"]) > 1)


def correction(rows: Rows) -> dict[str, str]:
    return next(row for row in rows if row["ChargeClass"] == "Correction")


def on_usage(**changes: str) -> Callable[[Rows], None]:
    return lambda rows: usage(rows).update(changes)


SEPTEMBER = {"BillingPeriodStart": "2026-09-01T00:00:00Z", "BillingPeriodEnd": "2026-10-01T00:00:00Z"}
MUTATIONS: dict[str, tuple[str, Callable[[Rows], None]]] = {
    "date_without_z": ("ChargePeriodStart", on_usage(ChargePeriodStart="2026-10-01T00:00:00")),
    "period_end_before_start": ("ChargePeriodEnd", on_usage(ChargePeriodEnd="2026-09-30T00:00:00Z")),
    "negative_usage_cost": ("BilledCost", on_usage(BilledCost="-1.0")),
    "list_cost_mismatch": ("ListCost", lambda rows: usage(rows).update(ListCost=str(Decimal(usage(rows)["ListCost"]) * Decimal("1.01")))),
    "contracted_cost_mismatch": ("ContractedCost", lambda rows: usage(rows).update(ContractedCost=str(Decimal(usage(rows)["ContractedCost"]) * Decimal("1.01")))),
    "effective_above_list": ("EffectiveCost", lambda rows: usage(rows).update(EffectiveCost=str(Decimal(usage(rows)["ListCost"]) + 1))),
    "pricing_category_batch": ("PricingCategory", on_usage(PricingCategory="Batch")),
    "nested_tags": ("Tags", on_usage(Tags='{"a":{"b":"c"}}')),
    "skupricedetails_key": ("SkuPriceDetails", on_usage(SkuPriceDetails='{"Model":"gpt-4o"}')),
    "consumed_unit_mtok": ("ConsumedUnit", on_usage(ConsumedUnit="mtok")),
    "billing_period_one_day": ("BillingPeriodEnd", on_usage(BillingPeriodEnd="2026-10-02T00:00:00Z")),
    "padded_ids": ("SkuId", lambda rows: usage(rows).update(SkuId=f" {usage(rows)['SkuId']} ")),
    "duplicate_row": ("x_LineId", lambda rows: rows.append(dict(usage(rows)))),
    "float_cost": ("ListCost", on_usage(ListCost="0.30000000000000004")),
    "pricing_unit_1m": ("PricingUnit", on_usage(PricingUnit="1M Tokens")),
    "currency_lowercase": ("BillingCurrency", on_usage(BillingCurrency="usd")),
    "currency_unknown": ("BillingCurrency", on_usage(BillingCurrency="XXD")),
    "null_mandatory": ("ServiceName", on_usage(ServiceName="")),
    "charge_category_unknown": ("ChargeCategory", on_usage(ChargeCategory="Consumption")),
    "credit_positive": ("BilledCost", on_usage(ChargeCategory="Credit")),
    "correction_in_closed": ("BillingPeriodStart", lambda rows: correction(rows).update(SEPTEMBER)),
    "usage_outside_period": ("ChargePeriodStart", on_usage(ChargePeriodStart="2026-09-01T00:00:00Z", ChargePeriodEnd="2026-10-01T00:00:00Z")),
    "quantity_zero_cost_positive": ("ListCost", on_usage(PricingQuantity="0.0")),
    "tags_not_json": ("Tags", on_usage(Tags="workflow=a")),
    "unpriced_as_zero": ("x_PriceSource", lambda rows: next(row for row in rows if row["x_PriceSource"] == "unpriced").update(x_PriceSource="list")),
    "allocation_ratio_sum": ("x_AllocationRatio", lambda rows: [row.update(x_OriginChargeId="o", x_AllocationRatio="0.03") for row in rows] and None),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_corrupted_file_is_refused_by_row_and_column(name: str, month: dict[str, Any]) -> None:
    rows = list(csv.DictReader(io.StringIO(render_csv(month).decode())))
    column, corrupt = MUTATIONS[name]
    corrupt(rows)
    problems = check(as_csv(rows))
    assert any(problem.column == column for problem in problems), problems


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("BillingPeriodStart", "2026-02-30T00:00:00Z"),
        ("Tags", "[" * 100_000),
        ("file", "x" * 200_000),
    ],
)
def test_a_maimed_cell_is_a_problem_and_no_end_of_the_check(column: str, cell: str, month: dict[str, Any]) -> None:
    rows = list(csv.DictReader(io.StringIO(render_csv(month).decode())))
    usage(rows).update({column if column != "file" else "ChargeDescription": cell})
    assert column in {problem.column for problem in check_file(as_csv(rows))}


def test_columns_are_complete_named_and_in_order(rows: Rows) -> None:
    names = list(rows[0])
    assert any(
        problem.column == "ServiceCategory" for problem in check(as_csv(rows, [name for name in names if name != "ServiceCategory"]))
    )
    assert any(problem.column == "Workflow" for problem in check(as_csv([row | {"Workflow": "a"} for row in rows])))
    assert any(
        problem.column == "x_Workflow" for problem in check(as_csv(rows, ["x_Workflow", *[name for name in names if name != "x_Workflow"]]))
    )
    assert names[: len(FOCUS_COLUMNS)] == list(FOCUS_COLUMNS)


IN_HEADER = {"missing_mandatory", "custom_column_no_prefix", "custom_column_first"}
BY_OTHER_MEANS = {"allocated_parts_do_not_sum", "token_classes_overlap"}  # below: a file with shares, a file held against its statement


def test_the_corruptions_we_know_of_are_the_ones_we_test() -> None:
    known = SHARED / "mutations.json"
    if not known.exists():
        pytest.skip("../shared/data/focus is not here")
    names = {one["id"] for one in json.loads(known.read_text())}
    assert names - IN_HEADER - BY_OTHER_MEANS == MUTATIONS.keys()


def shared_out(rows: Rows) -> Rows:
    """One usage row split in three by a rule."""
    whole = usage(rows)
    parts = [
        whole | {"x_LineId": f"part-{share}", "x_OriginChargeId": "origin", "x_AllocationRatio": share} for share in ("0.5", "0.3", "0.2")
    ]
    for part in parts:
        for name in ("ListCost", "ContractedCost", "EffectiveCost", "BilledCost", "PricingQuantity"):
            part[name] = f"{Decimal(whole[name]) * Decimal(part['x_AllocationRatio']):f}"
    return parts


def test_parts_of_an_origin_cost_their_share(rows: Rows) -> None:
    parts = shared_out(rows)
    assert not [one for one in check(as_csv(parts)) if one.column != "BilledCost"]
    short = [dict(part) for part in parts]
    for name, price in (("ListCost", "ListUnitPrice"), ("ContractedCost", "ContractedUnitPrice")):
        short[0][name] = f"{Decimal(parts[0][name]) * Decimal('0.998'):f}"  # 99.9% of the whole is left
        assert Decimal(short[0][price])
    found = check(as_csv(short))
    assert {(one.row, one.column) for one in found} >= {(1, "ListCost"), (1, "ContractedCost")}


@pytest.mark.parametrize("layout", ["csv", "parquet"])
def test_cached_tokens_counted_twice_are_found_beside_the_statement(layout: str, month: dict[str, Any]) -> None:
    body = render_csv(month) if layout == "csv" else render_parquet(month)
    assert check_file(body, month, month["totals"]["statement_total"]) == []
    twice = json.loads(json.dumps(month))
    center = next(one for one in twice["cost_centers"] if one["id"] == "CC-4100")
    read = next(line for line in center["lines"] if line["meter"] == "cache_read")
    into = next(line for line in center["lines"] if line["meter"] == "input" and line["model"] == read["model"])
    into["quantity"] += read["quantity"]
    for cost, price in (("list_cost", "list_price"), ("contracted_cost", "contract_price")):  # consistent in itself: price x quantity holds
        into[cost] = str(Decimal(into["quantity"]) * Decimal(into[price]["amount"]) / Decimal(into[price]["per"]))
    false = render_csv(twice) if layout == "csv" else render_parquet(twice)
    assert check_file(false) == []
    found = check_file(false, month)
    assert {one.column for one in found} >= {"ConsumedQuantity", "ListCost"}
    assert all(one.row for one in found)


def test_a_row_left_out_and_a_total_that_differs_are_found(rows: Rows, month: dict[str, Any]) -> None:
    less = as_csv([row for row in rows if row is not usage(rows)])
    assert [one.column for one in check_file(less, month)] == ["x_LineId"]
    assert [one.column for one in check_file(less, total=month["totals"]["statement_total"])] == ["BilledCost"]
    assert [one.column for one in check_file(b"PAR1 and no more")] == ["file"]


@pytest.mark.parametrize("version", VERSIONS)
def test_parquet_holds_the_same_rows_as_csv(version: str, month: dict[str, Any]) -> None:
    body = render_parquet(month, version)
    assert body == render_parquet(month, version)
    table = pq.read_table(io.BytesIO(body))
    meant = list(focus_rows(month, version))
    assert table.num_rows == len(meant)
    assert not [field.name for field in table.schema if pa.types.is_floating(field.type)]
    assert sum(table["BilledCost"].to_pylist()) == Decimal(month["totals"]["statement_total"])
    assert sum(table["EffectiveCost"].to_pylist()) == Decimal(month["totals"]["contracted_cost"])
    assert "=HYPERLINK(1)" in table["x_Workflow"].to_pylist()  # nothing runs in Parquet, so nothing is altered


def test_an_id_that_would_run_is_refused_in_csv_not_altered(month: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="row 13, x_Workflow"):
        render_exact(month)


def test_a_shared_charge_says_in_1_3_how_it_was_split(month: dict[str, Any]) -> None:
    document = json.loads(json.dumps(month))
    center = next(one for one in document["cost_centers"] if one["id"] == "CC-4100")
    line = center["lines"][0]
    line |= {
        "rule": "platform@0123",
        "method": "even",
        "ratio": "0.250000000001",
        "origin": "abc",
        "origin_cost_center": "CC-9000",
        "arithmetic": "",
    }
    rows = [_told(row, line) for row in focus_rows(document, "1.2")]
    row = next(split(one) for one in rows if one["x_LineId"] == line["line_id"])
    assert row["AllocatedMethodId"] == "platform@0123"
    assert json.loads(row["AllocatedMethodDetails"], parse_float=Decimal) == {"Elements": [{"AllocatedRatio": Decimal("0.250000000001")}]}
    assert json.loads(row["Tags"])["cost_center"] == "CC-9000"
    assert json.loads(row["AllocatedTags"])["allocated_cost_center"] == "CC-4100"
    names = [name for name, _ in columns("1.3")]
    assert names[: len(FOCUS_COLUMNS) + len(SPLIT_COLUMNS)] == sorted({*FOCUS_COLUMNS, *SPLIT_COLUMNS})


def _told(row: dict[str, Any], line: dict[str, Any]) -> dict[str, Any]:
    """The allocation columns of a row, as the writer sets them."""
    if row.get("x_LineId") != line["line_id"]:
        return row
    return row | {
        "x_AllocationRuleId": line["rule"], "x_AllocationRatio": line["ratio"], "x_OriginChargeId": line["origin"], "x_OriginCostCenter": line["origin_cost_center"],
    }  # fmt: skip
