"""`governor ledger`: the log itself: its newest signed state, proofs of single entries, a full check."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from governor.cli import anchors
from governor.cli.session import session_of
from governor.store.whole_file import write_whole

app = typer.Typer(help="The ledger: checkpoints, proofs, full verification.", no_args_is_help=True)


@app.command("checkpoint")
def checkpoint(ctx: typer.Context) -> None:
    """Print the newest signed checkpoint, sealing first what is not sealed yet. Keep copies where the database's owner cannot reach them."""
    from governor.actions.verify_ledger import current_checkpoint
    from governor.ledger.checkpoint import parse_checkpoint
    from governor.ledger.note import parse_note

    session = session_of(ctx)
    note = current_checkpoint(session.context())
    found = parse_checkpoint(parse_note(note).text)
    session.print({"origin": found.origin, "size": found.size, "root": found.root.hex(), "note": note}, note.rstrip("\n"))


@app.command("proof")
def proof(
    ctx: typer.Context,
    entry: Annotated[str, typer.Argument(help="Index or id of the entry.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write NAME.json (the leaf) and NAME.tlog-proof instead of printing.")
    ] = None,
) -> None:
    """Prove that one entry is in the log: its exact bytes and a c2sp.org/tlog-proof@v1.

    Example: `governor ledger proof 12 -o entry-12`
    """
    from governor.actions.verify_ledger import prove_entry

    session = session_of(ctx)
    leaf, text = prove_entry(session.context(), entry)
    if output is not None:
        leaf_file, proof_file = output.with_suffix(".json"), output.with_suffix(".tlog-proof")
        write_whole(leaf_file, leaf)
        write_whole(proof_file, text.encode())
        session.print({"leaf": str(leaf_file), "proof": str(proof_file)}, f"{leaf_file}\n{proof_file}")
        return
    session.print({"leaf": leaf.decode(), "proof": text}, f"{leaf.decode()}\n\n{text.rstrip()}")


@app.command("entries")
def entries(
    ctx: typer.Context,
    stream: Annotated[str | None, typer.Option("--stream", help="Only this stream, such as change/RC-1.")] = None,
    after: Annotated[int, typer.Option("--after", min=-1, max=2**63 - 1, help="Only entries behind this index.")] = -1,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many.")] = 50,
) -> None:
    """List entries in log order."""
    from governor.store import ledger

    session = session_of(ctx)
    context = session.context()
    with context.rows.session() as rows:
        found = [
            (row.idx, json.loads(ledger.leaf_of(row))) for row in ledger.entries(rows, context.org, stream=stream, after=after, limit=limit)
        ]
    session.print(
        {"entries": [{"idx": idx, **body} for idx, body in found]},
        "\n".join(
            f"{idx:>6}  {body['recorded_at']}  {body['type']:<16} {body['stream']}  by {body['actor']['ref']}" for idx, body in found
        ),
    )


@app.command("verify")
def verify(
    ctx: typer.Context,
    tail: Annotated[int | None, typer.Option("--tail", help="Check only the newest entries, so many.", min=1)] = None,
    evidence: Annotated[
        Path | None, typer.Option("--evidence", help="Where to write a file for each contradiction with an anchor.")
    ] = None,
) -> None:
    """Recompute every hash, stream and signature of the log and compare it with every anchor. Exit code 1 when anything was changed, dropped or inserted.

    The first line says what the check cannot see when no outside anchor was compared.
    """
    from governor.actions.verify_ledger import verify_with_anchors, write_evidence

    session = session_of(ctx)
    verified = verify_with_anchors(session.context(), tail=tail)
    found = verified.findings
    files = write_evidence(verified, evidence) if evidence is not None else []
    summary = f"{found.checked} of {found.size} entries checked, {found.checkpoints} checkpoints, {found.unsealed} not sealed yet"
    lines = [verified.blind] if verified.blind else []
    lines += [
        *verified.problems,
        *(f"anchor {one.name} ({one.kind}): {one.status}: {one.detail}" for one in verified.anchors if not one.problem),
    ]
    lines += [f"evidence: {path}" for path in files]
    session.print(
        verified.document() | {"evidence": [str(path) for path in files]},
        "\n".join([*lines, f"{'OK' if verified.ok else 'FAILED'}: {summary}"]),
    )
    if not verified.ok:
        raise typer.Exit(1)


app.command("anchor")(anchors.anchor)
app.command("anchors")(anchors.anchors)
app.command("evidence")(anchors.evidence)
app.command("mirror")(anchors.mirror)
app.command("restore")(anchors.restore)
