"""`governor ledger anchor|anchors|evidence`: what is kept outside the database, and what it proves when it disagrees."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from governor.cli.session import session_of
from governor.errors import IntegrityError, Invalid


def anchor(
    ctx: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Only these anchors; all where none is named.")] = None,
) -> None:
    """Publish the newest checkpoint to the anchors now. Exit code 1 when one did not take it."""
    from governor.actions.anchors import publish_all

    session = session_of(ctx)
    told = publish_all(session.context(), names or ())
    lines = [f"[{' ok ' if one['ok'] else 'FAIL'}] {one['name']:<16} {one['detail']}" for one in told]
    session.print({"anchors": told}, "\n".join(lines) or "No anchor is configured; docs/anchors.md says how.")
    if not all(one["ok"] for one in told):
        raise typer.Exit(1)


def anchors(ctx: typer.Context) -> None:
    """Every anchor with its age, and whether the ledger is audit-grade: at least one anchor must be outside the database owner's reach."""
    from governor.actions.anchor_states import anchor_states, audit_grade
    from governor.actions.anchors import BLIND

    session = session_of(ctx)
    states = anchor_states(session.context())
    grade = audit_grade(states)
    lines = (
        [] if grade else [BLIND if not any(one["outside"] for one in states) else "NOT AUDIT-GRADE NOW: no outside anchor is up to date."]
    )
    for one in states:
        age = f"{one['age_seconds']} s ago" if one["age_seconds"] is not None else "never"
        where = f"outside, run by {one['run_by']}" if one["outside"] else "not outside"
        lines.append(f"{one['name']:<16} {one['kind']:<10} {one['state']:<8} size {one['size']:<8} {age:<12} {where}")
    session.print({"audit_grade": grade, "anchors": states}, "\n".join(lines))


def evidence(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `ledger verify --evidence DIR` wrote.")],
    trust: Annotated[Path, typer.Option("--trust", help="Trust file with the log's key.")],
) -> None:
    """Check a contradiction offline, with no home and no database: does the log's own signature prove that history was changed? Exit code 1 when not.

    Example: `governor ledger evidence evidence/fork-audit-1.json --trust governor.trust`
    """
    from governor.ledger.anchor import parse_contradiction, prove
    from governor.ledger.trust import parse_trust

    session = session_of(ctx)
    try:
        found, believed = parse_contradiction(file.read_bytes()), parse_trust(trust.read_bytes())
    except OSError as error:
        raise Invalid(f"{error.filename} cannot be read: {error.strerror}") from None
    try:
        sentence = prove(found, believed.logs)
    except IntegrityError as error:
        session.print({"proven": False, "kind": found.kind, "reason": error.message}, f"NOT PROVEN: {error.message}")
        raise typer.Exit(1) from None
    session.print({"proven": True, "kind": found.kind, "says": sentence}, f"PROVEN {found.kind}: {sentence}")


def mirror(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the copy lives; it is grown when it is there already.")],
) -> None:
    """Write the log as static files (c2sp.org/tlog-tiles): checkpoint, hashes, entries. Refuses when DIR holds a history that the database does not continue.

    Example: `governor ledger mirror /srv/mirror`
    """
    from governor.actions.mirror import mirror as write_mirror

    session = session_of(ctx)
    made = write_mirror(session.context(), folder)
    session.print(made, f"{made['folder']}: {made['size']} entries (before: {made['before']}), {made['written']} files written")


def restore(
    ctx: typer.Context,
    reason: Annotated[
        str, typer.Option("--reason", help="What happened, for auditors; goes on record for ever, so no personal data.")
    ] = "",
    confirm: Annotated[str, typer.Option("--confirm", help="The digest that the preview shows: exactly this loss is accepted.")] = "",
    to: Annotated[
        str, typer.Option("--to", help="Address of the new log key, as in `keys rotate`; without it a new key file is made.")
    ] = "",
) -> None:
    """After a database came back older than what was signed: show what is lost; with --reason and --confirm go on under a new name of the log. Role admin."""
    from governor.actions.restore_ledger import preview_restore, restore_ledger

    session = session_of(ctx)
    if not reason and not confirm:
        found = preview_restore(session.context())
        lines = [
            f"signed before   {found.old_head.size} entries, root {found.old_head.root.hex()}, by {found.old_head.origin}",
            f"in the database {found.head.size} entries signed, root {found.head.root.hex()}; {found.size - found.head.size} more not signed",
            f"lost            entries {found.begin} to {found.old_head.size - 1}; that they existed is proven by: {', '.join(found.proven_by)}",
            *(f"  {one.place:<14} keeps a checkpoint of {one.tree.size} entries, root {one.tree.root.hex()[:16]}.." for one in found.told),
            f"goes on as      {found.next_origin}",
            f"If no newer backup exists: governor ledger restore --reason WHY --confirm {found.confirm}",
        ]
        session.print(found.document, "\n".join(lines))
        return
    done = restore_ledger(session.context(), session.actor(), reason=reason, confirm=confirm, address=to)
    said = (
        f"entry {done['entry']}: the log goes on as {done['origin']}\n"
        "Now hand out the trust file again (governor trust export -o FILE.trust), and give the new log key to the operators of witnesses."
    )
    session.print(done, said)
