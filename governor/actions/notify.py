"""Telling people: an event becomes a row once, and a job for every notification that asked for it.

Owns: which notifications hear of an event, the job that delivers, the test. Does not own: which events there are (watch.py), the wires (adapters/webhook,
adapters/apprise_notice). Invariants: the row is the memory that an event was told, so it is told once; delivery is at least once, with the same id; a notification
that left the catalog gets nothing any more; a notice carries names and sums, never content.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypedDict

from sqlmodel import col, select

from governor.actions.context import Actor, Context
from governor.actions.load_catalog import catalog_as_of
from governor.adapters.apprise_notice import AppriseNotice
from governor.adapters.webhook import Webhook
from governor.catalog import Catalog, NotificationDocument
from governor.errors import Invalid, NotFound, Unavailable
from governor.ledger.canonical import canonical_json
from governor.ports import Notice, Notifier
from governor.store.rows.base import uuid7
from governor.store.rows.jobs import Job
from governor.store.rows.notices import NoticeRow
from governor.store.transaction import Transaction


def known(ctx: Context, dedupe: str) -> bool:
    with ctx.rows.session() as session:
        return session.exec(select(NoticeRow.id).where(NoticeRow.org_id == ctx.org, NoticeRow.dedupe == dedupe)).first() is not None


def tell(
    tx: Transaction,
    catalog: Catalog,
    event: str,
    *,
    dedupe: str,
    title: str,
    text: str,
    path: str,
    workflow: str = "",
    data: Mapping[str, Any],
) -> bool:
    """Inside a transaction: remember the event and wish for its delivery. False when it was told before."""
    if tx.session.exec(select(NoticeRow.id).where(NoticeRow.org_id == tx.org, NoticeRow.dedupe == dedupe)).first() is not None:
        return False
    body = canonical_json({"title": title, "text": text, "path": path, "data": dict(data)}).decode()
    row = NoticeRow(org_id=tx.org, event=event, dedupe=dedupe, workflow=workflow, body=body, created_at=tx.now)
    tx.session.add(row)
    tx.session.flush()
    for one in listening(catalog, event, workflow):
        tx.enqueue("notify", {"notice": row.id, "notification": one.id}, dedupe=f"notify:{row.id}:{one.id}")
    return True


def listening(catalog: Catalog, event: str, workflow: str = "") -> list[NotificationDocument]:
    return [one for one in catalog.notifications.values() if event in one.events and (not one.workflows or workflow in one.workflows)]


def deliver(ctx: Context, notice: str, notification: str) -> None:
    """The job. Raises what the notifier raises, and Unavailable for a secret that is not there yet; the outbox tries again where that may help."""
    document = catalog_as_of(ctx).notifications.get(notification)
    with ctx.rows.session() as session:
        row = session.exec(select(NoticeRow).where(NoticeRow.org_id == ctx.org, NoticeRow.id == notice)).first()
    if document is None or row is None:
        return
    body = json.loads(row.body)
    url = ctx.settings.public_url.rstrip("/") + body["path"]
    try:
        notifier_of(ctx, document).send(Notice(row.id, row.event, row.created_at, body["title"], body["text"], url, body["data"]))
    except Invalid as error:  # a process that was started without the secret gets it later, and the event is told only once
        raise Unavailable(error.message, hint=error.hint) from None


def notifier_of(ctx: Context, document: NotificationDocument) -> Notifier:
    if document.channel == "webhook":
        return Webhook(document.url, document.secret, allow_private=ctx.settings.allow_private_endpoints)
    return AppriseNotice(document.secret, allow_private=ctx.settings.allow_private_endpoints)


def notify_test(ctx: Context, actor: Actor, notification: str) -> dict[str, str]:
    """Send a test now, once. Role admin (or the operator of an embedded home). Raises what stands in the way."""
    if not (actor.kind == "operator" and ctx.settings.embedded):
        actor.require("admin")
    document = catalog_as_of(ctx).notifications.get(notification)
    if document is None:
        some = ", ".join(sorted(catalog_as_of(ctx).notifications)) or "none yet"
        raise NotFound(f"no notification {notification!r} in the catalog", hint=f"notifications: {some}")
    notice = Notice(
        uuid7(), "notify.test", ctx.now(), "Governor: a test", "This is how a notice arrives.", ctx.settings.public_url, {"test": True}
    )
    return {"notification": document.id, "channel": document.channel, "result": notifier_of(ctx, document).send(notice)}


class NoticeDelivery(TypedDict):
    notification: str
    state: str
    error: str


class NoticeDocument(TypedDict):
    """data: what the event is about. path: of the page that shows it."""

    id: str
    event: str
    at: str
    workflow: str | None
    title: str
    text: str
    path: str
    data: dict[str, Any]
    deliveries: list[NoticeDelivery]


def notices(ctx: Context, *, limit: int = 200, before: str = "") -> list[NoticeDocument]:
    """What was told, newest first (older than the notice `before`), and how delivery went: {"notification", "state", "error"} of each."""
    with ctx.rows.session() as session:
        query = select(NoticeRow).where(NoticeRow.org_id == ctx.org).order_by(col(NoticeRow.id).desc()).limit(limit)
        rows = list(session.exec(query.where(col(NoticeRow.id) < before) if before else query))
        oldest = min((row.created_at for row in rows), default=ctx.now())  # a notice and its jobs are of one transaction
        jobs = list(session.exec(select(Job).where(Job.org_id == ctx.org, Job.actor == "notify", Job.created_at >= oldest)))
    sent: dict[str, list[NoticeDelivery]] = {}
    for job in jobs:
        args = json.loads(job.args)
        sent.setdefault(args["notice"], []).append({"notification": args["notification"], "state": job.state, "error": job.error})
    return [
        {
            "id": row.id,
            "event": row.event,
            "at": row.created_at.isoformat(),
            "workflow": row.workflow or None,
            "title": (said := json.loads(row.body))["title"],
            "text": said["text"],
            "path": said["path"],
            "data": said["data"],
            "deliveries": sorted(sent.get(row.id, []), key=lambda one: one["notification"]),
        }
        for row in rows
    ]
