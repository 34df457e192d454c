"""A governed organization in a temporary home: people with tokens, a catalog, and a clock that tests turn by hand."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from governor.actions.apply import apply
from governor.actions.context import OPERATOR, SYSTEM, Actor, Context, open_context
from governor.actions.evidence_files import keep_files
from governor.actions.jobs import due, run_one
from governor.actions.people import authenticate, create_first_admin, create_token
from governor.actions.review import complete_shadow, ensure_review
from governor.actions.start_shadow import start_shadow
from governor.catalog import parse_documents
from governor.evidence import EvidenceItem
from governor.ledger.canonical import canonical_json
from governor.settings import load_settings
from governor.shadow.comparison import Pair
from governor.shadow.plan import Arm, Metric, Population, ReplayPlan
from governor.shadow.sampling import Candidate, draw
from governor.shadow.verdict import verdict
from governor.store import ledger
from governor.store.rows.changes import Change, ShadowRun
from governor.store.rows.people import Organization

START = datetime(2026, 11, 2, 9, tzinfo=UTC)
PEOPLE = """
kind: person
email: rae@acme.example
roles: [requester]
---
kind: person
email: dana@acme.example
roles: [owner]
---
kind: person
email: olga@acme.example
roles: [owner]
---
kind: person
email: sol@acme.example
roles: [security]
---
kind: person
email: finn@acme.example
roles: [finance]
---
kind: person
email: multi@acme.example
roles: [security, finance, admin]
---
kind: person
email: ada@acme.example
roles: [auditor]
"""
CATALOG = """
kind: workflow
id: fnol-triage
owner: dana@acme.example
cost_center: CC-4100
risk_tier: high
data_class: internal
monthly_budget: "12000"
match:
  - {metadata.workflow: fnol-triage}
routes:
  - {id: current, provider: openai, model: gpt-4o, regions: [us-east-1], approved_until: 2027-03-31}
---
kind: endpoint
id: gateway-shadow
protocol: openai
base_url: https://gateway.acme.example/v1
secret: env:SHADOW_KEY
"""


@dataclass
class World:
    """`ctx` with a clock (`now`), the first admin, and helpers that go through the actions."""

    ctx: Context
    admin: Actor
    now: datetime = START
    admin_token: str = ""
    tokens: dict[str, str] = field(default_factory=dict)

    def later(self, **delta: float) -> datetime:
        self.now += timedelta(**delta)
        return self.now

    def apply(self, text: str, actor: Actor | None = None, **options: Any) -> Any:
        return apply(self.ctx, actor or self.admin, parse_documents(text), **options)

    def person(self, name: str) -> Actor:
        """The person `name@acme.example`, signed in by a token."""
        email = f"{name}@acme.example"
        if email not in self.tokens:
            self.tokens[email] = create_token(self.ctx, self.admin, email=email)["token"]
        return authenticate(self.ctx, self.tokens[email])

    def entries(self, kind: str = "") -> list[dict[str, Any]]:
        """Ledger entries as documents, oldest first."""
        with self.ctx.rows.session() as session:
            found = [ledger.parsed(row) for row in ledger.entries(session, self.ctx.org)]
        return [entry for entry in found if not kind or entry["type"] == kind]

    def propose(self, who: str = "rae", **options: Any) -> dict[str, Any]:
        from governor.actions.propose import propose

        values = {
            "workflow": "fnol-triage",
            "candidate": "openai/gpt-4.1-mini@us-east-1",
            "endpoint": "gateway-shadow",
            "reason": "same quality for less",
            "margins": {"quality": "0.1"},
        }
        return propose(self.ctx, self.person(who), **{**values, **options})

    def shadow(self, change_id: str, who: str = "rae", *, worse: int = 0, status: str = "done") -> str:
        """A run from start to end, with a verdict computed from pairs: `worse` of them are losses of the candidate."""
        run_id = start_shadow(self.ctx, self.person(who), change_id)["run"]
        with self.ctx.transaction(SYSTEM) as tx:
            run, change = tx.session.get(ShadowRun, run_id), tx.session.get(Change, change_id)
            assert run is not None
            assert change is not None
            plan = ReplayPlan.parse(json.loads(change.plan))
            said = verdict(plan, [pair(plan, position, -1 if position < worse else 0) for position in range(plan.n)])
            run.status, run.verdict, run.finished_at = status, canonical_json(said).decode(), tx.now
            body = canonical_json({"run": run.id, "verdict": said["verdict"]})
            files = [EvidenceItem("verdict.json", "application/json", body)]
            keep_files(tx.session, self.ctx.org, change_id, files, tx.now)
            complete_shadow(self.ctx, tx, change, run, files)
        ensure_review(self.ctx, change_id)
        return str(run_id)

    def reviewed(self, who: str = "rae", **options: Any) -> dict[str, Any]:
        """A change in review, as `change show` says it."""
        from governor.actions.show_change import show_change

        change_id = self.propose(who, **options)["id"]
        self.shadow(change_id, who)
        return show_change(self.ctx, change_id)


def pair(plan: ReplayPlan, position: int, quality: int) -> Pair:
    return Pair(
        position=position,
        record_id=plan.sample[position].record_id,
        state="done",
        d={"error": 0},
        quality=(quality, quality),
        equal="answer" if quality == 0 else "",
        baseline_text=f"b{position}",
        candidate_text=f"c{position}",
        baseline_us=1_000_000,
        candidate_us=900_000,
        baseline_cost_pico=2_000_000_000,
        candidate_cost_pico=500_000_000,
        spend_pico=2_500_000_000,
    )


def small_plan(request: dict[str, Any], size: int = 120) -> ReplayPlan:
    """A plan over an invented population: the real one needs a lake full of traffic (tests/flows)."""
    calls = [Candidate(2_000_000_000, f"call-{number:05d}") for number in range(4 * size)]
    sample = draw(calls, size, "seed-1")
    margin = request["margins"].get("quality", "0.1")
    return ReplayPlan(
        workflow_id=request["workflow"],
        population=Population(
            calls=len(calls),
            clusters=len(calls),
            digest=sample.population_digest,
            cost_pico=len(calls) * 2_000_000_000,
            unpriced_calls=0,
            excluded={},
            since="2026-10-01T00:00:00.000000Z",
            until="2026-11-01T00:00:00.000000Z",
            days=31,
            filters=("status in (ok, error)",),
            lake_snapshot=7,
        ),
        seed="seed-1",
        sample=sample.draws,
        weight_cap=sample.weight_cap,
        metrics=(Metric("error", margin), Metric("quality", margin)),
        baseline=Arm(request["baseline"]["provider"], request["baseline"]["model"], request["baseline"]["region"]),
        candidate=Arm(request["candidate"]["provider"], request["candidate"]["model"], request["candidate"]["region"]),
        endpoint=request["endpoint"],
        protocol="openai",
        baseline_arm="replayed",
        aa_size=size // 3,
        budget_pico=20 * 10**12,
        max_output_tokens=400,
        timeout_ms=60_000,
        concurrency=4,
        price_book="book",
    )


@pytest.fixture(scope="session")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A home with people and catalog and the token of its admin: made once, and copied for each test."""
    home = tmp_path_factory.mktemp("made") / "home"
    with pytest.MonkeyPatch.context() as patch, opened(home, patch) as made:
        return home, made.admin_token


@pytest.fixture
def world(made_home: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    home, token = made_home
    shutil.copytree(home, tmp_path / "home")
    with opened(tmp_path / "home", monkeypatch, token=token) as made:
        yield made


@pytest.fixture
def ctx(world: World) -> Context:
    """After the traffic of the fixtures."""
    world.now = datetime(2026, 11, 22, tzinfo=UTC)
    return world.ctx


@contextlib.contextmanager
def opened(home: Path, monkeypatch: pytest.MonkeyPatch, *, token: str = "", **knobs: Any) -> Iterator[World]:
    """An organization with people and catalog; `knobs` are settings, such as database_url and org. With a token, its home is there already."""
    planner = types.ModuleType("governor.actions.plan_shadow")
    planner.plan_shadow = lambda _ctx, request: small_plan(request)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "governor.actions.plan_shadow", planner)
    for name in ("GOVERNOR_TOKEN", "GOVERNOR_DATABASE_URL", "GOVERNOR_HOME"):
        monkeypatch.delenv(name, raising=False)
    ctx = open_context(load_settings(home=home, **knobs), create=True)
    made = World(ctx, OPERATOR)
    ctx.now = lambda: made.now
    try:
        made.admin_token = token or founded(made)
        made.admin = authenticate(ctx, made.admin_token)
        made.later(minutes=1)
        yield made
    finally:
        ctx.close()


def founded(made: World) -> str:
    """The token of the first admin of an organization that gets people and catalog."""
    ctx = made.ctx
    with ctx.transaction(OPERATOR) as tx:
        tx.session.add(Organization(id=ctx.org, name=ctx.org, created_at=tx.now))
    token = create_first_admin(ctx, email="admin@acme.example")
    assert token is not None
    admin = authenticate(ctx, token)
    made.apply(PEOPLE, admin)
    made.apply(CATALOG, admin)
    return token


@pytest.fixture
def two_worlds(tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[World, World]]:
    """Two organizations on one Postgres."""
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(opened(tmp_path / org, monkeypatch, database_url=postgres, org=org)) for org in ("acme", "globex")]
        yield made[0], made[1]


def work_off(ctx: Context) -> int:
    """Do everything that is due in this thread; how many were done."""
    done = 0
    while waiting := due(ctx, limit=1):
        done += run_one(ctx, waiting[0][0]) == "done"
    return done
