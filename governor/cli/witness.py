"""`governor witness`: a small process for another team that refuses to cosign a rewritten history. It needs no Governor home."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from governor.cli.home import free_address
from governor.cli.session import session_of

app = typer.Typer(help="A witness for other people's ledgers: own folder, own keys, no Governor home.", no_args_is_help=True)
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The witness's own folder.")]


@app.command("init")
def init(
    ctx: typer.Context,
    folder: Folder,
    name: Annotated[str, typer.Option("--name", help="Name it signs under, such as witness.audit.acme.example.")],
) -> None:
    """Make the folder with its keys and print the keys' public text (vkeys). Safe to run again.

    Example: `governor witness init /var/lib/witness --name witness.audit.acme.example`
    """
    from governor.store.witness import WitnessFolder

    session = session_of(ctx)
    made = WitnessFolder.make(folder, name)
    session.print({"name": made.name, "vkeys": made.vkeys}, "\n".join(made.vkeys))


@app.command("trust")
def trust(ctx: typer.Context, folder: Folder, keys: Annotated[list[str], typer.Argument(metavar="VKEY...", help="Log keys.")]) -> None:
    """Watch these logs from now on. The log's vkey is the `log` line of its trust file.

    Example: `governor witness trust /var/lib/witness 'acme.example/default+a1b2c3d4+AW..'`
    """
    from governor.store.witness import WitnessFolder

    session, witness = session_of(ctx), WitnessFolder(folder)
    added = [witness.add_log(key).name for key in keys]
    session.print({"logs": added}, "\n".join(f"watches {name}" for name in added))


@app.command("rotate")
def rotate(
    ctx: typer.Context,
    folder: Folder,
    finish: Annotated[bool, typer.Option("--finish", help="The old keys sign no more: every log and verifier knows the new ones.")] = False,
) -> None:
    """Replace the keys, keeping the name. Old and new cosign together until --finish; then restart `witness serve`. Prints vkeys and the sizes cosigned so far.

    Example: `governor witness rotate /var/lib/witness`
    """
    from governor.store.witness import WitnessFolder

    session, witness = session_of(ctx), WitnessFolder(folder)
    witness.retire() if finish else witness.rotate()
    now, seen = WitnessFolder(folder), witness.newest()
    ended = {origin: tree.size for origin, tree in sorted(seen.items())}
    lines = [*now.vkeys, *(f"cosigned so far: {size} entries of {origin}" for origin, size in ended.items())]
    session.print({"name": now.name, "vkeys": now.vkeys, "before": witness.vkeys, "sizes": ended}, "\n".join(lines))


@app.command("show")
def show(ctx: typer.Context, folder: Folder) -> None:
    """Its keys, the logs it watches, the size it cosigned last, and how many signed requests it refused.

    Example: `governor witness show /var/lib/witness`
    """
    from governor.store.witness import WitnessFolder

    session, witness = session_of(ctx), WitnessFolder(folder)
    seen = witness.newest()
    refused = sorted(str(path) for path in (folder / "refused").glob("*.request"))
    logs = [{"origin": origin, "size": seen[origin].size if origin in seen else 0} for origin in sorted(witness.logs())]
    lines = [*witness.vkeys, *(f"{one['size']:>10} {one['origin']}" for one in logs), *(f"refused: {path}" for path in refused)]
    session.print({"name": witness.name, "vkeys": witness.vkeys, "logs": logs, "refused": refused}, "\n".join(lines))


@app.command("serve")
def serve(
    ctx: typer.Context,
    folder: Folder,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; put a TLS proxy in front before leaving loopback.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="Port to listen on.")] = 8322,
) -> None:
    """Answer add-checkpoint requests (c2sp.org/tlog-witness). Stop with Ctrl-C.

    Example: `governor witness serve /var/lib/witness`
    """
    from governor.api.witness import serve_witness
    from governor.store.witness import WitnessFolder

    session, witness = session_of(ctx), WitnessFolder(folder)
    address = free_address(host, port)
    session.note(f"witness {witness.name} on http://{host}:{port}, watching {len(witness.logs())} logs (stop with Ctrl-C)")
    serve_witness(folder, address=address, port=port)
