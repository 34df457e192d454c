"""A crossing on its way: row, job, signed webhook, with retries from the outbox and the same id in each."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from governor.actions.apply import apply
from governor.actions.context import OPERATOR, SYSTEM, Context, open_context
from governor.actions.init_home import init_home
from governor.actions.load_catalog import catalog_as_of
from governor.actions.notify import notices, tell
from governor.actions.review import ensure_review
from governor.actions.watch import watch
from governor.api.v1_budgets import list_notices
from governor.catalog import parse_documents
from governor.errors import Invalid
from governor.settings import load_settings
from governor.store.rows.jobs import Job
from tests.actions.conftest import CATALOG, work_off


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Context]:
    ctx = open_context(load_settings(home=tmp_path / "home", allow_private_endpoints=True), create=True)
    init_home(ctx, email="admin@acme.example", name="", billing_zone="Europe/Berlin")
    yield ctx
    ctx.close()


@pytest.fixture
def receiver() -> Iterator[Any]:
    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.got.append((self.headers["webhook-id"], body))  # type: ignore[attr-defined]
            self.send_response(server.answers.pop(0))  # type: ignore[attr-defined]
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.got, server.answers = [], [503, 204]  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def announce(ctx: Context, name: str, workflow: str = "") -> bool:
    with ctx.transaction(SYSTEM) as tx:
        return tell(
            tx, catalog_as_of(ctx), "budget.threshold", dedupe=name, title="t", text="x", path="/budgets", workflow=workflow, data={"n": 1}
        )


def test_a_notice_is_delivered_once_the_receiver_is_back(home: Context, receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", "whsec_" + base64.b64encode(b"k" * 32).decode())
    hook = f"kind: notification\nid: hook\nchannel: webhook\nurl: http://127.0.0.1:{receiver.server_port}/in\nsecret: env:HOOK\n"
    apply(home, OPERATOR, parse_documents(hook + "events: [budget.threshold]\n"))
    assert announce(home, "budget/2026-10/a/1/50")
    assert not announce(home, "budget/2026-10/a/1/50")
    assert work_off(home) == 0
    [told] = notices(home)
    assert [way["state"] for way in told["deliveries"]] == ["waiting"]
    assert "503" in told["deliveries"][0]["error"]
    real = home.now
    home.now = lambda: real() + timedelta(minutes=1)
    assert work_off(home) == 1
    [told] = notices(home)
    assert [way["state"] for way in told["deliveries"]] == ["done"]
    (first, body), (second, again) = receiver.got
    assert (first, body) == (second, again)
    assert first == f"msg_{told['id']}"
    assert json.loads(body)["data"]["url"].endswith("/budgets")


def test_a_receiver_may_be_away_for_most_of_a_day_and_its_secret_may_be_missing(
    home: Context, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was given up after four minutes, and at once in a process without the secret; a crossing is told once, so nobody heard of it."""
    monkeypatch.delenv("HOOK", raising=False)
    hook = f"kind: notification\nid: hook\nchannel: webhook\nurl: http://127.0.0.1:{receiver.server_port}/in\nsecret: env:HOOK\n"
    apply(home, OPERATOR, parse_documents(hook + "events: [budget.threshold]\n"))
    announce(home, "budget/2026-10/a/1/50")
    start = home.now()
    hours = (*(hour / 4 for hour in range(60)), 18.0, 21.0)
    for hour in hours:
        home.now = lambda at=start + timedelta(hours=hour): at  # type: ignore[misc]
        work_off(home)
    [told] = notices(home)
    assert [(way["state"], "env:HOOK is not there" in way["error"]) for way in told["deliveries"]] == [("waiting", True)]
    monkeypatch.setenv("HOOK", "whsec_" + base64.b64encode(b"k" * 32).decode())
    receiver.answers[:] = [200]
    home.now = lambda: start + timedelta(hours=24)
    assert work_off(home) == 1
    assert len(receiver.got) == 1


def test_only_those_who_asked_are_told_and_nobody_is_a_row_too(home: Context) -> None:
    apply(
        home,
        OPERATOR,
        parse_documents(
            "kind: notification\nid: narrow\nchannel: apprise\nsecret: env:CHAT\nevents: [budget.threshold]\nworkflows: [claims]\n---\n"
            "kind: notification\nid: other\nchannel: apprise\nsecret: env:CHAT\nevents: [approval.waiting]\n"
        ),
    )
    assert announce(home, "one", workflow="search")
    assert announce(home, "two", workflow="claims")
    assert [[way["notification"] for way in one["deliveries"]] for one in notices(home)] == [["narrow"], []]


def test_a_notification_that_left_the_catalog_gets_nothing(home: Context, receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = f"kind: notification\nid: hook\nchannel: webhook\nurl: http://127.0.0.1:{receiver.server_port}/in\nsecret: env:HOOK\n"
    apply(home, OPERATOR, parse_documents(hook + "events: [budget.threshold]\n"))
    announce(home, "late")
    keep = "kind: endpoint\nid: e\nprotocol: openai\nbase_url: https://g.example/v1\nsecret: env:K\n"
    apply(home, OPERATOR, parse_documents(keep), prune=True)
    assert work_off(home) == 1
    assert receiver.got == []


LISTENER = "kind: notification\nid: chat\nchannel: apprise\nsecret: env:CHAT\nevents: [approval.waiting, finding.violation]\n"


def test_an_approval_that_waits_is_told_once_to_those_who_listen(world: Any) -> None:
    change = world.reviewed()
    assert watch(world.ctx) == 0  # nobody listens
    world.apply(LISTENER)
    assert watch(world.ctx) == 1
    assert watch(world.ctx) == 0
    [told] = notices(world.ctx)
    assert (told["event"], told["path"]) == ("approval.waiting", f"/changes/{change['id']}")
    assert told["data"]["digest"] == change["digest"]
    assert (told["title"], told["data"]["verdict"]) == ("RC-1 waits for approval", "pass")
    assert "owner" in told["text"]
    assert [way["notification"] for way in told["deliveries"]] == ["chat"]


def test_a_change_that_failed_is_not_announced_as_one_to_approve(world: Any) -> None:
    world.apply(LISTENER)
    change = world.propose()
    world.shadow(change["id"], worse=80)
    assert watch(world.ctx) == 1
    [told] = notices(world.ctx)
    assert told["title"] == "RC-1 failed its shadow run and waits for its rejection"
    assert told["text"] == "A route change of fnol-triage cannot be approved; any one of owner, security may reject it."
    assert told["data"]["verdict"] == "fail"


def test_a_change_that_has_to_be_approved_anew_is_announced_anew(world: Any) -> None:
    world.apply(LISTENER)
    change = world.reviewed()
    for text in ("", CATALOG.replace("risk_tier: high", "risk_tier: low"), CATALOG):
        if text:
            world.later(minutes=5)
            world.apply(text)
            ensure_review(world.ctx, change["id"])
        assert (watch(world.ctx), watch(world.ctx)) == (1, 0)
    assert len({one["data"]["digest"] for one in notices(world.ctx)}) == 2


def test_only_the_deliveries_of_what_is_shown_are_read(world: Any) -> None:
    apply(world.ctx, world.admin, parse_documents(LISTENER.replace("approval.waiting", "budget.threshold")))
    for name in ("one", "two", "three"):
        world.later(minutes=1)
        announce(world.ctx, name)
    read: list[str] = []
    note = lambda job, _: read.append(job.id)  # noqa: E731
    sa.event.listen(Job, "load", note)
    [newest] = notices(world.ctx, limit=1)
    sa.event.remove(Job, "load", note)
    assert [way["notification"] for way in newest["deliveries"]] == ["chat"]
    assert len(read) == 1


def test_notices_are_paged_to_their_end(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The API read the newest thousand and said that there was nothing more."""
    for name in ("one", "two", "three"):
        world.later(minutes=1)
        announce(world.ctx, name)
    most: list[int] = []
    monkeypatch.setattr("governor.api.v1_budgets.notices", lambda ctx, **asked: most.append(asked["limit"]) or notices(ctx, **asked))
    seen, cursor = list[str](), ""
    while cursor is not None:
        page = list_notices.fn(world.ctx, limit=2, cursor=cursor)
        seen += [one["id"] for one in page["items"]]
        cursor = page["next"]
    with pytest.raises(Invalid, match="unknown cursor"):
        list_notices.fn(world.ctx, limit=2, cursor="AA")
    assert (seen, most) == ([one["id"] for one in notices(world.ctx)], [3, 3])
