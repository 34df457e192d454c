"""FOCUS 1.3 on a month whose charges were shared out in every way: parts sum to their origin exactly, columns as the specification says, and a broken part is caught."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from governor.actions.close_period import close
from governor.actions.export_month import exported
from governor.actions.import_prices import import_prices
from reports.focus_rules import check
from tests.actions.test_close_period import AFTER, MORE, OCTOBER, calls, prices

Row = dict[str, str]
METHODS = ("even", "fixed", "proportional", "driver", "residual")
SOURCE = """
kind: workflow
id: shared-{name}
owner: olga@acme.example
cost_center: CC-{name}
risk_tier: low
data_class: internal
match:
  - {{metadata.workflow: shared-{name}}}
routes:
  - {{id: current, provider: openai, model: gpt-4o-mini, regions: [us-east-1], approved_until: 2027-03-31}}
"""
RULES = """
kind: allocation
id: in-thirds
valid_from: 2026-10-01
order: 10
method: even
source: {cost_center: CC-even}
targets: [CC-4100, "CC 52/00", CC-9]
---
kind: allocation
id: by-contract
valid_from: 2026-10-01
order: 20
method: fixed
source: {cost_center: CC-fixed}
percents: {CC-4100: "33.3", "CC 52/00": "66.7"}
---
kind: allocation
id: by-spend
valid_from: 2026-10-01
order: 30
method: proportional
source: {cost_center: CC-proportional}
---
kind: allocation
id: by-seats
valid_from: 2026-10-01
order: 40
method: driver
driver: seats
source: {cost_center: CC-driver}
---
kind: allocation
id: nobodys
valid_from: 2026-10-01
order: 99
method: residual
targets: [CC-9]
---
kind: driver
id: seats
period: 2026-10
source: HR export of 2026-10-31
weights: {CC-4100: "70", "CC 52/00": "35", CC-9: "2"}
"""
TOKENS = {"even": (70_001, 9_999), "fixed": (70_003, 9_997), "proportional": (70_009, 9_991), "driver": (70_017, 9_989)}


@pytest.fixture
def world13(world: Any) -> Any:
    world.apply(MORE)
    for name in TOKENS:
        world.apply(SOURCE.format(name=name))
    import_prices(world.ctx, world.person("finn"), prices())
    calls(world, "fnol", count=40, tokens=(10_007, 333))
    calls(world, "ads", count=25, workflow="ad-copy", model="gpt-4o-mini", tokens=(3_001, 1_499))
    for name, tokens in TOKENS.items():
        calls(world, name, count=31, workflow=f"shared-{name}", model="gpt-4o-mini", tokens=tokens)
    calls(world, "nobody", count=3, workflow=None, model="gpt-4o-mini", tokens=(1_003, 101))
    world.now = AFTER
    world.apply(RULES, world.person("finn"))
    close(world.ctx, world.person("finn"), OCTOBER)
    return world


@pytest.fixture
def body(world13: Any) -> bytes:
    return exported(world13.ctx, world13.person("finn"), OCTOBER, "focus-1.3").body


def rows_of(body: bytes) -> list[Row]:
    return list(csv.DictReader(io.StringIO(body.decode())))


def parts_of(rows: list[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["AllocatedMethodId"]:
            found[row["x_OriginChargeId"]].append(row)
    return found


def pico(dollars: Decimal) -> int:
    assert dollars * 10**12 == int(dollars * 10**12)
    return int(dollars * 10**12)


def test_parts_sum_to_their_origin_exactly_in_every_method(body: bytes) -> None:
    sums: dict[str, list[int]] = defaultdict(list)
    for parts in parts_of(rows_of(body)).values():
        (method,) = {part["x_AllocationMethod"] for part in parts}
        sums[method].append(sum(pico(Decimal(part["ContractedCost"])) for part in parts))
        assert sum(Decimal(part["x_AllocationRatio"]) for part in parts) == 1
        for name in ("ListCost", "EffectiveCost"):
            assert sum(pico(Decimal(part[name])) for part in parts) == sums[method][-1]
    expected = {name: sorted((31 * tokens[0] * 150_000, 31 * tokens[1] * 600_000)) for name, tokens in TOKENS.items()}
    expected["residual"] = sorted((3 * 1_003 * 150_000, 3 * 101 * 600_000))
    assert {method: sorted(found) for method, found in sums.items()} == expected
    assert set(sums) == set(METHODS)


def test_columns_are_as_the_specification_says(body: bytes) -> None:
    assert check(body) == []
    rows = rows_of(body)
    same = (
        "ChargePeriodStart",
        "ChargePeriodEnd",
        "ProviderName",
        "SkuId",
        "SkuPriceId",
        "ListUnitPrice",
        "ContractedUnitPrice",
        "PricingUnit",
        "Tags",
    )
    for origin, parts in parts_of(rows).items():
        for name in same:
            assert len({part[name] for part in parts}) == 1, f"{name} of {origin} is that of its origin"
        for part in parts:
            (element,) = json.loads(part["AllocatedMethodDetails"], parse_float=Decimal, parse_int=Decimal)["Elements"]
            assert element["AllocatedRatio"] == Decimal(part["x_AllocationRatio"])
            assert json.loads(part["Tags"]).items() <= json.loads(part["AllocatedTags"]).items(), "AllocatedTags contain the origin's"
            assert part["AllocatedResourceName"] == part["x_CostCenter"] == json.loads(part["AllocatedTags"])["allocated_cost_center"]
    for row in rows:
        if not row["AllocatedMethodId"]:
            assert not any(row[name] for name in row if name.startswith("Allocated")), "a direct charge says nothing of an allocation"


def altered(body: bytes, change: Callable[[list[Row]], None]) -> bytes:
    rows = rows_of(body)
    change(next(parts for parts in parts_of(rows).values() if len(parts) == len({one["x_AllocationRatio"] for one in parts}) == 3))
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def ratio(row: Row, value: str) -> None:
    row["x_AllocationRatio"], row["AllocatedMethodDetails"] = value, f'{{"Elements": [{{"AllocatedRatio": {value}}}]}}'


def swapped(parts: list[Row]) -> None:
    first, second = parts[0]["x_AllocationRatio"], parts[1]["x_AllocationRatio"]
    ratio(parts[0], second)
    ratio(parts[1], first)


def mutations() -> Iterator[tuple[str, Callable[[list[Row]], None], str]]:
    yield "both ratios", lambda parts: ratio(parts[0], "0.5"), "x_AllocationRatio"
    yield "our ratio alone", lambda parts: parts[0].update(x_AllocationRatio="0.5"), "x_AllocationRatio"
    yield (
        "the ratio of FOCUS alone",
        lambda parts: parts[0].update(AllocatedMethodDetails='{"Elements": [{"AllocatedRatio": 0.5}]}'),
        "AllocatedMethodDetails",
    )
    yield "two ratios swapped", swapped, "ListCost"
    yield "details that are no JSON", lambda parts: parts[0].update(AllocatedMethodDetails="a half"), "AllocatedMethodDetails"
    yield "a part without details", lambda parts: parts[0].update(AllocatedMethodDetails=""), "AllocatedMethodDetails"
    yield "a part for nobody", lambda parts: parts[0].update(AllocatedResourceId=""), "AllocatedResourceId"
    yield "tags of the origin lost", lambda parts: parts[0].update(AllocatedTags="{}"), "AllocatedTags"
    yield "a unit price of its own", lambda parts: parts[0].update(SkuPriceId="another"), "SkuPriceId"
    yield "a method without its name", lambda parts: parts[0].update(AllocatedMethodId=""), "AllocatedMethodId"


@pytest.mark.parametrize(
    ("change", "column"), [(change, column) for _, change, column in mutations()], ids=[name for name, _, _ in mutations()]
)
def test_a_broken_part_is_caught(body: bytes, change: Callable[[list[Row]], None], column: str) -> None:
    assert column in {problem.column for problem in check(altered(body, change))}
