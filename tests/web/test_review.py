"""The review pages without JavaScript: list, one pair, pick, take back, submit, spreadsheet; and who sees nothing of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from litestar.testing import TestClient

from governor.actions.apply import apply
from governor.actions.context import OPERATOR, open_context
from governor.actions.ingest import ingest
from governor.actions.init_home import init_home
from governor.actions.people import authenticate, create_token
from governor.actions.propose import propose
from governor.actions.replay import replay
from governor.actions.sign_in import set_password, sign_in
from governor.actions.start_shadow import start_shadow
from governor.asgi import create_app
from governor.catalog import parse_documents
from governor.demo.catalog import catalog_yaml
from governor.demo.simulated_endpoint import SimulatedEndpoint
from governor.demo.simulated_model import Behaviour
from governor.demo.traffic import make_month
from governor.settings import load_settings

PASSWORD = "a long enough password"
PEOPLE = ("rae", "sol", "lena")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, str]]:
    home = tmp_path_factory.mktemp("review")
    patch = pytest.MonkeyPatch()
    for name in [name for name in os.environ if name.startswith("GOVERNOR_")]:
        patch.delenv(name)
    patch.setenv("GOVERNOR_DEMO_SHADOW_KEY", "shadow-key")
    patch.setenv("GOVERNOR_ALLOW_PRIVATE_ENDPOINTS", "true")
    with SimulatedEndpoint({"sim-other": Behaviour(differ=0.5)}, seed=7) as endpoint:
        ctx = open_context(load_settings(home=home), create=True)
        admin = authenticate(ctx, init_home(ctx, email="admin@acme.example", name="Admin", billing_zone="UTC")["token"])
        until = (datetime.now(UTC) + timedelta(days=90)).date().isoformat()
        lena = "\n---\nkind: person\nemail: lena@acme.example\nroles: [requester]\n"
        apply(ctx, admin, parse_documents(catalog_yaml(endpoint.base_url, until) + lena))
        ingest(ctx, OPERATOR, "litellm", [str(file) for file in make_month(home / "traffic", "2026-10", calls=1500).files])
        for name in PEOPLE:
            set_password(ctx, admin, email=f"{name}@acme.example", password=PASSWORD)
        rae = authenticate(ctx, create_token(ctx, admin, email="rae@acme.example")["token"])
        change = propose(
            ctx, rae, workflow="fnol-triage", candidate="openai/gpt-4.1-mini", endpoint="gateway-shadow", endpoint_model="sim-other",
            reason="cheaper", sample=100, margins={"quality": "0.3"}, budget_usd="20", options={"labels": 30},
        )["id"]  # fmt: skip
        replay(ctx, start_shadow(ctx, rae, change)["run"])
        yield create_app(ctx.settings, context=ctx, with_worker=False), str(change)
        ctx.close()
    patch.undo()


class Reader:
    """A browser without JavaScript."""

    def __init__(self, client: TestClient[Any], who: str) -> None:
        self.client = client
        self.post("/sign-in", page="/sign-in", email=f"{who}@acme.example", password=PASSWORD)

    def get(self, path: str) -> Any:
        return self.client.get(path, follow_redirects=False)

    def post(self, path: str, *, page: str, files: Any = None, **fields: str) -> Any:
        found = re.search(r'name="csrf" value="([^"]+)"', self.get(page).text)
        assert found, page
        return self.client.post(path, data={"csrf": found[1], **fields}, files=files, follow_redirects=False)


def test_a_reviewer_compares_pair_after_pair_and_submits(site: tuple[Any, str]) -> None:
    app, change = site
    with TestClient(app, raise_server_exceptions=False) as client:
        lena = Reader(client, "lena")
        assert f'href="/review/{change}"' in lena.get("/review").text
        page = lena.get(f"/review/{change}")
        assert page.status_code == 200
        shown = page.text[page.text.index("<main") :]
        for word in ("gpt", "openai", "candidate", "baseline", "sim-"):
            assert word not in shown.lower(), word
        position = re.search(r'name="position" value="(\d+)"', page.text)[1]  # type: ignore[index]
        label = f"/review/{change}/label"
        assert lena.post(label, page=f"/review/{change}", position=position, pick="a", note="<b>x</b>").status_code == 303
        again = lena.get(f"/review/{change}?pair={position}").text
        assert "&lt;b&gt;x&lt;/b&gt;" in again
        assert "<b>x</b>" not in again
        assert 'aria-pressed="true"' in again
        assert f'name="position" value="{position}"' not in lena.get(f"/review/{change}").text
        assert lena.post(label, page=f"/review/{change}", position=position, pick="undo").status_code == 303
        assert f'name="position" value="{position}"' in lena.get(f"/review/{change}").text
        assert lena.post(label, page=f"/review/{change}", position="9" * 12, pick="a").status_code == 422
        assert lena.client.post(label, data={"position": position, "pick": "a"}, follow_redirects=False).status_code == 403
        lena.post(label, page=f"/review/{change}", position=position, pick="tie")
        assert "Submit 1 label<" in lena.get(f"/review/{change}").text
        assert lena.post(f"/review/{change}/submit", page=f"/review/{change}").headers["location"] == "/review"
        assert "1 labels submitted" in lena.get("/review").text.replace("\n", " ")
        assert "1 submitted" in lena.get("/review").text


def test_a_sheet_is_fetched_and_sent_back_with_its_bad_rows_named(site: tuple[Any, str]) -> None:
    app, change = site
    with TestClient(app, raise_server_exceptions=False) as client:
        lena = Reader(client, "lena")
        sheet = lena.post(f"/review/{change}/sheet", page="/review", form="csv", reviewer="Counsel")
        assert sheet.headers["content-type"].startswith("text/csv")
        assert "no-store" in sheet.headers["cache-control"]
        lines = sheet.content.decode("utf-8-sig").split("\r\n")
        filled = "\r\n".join(
            [lines[0], *(line.removesuffix('"",""') + ('"tie",""' if at else '"best",""') for at, line in enumerate(lines[1:]) if line)]
        )
        answer = lena.post(f"/review/{change}/upload", page="/review", files={"file": ("back.csv", filled.encode())}, reviewer="Counsel")
        assert answer.status_code == 303
        assert "labels taken, 1 not" in (text := lena.get("/review").text)
        assert "none of a, b, tie, unsure" in text
        nothing = lena.post(f"/review/{change}/upload", page="/review", files={"file": ("x.csv", b"nonsense")})
        assert nothing.status_code == 422


def test_the_machines_door_gives_and_takes_the_same_sheet(site: tuple[Any, str]) -> None:
    app, change = site
    with TestClient(app, raise_server_exceptions=False) as client:
        lena = sign_in(app.state.context, email="lena@acme.example", password=PASSWORD).actor
        token = create_token(app.state.context, lena, email="lena@acme.example")["token"]
        bearer = {"Authorization": f"Bearer {token}"}
        sheet = client.get(f"/api/v1/review/{change}/sheet/csv", headers=bearer)
        assert sheet.status_code == 200, sheet.text
        assert sheet.headers["content-disposition"] == 'attachment; filename="review.csv"'
        assert client.get(f"/api/v1/review/{change}/sheet/xlsx", headers=bearer).content.startswith(b"PK")
        assert client.get(f"/api/v1/review/{change}/sheet/ods", headers=bearer).status_code == 422
        nonsense = client.post(f"/api/v1/review/{change}/sheet", headers={**bearer, "Content-Type": "text/csv"}, content=b"nonsense")
        assert nonsense.status_code == 422


def test_who_asked_for_the_change_sees_no_pair(site: tuple[Any, str]) -> None:
    app, change = site
    with TestClient(app, raise_server_exceptions=False) as client:
        rae = Reader(client, "rae")
        assert "you requested" in rae.get("/review").text
        assert rae.get(f"/review/{change}").status_code == 403
        assert rae.post(f"/review/{change}/label", page="/", position="1", pick="a").status_code == 403
