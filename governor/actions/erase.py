"""Erasing stored prompts, outputs and raw records: on request, and when their time is over. Hashes, calls and proofs stay.

Owns: which objects a request names, the ledger entry, retention, what no call names. Does not own: the objects (store/content.py).
Invariants: the entry is recorded before the first object goes; an object that several calls share is erased for all of them, because what
must not be readable must not be readable through another call; erasing again erases nothing more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import pyarrow as pa
from sqlmodel import col, select

from governor.actions.context import SYSTEM, Actor, Context
from governor.actions.load_catalog import catalog_as_of
from governor.actions.replay_inputs import reply_addresses
from governor.attribution import attribute, rule_fields, rules_of
from governor.errors import Invalid, NotFound
from governor.ledger.canonical import digest
from governor.ledger.entry import EntryDraft
from governor.store.lake_facts import key_expression
from governor.store.rows.base import uuid7
from governor.store.rows.changes import ReplayResult
from governor.store.rows.golden import GoldenVersion

REFERENCES: Final = ("input_sha256", "output_sha256", "raw_ref")  # what of a call is an address of the content store
HELD: Final = " OR ".join(f"{name} IS NOT NULL" for name in REFERENCES)
LONGEST_DAYS: Final = 36_500  # a longer retention has no end that a calendar could name
# a payload that was not stored, because its call was there with another one, may have brought bodies too
SEEN: Final = "(SELECT *, 1 AS stored FROM {calls} UNION ALL BY NAME SELECT *, 0 AS stored FROM lake.conflicts) AS calls"


def erase(
    ctx: Context,
    actor: Actor,
    *,
    record_ids: Sequence[str] = (),
    end_user: str = "",
    before: datetime | None = None,
    reason: str,
) -> dict[str, int]:
    """Erase the bodies of calls named by id, end user or time (all given conditions must hold). Returns {"calls", "objects", "erased"}.

    Needs a person with role admin or security. Raises Invalid when nothing narrows the request or no reason is given, NotFound when a call is
    unknown or none matches: then nothing is recorded. Calls whose bodies are gone already match.
    """
    actor.require("admin", "security")
    if not (record_ids or end_user or before):
        raise Invalid("say what to erase: record ids, an end user, or everything before a time")
    if not reason.strip():
        raise Invalid("erasing needs a reason")
    conditions, values = list[str](), dict[str, Any]()
    if record_ids:
        conditions.append("record_id IN (SELECT unnest($ids))")
        values["ids"] = list(record_ids)
    if end_user:
        conditions.append("end_user_id = $end_user")
        values["end_user"] = end_user
    if before:
        conditions.append("start_time < $before")
        values["before"] = before
    _check_known(ctx, record_ids, conditions, values)
    conditions.append(f"({HELD})")
    found = ctx.lake.query(f"SELECT {', '.join(REFERENCES)}, stored FROM {SEEN} WHERE {' AND '.join(conditions)}", values).to_pylist()  # noqa: S608 - values are bound
    calls = sum(row.pop("stored") for row in found)
    bodies = {address for row in found for address in row.values() if address}
    addresses = sorted(bodies.union(reply_addresses(ctx, sorted(bodies))))
    selection = {"record_ids": len(record_ids), "before": before.isoformat() if before else None, "by_end_user": bool(end_user)}
    personal = {"end_user": end_user} if end_user else {}
    erased = _erase(ctx, actor, addresses, {"selection": selection, "calls": calls, "reason": reason}, personal)
    return {"calls": calls, "objects": len(addresses), "erased": erased}


def _check_known(ctx: Context, record_ids: Sequence[str], conditions: Sequence[str], values: dict[str, Any]) -> None:
    """Whoever mistypes must not believe that something was erased."""
    if record_ids:
        wanted = {"ids": list(record_ids)}
        known = ctx.lake.query(f"SELECT DISTINCT record_id FROM {SEEN} WHERE record_id IN (SELECT unnest($ids))", wanted)  # noqa: S608 - bound
        unknown = sorted(set(record_ids) - set(known["record_id"].to_pylist()))
        if unknown:
            raise NotFound(
                f"no call {', '.join(unknown[:5])}; nothing was erased", hint="give the record id that `governor calls export` shows"
            )
    matching = ctx.lake.query(f"SELECT 1 AS found FROM {SEEN} WHERE {' AND '.join(conditions)} LIMIT 1", values)  # noqa: S608 - values are bound
    if not len(matching):
        raise NotFound("no call matches; nothing was erased", hint="an end user is named as the source names them, times are in UTC")


def erase_expired(ctx: Context) -> int:
    """Erase bodies held longer than their workflows allow, counted from their ingest. Returns how many went. Runs by the clock.

    A body that a later call holds too stays until that call's time is over.
    """
    catalog = catalog_as_of(ctx)
    rules = rules_of(catalog)
    fields = rule_fields(rules)
    keys = "".join(f', {key_expression(name)} AS "key_{number}"' for number, name in enumerate(fields))
    groups = ctx.lake.query(
        f"SELECT DISTINCT date_trunc('day', ingested_at) AS day{keys} FROM {SEEN} WHERE {HELD}"  # noqa: S608 - names come from the schema
    )
    expired = []
    for row in groups.to_pylist():
        workflow = attribute(rules, [{name: row[f"key_{number}"] for number, name in enumerate(fields)}])[0].workflow_id
        expired.append(row["day"] + timedelta(days=1 + min(catalog.retention_days(workflow), LONGEST_DAYS)) <= ctx.now())
    if not any(expired):
        return 0
    same = ["date_trunc('day', ingested_at) = e.day"]
    same += [f'{key_expression(name)} IS NOT DISTINCT FROM e."key_{number}"' for number, name in enumerate(fields)]
    found = ctx.lake.query(
        f"""SELECT address FROM (
                SELECT unnest([{", ".join(REFERENCES)}]) AS address, e.over FROM {SEEN} JOIN expired e ON {" AND ".join(same)}
            ) WHERE address IS NOT NULL GROUP BY address HAVING bool_and(over) ORDER BY address""",  # noqa: S608 - names come from the schema
        {},
        expired=groups.append_column("over", pa.array(expired, pa.bool_())),
    )
    addresses = [address for address in found["address"].to_pylist() if ctx.content.exists(address)]
    addresses = sorted({*addresses, *reply_addresses(ctx, addresses)})
    return _erase(ctx, SYSTEM, addresses, {"selection": {"retention": True}, "reason": "retention"}, {}) if addresses else 0


def _erase(ctx: Context, actor: Actor, addresses: Sequence[str], payload: Mapping[str, Any], personal: Mapping[str, Any]) -> int:
    batch = uuid7()
    with ctx.transaction(actor) as tx:
        tx.append(
            EntryDraft(
                type="content:erase",
                stream="content/store",
                payload={**payload, "objects": len(addresses), "objects_sha256": digest(list(addresses))},
                actor=actor.ledger_ref(),
                idem=f"content:erase:{batch}",
                occurred_at=tx.now,
                personal=personal,
            )
        )
    return ctx.content.erase_many(addresses)


def sweep_content(ctx: Context) -> int:
    """Bodies of ingests that died before their calls were in the lake go; erased bytes are given back. Returns how many bodies went. Runs by the clock.

    A body is looked for once, a day after it came: what a call, a conflict, a reply of a shadow run or a golden case names stays.
    """
    packs, pages = ctx.content.unsettled()
    orphans = [address for page in pages for address in _unnamed(ctx, page)]
    gone = ctx.content.settle(packs, orphans)
    ctx.content.tidy()
    return gone


def _unnamed(ctx: Context, addresses: Sequence[str]) -> list[str]:
    asked = pa.table({"address": pa.array(addresses, pa.string())})
    named = f"SELECT unnest([{', '.join(REFERENCES)}]) AS address FROM {SEEN}"  # noqa: S608 - fixed names
    found = ctx.lake.query(f"SELECT a.address FROM asked AS a ANTI JOIN ({named}) AS n USING (address)", {}, asked=asked)  # noqa: S608
    left: set[str] = set(found["address"].to_pylist())
    with ctx.rows.session() as session:
        for cases in session.exec(select(GoldenVersion.cases).where(GoldenVersion.org_id == ctx.org)):
            left.difference_update(case["sha256"] for case in json.loads(cases))
        unknown = sorted(left)
        for at in range(0, len(unknown), 500):
            some = unknown[at : at + 500]
            replies = select(ReplayResult.output_sha256).where(ReplayResult.org_id == ctx.org, col(ReplayResult.output_sha256).in_(some))
            left -= set(session.exec(replies).all())
    return sorted(left)
