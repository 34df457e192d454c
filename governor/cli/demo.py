"""`governor demo`: the whole loop on sample traffic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from governor.cli.session import session_of


def demo(
    ctx: typer.Context,
    calls: Annotated[int, typer.Option("--calls", min=2000, help="Sample calls to make.")] = 50_000,
    sample: Annotated[int, typer.Option("--sample", min=100, help="Traces to replay in shadow.")] = 600,
) -> None:
    """Run everything once on bundled sample traffic: ingest, usage, policy, a route change with shadow evidence and two approvals, a sealed packet, the month closed.

    Uses a simulated model endpoint on this machine; nothing leaves it. The home must be empty or new.
    """
    from governor.demo.run import run_demo

    session = session_of(ctx)
    home = session.home or Path("demo-home")
    result = run_demo(home, calls=calls, sample=sample, console=session.console)
    session.print(result, result["message"])
