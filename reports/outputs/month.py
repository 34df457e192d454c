"""A closed month in a named format: FOCUS, or any target that a mapping file describes. The entry point that the hub asks.

Owns: the formats' names, file suffixes, control totals. Does not own: the month's document, FOCUS rows, mappings. Invariants: a function of the document and the mapping;
the control totals are read back from what was printed, and a total that differs from the statement is an error, never a file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from governor.errors import Invalid
from governor.ports import Format, Printed
from reports.focus_files import VERSIONS, focus_rows, render_csv, render_parquet
from reports.journal import ACCOUNTS
from reports.outputs.document import Account, OutputMapping, output_mapping, shipped
from reports.outputs.facts import events, journal, left_out
from reports.outputs.layout import render

SHOWN = 8  # cost centers written out in a hint
KINDS = {"csv": ("csv", "text/csv"), "json": ("json", "application/json"), "jsonl": ("jsonl", "application/x-ndjson")}


def formats() -> dict[str, str]:
    """Name -> the mapping file it is printed through; empty for FOCUS, which has none."""
    return {f"focus-{version}": "" for version in VERSIONS} | shipped()


def described() -> dict[str, Format]:
    """Every format in a few words, read from the mapping files themselves."""
    focus = {f"focus-{version}": Format(f"FOCUS {version}", "focus", needs_customers=False) for version in VERSIONS}
    return focus | {name: described_mapping(text) for name, text in shipped().items()}


def described_mapping(text: str) -> Format:
    """Raises Invalid."""
    found = output_mapping(text)
    return Format(found.about or found.output, found.records, needs_customers=bool(needs_customers(found)))


def printed(document: Mapping[str, Any], name: str, *, mapping: str | None = None, accrual: bool = False, parquet: bool = False) -> Printed:
    """mapping: the text of a file that replaces the shipped one. Raises Invalid for a format that nobody wrote."""
    if name.startswith("focus-"):
        if accrual or mapping:
            raise Invalid(f"{name} takes no mapping file and no accrual", hint="these belong to journals")
        return _focus(document, name.removeprefix("focus-"), parquet=parquet)
    if mapping is None and name not in shipped():
        raise Invalid(f"no format {name!r}", hint=f"one of {', '.join(formats())}, or bring a mapping file of your own")
    if parquet:
        raise Invalid(f"{name} is not written as Parquet", hint="FOCUS is")
    found = output_mapping(mapping if mapping is not None else shipped()[name])
    if accrual and found.records != "journal":
        raise Invalid(f"{found.output} has usage events; only a journal is accrued")
    suffix, media_type = KINDS[found.layout]
    total = Decimal(document["totals"]["statement_total"])
    stated = found.records == "journal" and found.currency == "statement" and "fx" in document
    if stated:
        total = Decimal(document["totals"]["local_total"])
    control: dict[str, Any] = {"format": found.output, "currency": document["fx"]["currency"] if stated else document["currency"]}
    control |= {"statement_total": f"{total:.2f}"} | ({"fx": dict(document["fx"])} if "fx" in document else {})
    if found.records == "journal":
        records = journal(document, found, accrual=accrual)
        sums = {side: sum((Decimal(line[side]) for line in records if line[side]), Decimal(0)) for side in ("debit", "credit")}
        first = [line for line in records if not line["reverses_external_id"]]
        net = sum((Decimal(line["credit"] or 0) - Decimal(line["debit"] or 0) for line in first if line["kind"] == "clearing"), Decimal(0))
        control |= {"debit": f"{sums['debit']:.2f}", "credit": f"{sums['credit']:.2f}", "entries": len({line["batch"] for line in records})}
    else:
        _customers_named(document, found)
        records = events(document, found)
        net = sum((Decimal(event["amount"]) for event in records), Decimal(0))
        control |= {"amount": f"{net:.2f}", **left_out(document)}
    _agrees(found.output, net, total)
    absent = sorted(found.cost_centers.keys() - {center["id"] for center in document["cost_centers"]})
    if absent:  # no error: the file serves other months too; but a misspelt name shows here
        control["cost_centers_not_in_the_month"] = absent
    return Printed(suffix, media_type, render(found, records), control | {"records": len(records)})


def needs_customers(mapping: OutputMapping) -> str:
    """The column that has no value for a cost center without a customer; empty where there is none."""
    return next((one.name for one in mapping.columns if one.fact == "customer" and one.required and not one.otherwise), "")


def _customers_named(document: Mapping[str, Any], mapping: OutputMapping) -> None:
    """Raises Invalid naming every cost center that has no customer yet, not the first alone."""
    column = needs_customers(mapping)
    if not column:
        return
    charged = [
        one["id"] for one in document["cost_centers"] if any(one.get(name) for name in ("lines", "commitments", "internal", "corrections"))
    ]
    missing = [name for name in charged if not ((own := mapping.cost_centers.get(name)) and own.customer)]
    if missing:
        shown = ", ".join(f"{json.dumps(name, ensure_ascii=False)}: {{customer: ...}}" for name in missing[:SHOWN])
        raise Invalid(
            f"{mapping.output}: {column}: no customer for {', '.join(missing)}",
            hint=f"name each in a mapping file: extends: {mapping.output}, cost_centers: {{{shown}{', ...' if len(missing) > SHOWN else ''}}}; "
            "bring it with --mapping, POST /api/v1/periods/MONTH/exports, or on the month's page",
        )


def start(name: str, cost_centers: Sequence[str]) -> str:
    """A mapping file to fill in: what a company has to say for this target."""
    found = output_mapping(shipped()[name])
    lines = [f"extends: {name}"]
    if found.records == "events":
        lines += ["cost_centers:", *(f"  {json.dumps(one, ensure_ascii=False)}: {{customer: }}" for one in cost_centers)]
        return "\n".join(lines if cost_centers else lines[:1]) + "\n"
    usual = {kind: Account(number=number, name=words) for kind, (number, words) in ACCOUNTS.items()} | found.accounts
    lines += ["values: {" + ", ".join(f"{key}: {json.dumps(value)}" for key, value in found.values.items()) + "}"] if found.values else []
    lines += [
        "accounts:",
        *(f"  {kind}: {{number: {json.dumps(one.number)}, name: {json.dumps(one.name)}}}" for kind, one in usual.items()),
    ]
    return "\n".join(lines) + "\n"


def _focus(document: Mapping[str, Any], version: str, *, parquet: bool) -> Printed:
    body = render_parquet(document, version) if parquet else render_csv(document, version)
    found, totals = list(focus_rows(document, version)), document["totals"]
    billed, total = (
        sum((Decimal(row["BilledCost"]) for row in found), Decimal(0)),
        Decimal(totals.get("local_total", totals["statement_total"])),
    )
    _agrees(f"focus-{version}", billed, total)
    control = {
        "format": f"focus-{version}",
        "currency": totals.get("local_currency", document["currency"]),
        "statement_total": f"{total:.2f}",
        "billed_cost": f"{billed:.2f}",
        "effective_cost": f"{sum((Decimal(row['EffectiveCost']) for row in found), Decimal(0)):f}",
        "list_cost": f"{sum((Decimal(row['ListCost']) for row in found), Decimal(0)):f}",
        "records": len(found),
    }
    return Printed("parquet" if parquet else "csv", "application/vnd.apache.parquet" if parquet else "text/csv", body, control)


def _agrees(name: str, found: Decimal, total: Decimal) -> None:
    if found != total:
        raise ValueError(f"{name} sums to {found}, the statement to {total}")
