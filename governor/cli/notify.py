"""`governor notify`: try a notification, and see what was told."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from governor.cli.session import session_of
from governor.cli.tables import cell, results, table

app = typer.Typer(help="Notifications: try one, see what was told.", no_args_is_help=True)


@app.command("test")
def test(ctx: typer.Context, notification: Annotated[str, typer.Argument(help="Id of a `kind: notification` document.")]) -> None:
    """Send a test notice now and say what the other side answered. Role admin.

    Example: `governor notify test finance-hook`
    """
    from governor.actions.notify import notify_test

    session = session_of(ctx)
    found = notify_test(session.context(), session.actor(), notification)
    session.print(found, f"{found['notification']} ({found['channel']}): {found['result']}")


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """What was told, newest first, and whether it was delivered."""
    from governor.actions.notify import notices

    session = session_of(ctx)
    session.print({"items": notices(session.context())}, show)


@app.command("watch")
def watch(ctx: typer.Context) -> None:
    """Look now at budgets, approvals and findings, as the worker does every five minutes; says how many events are new."""
    from governor.actions.watch import watch as look

    session = session_of(ctx)
    found = look(session.context())
    session.print({"told": found}, f"{found} new")


def show(report: dict[str, Any]) -> None:
    if not report["items"]:
        results().print("Nothing was told yet.")
        return
    made = table(("when", "event", "what", "delivered"), ())
    for one in report["items"]:
        sent = ", ".join(
            f"{way['notification']} {way['state']}" + (f" ({way['error']})" if way["error"] else "") for way in one["deliveries"]
        )
        made.add_row(*map(cell, (one["at"][:19], one["event"], f"{one['title']}: {one['text']}", sent or "nobody listens")))
    results().print(made)
