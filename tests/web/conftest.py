"""The people's door over a real home: catalog, a small month of traffic, people with passwords."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from litestar.testing import TestClient

from governor.actions import sign_in
from governor.actions.apply import apply
from governor.actions.context import OPERATOR, Actor, Context, open_context
from governor.actions.ingest import ingest
from governor.actions.init_home import init_home
from governor.actions.people import authenticate
from governor.asgi import create_app
from governor.catalog import parse_documents
from governor.demo.catalog import catalog_yaml
from governor.demo.traffic import make_month
from governor.settings import load_settings

ADMIN = "admin@acme.example"
PASSWORD = "a long enough password"
PEOPLE = (ADMIN, "dana@acme.example", "rae@acme.example", "sol@acme.example", "finn@acme.example", "ada@acme.example")
MONTH = "2026-10"
CANARY = "the claimant said that"


@dataclass
class Site:
    """A served home. `at(who)` is a browser without JavaScript in which `who` is signed in."""

    ctx: Context
    app: Any
    admin: Actor
    token: str

    def give_password(self, email: str) -> None:
        """Its digest takes no time: the hundreds of sign-ins of these tests would take minutes. What a real one takes: tests/actions/test_people.py."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sign_in, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
            sign_in.set_password(self.ctx, self.admin, email=email, password=PASSWORD)

    @contextlib.contextmanager
    def visitor(self) -> Iterator[Visitor]:
        with TestClient(self.app, raise_server_exceptions=False) as client:
            yield Visitor(client)

    @contextlib.contextmanager
    def at(self, who: str) -> Iterator[Visitor]:
        with self.visitor() as visitor:
            answer = visitor.sign_in(who)
            assert answer.status_code == 303, answer.text
            yield visitor


@dataclass
class Visitor:
    client: TestClient[Any]

    def get(self, path: str, **rest: Any) -> Any:
        return self.client.get(path, follow_redirects=False, **rest)

    def csrf(self, path: str) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.get(path).text)
        assert found, f"{path} has no form"
        return found[1]

    def post(self, path: str, fields: dict[str, str] | None = None, *, page: str = "/") -> Any:
        """Send a form of `page` with its hidden values, as a browser does."""
        return self.client.post(path, data={"csrf": self.csrf(page), "page": page, **(fields or {})}, follow_redirects=False)

    def sign_in(self, who: str, password: str = PASSWORD, **fields: str) -> Any:
        return self.post("/sign-in", {"email": who, "password": password, **fields}, page="/sign-in")


def add_oddities(path: Path) -> None:
    """Five calls of a model that has no price, and one whose provider quoted the prompt in its error."""
    first = json.loads(path.read_text().splitlines()[0])
    with path.open("a") as out:
        for number in range(6):
            ids = {name: f"{first[name]}-odd-{number}" for name in ("id", "litellm_call_id", "trace_id")}
            odd = {
                **first,
                **ids,
                "model": "openai/acme-finetune-7b",
                "response": {**first["response"], "id": ids["id"], "model": "acme-finetune-7b"},
            }
            if number == 5:
                quoted = {"error_code": "400", "error_class": "BadRequestError", "error_message": f"cannot answer: {CANARY}"}
                odd |= {"status": "failure", "error_information": quoted, "error_str": quoted["error_message"]}
            out.write(json.dumps(odd, separators=(",", ":")) + "\n")


@contextlib.contextmanager
def opened(home: Path, *, traffic: Path | None = None, **knobs: Any) -> Iterator[Site]:
    ctx = open_context(load_settings(home=home, **knobs), create=True)
    try:
        token = init_home(ctx, email=ADMIN, name="", billing_zone="UTC")["token"]
        admin = authenticate(ctx, token)
        site = Site(ctx, create_app(ctx.settings, context=ctx, with_worker=False), admin, token)
        if traffic is None:
            site.give_password(ADMIN)
        else:
            until = (datetime.now(UTC) + timedelta(days=90)).date().isoformat()
            apply(ctx, admin, parse_documents(catalog_yaml("http://127.0.0.1:9/v1", until)))
            for email in PEOPLE:
                site.give_password(email)
            month = make_month(traffic, MONTH, calls=1500)
            add_oddities(month.files[0])
            ingest(ctx, OPERATOR, "litellm", [str(path) for path in month.files])
        yield site
    finally:
        ctx.close()


@pytest.fixture(scope="session", autouse=True)
def plain_environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("GOVERNOR_")]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A month of traffic and a change proposed on it."""
    with opened(tmp_path_factory.mktemp("web"), traffic=tmp_path_factory.mktemp("traffic")) as made:
        with made.at("rae@acme.example") as rae:
            fields = {"workflow": "fnol-triage", "candidate": "openai/gpt-4.1-mini", "endpoint": "gateway-shadow", "sample": "60"}
            sent = rae.post("/changes/new", {**fields, "quality": "0.2", "budget": "5", "reason": "less for the same"}, page="/changes/new")
            assert (sent.status_code, sent.headers["location"]) == (303, "/changes/RC-1"), sent.text
        yield made


@pytest.fixture(scope="session")
def bare_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A home that nobody has used yet."""
    with opened(tmp_path_factory.mktemp("bare")) as made:
        yield made


@pytest.fixture(scope="session")
def open_site() -> Any:
    """What opens another home: a folder and settings in, a context manager out."""
    return opened
