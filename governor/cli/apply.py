"""`governor apply`: show what documents would change, then make it so."""

from __future__ import annotations

import json
import sys
from collections.abc import Container
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from governor.cli.session import session_of
from governor.errors import NotFound

if TYPE_CHECKING:
    from governor.catalog import Document

# governor.catalog.KINDS by name: the catalog takes as long to import as all the rest of the commands, which each of them would wait for
KIND_NAMES: Final = (
    "organization",
    "person",
    "workflow",
    "endpoint",
    "contract_price",
    "source",
    "waiver",
    "attribution",
    "budget",
    "notification",
    "allocation",
    "driver",
    "rate_plan",
    "commitment",
    "fx_rate",
)
RULES = ("match", "rules")  # what a call belongs to: people who add a rule mean the calls they have seen
SIGNS = {"create": "+", "update": "~", "remove": "-"}


def apply(
    ctx: typer.Context,
    files: Annotated[list[Path] | None, typer.Option("--file", "-f", help="YAML file, or - for standard input; may be repeated.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Also remove documents that the files do not name (persons never).")] = False,
    schema: Annotated[str, typer.Option("--schema", help=f"Print the JSON Schema of a kind and stop: {', '.join(KIND_NAMES)}.")] = "",
) -> None:
    """Workflows, owners, routes, budgets, attribution rules, contract prices, people and waivers from YAML.

    Declarative and idempotent: a document that says what is already so is left alone, and a document that is not in the files stays.
    The plan is printed before anything changes; the result is one ledger entry.

    Example: `governor apply -f catalog.yaml --dry-run`
    """
    from governor.actions.apply import apply as apply_documents
    from governor.actions.apply import plan
    from governor.catalog import Unfilled, json_schema

    if schema:
        typer.echo(json.dumps(json_schema(schema), indent=2, ensure_ascii=False))
        return
    if not files:
        raise typer.BadParameter("give files with -f FILE (or - for standard input)")
    session = session_of(ctx)
    try:
        found = [(path, read(path)) for path in files]
    except Unfilled as draft:
        for place in draft.places:
            session.note(place)
        raise
    for path, held in found:
        if not held:
            session.note(f"{path}: no documents in it")
    documents = [document for _, held in found for document in held]
    context, actor = session.context(), session.actor()
    if not session.json:
        show(plan(context, documents, prune=prune).as_dict(), undated={(one.kind, one.key) for one in documents if one.valid_from is None})
    done = apply_documents(context, actor, documents, dry_run=dry_run, prune=prune)
    session.print(
        done.as_dict() | {"dry_run": dry_run, "applied": bool(done.changes) and not dry_run}, closing(done.counts, dry_run=dry_run)
    )


def read(path: Path) -> list[Document]:
    from governor.catalog import parse_documents

    if str(path) == "-":
        return parse_documents(sys.stdin.buffer.read(), "<stdin>")
    try:
        return parse_documents(path.read_bytes(), path.name)
    except OSError as error:
        raise NotFound(f"cannot read {path}: {error.strerror}") from None


def show(plan: dict[str, Any], *, undated: Container[tuple[str, str]] = ()) -> None:
    """undated: (kind, key) of documents that do not say since when they hold."""
    for op, sign in SIGNS.items():
        for item in plan[op]:
            since = f"  from {item['valid_from']}" if item["valid_from"] else ""
            since += (
                f" until {item['valid_to']}, when a version that was applied before begins"
                if item["valid_to"] and item["op"] != "remove"
                else ""
            )
            typer.echo(f"{sign} {item['kind']} {item['key']}{since}")
            for change in item["fields"] if op == "update" else []:
                typer.echo(f"    {change['path']}: {brief(change['before'])} -> {brief(change['after'])}")
                if change["path"] in RULES and (item["kind"], item["key"]) in undated:
                    typer.echo(
                        "      calls before this instant keep the rules of before; with valid_from, such as 2026-10-01, it holds since then"
                    )


def brief(value: Any) -> str:
    text = "(none)" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 90 else text[:87] + "..."  # noqa: PLR2004 - a line people can read


def closing(counts: dict[str, int], *, dry_run: bool) -> str:
    words = (
        f"{counts['create']} to create, {counts['update']} to update, {counts['remove']} to remove"
        if dry_run
        else (f"{counts['create']} created, {counts['update']} updated, {counts['remove']} removed")
    )
    return f"{words}, {counts['unchanged']} unchanged" + (" (dry run: nothing changed)" if dry_run else "")
