"""`governor packet`: make an audit packet, or verify one without a home, a database or a network.

Invariant: importing this module and running `packet verify` touches no store; heavy imports happen inside `export` only.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated

import typer

from governor.errors import Invalid
from governor.packets.report import USAGE, tell

app = typer.Typer(help="Audit packets: one file an auditor verifies without us.", no_args_is_help=True)


@app.command("export")
def export(
    ctx: typer.Context,
    output: Annotated[Path, typer.Option("-o", "--output", help="Where to write the .govpacket file.")],
    change: Annotated[str, typer.Argument(help="The change, such as RC-1.")] = "",
    period: Annotated[
        str,
        typer.Option(
            "--period",
            help="Instead of a change: all changes of a day (2026-10-05), a month (2026-10), a quarter (2026-Q4) or a year (2026).",
        ),
    ] = "",
    recipient: Annotated[
        str, typer.Option("--recipient", help="Name people in the packet, for this recipient; without it people are opaque references.")
    ] = "",
) -> None:
    """Write the audit packet of a decided change, or of a whole period. The same state gives the same bytes; issuing is itself on record.

    Example: `governor packet export RC-1 -o RC-1.govpacket`
    """
    from governor.actions.export_packet import export_packet
    from governor.actions.export_period import export_period
    from governor.cli.session import session_of
    from governor.ledger.canonical import sha256_hex
    from governor.store.whole_file import write_whole

    if bool(change) == bool(period):
        raise Invalid("say which packet: a change or a period", hint="governor packet export RC-1 -o FILE, or --period 2026-Q4 -o FILE")
    session = session_of(ctx)
    make = export_period if period else export_packet
    body = make(session.context(), session.actor(), period or change, recipient=recipient)
    output.parent.mkdir(parents=True, exist_ok=True)
    write_whole(output, body)
    digest = sha256_hex(body)
    session.print(
        {"path": str(output), "sha256": digest, "size": len(body), **({"period": period} if period else {"change": change})},
        f"{output}  {len(body):,} bytes  sha256 {digest}",
    )


@app.command("verify", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def verify(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(help="The .govpacket file.")] = "",
    trust: Annotated[str, typer.Option("--trust", help="The trust file, received outside the packet.")] = "",
    root: Annotated[
        str, typer.Option("--root", help="Verifier key, or SHA-256 of the public key, of the root that must have signed it.")
    ] = "",
) -> None:
    """Check a packet offline. Exit 0 verified, 1 FAILED, 2 cannot decide (key not trusted, quorum unmet, newer version), 64 wrong usage.

    Example: `governor packet verify RC-1.govpacket --trust governor.trust`
    """
    from governor.packets.verify import verify_packet

    if not file or ctx.args or (root and not trust):
        raise _usage("usage: governor packet verify FILE --trust FILE")
    packet, believed = _read(file), _read(trust) if trust else None
    try:
        report = verify_packet(packet, believed, root=root)
    except Invalid as error:
        raise _usage(f"{trust}: {error.message}") from None
    as_json = getattr(ctx.find_root().obj, "json", False)
    said = json.dumps(report.as_dict(), ensure_ascii=False, indent=2) if as_json else report.text(Path(trust).name if trust else "")
    raise typer.Exit(tell(said, report.exit_code))


@app.command("verifier")
def verifier(
    ctx: typer.Context,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Where to write it. Default: verify.py or verify.html.")] = None,
    html: Annotated[bool, typer.Option("--html", help="The page for a browser instead of the Python program.")] = False,
) -> None:
    """Write verify.py or, with --html, verify.html: one file that checks packets offline, for people who do not want to trust our program."""
    from importlib.resources import files

    from governor.store.whole_file import write_whole

    source, name = ("verify.html", "verify.html") if html else ("standalone_verifier.py", "verify.py")
    body, path = (files("governor.packets") / source).read_bytes(), output or Path(name)
    write_whole(path, body)
    found = {"path": str(path), "sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}
    then = f"open {path} in a browser" if html else f"python3 {path} FILE --trust FILE"
    if getattr(ctx.find_root().obj, "json", False):
        typer.echo(json.dumps(found, indent=2))
    else:
        typer.echo(f"{path}  sha256 {found['sha256']}\nCompare the digest with docs/verify-a-packet.md, then: {then}")


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise _usage(f"{path}: {error.strerror}") from None


def _usage(message: str) -> typer.Exit:
    typer.echo(message, err=True)
    return typer.Exit(USAGE)
