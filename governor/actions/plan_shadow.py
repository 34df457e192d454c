"""A route change request -> the replay plan, fixed before anything is sent.

Owns: which calls are eligible and why others are not, defaults of a plan, what cannot be planned. Does not own: the draw and the arithmetic (governor.shadow),
finding the workflow's calls (workflow_calls.py). Invariants: the same request on the same lake, catalog and price book gives the same plan, seed included,
so nobody shops for a sample; an unpriced candidate is refused; every call of the window is eligible or counted under a reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from governor.actions.context import Context
from governor.actions.eligible import FILTERS, Eligible, eligible_calls
from governor.actions.expected_spend import expected_golden, expected_spend
from governor.actions.golden_sets import golden_of
from governor.actions.import_prices import load_book
from governor.actions.load_catalog import catalog_as_of
from governor.actions.plan_options import budget_pico, flag, instant, parameters, share, whole
from governor.actions.plan_translation import translations
from governor.actions.replay_price import Pricer
from governor.actions.workflow_calls import WorkflowCalls, newest_calls, workflow_calls
from governor.catalog import Catalog, WorkflowDocument
from governor.errors import Invalid, Refused
from governor.ledger.canonical import digest, timestamp
from governor.prices.book import PriceBook
from governor.prices.price import PICO
from governor.shadow.corrected import LEAST_LABELS
from governor.shadow.families import judge_family
from governor.shadow.judging import CANARIES, prompt_sha256
from governor.shadow.plan import (
    LABELS,
    LARGEST_SAMPLE,
    Arm,
    Judge,
    Metric,
    Population,
    ReplayPlan,
    choose_metrics,
    plain,
    refuse_underpowered,
)
from governor.shadow.rubrics import read_rubric
from governor.shadow.sampling import Candidate
from governor.shadow.statistics import least_pairs
from governor.shadow.units import draw_units, effective_size, group

WINDOW_DAYS: Final = 31
AA_REPLAYS: Final = 200  # the baseline is asked twice on a third of the sample, at most this often
OPTIONS: Final = frozenset(
    {
        "since",
        "until",
        "seed",
        "baseline_arm",
        "aa_size",
        "aa_replays",
        "discordance",
        "golden",
        "judge",
        "labels",
        "max_output_tokens",
        "timeout_s",
        "concurrency",
        "params",
        "max_excluded_share",
        "stream",
        "redact",
        "unit",
    }
)
GUARDS: Final = ("error", "timeout", "refusal", "truncation", "empty", "leak")


def plan_shadow(ctx: Context, request: Mapping[str, Any]) -> ReplayPlan:
    """request: the document of actions/propose.py (workflow, baseline, candidate, endpoint, endpoint_model, sample, margins, budget_usd, options).

    Raises Refused when the candidate has no price, the workflow has too few calls to replay, or the sample cannot decide; Invalid for a bad option.
    """
    options: Mapping[str, Any] = request.get("options") or {}
    unknown = sorted(set(options) - OPTIONS)
    if unknown:
        raise Invalid(f"no plan option {unknown[0]!r}", hint=f"options: {', '.join(sorted(OPTIONS))}")
    catalog = catalog_as_of(ctx)
    workflow, endpoint = catalog.workflow(str(request["workflow"])), catalog.endpoint(str(request["endpoint"]))
    baseline, candidate = arms(request, endpoint.models)
    book = load_book(ctx, catalog)
    pricer = Pricer(book)
    judge = judge_of(options.get("judge"), catalog, workflow, (baseline, candidate))
    priced = [(candidate, "candidate"), (baseline, "baseline"), *([(judge.arm, "judge")] if judge else [])]
    for arm, what in priced:
        why = pricer.missing(arm, ctx.now())
        if why:
            raise Refused(
                f"the {what} {arm.provider}/{arm.model} has no price ({why})",
                hint=spelled(book, arm),
            )
    size = whole(request.get("sample", 300), "sample", 1, LARGEST_SAMPLE)
    found = window(ctx, workflow, options)
    eligible = eligible_calls(ctx, workflow, baseline, found, pricer)
    contract = workflow.output_contract.model_dump(mode="json") if workflow.output_contract else None
    baseline_arm = str(options.get("baseline_arm", "replayed"))
    if baseline_arm not in {"replayed", "recorded"}:
        raise Invalid(f"baseline_arm is replayed or recorded, not {baseline_arm!r}")
    names, margins = metric_names(workflow, contract, baseline_arm), request.get("margins") or {}
    unit = str(options.get("unit", "trace"))
    if unit not in {"trace", "call"}:
        raise Invalid(f"unit is trace or call, not {unit!r}")
    tooled = frozenset(row["cluster"] for row in eligible.rows.values() if row["with_tools"]) if unit == "trace" else frozenset()
    units = group(eligible.candidates, tooled)
    if not units:
        refuse_too_few(eligible, units, choose_metrics(names, margins, LARGEST_SAMPLE), workflow.id)
    seed = str(options.get("seed") or digest({"request": plain(dict(request)), "snapshot": found.snapshot})[:32])
    sample = draw_units(units, size, seed)
    weigh = effective_size(sample.draws)
    metrics = choose_metrics(names, margins, size, weigh=weigh)
    refuse_too_few(eligible, units, metrics, workflow.id)
    if "discordance" in options:
        refuse_underpowered(metrics, size, Decimal(share(options["discordance"], "discordance")), weigh=weigh)
    calls = len(sample.draws)
    if calls > LARGEST_SAMPLE:
        raise Refused(
            f"{size} traces have {calls} calls to replay; a plan has at most {LARGEST_SAMPLE}",
            hint="replay fewer (--sample), or single calls (--option unit=call)",
        )
    again = whole(options.get("aa_replays", min(AA_REPLAYS, -(-calls // 3))), "aa_replays", 0, calls) if baseline_arm == "replayed" else 0
    limit = whole(options.get("max_output_tokens", 4096), "max_output_tokens", 1, 200_000)
    starts = [row["start_time"] for row in eligible.rows.values()]
    span = max((max(starts) - min(starts)).total_seconds() / 86_400, 0)
    people = whole(options.get("labels", LABELS), "labels", LEAST_LABELS, LARGEST_SAMPLE)
    stream, redacted = flag(options.get("stream", True), "stream"), flag(options.get("redact", False), "redact")
    golden = golden_of(ctx, options.get("golden"), workflow.id, judged=bool(options.get("judge")), alpha=0.04)
    plan = ReplayPlan(
        workflow_id=workflow.id,
        population=Population(
            calls=len(eligible.candidates),
            clusters=len({one.cluster for one in eligible.candidates}),
            digest=sample.population_digest,
            cost_pico=sum(one.cost_pico for one in eligible.candidates),
            unpriced_calls=eligible.unpriced,
            excluded=dict(sorted(eligible.excluded.items())),
            since=timestamp(found.since),
            until=timestamp(found.until),
            days=max(-int(-span // 1), 1),
            filters=FILTERS,
            lake_snapshot=found.snapshot,
            coverage=eligible.scope.document(),
        ),
        seed=seed,
        sample=sample.draws,
        weight_cap=sample.weight_cap,
        metrics=metrics,
        baseline=baseline,
        candidate=candidate,
        endpoint=endpoint.id,
        protocol=endpoint.protocol,
        baseline_arm=baseline_arm,
        aa_size=whole(options.get("aa_size", min(200, -(-calls // 3)) if baseline_arm == "recorded" else calls), "aa_size", 0, calls),
        budget_pico=budget_pico(request.get("budget_usd", "20")),
        max_output_tokens=limit,
        timeout_ms=whole(options.get("timeout_s", endpoint.timeout_s), "timeout_s", 1, 3600) * 1000,
        concurrency=whole(options.get("concurrency", endpoint.concurrency), "concurrency", 1, 256),
        price_book=book.digest,
        params=parameters(options.get("params")),
        data_class=workflow.data_class,
        expected_spend_pico=expected_spend(
            eligible.rows, sample.draws, pricer, ctx.now(), baseline if baseline_arm == "replayed" else None, candidate
        )
        + expected_spend(eligible.rows, sample.draws[:again], pricer, ctx.now(), baseline, None)
        + expected_golden(ctx, golden, eligible.rows, pricer, (baseline, candidate), limit),
        contract=plain(contract),
        latency_slo_us=workflow.latency_target_ms * 1000 if workflow.latency_target_ms and baseline_arm == "replayed" else None,
        cost_ceiling_pico=int(Decimal(str(workflow.max_cost_per_call)) * PICO) if workflow.max_cost_per_call is not None else None,
        judge=judge,
        labels=people,
        max_excluded_share=share(options.get("max_excluded_share", "0.5")),
        aa_replays=again,
        stream=stream,
        redact=redacted,
        golden=golden,
    )
    return replace(plan, translation=translations(ctx, plan, eligible.rows))


def spelled(book: PriceBook, arm: Arm) -> str:
    """Bedrock and OpenRouter sell models under longer names than their makers do: a price may be there under the name that calls have."""
    longer = [entry.model for _, entry in book.entries(arm.provider) if arm.model.lower() in entry.model.lower()][:3]
    if longer:
        return f"{arm.provider} has prices for {', '.join(longer)}: write the model as your calls name it, in the catalog too"
    return "declare a contract_price, or run `governor prices import`"


def arms(request: Mapping[str, Any], names: Mapping[str, str]) -> tuple[Arm, Arm]:
    """(baseline, candidate), each with the name the endpoint knows its model by."""
    base, cand = request["baseline"], request["candidate"]
    return (
        Arm(base["provider"], base["model"], base.get("region") or "", names.get(base["model"], "")),
        Arm(cand["provider"], cand["model"], cand.get("region") or "", str(request.get("endpoint_model") or names.get(cand["model"], ""))),
    )


def window(ctx: Context, workflow: WorkflowDocument, options: Mapping[str, Any]) -> WorkflowCalls:
    """The named window, else the newest month the workflow has traffic for."""
    since, until = (instant(options.get(name), name) for name in ("since", "until"))
    if since is not None:
        end = until or ctx.now()
        if end <= since:
            raise Invalid("until lies before since")
        snapshot = ctx.lake.snapshot_id()
        return WorkflowCalls(workflow_calls(ctx, workflow.id, since, end, snapshot=snapshot), since, end, snapshot)
    found = newest_calls(ctx, workflow.id, days=WINDOW_DAYS, before=until)
    if found is None:
        raise Refused(f"workflow {workflow.id} has no calls to replay", hint="ingest its traffic first, with content")
    return found


def metric_names(workflow: WorkflowDocument, contract: Mapping[str, Any] | None, baseline_arm: str) -> tuple[str, ...]:
    """What can be measured for this workflow. Latency needs both arms on the same day."""
    optional = {
        "contract": contract is not None,
        "tool_calls": True,
        "language": contract is None,
        "latency": workflow.latency_target_ms is not None and baseline_arm == "replayed",
        "cost_ceiling": workflow.max_cost_per_call is not None,
    }
    return (*GUARDS, *(name for name, there in optional.items() if there), "quality")


def refuse_too_few(eligible: Eligible, units: Sequence[Sequence[Candidate]], metrics: Sequence[Metric], workflow_id: str) -> None:
    """units: what may be drawn, a trace with tools being one."""
    needed = max(least_pairs(float(metric.margin)) for metric in metrics)
    if len(units) >= needed:
        return
    left_out = ", ".join(f"{count} {reason}" for reason, count in eligible.excluded.most_common(4))
    what = "calls" if len(units) == len(eligible.candidates) else "traces"
    raise Refused(
        f"workflow {workflow_id} has {len(units)} {what} that can be replayed and this claim needs {needed}"
        + (f" (left out: {left_out})" if left_out else ""),
        hint="wait for more traffic or widen the margins; content_capture (redacted or full) holds for calls that are ingested after it is applied",
    )


def judge_of(text: Any, catalog: Catalog, workflow: WorkflowDocument, routes: tuple[Arm, ...]) -> Judge | None:
    """options.judge: {endpoint, provider, model[, family, budget_usd, rubric]}. Alone a judge is a second opinion; people's labels say what it is worth.

    Raises Refused for a judge of the family of a route, whatever name a gateway gives it.
    """
    if not text:
        return None
    try:
        endpoint, model, provider = (str(text[name]) for name in ("endpoint", "model", "provider"))
        known = set(text) <= {"endpoint", "model", "provider", "family", "budget_usd", "rubric"}
    except (KeyError, TypeError):
        raise Invalid("a judge needs endpoint, provider and model") from None
    if not known:
        raise Invalid("a judge has endpoint, provider, model, family, budget_usd and rubric, and nothing else")
    names = catalog.endpoint(endpoint).models
    rubric = read_rubric(text.get("rubric") or [one.model_dump() for one in workflow.rubric], "judge")
    return Judge(
        endpoint=endpoint,
        model=model,
        provider=provider,
        prompt_sha256=prompt_sha256(rubric),
        family=judge_family(model, [arm.model for arm in routes], aliases_of(catalog, workflow), str(text.get("family") or "")),
        budget_pico=str(budget_pico(text["budget_usd"], "judge.budget_usd")) if "budget_usd" in text else "",
        canaries=CANARIES,
        rubric=rubric,
        endpoint_model=names.get(model, ""),
    )


def aliases_of(catalog: Catalog, workflow: WorkflowDocument) -> dict[str, str]:
    """Every name a gateway or an endpoint gives a model, to the model."""
    routes = {alias: route.model for route in workflow.routes for alias in route.aliases}
    return {alias: model for endpoint in catalog.endpoints.values() for model, alias in endpoint.models.items() if alias != model} | routes
