"""`governor change`: a route change from proposal to verified cutover."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from governor.cli.change_text import print_change, print_split, stopped_words, tight_budget
from governor.cli.options import pairs, value_of
from governor.cli.progress import following
from governor.cli.session import Session, session_of

app = typer.Typer(help="Route changes: propose, test in shadow, decide, cut over, verify.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="Id of the change, such as RC-1.")]
Digest = Annotated[str, typer.Option("--digest", help="The digest that `change show` printed: you decide on exactly that.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; goes on record.")]
AsRole = Annotated[str, typer.Option("--role", help="Which needed role you answer, where you hold several.")]


@app.command("propose")
def propose(
    ctx: typer.Context,
    workflow: Annotated[str, typer.Option("--workflow", help="Workflow whose route changes.")],
    candidate: Annotated[str, typer.Option("--candidate", help="provider/model[@region], such as anthropic/claude-haiku-4-5@us-east-1.")],
    endpoint: Annotated[str, typer.Option("--endpoint", help="Endpoint document that shadow replays go to.")],
    reason: Reason,
    endpoint_model: Annotated[str, typer.Option("--endpoint-model", help="Name the endpoint knows the candidate by.")] = "",
    baseline: Annotated[str, typer.Option("--baseline", help="Id of the route to compare with; default: the first in force.")] = "",
    retention_days: Annotated[
        int | None, typer.Option("--retention-days", min=0, help="Days the candidate's provider keeps prompts, where agreed.")
    ] = None,
    sample: Annotated[int, typer.Option("--sample", min=1, help="Traces to replay.")] = 300,
    margin: Annotated[
        list[str] | None, typer.Option("--margin", help="METRIC=SHARE the candidate may lose, such as quality=0.03; may be repeated.")
    ] = None,
    budget_usd: Annotated[str, typer.Option("--budget-usd", help="Most that replays may cost.")] = "20",
    option: Annotated[
        list[str] | None, typer.Option("--option", help="NAME=VALUE of the evaluation plan (docs/changes.md); may be repeated.")
    ] = None,
) -> None:
    """Ask for a route change. The evaluation plan is fixed now, before anything is sent.

    `governor change propose --workflow fnol-triage --candidate anthropic/claude-haiku-4-5@us-east-1 --endpoint gateway-shadow --sample 300
    --margin quality=0.03 --budget-usd 20 --reason "same quality for less"`
    """
    from governor.actions.propose import propose as propose_change

    session = session_of(ctx)
    context = session.context()
    made = propose_change(
        context,
        session.actor(),
        workflow=workflow,
        candidate=candidate,
        endpoint=endpoint,
        endpoint_model=endpoint_model,
        sample=sample,
        margins=pairs(margin, "--margin"),
        budget_usd=budget_usd,
        reason=reason,
        baseline=baseline,
        retention_days=retention_days,
        options={name: value_of(text) for name, text in pairs(option, "--option").items()},
    )
    lines = [f"{made['id']} proposed; plan of {made['plan']['sample']} traces fixed ({made['plan']['digest'][:12]}..)"]
    lines += [f"  needs {need['role']}: {need['reason']}" for need in made["needs"]]
    lines += [f"  policy objects: {message}" for message in made["violations"]]
    lines += tight_budget(made["plan"])
    session.print(made, "\n".join([*lines, f"Next: governor change shadow {made['id']} --wait"]))


@app.command("shadow")
def shadow(
    ctx: typer.Context,
    change_id: Id,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until the run ended; without a worker this process replays itself.")] = False,
    timeout: Annotated[int, typer.Option("--timeout", help="Seconds to wait at most.")] = 3600,
) -> None:
    """Replay the planned sample against candidate and baseline; whoever starts this is the author of the evidence and cannot approve it.

    Example: `governor change shadow RC-1 --wait`
    """
    from governor.actions.start_shadow import start_shadow

    session = session_of(ctx)
    context = session.context()
    started: dict[str, Any] = {**start_shadow(context, session.actor(), change_id)}
    if wait:
        started |= await_run(session, started, timeout)
    words = [f"{started['id']}: run {started['run']} is {started.get('status', 'planned')}, the change is {started['state']}"]
    if started.get("sentence"):
        words += [f"{started['verdict']}: {started['sentence']}", f"Next: {started['next']}"]
    if not wait:
        words.append("A worker does it (`governor serve` or `governor worker` must run); --wait stays here and does it where none does.")
    session.print(started, "\n".join(words))


def await_run(session: Session, started: dict[str, Any], timeout: int) -> dict[str, Any]:
    """Until the run ended. On an embedded home this process does the work, unless a worker took the job first."""
    from governor.actions.jobs import wait_for
    from governor.actions.review import ensure_review
    from governor.actions.show_change import show_change
    from governor.errors import Unavailable

    context = session.context()
    with following(session, started["run"]):
        ended = wait_for(context, started["job"], timeout_s=timeout)
    ensure_review(context, started["id"])
    shown = show_change(context, started["id"])
    run = next(found for found in shown["runs"] if found["id"] == started["run"])
    if ended == "failed":
        raise Unavailable(
            f"run {run['id']} could not be done: {run['error']}", hint="mend the cause and run `governor change shadow` again"
        )
    said = {name: run[name] for name in ("status", "verdict", "sentence")}
    return {"state": shown["state"], **said, "next": shown["next"], "digest": shown["digest"]}


@app.command("show")
def show(ctx: typer.Context, change_id: Id) -> None:
    """Everything about a change: digest, who must decide and why, evidence, verdict, decisions.

    Example: `governor change show RC-1`
    """
    from governor.actions.show_change import show_change

    session = session_of(ctx)
    context = session.context()
    session.print(show_change(context, change_id, session.actor()), print_change)


@app.command("list")
def list_(
    ctx: typer.Context,
    state: Annotated[str, typer.Option("--state", help="Only changes in this state.")] = "",
    workflow: Annotated[str, typer.Option("--workflow", help="Only changes of this workflow.")] = "",
) -> None:
    """All changes, newest first."""
    from governor.actions.show_change import list_changes

    session = session_of(ctx)
    rows = list_changes(session.context(), state=state, workflow=workflow)
    lines = [
        f"{row['id']:<8} {row['state']:<10} {row['workflow']:<20} {row['baseline']} -> {row['candidate']}  ({row['requester']})"
        for row in rows
    ]
    session.print(
        {"changes": rows},
        "\n".join(lines) or ("no change matches" if state or workflow else "no changes yet; `governor change propose` makes one"),
    )


@app.command("approve")
def approve(ctx: typer.Context, change_id: Id, digest: Digest, reason: Reason, role: AsRole = "") -> None:
    """Approve exactly what you were shown. Not for the requester, not for the author of the evidence.

    Example: `governor change approve RC-1 --digest DIGEST --reason "evidence read"`
    """
    from governor.actions.decide import approve as approve_change

    decided(ctx, approve_change, change_id, digest, reason, role)


@app.command("reject")
def reject(ctx: typer.Context, change_id: Id, digest: Digest, reason: Reason, role: AsRole = "") -> None:
    """Reject the change; one rejection by a needed role ends it.

    Example: `governor change reject RC-1 --digest DIGEST --reason "loses too much on long claims"`
    """
    from governor.actions.decide import reject as reject_change

    decided(ctx, reject_change, change_id, digest, reason, role)


def decided(ctx: typer.Context, verb: Any, change_id: str, digest: str, reason: str, role: str) -> None:
    session = session_of(ctx)
    context = session.context()
    done = verb(context, session.actor(), change_id, digest=digest, reason=reason, role=role)
    waits = f"; still open: {', '.join(done['open'])}" if done["open"] else ""
    session.print(done, f"{done['id']}: {done['decision']} recorded as {done['role']}; the change is {done['state']}{waits}")


@app.command("withdraw")
def withdraw(ctx: typer.Context, change_id: Id, reason: Reason) -> None:
    """Take a request back before it is cut over: its requester or an admin. A shadow run under way is stopped.

    Example: `governor change withdraw RC-1 --reason "the provider ends this model"`
    """
    from governor.actions.withdraw import withdraw as withdraw_change

    session = session_of(ctx)
    done = withdraw_change(session.context(), session.actor(), change_id, reason=reason)
    session.print(done, f"{done['id']}: withdrawn; it was {done['before']}{stopped_words(done['stopped'])}")


@app.command("cutover")
def cutover(
    ctx: typer.Context,
    change_id: Id,
    export: Annotated[str, typer.Option("--export", help="Print the route for litellm, portkey, kong, envoy or openrouter.")] = "",
    note: Annotated[str, typer.Option("--note", help="What was done, where; goes on record.")] = "",
    approved_until: Annotated[
        str, typer.Option("--approved-until", help="End of the new route's approval; default: the old route's.")
    ] = "",
) -> None:
    """Record that you moved the route in your gateway. Governor changes no gateway; it approves the route in the catalog.

    Example: `governor change cutover RC-1 --export litellm`
    """
    from governor.actions.cutover import cutover as cut_over

    session = session_of(ctx)
    context = session.context()
    done = cut_over(context, session.actor(), change_id, export=export, note=note, approved_until=approved_until)
    words = f"{done['id']}: cutover recorded; route {done['route']['id']} of {done['workflow']} is approved until {done['approved_until']}"
    session.print(done, words + (f"\n\n{done['export']['text']}" if done["export"] else ""))


@app.command("verify")
def verify(
    ctx: typer.Context,
    change_id: Id,
    grace_hours: Annotated[int, typer.Option("--grace-hours", min=0, help="Leave out the first hours after the cutover.")] = 0,
) -> None:
    """Look at later traffic: verified when it takes the approved route, drifted when it does not.

    Example: `governor change verify RC-1 --grace-hours 2`
    """
    from governor.actions.verify_change import verify_change

    session = session_of(ctx)
    context = session.context()
    seen = verify_change(context, session.actor(), change_id, grace_hours=grace_hours)
    words = f"{seen['id']}: {seen['state']}; {seen['on_route']} of {seen['on_route'] + seen['elsewhere']} calls ({seen['share']}%) took the approved route"
    session.print(seen, words if seen["enough"] else f"{words}. Too few calls to say")


@app.command("split")
def split(
    ctx: typer.Context,
    change_id: Id,
    by: Annotated[
        str, typer.Option("--by", help="Fields to cut by, coarse to fine: metadata.task,input_tokens. Default: what tells calls apart.")
    ] = "",
    confirm_on: Annotated[str, typer.Option("--confirm-on", help="A later change of the same routes whose pairs confirm.")] = "",
    show_rego: Annotated[bool, typer.Option("--rego", help="Print the condition as a Rego module and nothing else.")] = False,
) -> None:
    """Which part of the traffic the candidate could take: chosen on half of the pairs, confirmed on the other. A recommendation; nothing is moved.

    Example: `governor change split RC-1 --by metadata.task,input_tokens`
    """
    from governor.actions.split_route import split_route

    session = session_of(ctx)
    found = split_route(session.context(), change_id, by=[name.strip() for name in by.split(",") if name.strip()], confirm_on=confirm_on)
    session.print(found, found["rego"] or found["sentence"] if show_rego else print_split)


@app.command("revalidate")
def revalidate(
    ctx: typer.Context, change_id: Id, wait: Annotated[bool, typer.Option("--wait", help="Until the check is done.")] = False
) -> None:
    """Ask the approved route again with prompts of its approved evidence, as the workflow's `revalidate` sets. Changes no route.

    Example: `governor change revalidate RC-1 --wait`
    """
    from governor.actions.jobs import error_of, wait_for
    from governor.actions.route_checks import checks_of, start_revalidation
    from governor.errors import Unavailable

    session = session_of(ctx)
    context = session.context()
    started = start_revalidation(context, session.actor(), change_id)
    if wait and wait_for(context, started["job"]) == "failed":
        raise Unavailable(f"the check could not be done: {error_of(context, started['job'])}", hint="mend the cause and run this again")
    if wait:
        found = checks_of(context, started["id"])[0]
        session.print(found, (found["result"] or {})["sentence"])
    else:
        session.print(started, f"check {started['check']} of {started['id']} is with a worker")


@app.command("expire")
def expire(ctx: typer.Context) -> None:
    """Expire changes whose approvals ran out; the worker does this by itself."""
    from governor.actions.expire import expire_changes

    session = session_of(ctx)
    gone = expire_changes(session.context())
    session.print({"expired": gone}, f"expired: {', '.join(gone) or 'none'}")
