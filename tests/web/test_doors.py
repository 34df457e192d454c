"""Every page: who may pass, what a form must carry, what browsers are told."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from typing import Any
from unittest.mock import Mock

import pytest
from litestar.datastructures import Headers
from litestar.handlers import HTTPRouteHandler
from sqlmodel import select

from governor import asgi
from governor.actions.people import PREFIX, create_token, revoke_token
from governor.actions.verify_ledger import verify_ledger
from governor.asgi import MACHINE_PATHS, create_app
from governor.settings import load_settings
from governor.store.rows.people import Person
from governor.web.headers import HEADERS
from governor.web.session import OPEN, address_of

WHO = "dana@acme.example"
FILL = {"month": "2026-10", "period": "2026-10", "change_id": "RC-1", "workflow_id": "fnol-triage", "by": "workflow"}


def routes() -> list[tuple[str, str, bool]]:
    """(method, path with parameters filled in, open to all) of every page route."""
    found = []
    for route in create_app(load_settings()).routes:
        for handler in getattr(route, "route_handlers", []):
            if isinstance(handler, HTTPRouteHandler) and not route.path.startswith((*MACHINE_PATHS, "/static")):
                path = re.sub(r"\{([^}:]+)[^}]*\}", lambda hit: FILL.get(hit[1], "1"), route.path)
                found += [(method, path, bool(handler.opt.get(OPEN))) for method in sorted(handler.http_methods - {"HEAD", "OPTIONS"})]
    return found


ROUTES = routes()
SHUT = [(method, path) for method, path, is_open in ROUTES if not is_open]
READS = [path for method, path in SHUT if method == "GET"]
WRITES = [path for method, path in SHUT if method == "POST"]


def test_the_walk_finds_the_pages() -> None:
    assert {"/", "/changes/RC-1", "/spend", "/periods/2026-10"} <= set(READS)
    assert {"/changes/RC-1/decide", "/periods/2026-10/close", "/sign-out"} <= set(WRITES)
    assert [path for _, path, is_open in ROUTES if is_open] == [
        "/sign-in",
        "/sign-in",
        "/sign-in/oidc",
        "/sign-in/oidc/back",
        "/favicon.ico",
    ]


@pytest.mark.parametrize("path", READS)
def test_no_page_without_a_session(site: Any, path: str) -> None:
    with site.visitor() as visitor:
        for cookie in ("", "governor_session=wrong", f"governor_session={site.token}"):
            answer = visitor.get(path, headers={"Cookie": cookie, "Authorization": f"Bearer {site.token}"})
            assert answer.status_code == 303, cookie
            assert answer.headers["location"].startswith("/sign-in")


@pytest.mark.parametrize("path", WRITES)
def test_no_form_without_a_session(site: Any, path: str) -> None:
    before = verify_ledger(site.ctx).size
    with site.visitor() as visitor:
        answer = visitor.client.post(path, data={"csrf": visitor.csrf("/sign-in")}, follow_redirects=False)
    told = "/sign-in" if path == "/sign-out" else "/sign-in?unsent=true"  # what a form held is gone, and the page says so
    assert (answer.status_code, answer.headers["location"]) == (303, told)
    assert verify_ledger(site.ctx).size == before


@pytest.mark.parametrize("path", WRITES)
def test_no_form_without_its_csrf_value(site: Any, path: str) -> None:
    before = verify_ledger(site.ctx).size
    with site.at("admin@acme.example") as admin, site.at(WHO) as other:
        foreign = other.csrf("/")
        for fields in ({}, {"csrf": ""}, {"csrf": "x"}, {"csrf": foreign}):
            answer = admin.client.post(path, data=fields, follow_redirects=False)
            assert answer.status_code == 403, (fields, answer.text)
            assert "out of date" in answer.text
        as_json = admin.client.post(path, json={"csrf": admin.csrf("/")}, follow_redirects=False)
        assert as_json.status_code in {400, 403}
    assert verify_ledger(site.ctx).size == before


@pytest.mark.parametrize("fields", [{}, {"csrf": ""}, {"csrf": "x"}])
def test_nobody_is_signed_in_by_a_form_of_elsewhere(site: Any, fields: dict[str, str]) -> None:
    """Without the cookie of the sign-in page there is nothing that an empty value could equal."""
    with site.visitor() as visitor:
        answer = visitor.client.post(
            "/sign-in", data={"email": WHO, "password": "a long enough password", **fields}, follow_redirects=False
        )
        assert answer.status_code == 403, answer.text
        assert "governor_session" not in visitor.client.cookies


@pytest.mark.parametrize("path", ["/sign-in", "/", "/nothing", "/static/governor.css", "/healthz", "/api/v1/me", "/schema"])
def test_browsers_are_told_to_distrust_everything_else(site: Any, path: str) -> None:
    with site.at(WHO) as dana:
        headers = dana.get(path).headers
    for name, value in HEADERS.items():
        kept = name == "cache-control" and path.startswith("/static/")
        assert headers[name] == ("max-age=300" if kept else value), path
    assert "'unsafe" not in headers["content-security-policy"]
    assert "strict-transport-security" not in headers


def test_the_session_cookie_is_for_this_host_only(site: Any, open_site: Any, tmp_path: Any) -> None:
    with site.visitor() as visitor:
        plain = [text for text in visitor.sign_in(WHO).headers.get_list("set-cookie") if text.startswith("governor_session=")]
    assert len(plain) == 1
    for part in ("HttpOnly", "SameSite=lax", "Path=/"):
        assert part in plain[0]
    assert "Secure" not in plain[0]
    with open_site(tmp_path / "tls", public_url="https://governor.example") as tls, tls.visitor() as visitor:
        visitor.client.base_url = visitor.client.base_url.copy_with(scheme="https")
        answer = visitor.sign_in("admin@acme.example")
        [kept] = [text for text in answer.headers.get_list("set-cookie") if "governor_session=" in text]
        assert kept.startswith("__Host-governor_session=")
        assert "Secure" in kept
        assert "strict-transport-security" in answer.headers
        [before] = visitor.client.get("/sign-in").headers.get_list("set-cookie")
        assert before.startswith("__Host-governor_before=")
        made = visitor.post("/settings/people", {"email": "new@acme.example"})
        left = visitor.post("/sign-out", {})
        for text in [before, *made.headers.get_list("set-cookie"), *left.headers.get_list("set-cookie")]:
            assert text.count("Secure") == 1, text  # without it a browser keeps a __Host- cookie that is to go
        assert len(left.headers.get_list("set-cookie")) == len(made.headers.get_list("set-cookie")) == 1


def test_a_session_proves_nothing_to_machines(site: Any) -> None:
    with site.at(WHO) as dana:
        assert dana.get("/api/v1/me").status_code == 401


@pytest.mark.parametrize(
    "wanted", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\nSet-Cookie: x=y", "/sign-out"]
)
def test_sign_in_leads_nowhere_else(site: Any, wanted: str) -> None:
    with site.visitor() as visitor:
        assert visitor.sign_in(WHO, next=wanted).headers["location"] == "/"


def test_sign_in_comes_back_to_the_page_that_was_asked_for(site: Any) -> None:
    with site.visitor() as visitor:
        asked = visitor.get("/findings?period=2026-10")
        assert asked.headers["location"] == "/sign-in?next=%2Ffindings%3Fperiod%3D2026-10"
        shown = visitor.get(asked.headers["location"]).text
        assert 'name="next" value="/findings?period=2026-10"' in shown
        assert visitor.sign_in(WHO, next="/findings?period=2026-10").headers["location"] == "/findings?period=2026-10"


def test_a_wrong_password_says_no_more_than_that(site: Any) -> None:
    with site.visitor() as visitor:
        known, unknown = visitor.sign_in(WHO, "not the password"), visitor.sign_in("nobody@acme.example", "not the password")
    assert known.status_code == unknown.status_code == 401
    assert "E-mail or password is wrong" in known.text
    assert known.text.replace(WHO, "X") == re.sub("nobody@acme.example", "X", unknown.text)
    assert "governor_session" not in str(known.headers.get_list("set-cookie"))


def test_a_token_typed_as_the_password_is_told_where_it_belongs(site: Any) -> None:
    """All that the first admin of an empty home has is the token that `governor init` printed."""
    with site.visitor() as visitor:
        refused = visitor.sign_in(WHO, f"{PREFIX}not-one-of-ours")
    assert refused.status_code == 401
    assert "looks like a token" in refused.text
    assert "<details open>" in refused.text
    assert "not-one-of-ours" not in refused.text


def test_where_nobody_has_a_password_the_form_for_a_token_is_open(bare_site: Any, open_site: Any, tmp_path: Any) -> None:
    with open_site(tmp_path / "home") as fresh:
        with fresh.ctx.rows.session(write=True) as session:
            for person in session.exec(select(Person)).all():
                person.password_hash = ""
                session.add(person)
        with fresh.visitor() as visitor:
            assert "<details open>" in visitor.get("/sign-in").text, "a token is all that the first admin has"
    with bare_site.visitor() as visitor:
        assert "<details open>" not in visitor.get("/sign-in").text


def test_a_token_signs_in_and_ends_with_sign_out(site: Any) -> None:
    with site.visitor() as visitor:
        answer = visitor.post("/sign-in", {"token": site.token}, page="/sign-in")
        assert answer.status_code == 303
        cookie = visitor.client.cookies["governor_session"]
        assert visitor.get("/").status_code == 200
        assert visitor.post("/sign-out").headers["location"] == "/sign-in"
        assert visitor.get("/", headers={"Cookie": f"governor_session={cookie}"}).status_code == 303


def test_a_pushing_or_revoked_token_does_not_sign_in(site: Any) -> None:
    pushing = create_token(site.ctx, site.admin, email=WHO, scopes=["ingest:litellm"])
    revoked = create_token(site.ctx, site.admin, email=WHO)
    revoke_token(site.ctx, site.admin, revoked["id"])
    with site.visitor() as visitor:
        for token in (pushing["token"], revoked["token"], "gov_nothing"):
            assert visitor.post("/sign-in", {"token": token}, page="/sign-in").status_code == 401


def test_guessing_is_slowed_down(open_site: Any, tmp_path: Any) -> None:
    with open_site(tmp_path / "guessed") as site, site.visitor() as visitor:
        answers = [visitor.sign_in("admin@acme.example", f"guess {number} of many").status_code for number in range(10)]
        assert answers == [401] * 8 + [429] * 2
        right = visitor.sign_in("admin@acme.example")
        assert right.status_code == 429
        assert int(right.headers["retry-after"]) > 0
        both = {"token": site.token, "email": "admin@acme.example"}
        assert visitor.post("/sign-in", both, page="/sign-in").status_code == 303
    with site.visitor() as visitor:
        assert visitor.sign_in("admin@acme.example").status_code == 429, "a token is no way to be forgiven for an e-mail"


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "found"),
    [
        ("", "10.0.0.1", ["203.0.113.9"], "10.0.0.1"),
        ("10.0.0.1", "10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", "::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", "10.0.0.2", ["203.0.113.9"], "10.0.0.2"),
        ("10.0.0.0/8, 192.168.0.1", "192.168.0.1", ["198.51.100.1, 203.0.113.9", "10.9.9.9"], "203.0.113.9"),
        ("10.0.0.1", "10.0.0.1", ["203.0.113.9, nonsense"], "10.0.0.1"),
        ("10.0.0.1", "10.0.0.1", [], "10.0.0.1"),
        ("", "2001:db8:1:2:3:4:5:6", [], "2001:db8:1:2::/64"),
        ("", "testclient", [], ""),
    ],
    ids=["none known", "known", "mapped", "a stranger", "two in a row", "nonsense", "says nothing", "IPv6", "no address"],
)
def test_where_a_request_came_from(proxies: str, peer: str, forwarded: list[str], found: str) -> None:
    request = Mock()
    request.app.state.context.settings = load_settings(trusted_proxies=proxies)
    request.headers = Headers([(b"x-forwarded-for", one.encode()) for one in forwarded])
    request.client.host = peer
    assert address_of(request) == found


def test_tries_without_a_token_shut_out_nobody_who_has_one(open_site: Any, tmp_path: Any) -> None:
    with open_site(tmp_path / "sprayed") as site, site.visitor() as visitor:
        app: Any = site.app
        for number in range(60):
            app.state.attempts.begin(f"person{number}", "", site.ctx.now())
        assert visitor.sign_in("admin@acme.example").status_code == 429
        assert visitor.post("/sign-in", {"token": site.token}, page="/sign-in").status_code == 303


def test_wrong_tokens_shut_nobody_elses_out(open_site: Any, tmp_path: Any) -> None:
    with open_site(tmp_path / "tokens") as site, site.visitor() as visitor:
        for number in range(9):
            assert visitor.post("/sign-in", {"token": f"gov_{number}"}, page="/sign-in").status_code == 401
        assert visitor.post("/sign-in", {"token": site.token}, page="/sign-in").status_code == 303


def test_a_sign_in_form_is_small(site: Any) -> None:
    with site.visitor() as visitor:
        assert visitor.post("/sign-in", {"email": "a" * 20_000}, page="/sign-in").status_code == 413
        large = visitor.client.post("/sign-in", content=b"a&" * 20_000, headers={"Content-Type": "application/x-www-form-urlencoded"})
        assert large.status_code == 413, "before it is taken apart"


@pytest.mark.parametrize(
    ("named", "host", "meant"),
    [
        ("", "127.0.0.1", "http://127.0.0.1:8399"),
        ("https://governor.acme.example", "127.0.0.1", "https://governor.acme.example"),
        ("", "192.0.2.7", None),
    ],
)
def test_pages_show_the_address_that_is_listened_on_unless_another_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, named: str, host: str, meant: str | None
) -> None:
    monkeypatch.setattr(asgi, "Granian", Mock())
    monkeypatch.setenv("GOVERNOR_HOME", "elsewhere")  # serve sets both for its process
    monkeypatch.setenv("GOVERNOR_PUBLIC_URL", named)
    if not named:
        monkeypatch.delenv("GOVERNOR_PUBLIC_URL")
    asgi.serve(load_settings(home=tmp_path), host=host, address=host, port=8399)
    assert os.environ.pop("GOVERNOR_PUBLIC_URL", None) == meant


def test_a_server_whose_parent_is_killed_does_not_hold_the_port() -> None:
    """As `governor serve` is after kill -9: a process that nobody watches any more, and another is started in its place."""
    parent = (
        "import multiprocessing, time; from governor.asgi import end_with_parent; "
        "multiprocessing.get_context('spawn').Process(target=end_with_parent).start(); print('begun', flush=True); time.sleep(300)"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline()
        first.kill()
        killed = time.monotonic()
        assert first.stdout.read() == ""  # the pipe closes with its last holder, which is the child
        assert time.monotonic() - killed < 120


def test_a_server_that_is_told_to_end_while_it_opens_its_home_ends() -> None:
    child = (
        "import signal, time; from governor import asgi; signal.signal(signal.SIGTERM, lambda *_: None); "
        "asgi.create_app = lambda settings: (print('opening', flush=True), time.sleep(300)); asgi.build()"
    )
    with subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE, text=True) as opening:
        assert opening.stdout is not None
        assert opening.stdout.readline()
        opening.terminate()
        assert opening.wait(60) == -signal.SIGTERM


def test_the_tab_of_a_plain_file_has_a_picture(site: Any) -> None:
    with site.visitor() as visitor:
        answer = visitor.get("/favicon.ico")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.text == visitor.get("/static/icon.svg").text


@pytest.mark.parametrize("name", ["governor.css", "governor.js", "passkey.js", "icon.svg"])
def test_browsers_ask_again_for_scripts_and_styles_after_an_upgrade(site: Any, name: str) -> None:
    """Without a word on it a browser keeps a file for a tenth of its age, and a wheel's files are years old."""
    with site.visitor() as visitor:
        assert visitor.get(f"/static/{name}").headers["cache-control"] == "max-age=300"
