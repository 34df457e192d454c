"""The monthly statement of one cost center: a PDF for the person who pays, and the same lines as CSV.

Owns: the words, the order, the form of numbers, the page. Does not own: any amount (the statement document brings them, in cents that foot). Invariants: same document,
same bytes: no clock, no random id; what is absent is named as absent; a negative amount stands in parentheses and is never only red; no chart without its table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from itertools import groupby
from typing import Any, Final

from jinja2 import Environment, StrictUndefined

from governor.chargeback.currency import LINES
from reports.amounts import count, day, exact, month_name, usd
from reports.bridge import bridge_view, share
from reports.charge_parts import TITLES, charge_parts, sum_of
from reports.charts import svg, workflow_spec
from reports.commitments import commitments_view, csv_currency, currency_fact
from reports.pdf import environment, pdf_of
from reports.shared_costs import shared_view
from reports.table import csv_bytes
from reports.unit_price import unit_price

CENT: Final = Decimal("0.01")
CHART_ROWS: Final = 12
METERS: Final = {
    "input": "Input",
    "cache_read": "Input, from cache",
    "cache_write": "Input, written to cache",
    "cache_write_1h": "Input, written to 1 h cache",
    "output": "Output",
    "reasoning": "Reasoning",
    "audio_input": "Audio input",
    "audio_output": "Audio output",
    "image_input": "Image input",
    "image_output": "Image output",
    "request": "Requests",
    "replay": "Shadow replays",
    "commitment_used": "Commitment, used part",
    "commitment_unused": "Commitment, unused part",
    "rate_plan": "Rate plan",
}
ROUTES: Final = {
    "approved": "",
    "waived": "under a waiver",
    "unapproved": "route not approved",
    "undecided": "approval undecided",
}
FREE: Final = {
    "gateway_cache_hit": "answered from the gateway's cache, nothing charged",
    "failed_without_usage": "failed without any usage reported, nothing charged",
    "without_use": "used nothing that costs, nothing charged",
}
COLUMNS: Final = (
    ("statement", "text"), ("month", "exact"), ("kind", "exact"), ("charge_month", "exact"), ("cost_center", "text"), ("workflow", "text"),
    ("owner", "text"), ("provider", "text"), ("model", "text"), ("service_tier", "text"), ("traffic_class", "exact"), ("route_status", "exact"),
    ("meter", "text"), ("quantity", "exact"), ("unit", "exact"), ("list_unit_price", "exact"), ("contract_unit_price", "exact"), ("price_per", "exact"),
    ("price_source", "exact"), ("list_cost", "number"), ("contracted_cost", "number"), ("amount", "exact"), ("currency", "exact"), ("calls", "exact"),
    ("unpriced_reason", "exact"), ("line_id", "exact"), ("corrects_line_id", "exact"), ("rule", "text"), ("method", "exact"), ("ratio", "exact"),
    ("origin_line_id", "text"), ("origin_cost_center", "text"), ("arithmetic", "text"), ("contract_terms", "text"),
    ("commitment", "text"), ("covered_cost", "number"), ("amortized_cost", "number"), ("local_amount", "exact"), ("local_currency", "exact"),
    ("fx_rate", "exact"), ("fx_source", "text"), ("fx_date", "exact"),
)  # fmt: skip


def render_csv(document: Mapping[str, Any]) -> bytes:
    """document: one cost center's statement. The amounts of all rows sum to its total; unpriced use is listed with an empty amount."""
    center = document["cost_center"]
    common = {
        "statement": document["statement_number"],
        "month": document["month"],
        "cost_center": center["id"],
        "currency": document["currency"],
        **csv_currency(document),
    }
    beside = (*center.get("commitments", []), *center.get("internal", []))
    rows = [common | _csv_line(line, _kind(line)) for line in (*center["lines"], *beside, *center["corrections"])]
    for use in center["unpriced"]:
        counted = {"input": use["input_tokens"], "output": use["output_tokens"]}
        quantities = [(meter, tokens, "Tokens") for meter, tokens in counted.items() if tokens is not None] or [
            ("request", use["calls"], "Requests")
        ]
        for place, (meter, quantity, unit) in enumerate(quantities):
            rows.append(
                common
                | {name: use[name] for name in ("workflow", "provider", "model")}
                | {"kind": "unpriced", "charge_month": document["month"], "meter": meter, "quantity": quantity, "unit": unit}
                | {
                    "calls": use["calls"] if place == 0 else 0,
                    "unpriced_reason": use["reason"],
                    "price_source": "unpriced",
                    "traffic_class": "production",
                }
            )
    return csv_bytes(COLUMNS, rows)


def _kind(line: Mapping[str, Any]) -> str:
    if line["corrects"]:
        return "correction"
    if line["traffic_class"] == "internal":
        return "rate_plan"
    if line["traffic_class"] == "commitment":
        return str(line["meter"])
    return "shared" if line.get("rule") else "usage"


def _csv_line(line: Mapping[str, Any], kind: str) -> dict[str, Any]:
    listed, contracted = line["list_price"] or {}, line["contract_price"] or {}
    return dict(line) | {
        "kind": kind,
        "list_unit_price": listed.get("amount"),
        "contract_unit_price": contracted.get("amount"),
        "price_per": contracted.get("per"),
        "corrects_line_id": line["corrects"],
        "origin_line_id": line.get("origin"),
    }


def render_pdf(document: Mapping[str, Any]) -> bytes:
    """PDF/A-3b of one cost center's statement with its CSV attached. Optional "paper": A4 (default) or Letter."""
    from weasyprint import Attachment

    prepared = datetime.fromisoformat(document["prepared_at"])
    data = Attachment(
        string=render_csv(document).decode(),
        name=f"statement-{document['month']}-{document['cost_center']['id']}.csv",
        description="The lines of this statement",
        created=prepared,
        modified=prepared,
        relationship="Data",
    )
    return pdf_of(render_html(document), document, pdf_variant="pdf/a-3b", attachments=[data])


def render_html(document: Mapping[str, Any]) -> str:
    """The page before it is printed; tests and reviewers read it."""
    return _environment().get_template("statement.html").render(view(document))


@lru_cache
def _environment() -> Environment:
    return environment(StrictUndefined, usd=usd, count=count, month=month_name, day=day, exact=exact, share=share)


def view(document: Mapping[str, Any]) -> dict[str, Any]:
    """Everything the template shows, in the form it shows it."""
    center = document["cost_center"]
    production = [row for row in center["workflows"] if row["traffic_class"] == "production"]
    other = [row for row in center["workflows"] if row["traffic_class"] != "production"]
    unapproved = sum((Decimal(row["unapproved"]) for row in production), Decimal(0))
    usage = [line for line in center["lines"] if line["traffic_class"] == "production" and not line.get("rule")]
    return {
        "doc": document,
        "center": center,
        "paper": document.get("paper", "A4"),
        "unallocated": center["id"] == "UNALLOCATED",
        "total_words": "Total not allocated"
        if center["id"] == "UNALLOCATED"
        else "Total to be given back"
        if center["total"].startswith("-")
        else "Total to be charged",
        "credit_memo": center["total"].startswith("-"),
        **shared_view(document, center),
        **commitments_view(document, center),
        "currency_fact": currency_fact(document),
        "cent": CENT,
        "parts": charge_parts(center, center["workflows"]),
        "production": production,
        "other": other,
        "other_total": sum_of(other),
        "unapproved": unapproved,
        "over_budget": [row for row in production if row["budget"] and Decimal(row["amount"]) > Decimal(row["budget"])],
        "change": _change(center),
        "saving": sum(
            (Decimal(line["list_cost"]) - Decimal(line["contracted_cost"]) for line in usage if not line.get("commitment")), Decimal(0)
        ),
        "chart": _chart(production, document["previous"]),
        "sections": _sections(usage),
        "other_sections": _sections([line for line in center["lines"] if line["traffic_class"] != "production"]),
        "corrections": [
            {"month": month, "sections": _sections(list(lines)), "total": _amounts(center["corrections"], month)}
            for month, lines in groupby(
                sorted(center["corrections"], key=lambda line: str(line["charge_month"])), key=lambda line: str(line["charge_month"])
            )
        ],
        "unpriced_calls": sum(use["calls"] for use in center["unpriced"]),
        "exposure": {
            bound: sum((Decimal(use["exposure"][bound]) for use in center["unpriced"]), Decimal(0)) for bound in ("low", "middle", "high")
        },
        "free_words": FREE,
        "bridge": bridge_view(document),
        "facts": _facts(document, center),
    }


def _facts(document: Mapping[str, Any], center: Mapping[str, Any]) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Control totals and method, in two columns."""
    totals = document["totals"]
    left = (
        ("Lines", count(sum(len(center.get(name, ())) for name in LINES))),
        ("Model calls", count(center["calls"])),
        ("Tokens", count(sum(int(line["quantity"]) for line in center["lines"] if line["unit"] == "Tokens"))),
        ("At list prices", exact(center["list_cost"])),
        ("At contract prices", exact(center["contracted_cost"])),
        ("Rounding to cents", exact(Decimal(center["total"]) - Decimal(center["contracted_cost"]))),
    )
    right = (
        (
            "Whole organization",
            f"{usd(totals['statement_total'])} in {totals['cost_centers']} statement{'' if totals['cost_centers'] == 1 else 's'}",
        ),
        ("Period from", document["start"]),
        ("until before", document["end"]),
        ("Data cut-off", document["prepared_at"]),
        ("Lake snapshot", str(document["provenance"]["snapshot"])),
        ("Prepared by", document["prepared_by"]),
    )
    return list(zip(left, right, strict=True))


def _change(center: Mapping[str, Any]) -> dict[str, Any] | None:
    """Against the previous closed month: usage with usage, because corrections belong to neither."""
    if center["previous_total"] is None:
        return None
    before, now = Decimal(center["previous_total"]), Decimal(center["total"])
    return {"amount": now - before, "percent": f"{(now - before) * 100 / before:+.1f} %" if before else None, "before": before}


def _chart(rows: Sequence[Mapping[str, Any]], previous: Mapping[str, Any] | None) -> str | None:
    """Bars by workflow; beyond a dozen the rest is one bar, as it is in words beside it."""
    compared = len(rows) > 1 or any(row["previous"] is not None for row in rows)
    if not compared or all(Decimal(row["amount"]) < CENT for row in rows):
        return None  # one bar says no more than the number beside it
    shown = [_bar(row["workflow"] or "unattributed", [row], previous) for row in rows[:CHART_ROWS]]
    if len(rows) > CHART_ROWS:
        shown.append(_bar(f"{len(rows) - CHART_ROWS} more", rows[CHART_ROWS:], previous))
    return svg(workflow_spec(shown))


def _bar(name: str, rows: Sequence[Mapping[str, Any]], previous: Mapping[str, Any] | None) -> dict[str, Any]:
    before = [Decimal(row["previous"]) for row in rows if row["previous"] is not None]
    # drawn only: a float has more digits than a bar has pixels
    return {"workflow": name, "amount": float(sum_of(rows)), "previous": float(sum(before)) if previous and before else None}


def _sections(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Lines under their workflow and model, dearest workflow first."""
    by_workflow: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for line in lines:
        by_workflow.setdefault((TITLES.get(line["traffic_class"], ""), line["workflow"] or ""), []).append(line)
    sections = []
    for (title, workflow), members in by_workflow.items():
        models: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
        for line in members:
            models.setdefault(
                (line["provider"], line["model"], line["service_tier"], line["route_status"], line["traffic_class"]), []
            ).append(line)
        sections.append(
            {
                "workflow": title or workflow or None,
                "owner": next((line["owner"] for line in members if line["owner"]), None),
                "amount": sum_of(members),
                "list_cost": sum((Decimal(line["list_cost"]) for line in members), Decimal(0)),
                "models": [
                    {
                        "name": model if title else f"{provider} / {model}",
                        "tier": tier,
                        "mark": ROUTES.get(route, route),
                        "calls": sum(line["calls"] for line in found),
                        "lines": [
                            dict(line) | {"words": METERS.get(line["meter"], line["meter"]), "price": unit_price(line)} for line in found
                        ],
                    }
                    for (provider, model, tier, route, _), found in models.items()
                ],
            }
        )
    return sorted(sections, key=lambda section: (-abs(section["amount"]), section["workflow"] or "~"))


def _amounts(lines: Sequence[Mapping[str, Any]], month: str) -> Decimal:
    return sum((Decimal(line["amount"]) for line in lines if line["charge_month"] == month), Decimal(0))
