"""How much calls say about themselves, per workflow: the share that carries an owner tag, a data class, a user ..., and what to do about the rest.

Owns: which facts are scored and their remedies. Does not own: attribution (govern.py), what a source can tell (docs/connectors.md).
Invariants: production calls that bear cost, each once; a fact counts when any witness of the call supplied it; the score is the plain mean of the shares,
rounded down, so that 100 means all.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import ROUND_FLOOR, Decimal
from typing import Final, TypedDict, cast

from governor.actions.context import Context
from governor.actions.govern import attribute_rows
from governor.actions.load_catalog import catalog_as_of, load_timeline
from governor.actions.remembered import remembered
from governor.attribution import rule_fields
from governor.chargeback.period import month_bounds
from governor.store.lake_facts import key_expression
from governor.store.lake_slices import ADDS, SLICE_OF

# fact -> (whether a call has it, what to do where it has not)
FACTS: Final[dict[str, tuple[str, str]]] = {
    "workflow tag": (
        "workflow_id IS NOT NULL",
        "Let the caller name its workflow (metadata `workflow`), so that attribution does not hang on key names.",
    ),
    "owner tag": (
        "coalesce(principal, team_id, team_name, api_key_alias) IS NOT NULL",
        "Give each team its own gateway key with an alias or a team id.",
    ),
    "data class": ("data_class IS NOT NULL", "Send metadata `data_class` with each call, or state it on the workflow."),
    "user": ("end_user_id IS NOT NULL", "Send the end user's id (`user`), hashed if need be."),
    "session": (
        "coalesce(session_id, trace_id, trace_id_raw) IS NOT NULL",
        "Send a session or trace id, so that calls of one task are seen as one.",
    ),
    "prompt version": (
        "coalesce(prompt_version, prompt_id) IS NOT NULL",
        "Use the gateway's prompt templates, or send the version as metadata.",
    ),
    "environment": ("environment IS NOT NULL", "Tag calls with their environment, so that tests are not charged as production."),
    "region": (
        "coalesce(inference_region, region) IS NOT NULL",
        "Let the gateway log the region that served; route rules about regions stay undecided without it.",
    ),
    "model that answered": ("response_model IS NOT NULL", "Log the response's model: aliases hide which version answered."),
    "token counts": ("input_tokens IS NOT NULL AND output_tokens IS NOT NULL", "Ask streams for usage (`stream_options.include_usage`)."),
}
UNATTRIBUTED: Final = ""


class ScoredFact(TypedDict):
    """share: percent of the calls, cut. fix: what to do, empty where all of them say it."""

    fact: str
    calls: int
    share: int
    fix: str


class Scorecard(TypedDict):
    """workflow: null for calls of none."""

    workflow: str | None
    calls: int
    score: int
    facts: list[ScoredFact]


def scorecard(ctx: Context, period: str, *, workflow: str = "") -> list[Scorecard]:
    """Lowest score first; calls of no workflow are one row with workflow null."""
    found = cast("list[Scorecard]", remembered(ctx, f"scorecard/{period}", lambda: cards(ctx, period)))
    return [one for one in found if workflow in {"", one["workflow"]}]


def cards(ctx: Context, period: str) -> list[Scorecard]:
    catalog = catalog_as_of(ctx)
    start, end = month_bounds(period, catalog.organization.billing_zone)
    timeline = load_timeline(ctx, start, end)
    boundaries = [instant for instant in timeline.boundaries if start < instant < end]
    names = sorted({name for epoch in timeline.epochs for name in rule_fields(epoch.rules)})
    chosen = "".join(f', {key_expression(name)} AS "key_{number}"' for number, name in enumerate(names))
    counted = ", ".join(f'count(*) FILTER ({test}) AS "fact_{number}"' for number, (test, _) in enumerate(FACTS.values()))
    sql = f"""SELECT {{epoch}} AS epoch, count(*) AS calls, {counted}{chosen}, {SLICE_OF} FROM {{calls}} AS c
        WHERE cost_bearing AND coalesce(traffic_class, 'production') = 'production' AND start_time >= $start AND start_time < $end
        GROUP BY ALL"""  # noqa: S608 - names come from the schema and are quoted
    days = ctx.lake.by_day(sql, start, end, boundaries, filled=True, grows=ADDS)
    sums_of = ["calls", *(f"fact_{number}" for number in range(len(FACTS)))]
    ways = days.group_by([name for name in days.schema.names if name not in sums_of]).aggregate([(name, "sum") for name in sums_of])
    rows = [{name.removesuffix("_sum"): value for name, value in row.items()} for row in ways.to_pylist()]
    asked = [{"epoch": row["epoch"], **{name: row[f"key_{number}"] for number, name in enumerate(names)}} for row in rows]
    sums: dict[str, list[int]] = defaultdict(lambda: [0] * (len(FACTS) + 1))
    for row, one in zip(rows, attribute_rows(timeline, asked, names, [start, *boundaries]), strict=True):
        known = sums[one.workflow_id or UNATTRIBUTED]
        known[0] += row["calls"]
        for number in range(len(FACTS)):
            known[number + 1] += row[f"fact_{number}"]
    return sorted(
        (card(name, counts) for name, counts in sums.items()), key=lambda one: (one["score"], -one["calls"], one["workflow"] or "")
    )


def card(workflow: str, counts: list[int]) -> Scorecard:
    calls = counts[0]
    facts: list[ScoredFact] = [
        {"fact": name, "calls": have, "share": percent(have, calls), "fix": fix if have < calls else ""}
        for (name, (_, fix)), have in zip(FACTS.items(), counts[1:], strict=True)
    ]
    return {"workflow": workflow or None, "calls": calls, "score": percent(sum(counts[1:]), calls * len(FACTS)), "facts": facts}


def percent(part: int, whole: int) -> int:
    return int((Decimal(100 * part) / whole).to_integral_value(ROUND_FLOOR)) if whole else 0
