"""`governor init`, `doctor` and `serve`: a home comes to life, is examined, and opens its doors."""

from __future__ import annotations

import socket
from typing import Annotated

import typer

from governor.cli.session import session_of
from governor.errors import Misconfigured


def free_address(host: str, port: int) -> str:
    """The number of a host that may be a name (`localhost`, the one with passkeys), of two the IPv4 one: the server takes no names.

    It would share a taken port with whoever has it, and people would reach one home or the other by chance.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
            return str(address[0])
    except (OSError, OverflowError) as error:
        words = getattr(error, "strerror", None) or str(error)
        raise Misconfigured(
            f"cannot listen on {host}:{port}: {words}", hint="is another Governor running? choose a free one with --port"
        ) from None


def init(
    ctx: typer.Context,
    email: Annotated[str, typer.Option("--admin", help="E-mail of the first admin.")] = "admin@localhost",
    name: Annotated[str, typer.Option("--name", help="Name of the first admin.")] = "Administrator",
    zone: Annotated[str, typer.Option("--billing-zone", help="IANA time zone that decides calendar months.")] = "UTC",
) -> None:
    """Make the home: database, lake, keys, list prices and the first admin, whose token is printed once.

    Safe to run again: what exists stays, and no second admin is made.

    Example: `governor init --admin you@company.example`
    """
    from governor.actions.init_home import init_home

    session = session_of(ctx)
    made = init_home(session.context(create=True), email=email, name=name, billing_zone=zone, note=session.note)
    session.print(made, None if session.json else made["message"])


def doctor(ctx: typer.Context) -> None:
    """What works, what is missing, and what to do about it. Exit code 1 when something needed is broken."""
    from governor.actions.doctor import examine

    session = session_of(ctx)
    checks = examine(session.settings())
    session.print(
        {"checks": [check.as_dict() for check in checks], "ok": all(check.ok or not check.needed for check in checks)},
        "\n".join(check.line() for check in checks),
    )
    if not all(check.ok or not check.needed for check in checks):
        raise typer.Exit(1)


def serve(
    ctx: typer.Context,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; put a TLS proxy in front before leaving loopback.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="Port to listen on.")] = 8321,
) -> None:
    """API and web pages, with an embedded worker unless a broker is configured. Stop with Ctrl-C.

    Example: `governor serve --port 8400`
    """
    from governor.asgi import serve as serve_asgi

    session = session_of(ctx)
    address = free_address(host, port)
    session.context(process=True)  # fail early, with a hint, when there is no home
    session.close()
    session.note(f"Governor on http://{host}:{port}  (home {session.settings().home}; stop with Ctrl-C)")
    serve_asgi(session.settings(), host=host, address=address, port=port)
