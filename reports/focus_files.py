"""The month's FOCUS rows as files: 1.2 or 1.3, CSV or Parquet, the same rows in each.

Owns: types of the Parquet columns, the columns that 1.3 adds for split costs, the refusal of ids that a spreadsheet would run. Does not own: the rows of 1.2
(focus.py), what a file must satisfy (focus_rules.py). Invariants: same document, same bytes; amounts are DECIMAL, instants TIMESTAMP with UTC, text in Parquet is as it
was received, because nothing runs there; ids are never altered: a CSV that would need it is refused.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from governor.errors import Invalid
from reports.focus import COLUMNS, EXACT, FOCUS_COLUMNS, NUMBERS, OWN_COLUMNS, rows
from reports.table import csv_bytes, runs_as_formula

VERSIONS: Final = ("1.2", "1.3")
SPLIT_COLUMNS: Final = (
    "AllocatedMethodDetails", "AllocatedMethodId", "AllocatedResourceId", "AllocatedResourceName", "AllocatedTags", "ContractApplied",
    "HostProviderName", "ServiceProviderName",
)  # fmt: skip
INSTANTS: Final = frozenset({"BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd"})
IDS: Final = (
    "BillingAccountId", "SubAccountId", "ResourceId", "SkuId", "SkuPriceId", "AllocatedMethodId", "AllocatedResourceId", "x_StatementNumber", "x_LineId",
    "x_Workflow", "x_CostCenter", "x_OriginChargeId",
)  # fmt: skip
PLACES: Final = {
    name: 12 if name.endswith("Cost") else 18 for name in NUMBERS
}  # costs are whole pico-USD; prices and quantities may be quotients
DIGITS: Final = 38
WHOLE: Final = frozenset({"x_RequestCount", "x_LakeSnapshot"})


def columns(version: str) -> tuple[tuple[str, str], ...]:
    """(name, kind) in file order: FOCUS columns by name, then our own."""
    if version == "1.2":
        return COLUMNS
    return tuple(
        (name, "number" if name in NUMBERS else "exact" if name in EXACT or name in {"AllocatedMethodDetails", "AllocatedTags"} else "text")
        for name in (*sorted({*FOCUS_COLUMNS, *SPLIT_COLUMNS}), *OWN_COLUMNS)
    )


def focus_rows(document: Mapping[str, Any], version: str) -> Iterator[dict[str, Any]]:
    """Raises Invalid for a version that is not written here."""
    if version not in VERSIONS:
        raise Invalid(f"FOCUS {version} is not written", hint=f"one of {', '.join(VERSIONS)}")
    for row in rows(document):
        yield row if version == "1.2" else row | _split(row)


def render_csv(document: Mapping[str, Any], version: str = "1.2") -> bytes:
    """Raises Invalid where an id begins like a formula; words are defused instead."""
    found = list(focus_rows(document, version))
    for number, row in enumerate(found, start=1):
        for name in IDS:
            if row.get(name) and runs_as_formula(str(row[name])):
                raise Invalid(
                    f"FOCUS row {number}, {name}: {str(row[name])[:80]!r} would run as a formula, and an id is not altered",
                    hint="write Parquet (-o FILE.parquet), where nothing runs, or rename it at its source",
                )
    return csv_bytes(columns(version), found)


def render_parquet(document: Mapping[str, Any], version: str = "1.2") -> bytes:
    """document: the month's statement."""
    found = list(focus_rows(document, version))
    names = [name for name, _ in columns(version)]
    arrays = [_array(name, [row.get(name) for row in found]) for name in names]
    out = io.BytesIO()
    pq.write_table(pa.table(arrays, names=names), out, compression="zstd", write_statistics=True, store_schema=False)
    return out.getvalue()


def _array(name: str, values: Sequence[Any]) -> pa.Array:
    if name in NUMBERS:
        places = _places(name, values)
        return pa.array([None if value is None else _decimal(value, places) for value in values], pa.decimal128(DIGITS, places))
    if name in INSTANTS:
        return pa.array([None if value is None else datetime.fromisoformat(value) for value in values], pa.timestamp("us", tz="UTC"))
    if name in WHOLE:
        return pa.array([None if value is None else int(value) for value in values], pa.int64())
    return pa.array([None if value is None else str(value) for value in values], pa.string())


def _places(name: str, values: Sequence[Any]) -> int:
    """Fewer than PLACES where a number is too long for them: a provider's charge from $100 million on counts 10^20 pico-USD as its quantity."""
    whole = max((Decimal(value).adjusted() + 1 for value in values if value is not None), default=0)
    return PLACES[name] if whole + PLACES[name] <= DIGITS else DIGITS - 1 - whole


def _decimal(value: Any, places: int) -> Decimal:
    with localcontext() as context:
        context.prec = DIGITS
        return Decimal(value).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN)


def _split(row: Mapping[str, Any]) -> dict[str, Any]:
    """What 1.3 says about a charge that a rule put here: how, which part, for whom. Tags stay those of the origin; the receiver is in AllocatedTags."""
    more: dict[str, Any] = {"ServiceProviderName": row["ProviderName"], "HostProviderName": row["ProviderName"]}
    if not row.get("x_AllocationRuleId") or not row.get("x_OriginChargeId"):
        return more
    center = row["x_CostCenter"]
    tags = json.loads(row["Tags"]) | ({"cost_center": row["x_OriginCostCenter"]} if row.get("x_OriginCostCenter") else {})
    return (
        more
        | {
            "Tags": json.dumps(tags, sort_keys=True, ensure_ascii=False),
            "AllocatedMethodId": row["x_AllocationRuleId"],
            "AllocatedMethodDetails": f'{{"Elements": [{{"AllocatedRatio": {row["x_AllocationRatio"]}}}]}}',  # the digits as they are, no float between
            "AllocatedResourceId": f"cost-center/{center}",
            "AllocatedResourceName": center,
            "AllocatedTags": json.dumps(tags | {"allocated_cost_center": center}, sort_keys=True, ensure_ascii=False),
        }
    )
