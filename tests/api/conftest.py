"""The machines' door over a real home: catalog, people with tokens, a worker thread where a test needs one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from governor.actions.apply import apply
from governor.actions.context import Actor, Context, open_context
from governor.actions.init_home import init_home
from governor.actions.people import authenticate, create_token
from governor.asgi import create_app
from governor.catalog import parse_documents
from governor.demo.catalog import catalog_yaml
from governor.settings import load_settings

ADMIN = "admin@acme.example"


@dataclass
class Door:
    """`client` speaks HTTP; `who` is a person's e-mail, whose token is made when first needed."""

    ctx: Context
    client: TestClient[Any]
    admin: Actor
    tokens: dict[str, str] = field(default_factory=dict)

    def token(self, who: str, scope: str = "api") -> str:
        key = f"{who} {scope}"
        if key not in self.tokens:
            self.tokens[key] = create_token(self.ctx, self.admin, email=who, scopes=[scope])["token"]
        return self.tokens[key]

    def call(
        self, method: str, path: str, who: str = ADMIN, *, scope: str = "api", headers: dict[str, str] | None = None, **rest: Any
    ) -> Any:
        sent = {"Authorization": f"Bearer {self.token(who, scope)}", **(headers or {})}
        return self.client.request(method, path, headers=sent, **rest)

    def get(self, path: str, who: str = ADMIN, **rest: Any) -> Any:
        return self.call("GET", path, who, **rest)

    def post(self, path: str, who: str = ADMIN, **rest: Any) -> Any:
        return self.call("POST", path, who, **rest)


@contextlib.contextmanager
def opened(home: Path, *, endpoint: str = "http://127.0.0.1:9/v1", with_worker: bool = False, **knobs: Any) -> Iterator[Door]:
    ctx = open_context(load_settings(home=home, **knobs), create=True)
    try:
        token = init_home(ctx, email=ADMIN, name="", billing_zone="UTC")["token"]
        admin = authenticate(ctx, token)
        until = (datetime.now(UTC) + timedelta(days=90)).date().isoformat()
        apply(ctx, admin, parse_documents(catalog_yaml(endpoint, until).replace("GOVERNOR_DEMO_SHADOW_KEY", "SHADOW_KEY")))
        with TestClient(create_app(ctx.settings, context=ctx, with_worker=with_worker), raise_server_exceptions=False) as client:
            yield Door(ctx, client, admin, {f"{ADMIN} api": token})
    finally:
        ctx.close()


@pytest.fixture(scope="module", autouse=True)
def plain_environment() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("GOVERNOR_")]:
            patch.delenv(name)
        patch.setenv("SHADOW_KEY", "test-shadow-key")
        yield patch


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """One home for a whole module: a catalog, no traffic."""
    with opened(tmp_path_factory.mktemp("api")) as made:
        yield made


@pytest.fixture(scope="session")
def open_door() -> Any:
    """Another home, as a context manager that yields its Door; knobs are settings."""
    return opened
