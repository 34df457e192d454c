"""`governor trust`: what an auditor must be given besides a packet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The public keys a verifier must believe.", no_args_is_help=True)
root_app = typer.Typer(help="The offline root that signs trust files.", no_args_is_help=True)
app.add_typer(root_app, name="root")


@app.callback()
def trust() -> None:
    """The public keys a verifier must believe."""


@app.command("export")
def export(
    ctx: typer.Context,
    output: Annotated[Path, typer.Option("-o", "--output", help="Where to write the trust file.")],
    root: Annotated[
        Path | None, typer.Option("--signed", help="Sign it with the root key in this folder (governor trust root init).")
    ] = None,
    passphrase: Annotated[str, typer.Option("--passphrase", help="Reference of the root key's passphrase: env:NAME or file:PATH.")] = "",
) -> None:
    """Write the trust file: log and issuer public keys and the witness quorum.

    Hand it to the auditor once, outside any packet, and put its SHA-256, or the root's, into the engagement letter.

    Example: `governor trust export -o governor.trust`
    """
    from governor.actions.export_trust import export_trust
    from governor.adapters.root_key import open_root
    from governor.cli.session import session_of
    from governor.ledger.canonical import sha256_hex
    from governor.store.whole_file import write_whole

    session = session_of(ctx)
    held = open_root(root, passphrase) if root is not None else None
    text = export_trust(session.context(), root=held.vkey if held else "")
    text = held.sign(text) if held else text
    output.parent.mkdir(parents=True, exist_ok=True)
    write_whole(output, text.encode())
    digest = sha256_hex(text.encode())
    more = {"root": held.vkey, "root_sha256": held.key_id} if held else {}
    told = f"\nsigned by root {held.name}, sha256 {held.key_id}" if held else ""
    session.print({"path": str(output), "sha256": digest, **more}, f"{output}  sha256 {digest}{told}")


@root_app.command("init")
def root_init(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Where the root key goes: a medium that is kept offline, never the home.")],
    name: Annotated[str, typer.Option("--name", help="What the root is called, such as acme.example/root.")],
    passphrase: Annotated[str, typer.Option("--passphrase", help="Reference of its passphrase: env:NAME or file:PATH.")] = "",
) -> None:
    """Make the offline root key that signs trust files. Its SHA-256 belongs into the engagement letter.

    Example: `governor trust root init /media/offline --name acme.example/root`
    """
    from governor.adapters.root_key import make_root
    from governor.cli.session import session_of

    session = session_of(ctx)
    made = make_root(folder, name, passphrase, home=session.settings().home)
    session.print(
        {"folder": str(folder), "name": made.name, "root": made.vkey, "root_sha256": made.key_id},
        f"{made.vkey}\nsha256 {made.key_id}\nWrite the sha256 into the engagement letter; keep {folder} offline.",
    )


@root_app.command("sign")
def root_sign(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder of the root key.")],
    trust_file: Annotated[Path, typer.Argument(help="A trust file.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Where to write the signed trust file.")],
    passphrase: Annotated[str, typer.Option("--passphrase", help="Reference of its passphrase: env:NAME or file:PATH.")] = "",
) -> None:
    """Sign a trust file on the machine that holds the root key and no home.

    Example: `governor trust root sign /media/offline governor.trust -o signed.trust`
    """
    from governor.adapters.root_key import open_root
    from governor.cli.session import session_of
    from governor.ledger.canonical import sha256_hex
    from governor.store.whole_file import write_whole

    held, session = open_root(folder, passphrase), session_of(ctx)
    signed = held.sign(trust_file.read_text(encoding="utf-8"))
    write_whole(output, signed.encode())
    digest = sha256_hex(signed.encode())
    session.print(
        {"path": str(output), "sha256": digest, "root_sha256": held.key_id}, f"{output}  sha256 {digest}\nsigned by root {held.name}"
    )
