"""The guided run: captured traffic in, a route change proposed, tested in shadow, decided by the right people, sealed, and the month charged back."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console

from governor.demo.catalog import catalog_yaml
from governor.demo.guide import Guide
from governor.demo.simulated_endpoint import SimulatedEndpoint
from governor.demo.traffic import Month, make_month
from governor.errors import Refused
from governor.settings import load_settings

ADMIN = "admin@acme.example"
WORKFLOW = "fnol-triage"
CANDIDATE = "openai/gpt-4.1-mini"
REQUESTER, OWNER, SECURITY, FINANCE = "rae@acme.example", "dana@acme.example", "sol@acme.example", "finn@acme.example"
AUDITOR = "ada@acme.example"
SHARED = ("database_url", "lake_catalog", "lake_data", "broker_url", "anchors")  # settings that lead out of the home
PASSWORD = "governor-demo"  # noqa: S105 - a demo account on this machine, printed to the person who made it


def run_demo(home: Path, *, calls: int, sample: int, console: Console) -> dict[str, Any]:
    """Runs the loop in `home`. Returns {"home", "packet", "trust", "statements", "change", "verdict", "message", ...}.

    Raises Refused when the home already holds something.
    """
    home = home.resolve()
    if home.exists() and any(home.iterdir()):
        raise Refused(f"{home} is not empty", hint="give an empty --home, or remove it first")
    refuse_shared(home)
    guide = Guide(home, console)
    month = last_month(datetime.now(UTC))
    out = home / "out"
    console.print(
        f"[bold]Governor demo[/]: one month ({month}) of a made-up insurer, {calls:,} calls. Models and traffic are simulated.",
        highlight=False,
    )

    guide.chapter("1. A home: database, lake, keys, list prices, people")
    first = guide.do("init", "--admin", ADMIN, "--name", "Admin")
    guide.tokens[ADMIN] = first["token"]
    (home / "governor.toml").write_text("# the demo's shadow endpoint is on this machine\nallow_private_endpoints = true\n")
    os.environ.setdefault("GOVERNOR_DEMO_SHADOW_KEY", "demo-shadow-key")
    with SimulatedEndpoint(seed=7) as endpoint:
        return loop(guide, home, out, month, endpoint.base_url, calls=calls, sample=sample)


def refuse_shared(home: Path) -> None:
    """Made-up calls, and people whose password everybody knows, belong in no database, bucket or anchor of a company's own installation."""
    settings = load_settings(home=home)
    outside = [f"GOVERNOR_{name.upper()}" for name in SHARED if getattr(settings, name)]
    if outside:
        raise Refused(
            f"the demo stays in a home of its own, and {', '.join(outside)} leads out of it",
            hint=f"unset {' '.join(outside)} for this command",
        )


def loop(guide: Guide, home: Path, out: Path, month: str, endpoint_url: str, *, calls: int, sample: int) -> dict[str, Any]:
    out.mkdir(exist_ok=True)
    sign_everybody_up(guide, home, endpoint_url)
    made = make_month(home / "traffic", month, calls=calls)
    percent = read_traffic(guide, month, made)
    number, verdict = change_a_route(guide, sample)
    packet, trust = seal(guide, number, out)
    charge_back(guide, month, made, out / "close")
    shutil.rmtree(home / "traffic")
    guide.say("the sample traffic is removed; `governor ingest` reads your own in the same way")
    command = "governor" if shutil.which("governor") else sys.argv[0]  # what can be typed as it stands
    message = "\n".join(
        [
            "",
            f"Made in {home}:",
            f"  packet      {packet}",
            f"  trust file  {trust}",
            f"  statements  {out / 'close'}",
            "",
            "Look at it:",
            f"  {shlex.join([command, 'serve', '--home', str(home)])}   (or make serve-demo)",
            f"      sign in as {OWNER}, {FINANCE} or {ADMIN}, password {PASSWORD}",
            f"  {shlex.join([command, 'packet', 'verify', str(packet), '--trust', str(trust)])}",
        ]
    )
    return {
        "home": str(home),
        "change": number,
        "verdict": verdict,
        "packet": str(packet),
        "trust": str(trust),
        "statements": str(out / "close"),
        "month": month,
        "coverage": percent,
        "message": message,
    }


def sign_everybody_up(guide: Guide, home: Path, endpoint_url: str) -> None:
    until = (datetime.now(UTC) + timedelta(days=180)).date().isoformat()
    catalog = home / "catalog.yaml"
    catalog.write_text(catalog_yaml(endpoint_url, until))
    applied = guide.do("apply", "-f", str(catalog), person=ADMIN)
    guide.say(f"{len(applied['changes'])} documents applied: people, twelve workflows with owners, routes, budgets, contract prices")
    secret = home / "password.txt"
    secret.write_text(PASSWORD + "\n")
    for email in (ADMIN, REQUESTER, OWNER, SECURITY, FINANCE, AUDITOR):
        guide.do("token", "password", email, "--file", str(secret), person=ADMIN, show=False)
        if email != ADMIN:
            guide.tokens[email] = guide.do("token", "create", email, "--name", "demo", person=ADMIN, show=False)["token"]
    secret.unlink()


def read_traffic(guide: Guide, month: str, made: Month) -> str:
    """Ingest, usage and findings. Returns the share of spend that is mapped, in percent."""
    guide.chapter("2. Traffic in: nothing lost, nothing doubled")
    counts = guide.do("ingest", "litellm", *[str(path) for path in made.files])
    guide.say(", ".join(f"{name} {value:,}" for name, value in counts.items() if isinstance(value, int)))
    again = guide.do("ingest", "litellm", str(made.files[0]))
    guide.say(f"the first file again: stored {again['stored']}, duplicates {again['duplicates']:,}")

    guide.chapter("3. Who used what, and how much of it is governed")
    usage = guide.do("usage", "--period", month, "--by", "workflow")
    for row in usage["rows"][:5]:
        guide.say(f"{row['workflow'] or 'unattributed':<18} {row['calls']:>7,} calls  {row['contracted_cost']:>14} USD")
    coverage = usage["coverage"]
    guide.say(f"mapped {coverage['percent']}% of {coverage['total_spend']} USD; unpriced calls {coverage['unpriced_calls']}")

    guide.chapter("4. What policy says about the month")
    for finding in guide.do("findings", "--period", month)["findings"][:6]:
        guide.say(f"{finding['rule']:<18} {finding['workflow'] or '-':<18} {finding['calls']:>6,} calls  {finding['message']}")
    return str(coverage["percent"])


def change_a_route(guide: Guide, sample: int) -> tuple[str, str]:
    """Propose, shadow, decide, cut over. Returns the change's id and its verdict."""
    guide.chapter("5. A route change: plan first, then shadow")
    change = guide.do(
        "change", "propose", "--workflow", WORKFLOW, "--candidate", CANDIDATE, "--endpoint", "gateway-shadow",
        "--sample", str(sample), "--margin", "quality=0.05", "--budget-usd", "20", "--reason", "same quality for a fifth of the price",
        person=REQUESTER,
    )  # fmt: skip
    number = str(change["id"])
    guide.do("change", "shadow", number, "--wait", person=REQUESTER)
    shown = guide.do("change", "show", number, person=REQUESTER)
    guide.say(f"verdict {shown['verdict']['verdict']}: {shown['verdict'].get('sentence', '')}")

    guide.chapter("6. The right people decide")
    for need in shown["needs"]:
        guide.say(f"needs {need['role']}: {need['reason']}")
    guide.refused("change", "approve", number, "--digest", shown["digest"], "--reason", "my own change", person=REQUESTER)
    people = {"owner": OWNER, "security": SECURITY, "finance": FINANCE, "admin": ADMIN}
    for need in shown["needs"]:
        guide.do("change", "approve", number, "--digest", shown["digest"], "--reason", "evidence read", person=people[need["role"]])
    guide.do("change", "cutover", number, "--export", "litellm", person=OWNER)
    return number, str(shown["verdict"]["verdict"])


def seal(guide: Guide, number: str, out: Path) -> tuple[Path, Path]:
    """Export and verify the packet. Returns its path and the trust file's."""
    guide.chapter("7. A packet an auditor verifies without us")
    packet, trust = out / f"{number}.govpacket", out / "governor.trust"
    guide.do("packet", "export", number, "-o", str(packet), person=OWNER)
    guide.do("trust", "export", "-o", str(trust), person=OWNER)
    verified = guide.do("packet", "verify", str(packet), "--trust", str(trust))
    guide.say(f"packet verify: {verified['result']} ({len(verified['checks'])} checks, offline)")
    return packet, trust


def charge_back(guide: Guide, month: str, made: Month, folder: Path) -> None:
    guide.chapter("8. The month, charged back")
    closed = guide.do("period", "close", month, "--out", str(folder), person=FINANCE)
    guide.say(f"statement total {closed['totals']['statement_total']} USD in {len(closed['files'])} files")
    late = guide.do("ingest", "litellm", str(made.late))
    status = guide.do("period", "status", month, person=FINANCE)
    guide.say(f"{late['stored']} late rows arrived: {month} stays {status['state']}; they become corrections in the open period")


def last_month(now: datetime) -> str:
    """The last full calendar month before `now`, YYYY-MM."""
    return (now.replace(day=1) - timedelta(days=1)).strftime("%Y-%m")
