"""Notices on the wire: signed as Standard Webhooks says, never to an address that is guarded, never a secret in an error."""

from __future__ import annotations

import base64
import json
import smtplib
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests

from governor.adapters.apprise_notice import AppriseNotice
from governor.adapters.webhook import Webhook, body_of, key_of, signed
from governor.errors import Invalid, Refused, TooLarge, Unavailable
from governor.ports import Notice

NOTICE = Notice(
    "01", "budget.threshold", datetime(2026, 10, 5, tzinfo=UTC), "a title", "words", "https://g.example/budgets", {"limit": "10.00"}
)
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


@pytest.fixture
def receiver() -> Iterator[Any]:
    """A server that keeps what it got and answers `status`."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.got.append((dict(self.headers), body))  # type: ignore[attr-defined]
            self.send_response(server.status)  # type: ignore[attr-defined]
            self.send_header("Location", "http://169.254.169.254/")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.got, server.status = [], 204  # type: ignore[attr-defined]
    server.url = f"http://127.0.0.1:{server.server_port}/in"  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def test_the_signature_is_that_of_the_standard() -> None:
    """The example of the specification's reference libraries."""
    key = key_of("env:X", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed("p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', key)
    assert headers["webhook-id"] == "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_an_attempt_arrives_signed(receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", SECRET)
    hook = Webhook(receiver.url, "env:HOOK", allow_private=True, clock=lambda: 1_760_000_000.5)
    assert hook.send(NOTICE) == "HTTP 204"
    [(headers, body)] = receiver.got
    assert body == body_of(NOTICE)
    assert json.loads(body) == {
        "type": "budget.threshold",
        "timestamp": "2026-10-05T00:00:00Z",
        "data": {"title": "a title", "text": "words", "url": "https://g.example/budgets", "limit": "10.00"},
    }
    found = {name.lower(): value for name, value in headers.items()}
    assert {name: found[name] for name in ("webhook-id", "webhook-timestamp", "webhook-signature")} == {
        name: value for name, value in signed("01", 1_760_000_000, body, b"k" * 32).items() if name.startswith("webhook")
    }


def test_what_may_be_tried_again_and_what_not(receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", SECRET)
    hook = Webhook(receiver.url, "env:HOOK", allow_private=True)
    for status, kind in ((500, Unavailable), (429, Unavailable), (302, Unavailable), (410, Refused)):
        receiver.status = status
        with pytest.raises(kind):
            hook.send(NOTICE)
    assert len(receiver.got) == 4  # the redirect was not followed
    receiver.shutdown()
    receiver.server_close()
    with pytest.raises(Unavailable):
        hook.send(NOTICE)


def test_guarded_addresses_are_not_called(receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", SECRET)
    for url in (
        receiver.url,
        receiver.url.replace("127.0.0.1", "localhost"),
        "https://169.254.169.254/x",
        "https://[::1]/x",
        "https://localhost/x",
    ):
        with pytest.raises(Refused):
            Webhook(url, "env:HOOK").send(NOTICE)
    with pytest.raises(Refused):
        Webhook("https://169.254.169.254/x", "env:HOOK", allow_private=True).send(NOTICE)
    assert receiver.got == []


@pytest.mark.parametrize("secret", ["plain", "whsec_c2hvcnQ=", "whsec_***"])
def test_a_wrong_secret_is_named_and_not_shown(secret: str) -> None:
    with pytest.raises(Invalid, match="env:HOOK") as refused:
        key_of("env:HOOK", secret)
    assert secret not in str(refused.value)


def test_a_body_has_a_limit() -> None:
    with pytest.raises(TooLarge):
        body_of(Notice("01", "e", NOTICE.at, "t", "x" * 30_000, "", {}))


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("json://127.0.0.1:9/x", Refused),
        ("syslog://", Refused),
        ("mailto://user:canary@mail.example?smtp=127.0.0.1", Refused),
        ("ntfy://169.254.169.254/topic", Refused),
        ("nonsense", Invalid),
    ],
)
def test_apprise_reaches_only_services_on_the_list(url: str, kind: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT", url)
    with pytest.raises(kind) as refused:
        AppriseNotice("env:CHAT").send(NOTICE)
    assert "canary" not in str(refused.value)


def test_apprise_delivers(receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    receiver.status = 200
    monkeypatch.setenv("CHAT", f"ntfy://127.0.0.1:{receiver.server_port}/budgets")
    assert AppriseNotice("env:CHAT", allow_private=True).send(NOTICE) == "Ntfy took it"
    [(_, body)] = receiver.got
    assert json.loads(body)["title"] == "a title"
    receiver.status = 500
    with pytest.raises(Unavailable):
        AppriseNotice("env:CHAT", allow_private=True).send(NOTICE)


HOSTILE = (
    "model openai/<img src=https://evil.example/x.png> of <!channel> @everyone [ok](https://evil.example) & claude@20240620 is not approved"
)
SHOWN = "of <\u200b!channel> @\u200beveryone [ok]\u200b(https://evil.example) & claude@20240620 is not approved"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mailto://127.0.0.1/?from=gov@acme.example&to=ops@acme.example&smtp=127.0.0.1", "openai/<\u200bimg src"),
        ("tgram://123456789:abcdefg_hijklmnop/12315544", "openai/&lt;\u200bimg src"),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#gov", "openai/&lt;\u200bimg src"),
        ("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js", SHOWN),
        ("workflows://h.example:443/643ed0f9a2d64a4e9ac5d4eb8d5c2a1c/SIGxxxxxxxxxxxxxxxxxxxxxxx", SHOWN),
        ("mmost://127.0.0.1/3ccdd113474722377935511fc85d3dd4", SHOWN),
    ],
    ids=["mail", "telegram", "slack", "discord", "teams", "mattermost"],
)
def test_a_hostile_name_is_shown_and_does_nothing(url: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As HTML it loaded pictures and hid links in mails, Telegram refused the notice, and chats rang everybody."""
    sent = []

    def caught(*_: Any, data: Any = b"", **__: Any) -> Any:
        sent.append(data.decode() if isinstance(data, bytes) else data)
        answer = requests.Response()
        answer.status_code, answer._content = 200, b"ok"
        return answer

    def mailed(_: Any, sender: str, to: Any, message: str | bytes, **__: Any) -> dict[str, Any]:
        read = message_from_bytes(message.encode() if isinstance(message, str) else message, policy=policy.default)
        sent.append(json.dumps([part.get_content() for part in read.walk() if not part.is_multipart()]))
        assert [part.get_content_type() for part in read.walk()] == ["text/plain"]
        return {}

    monkeypatch.setattr(requests, "post", caught)
    monkeypatch.setattr(requests.Session, "request", caught)
    monkeypatch.setattr(smtplib.SMTP, "connect", lambda *_: (220, b"ready"))
    monkeypatch.setattr(smtplib.SMTP, "sendmail", mailed)
    monkeypatch.setenv("CHAT", url)
    notice = Notice("01", "finding.violation", NOTICE.at, "model.approved: chat", HOSTILE, "https://g.example/findings?rule=x", {})
    AppriseNotice("env:CHAT", allow_private=True).send(notice)
    words = "\n".join(json.dumps(json.loads(one), ensure_ascii=False) for one in sent if one)
    assert shown in words
    assert "https://g.example/findings?rule=x" in words
    assert "<img" not in words
    assert "<!channel" not in words
    assert "@everyone" not in words
