"""`governor trust`: what an auditor must be given besides a packet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The public keys a verifier must believe.", no_args_is_help=True)


@app.callback()
def trust() -> None:
    """The public keys a verifier must believe."""


@app.command("export")
def export(
    ctx: typer.Context,
    output: Annotated[Path, typer.Option("-o", "--output", help="Where to write the trust file.")],
) -> None:
    """Write the trust file: log and issuer public keys and the witness quorum.

    Hand it to the auditor once, outside any packet, and put its SHA-256 into the engagement letter.
    """
    from governor.actions.export_trust import export_trust
    from governor.cli.session import session_of
    from governor.ledger.canonical import sha256_hex

    session = session_of(ctx)
    text = export_trust(session.context())
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    digest = sha256_hex(text.encode())
    session.print({"path": str(output), "sha256": digest}, f"{output}  sha256 {digest}")
