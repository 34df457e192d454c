"""A month with everything a statement can hold, made by the product's own functions from hand-written groups."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from governor.chargeback.corrections import correction_lines
from governor.chargeback.coverage import CoverageLine, coverage_of
from governor.chargeback.lines import Line, free_calls, unpriced_uses, usage_lines
from governor.chargeback.statement import StatementInput, previous_of, statement_document
from governor.prices.book import PriceBook
from governor.prices.exposure import NOTHING, Exposure
from governor.prices.rate import Rated, Usage, rate_group

AT = datetime(2026, 10, 3, tzinfo=UTC)
PRICES = {
    ("openai", "gpt-4o"): ("2.5", "1.25", None, "10"),
    ("openai", "gpt-4o-mini"): ("0.15", "0.075", None, "0.6"),
    ("anthropic", "claude-haiku-4-5"): ("1", "0.1", "1.25", "5"),
    ("anthropic", "claude-sonnet-4-5"): ("3", "0.3", "3.75", "15"),
}
CACHE_HIT = Rated("zero_rated", 0, 0, reason="gateway_cache_hit")
METERS = ("input", "cache_read", "cache_write", "output")


@dataclass(frozen=True)
class SampleGroup:
    workflow_id: str | None
    owner: str | None
    cost_center: str | None
    provider: str
    model: str
    calls: int
    input_tokens: int | None
    output_tokens: int | None
    rated: Rated
    cache_read_tokens: int | None = None
    exposure: Exposure = NOTHING
    service_tier: str | None = None
    traffic_class: str = "production"
    route_status: str = "approved"
    extra: dict[str, Any] = field(default_factory=dict)


def book(factor: str = "1", contract: bool = True) -> PriceBook:
    rows = [
        {"kind": "list", "provider": provider, "model": model, "meter": meter, "amount": amount, "per": 1_000_000}
        for (provider, model), amounts in PRICES.items()
        for meter, amount in zip(METERS, amounts, strict=True)
        if amount is not None
    ]
    if contract:
        rows += [
            {"kind": "contract", "provider": "openai", "model": "gpt-4o", "meter": meter, "amount": amount, "per": 1_000_000}
            for meter, amount in (("input", "2.10"), ("cache_read", "1.05"), ("output", "8.40"))
        ]
    return PriceBook(rows)


def group(
    workflow: str | None,
    center: str | None,
    model: str,
    calls: int,
    tokens: tuple[int, int, int],
    prices: PriceBook | None = None,
    **changes: Any,
) -> SampleGroup:
    provider = "anthropic" if model.startswith("claude") else "openai"
    given, read, out = tokens
    rated = rate_group(prices or book(), provider, model, AT, Usage(given, out, read, requests=calls), context_tokens=0)
    owner = f"{(workflow or 'x').split('-')[0]}.owner@acme.example" if workflow else None
    fields = {"exposure": Exposure(10**9, 5 * 10**10, 4 * 10**12, 90)} if rated.status == "unpriced" else {}
    return SampleGroup(workflow, owner, center, provider, model, calls, given, out, rated, read, **fields | changes)


def groups() -> list[SampleGroup]:
    return [
        group("fnol-triage", "CC-4100", "gpt-4o", 18_250, (91_250_417, 30_123_456, 6_387_503)),
        group("fnol-triage", "CC-4100", "gpt-4o-mini", 1_204, (3_311_000, 0, 240_801), route_status="unapproved"),
        group("claims-letter", "CC-4100", "claude-sonnet-4-5", 9_031, (27_093_001, 13_000_000, 5_418_607)),
        group("claims-qa", "CC-4100", "claude-haiku-4-5", 40_112, (120_336_000, 80_000_001, 8_022_411)),
        group("ad-copy", "CC-5200", "gpt-4o-mini", 77_003, (38_501_502, 0, 15_400_607)),
        group("contract-review", "CC-5200", "gpt-4o", 2_502, (50_040_003, 10_000_000, 1_251_011), route_status="waived"),
        group("=HYPERLINK(1)", "CC-5200", "gpt-4o-mini", 3, (301, 0, 77)),
        group(None, None, "gpt-4o", 612, (2_448_000, 0, 184_333), route_status="unapproved"),
        group("ad-copy", "CC-5200", "mystery-x1", 41, (120_000, 0, 31_000), route_status="unapproved"),
        SampleGroup("claims-qa", "claims.owner@acme.example", "CC-4100", "anthropic", "claude-haiku-4-5", 907, None, None, CACHE_HIT),
    ]  # fmt: skip


def shadow_line() -> Line:
    return Line(
        "2026-10", "CC-4100", "fnol-triage", "fnol.owner@acme.example", "anthropic", "claude-haiku-4-5", "", "shadow", "approved", "replay",
        None, None, None, None, "measured", 300, 300, 1_234_567_890_123, 1_234_567_890_123,
    )  # fmt: skip


def september() -> tuple[list[Line], list[Line]]:
    """What September was charged, and what it comes to now that late calls arrived and a contract was backdated."""
    charged = usage_lines(
        [group("ad-copy", "CC-5200", "gpt-4o-mini", 70_000, (35_000_000, 0, 14_000_000)),
         group("contract-review", "CC-5200", "gpt-4o", 2_100, (42_000_000, 0, 1_000_000), book(contract=False)),
         group("fnol-triage", "CC-4100", "gpt-4o", 15_000, (75_000_000, 20_000_000, 5_000_000))],
        "2026-09",
    )  # fmt: skip
    now = usage_lines(
        [group("ad-copy", "CC-5200", "gpt-4o-mini", 70_412, (35_206_000, 0, 14_082_400)),
         group("contract-review", "CC-5200", "gpt-4o", 2_100, (42_000_000, 0, 1_000_000)),
         group("fnol-triage", "CC-4100", "gpt-4o", 15_000, (75_000_000, 20_000_000, 5_000_000))],
        "2026-09",
    )  # fmt: skip
    return charged, now


def header() -> dict[str, Any]:
    return {
        "organization": {"id": "acme", "name": "Acme Insurance"},
        "month": "2026-10",
        "zone": "UTC",
        "start": "2026-10-01T00:00:00Z",
        "end": "2026-11-01T00:00:00Z",
        "statement_number": "acme-2026-10",
        "state": "closed",
        "closed_early": False,
        "prepared_at": "2026-11-03T09:30:00Z",
        "prepared_by": "finn@acme.example",
        "posting_date": "2026-10-31",
        "dispute": {"until": "2026-12-03", "to": "finn@acme.example"},
        "warnings": [],
        "provenance": {
            "snapshot": 42,
            "price_book": "b676bec84a1c47495281431cab91a52e55c81cd8ba675e0b9b1c6d56cc4bb5fe",
            "catalog": "0f343b0931126a20f133d67c2b018a3b1f9e2c1d0a9b8c7d6e5f40312233445f",
            "policy_revision": "3a7bd3e2360a3d29eea436fcfb7e44c735d117c42d1c1835420b6b9942dd4f1b",
            "version": "0.1.0",
            "calls_read": 149_665,
        },
    }


def sample(**changes: Any) -> dict[str, Any]:
    every = groups()
    charged, now = september()
    covered = coverage_of(
        CoverageLine(
            one.calls,
            one.rated.contracted_pico or 0,
            one.exposure if one.rated.status == "unpriced" else None,
            one.workflow_id is not None,
            one.owner is not None,
            one.route_status in {"approved", "waived"},
            one.calls if one.rated.status == "unpriced" else 0,
        )
        for one in every
    )
    return statement_document(
        StatementInput(
            header=header() | changes,
            lines=[*usage_lines(every, "2026-10"), shadow_line()],
            corrections=correction_lines(charged, now),
            unpriced=unpriced_uses(every),
            free_calls=free_calls(every),
            coverage=covered,
            previous=previous_of("2026-09", charged),
            budgets={"fnol-triage": "400", "ad-copy": "12", "contract-review": "100"},
        )
    )
