"""A registered plan and pair rows built from lists of differences."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from governor.shadow.comparison import Pair
from governor.shadow.plan import Arm, Metric, Population, ReplayPlan
from governor.shadow.sampling import Candidate, draw


def make_plan(n: int = 300, margin: str = "0.03", metrics: Sequence[str] = ("error", "quality"), **changes: Any) -> ReplayPlan:
    population = [Candidate(1_000_000, f"call-{index:05d}") for index in range(5 * n)]
    sample = draw(population, n, "seed-1")
    values: dict[str, Any] = {
        "workflow_id": "fnol-triage",
        "population": Population(
            calls=len(population),
            clusters=len(population),
            digest=sample.population_digest,
            cost_pico=len(population) * 1_000_000,
            unpriced_calls=0,
            excluded={},
            since="2026-10-01T00:00:00.000000Z",
            until="2026-11-01T00:00:00.000000Z",
            days=31,
            filters=("status in (ok, error)",),
            lake_snapshot=7,
        ),
        "seed": "seed-1",
        "sample": sample.draws,
        "weight_cap": sample.weight_cap,
        "metrics": tuple(Metric(name, margin) for name in metrics),
        "baseline": Arm("openai", "gpt-4o"),
        "candidate": Arm("anthropic", "claude-haiku-4-5", "us-east-1"),
        "endpoint": "gateway-shadow",
        "protocol": "openai",
        "baseline_arm": "replayed",
        "aa_size": n // 3,
        "budget_pico": 20 * 10**12,
        "max_output_tokens": 400,
        "timeout_ms": 60_000,
        "concurrency": 8,
        "price_book": "book",
    }
    return ReplayPlan(**{**values, **changes})


def make_pairs(plan: ReplayPlan, quality: Sequence[int], **columns: Sequence[int]) -> list[Pair]:
    """quality: known differences; columns: differences of other metrics."""
    return [
        Pair(
            position=position,
            record_id=plan.sample[position].record_id,
            state="done",
            d={"error": 0, **{name: values[position] for name, values in columns.items()}},
            quality=(value, value),
            equal="answer" if value == 0 else "",
            baseline_text=f"b{position}",
            candidate_text=f"c{position}",
            baseline_cost_pico=1_000_000 + position,
            candidate_cost_pico=300_000 + position % 7,
            baseline_us=900_000 + position,
            candidate_us=400_000 + position,
            spend_pico=1_300_000,
        )
        for position, value in enumerate(quality)
    ]


@pytest.fixture
def plan_of() -> Callable[..., ReplayPlan]:
    return make_plan


@pytest.fixture
def pairs_of() -> Callable[..., list[Pair]]:
    return make_pairs
