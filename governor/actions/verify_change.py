"""`change:verify`: did later traffic take the approved route? Verified or drifted, with the shares that were seen.

Owns: what counts as the approved route, the threshold, which traffic is looked at, the daily look. Does not own: grouping and attribution of calls
(govern.py). Invariants: no traffic is no answer (the state stays); a look by the clock is on record only where it changes the state; declared
fallbacks that policy approves are counted apart, neither for nor against.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from sqlmodel import col, select

from governor.actions.assess import find_change
from governor.actions.context import SYSTEM, Actor, Context
from governor.actions.govern import Group, govern
from governor.actions.usage import usd
from governor.changes import State, move
from governor.chargeback.statement import percent
from governor.errors import Invalid, WrongState
from governor.ledger.canonical import canonical_json, timestamp
from governor.ledger.entry import EntryDraft
from governor.ledger.types import change_stream
from governor.policy.catalog_data import canonical_provider, serves
from governor.store.rows.base import uuid7
from governor.store.rows.changes import Change

VERIFIERS: Final = ("requester", "owner", "security", "finance", "auditor", "admin")
SHARE: Final = (95, 100)  # calls on the approved route out of those that should be; compared as integers
MOST_HOURS: Final = 8_784
LATELY: Final = timedelta(
    days=7
)  # months on the approved route would hide for days that all of it left, and a rollback for weeks that it came back
LEAST_CALLS: Final = 20  # fewer calls say nothing about a share of 95 %


def verify_change(ctx: Context, actor: Actor, change_id: str, *, grace_hours: int = 0) -> dict[str, Any]:
    """{"id","state","since","until","calls","on_route","fallback","elsewhere","share","routes","enough"}.

    grace_hours: leave out the first hours after the cutover, while the gateway rolls out. Raises WrongState before the cutover.
    """
    actor.require(*VERIFIERS)
    if grace_hours > MOST_HOURS:
        raise Invalid(f"grace_hours: at most {MOST_HOURS:,}, which is a year")
    with ctx.rows.session() as session:
        change = find_change(session, ctx.org, change_id)
    if change.cutover_at is None:
        raise WrongState(
            f"{change.id} is {change.state}; there is no cutover to verify", hint=f"run `governor change cutover {change.id}` first"
        )
    begin = change.cutover_at + timedelta(hours=max(grace_hours, 0))
    result = first_enough(ctx, change, begin)
    return record(ctx, actor, change.id, result) if result["enough"] else {"id": change.id, "state": change.state, **result}


def first_enough(ctx: Context, change: Change, begin: datetime) -> dict[str, Any]:
    """What came lately; since `begin` where that is too little to say anything."""
    until = ctx.now()
    late = look(ctx, change, latest(change, begin, until), until)
    return late if late["enough"] or change.state == State.DRIFTED else look(ctx, change, begin, until)


def latest(change: Change, begin: datetime, until: datetime) -> datetime:
    """Where to look from. A change that drifted is looked at again because somebody set its route right: what came before is known."""
    if change.state == State.DRIFTED and change.verification:
        begin = max(begin, datetime.fromisoformat(json.loads(change.verification)["until"]))
    return max(begin, until - LATELY)


def look(ctx: Context, change: Change, since: datetime, until: datetime) -> dict[str, Any]:
    candidate = json.loads(change.request)["candidate"]
    groups = govern(ctx, since, until).groups if since < until else []
    mine = [group for group in groups if group.workflow_id == change.workflow_id and group.traffic_class == "production"]
    result = observe(mine, candidate) | {"since": timestamp(since), "until": timestamp(until)}
    return result | {"enough": result["on_route"] + result["elsewhere"] >= LEAST_CALLS}


def word(result: dict[str, Any]) -> State:
    counted = result["on_route"] + result["elsewhere"]
    return State.VERIFIED if result["on_route"] * SHARE[1] >= counted * SHARE[0] else State.DRIFTED


def record(ctx: Context, actor: Actor, change_id: str, result: dict[str, Any]) -> dict[str, Any]:
    state = word(result)
    with ctx.transaction(actor) as tx:
        change = find_change(tx.session, ctx.org, change_id, lock=True)
        change.state = move(change.state, state, verb="be verified", of=change.id)
        change.verification = canonical_json(result).decode()
        change.updated_at = tx.now
        tx.session.add(change)
        facts = {name: result[name] for name in ("since", "until", "calls", "on_route", "fallback", "elsewhere", "share")}
        tx.append(
            EntryDraft(
                type="change:verify" if state == State.VERIFIED else "change:drift",
                stream=change_stream(change.id),
                payload={"change": change.id, "digest": change.digest, "state": str(state), **facts},
                actor=actor.ledger_ref(),
                idem=f"change:verify:{change.id}:{uuid7()}",
                occurred_at=tx.now,
            )
        )
    return {"id": change.id, "state": str(state), **result}


def newest_cutovers(ctx: Context) -> list[Change]:
    """One of each workflow that had any: traffic is not expected on the others any more."""
    with ctx.rows.session() as session:
        query = select(Change).where(Change.org_id == ctx.org, col(Change.cutover_at).is_not(None)).order_by(col(Change.cutover_at))
        return list({change.workflow_id: change for change in session.exec(query)}.values())


def watch_cutovers(ctx: Context) -> list[str]:
    """The daily look at every workflow's newest cutover: ids of the changes whose state it changed. Nobody asks again once a change is verified."""
    moved = []
    for change in newest_cutovers(ctx):
        result = first_enough(ctx, change, change.cutover_at or ctx.now())
        if result["enough"] and word(result) != change.state:
            record(ctx, SYSTEM, change.id, result)
            moved.append(change.id)
    return moved


def observe(groups: Iterable[Group], candidate: dict[str, Any]) -> dict[str, Any]:
    """Calls by where they went. `share` is the percentage on the approved route of all but approved fallbacks."""
    routes: dict[tuple[str, str, str], dict[str, Any]] = {}
    sums = {"on_route": 0, "fallback": 0, "elsewhere": 0}
    for group in groups:
        where = (
            "on_route" if takes(group, candidate) else "fallback" if group.is_fallback and group.route_status == "approved" else "elsewhere"
        )
        sums[where] += group.calls
        key = (group.provider or "unknown", group.model or "unknown", group.region or "")
        row = routes.setdefault(key, {"calls": 0, "pico": 0, "counts": where, "examples": []})
        row["calls"] += group.calls
        row["pico"] += group.contracted_pico
        row["examples"] = [*row["examples"], *group.examples][:3]
    listed = [
        {"provider": provider, "model": model, "region": region, "calls": row["calls"], "cost": usd(row["pico"])}
        | {"counts": row["counts"], "examples": row["examples"]}
        for (provider, model, region), row in sorted(routes.items(), key=lambda item: -item[1]["calls"])
    ]
    share = percent(sums["on_route"], sums["on_route"] + sums["elsewhere"])
    return {"calls": sum(sums.values()), **sums, "share": share, "routes": listed}


def takes(group: Group, candidate: dict[str, Any]) -> bool:
    """Same provider, the model or a dated snapshot of it, and the region where the call says one."""
    if group.provider is None or group.model is None or canonical_provider(group.provider) != canonical_provider(candidate["provider"]):
        return False
    region = candidate.get("region")
    return serves(candidate["model"], group.model) and (not region or not group.region or group.region.lower() == region.lower())
