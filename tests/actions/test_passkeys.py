"""Decisions signed by a person's own device: the ceremony in a real browser with a virtual authenticator, and what the server refuses."""

import base64
import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from litestar.testing import TestClient
from playwright import sync_api

from governor.actions.context import OPERATOR
from governor.actions.decide import approve, reject
from governor.actions.export_packet import export_packet
from governor.actions.export_trust import export_trust
from governor.actions.passkey_challenges import available, site
from governor.actions.passkeys import begin_decision, begin_registration, finish_registration, list_passkeys, revoke_passkey
from governor.actions.sign_in import set_password
from governor.asgi import create_app
from governor.errors import Forbidden, PasskeyNeeded, Refused, Unauthenticated
from governor.packets import standalone_verifier
from governor.packets.verify import verify_packet

ORIGIN = "http://localhost:8321"
PASSWORD = "a long enough password"


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass
class Device:
    """An authenticator in software: ES256, no attestation."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    name: bytes = field(default_factory=lambda: os.urandom(16))
    count: int = 0
    flags: int = 0x05
    origin: str = ORIGIN
    rp: str = "localhost"

    def _data(self, more: bytes = b"", flags: int = 0) -> bytes:
        self.count += 1
        return hashlib.sha256(self.rp.encode()).digest() + bytes([self.flags | flags]) + self.count.to_bytes(4, "big") + more

    def _client(self, kind: str, options: str) -> bytes:
        said = {"type": f"webauthn.{kind}", "challenge": json.loads(options)["challenge"], "origin": self.origin, "crossOrigin": False}
        return json.dumps(said).encode()

    def register(self, options: str) -> str:
        numbers = self.key.public_key().public_numbers()
        cose = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})
        data = self._data(bytes(16) + len(self.name).to_bytes(2, "big") + self.name + cose, 0x40)
        attested = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        response = {"clientDataJSON": b64(self._client("create", options)), "attestationObject": b64(attested)}
        return self._answer(response)

    def sign(self, options: str) -> str:
        data, client = self._data(), self._client("get", options)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return self._answer({"clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(signature)})

    def _answer(self, response: dict[str, str]) -> str:
        return json.dumps({"id": b64(self.name), "rawId": b64(self.name), "type": "public-key", "response": response})


@pytest.fixture
def named(world: Any) -> Any:
    """The same organization under a host name: browsers give no passkeys to an address."""
    world.ctx.settings = world.ctx.settings.model_copy(update={"public_url": ORIGIN})
    return world


def registered(world: Any, who: str) -> Device:
    device = Device()
    finish_registration(world.ctx, world.person(who), device.register(begin_registration(world.ctx, world.person(who))), name="phone")
    return device


def asked(world: Any, who: str, change: dict[str, Any], **other: str) -> str:
    return begin_decision(world.ctx, world.person(who), change["id"], **{"digest": change["digest"], "decision": "approve", **other})


def decided(world: Any, who: str, change: dict[str, Any], assertion: str) -> Any:
    return approve(world.ctx, world.person(who), change["id"], digest=change["digest"], reason="evidence read", assertion=assertion)


def test_an_approval_by_passkey_is_evidence_in_the_packet(named: Any) -> None:
    device, change = registered(named, "dana"), named.reviewed()
    decided(named, "dana", change, device.sign(asked(named, "dana", change)))
    approve(named.ctx, named.person("sol"), change["id"], digest=change["digest"], reason="no new exposure")
    (strong, weak) = named.entries("change:approve")
    assert (strong["actor"]["auth"], weak["actor"]["auth"]) == ({"amr": "passkey"}, {"amr": "token"})
    assert strong["payload"]["passkey"]["record"]["digest"] == change["digest"]
    packet, trust = export_packet(named.ctx, named.person("ada"), change["id"]), export_trust(named.ctx)
    report = verify_packet(packet, trust)
    assert report.exit_code == 0
    assert "signed by passkey: owner; weaker (password or token): security" in report.text()
    _, lines = standalone_verifier.verify(packet, standalone_verifier.Trust(trust.encode()))
    assert [(check.name, check.status, check.detail) for check in report.checks] == lines
    assert [one["last_used_at"] is not None for one in list_passkeys(named.ctx, named.person("dana"))] == [True]
    assert named.entries("passkey:register")[0]["payload"]["public_key"] == strong["payload"]["passkey"]["public_key"]


def test_what_is_not_the_persons_own_answer_is_refused(named: Any) -> None:
    device, other, change = registered(named, "dana"), registered(named, "olga"), named.reviewed()
    second = named.reviewed(candidate="openai/gpt-4.1-nano@us-east-1")
    options = asked(named, "dana", change)
    with pytest.raises(Forbidden, match="not registered for you"):
        decided(named, "dana", change, other.sign(options))
    for field_name, value in (("origin", "https://evil.example"), ("rp", "evil.example"), ("flags", 0x01)):
        honest, before = asked(named, "dana", change), getattr(device, field_name)
        setattr(device, field_name, value)
        with pytest.raises(Forbidden, match="not accepted"):
            decided(named, "dana", change, device.sign(honest))
        setattr(device, field_name, before)
    answer = device.sign(asked(named, "dana", second))
    with pytest.raises(Forbidden, match="another decision"):
        decided(named, "dana", change, answer)
    with pytest.raises(Forbidden, match="nothing was asked"):
        decided(named, "dana", second, answer)  # answered once already
    for broken in ("not JSON", "[]", "{}", json.dumps({"id": b64(device.name)})):
        asked(named, "dana", change)
        with pytest.raises(Forbidden, match="not accepted"):
            decided(named, "dana", change, broken)
    late = device.sign(asked(named, "dana", change))
    named.later(minutes=6)
    with pytest.raises(Forbidden, match="too long ago"):
        decided(named, "dana", change, late)
    rejecting = device.sign(asked(named, "dana", change, decision="reject"))
    with pytest.raises(Forbidden, match="another decision"):
        decided(named, "dana", change, rejecting)
    forged = json.loads(device.sign(asked(named, "dana", change)))
    forged["response"]["signature"] = b64(ec.generate_private_key(ec.SECP256R1()).sign(b"x", ec.ECDSA(hashes.SHA256())))
    with pytest.raises(Forbidden, match="not accepted"):
        decided(named, "dana", change, json.dumps(forged))
    assert named.entries("change:approve") == []
    decided(named, "dana", change, device.sign(asked(named, "dana", change)))


@pytest.mark.parametrize(("table", "needed"), [("passkey_risk_tiers: [high]", True), ("passkey_risk_tiers: [low]", False)])
def test_a_risk_tier_may_ask_for_a_passkey(named: Any, table: str, needed: bool) -> None:
    device = registered(named, "dana")
    named.apply(f"kind: organization\ntables:\n  approval: {{{table}}}\n")
    change = named.reviewed()
    assert [need.get("strength") for need in named.entries("change:review")[-1]["payload"]["needs"]] == ["passkey" if needed else None] * 2
    if needed:
        with pytest.raises(PasskeyNeeded, match=r"owner approves RC-1 with a passkey.*token") as refused:
            approve(named.ctx, named.person("dana"), change["id"], digest=change["digest"], reason="evidence read")
        assert (refused.value.code, named.entries("change:approve")) == ("passkey_needed", [])
        decided(named, "dana", change, device.sign(asked(named, "dana", change)))
    else:
        approve(named.ctx, named.person("dana"), change["id"], digest=change["digest"], reason="evidence read")
    assert len(named.entries("change:approve")) == 1
    if needed:  # stopping a change needs no device
        reject(named.ctx, named.person("sol"), change["id"], digest=change["digest"], reason="new exposure")


@pytest.mark.parametrize(("approved", "who"), [("dana", "dana"), ("sol", "multi")], ids=["own approval", "answered by another"])
def test_a_rejection_is_signed_also_where_no_approval_is_open_to_the_person(named: Any, approved: str, who: str) -> None:
    device, change = registered(named, who), named.reviewed()
    approve(named.ctx, named.person(approved), change["id"], digest=change["digest"], reason="ok")
    with pytest.raises(Forbidden, match="you cannot approve"):
        asked(named, who, change)
    assertion = device.sign(asked(named, who, change, decision="reject"))
    done = reject(named.ctx, named.person(who), change["id"], digest=change["digest"], reason="found a leak", assertion=assertion)
    assert (done["state"], named.entries("change:reject")[0]["actor"]["auth"]) == ("rejected", {"amr": "passkey"})


def test_who_may_ask_and_who_may_revoke(named: Any) -> None:
    device, change = registered(named, "dana"), named.reviewed()
    with pytest.raises(Unauthenticated):
        begin_registration(named.ctx, OPERATOR)
    with pytest.raises(Refused, match="you have no passkey"):
        asked(named, "sol", change)
    with pytest.raises(Forbidden, match="you cannot approve"):
        asked(named, "rae", change)
    with pytest.raises(Refused, match="no longer what was shown"):
        asked(named, "dana", change, digest="00" * 32)
    (held,) = list_passkeys(named.ctx, named.person("dana"))
    with pytest.raises(Forbidden):
        revoke_passkey(named.ctx, named.person("sol"), held["id"])
    options = asked(named, "dana", change)
    revoke_passkey(named.ctx, named.person("dana"), held["id"])
    with pytest.raises(Forbidden, match="revoked"):
        decided(named, "dana", change, device.sign(options))
    assert [entry["payload"]["public_key"] for entry in named.entries("passkey:revoke")] == [held["public_key"]]


def test_an_address_without_a_name_has_no_passkeys(world: Any) -> None:
    for url, good in (("http://127.0.0.1:8321", False), ("http://governor.acme.example", False), ("https://governor.acme.example", True)):
        settings = world.ctx.settings.model_copy(update={"public_url": url})
        assert available(settings) is good
    assert site(settings) == ("https://governor.acme.example", "governor.acme.example")
    with pytest.raises(Refused, match="host name"):
        begin_registration(world.ctx, world.person("dana"))


@contextlib.contextmanager
def pages(world: Any, chromium: str) -> Iterator[Any]:
    """A browser whose every request is answered by the application itself, under the name `localhost`."""
    with (
        TestClient(create_app(world.ctx.settings, context=world.ctx, with_worker=False), base_url=ORIGIN) as client,
        sync_api.sync_playwright() as player,
    ):
        started = player.chromium.launch(executable_path=chromium, args=["--no-sandbox"])

        def answer(route: Any, request: Any) -> None:
            client.cookies.clear()
            body = request.post_data_buffer
            found = client.request(request.method, request.url, headers=request.all_headers(), content=body, follow_redirects=False)
            headers = {name: value for name, value in found.headers.items() if name not in {"content-encoding", "content-length"}}
            if cookies := found.headers.get_list("set-cookie"):
                headers["set-cookie"] = "\n".join(cookies)
            if found.is_redirect:  # the browser would follow it past this route
                there = f'<meta http-equiv="refresh" content="0;url={found.headers["location"]}">'
                route.fulfill(status=200, headers={**headers, "content-type": "text/html"}, body=there)
            else:
                route.fulfill(status=found.status_code, headers=headers, body=found.content)

        context = started.new_context(viewport={"width": 1440, "height": 900})
        context.route("**/*", answer)
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        try:
            yield page
            assert complaints == []
        finally:
            started.close()


def test_register_and_approve_in_a_browser(named: Any, tmp_path: Path, chromium: str) -> None:
    """Chromium's virtual authenticator plays the device; scripts of this host only, under the strict content policy."""
    change = named.reviewed()
    set_password(named.ctx, named.admin, email="dana@acme.example", password=PASSWORD)
    expect = sync_api.expect
    shots = Path(os.environ.get("GOVERNOR_TEST_SHOTS", tmp_path))
    with pages(named, chromium) as page:
        devices = page.context.new_cdp_session(page)
        devices.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
        }
        devices.send("WebAuthn.addVirtualAuthenticator", {"options": options | {"automaticPresenceSimulation": True}})
        page.goto(f"{ORIGIN}/sign-in")
        page.get_by_label("E-mail").fill("dana@acme.example")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Inbox")
        page.goto(f"{ORIGIN}/settings")
        page.get_by_label("Name of the device").fill("laptop")
        page.get_by_role("button", name="Register a passkey").click()
        expect(page.get_by_text("Passkey registered")).to_be_visible()
        page.locator("#passkeys").scroll_into_view_if_needed()
        page.screenshot(path=shots / "settings.png", full_page=True)
        page.goto(f"{ORIGIN}/changes/{change['id']}")
        page.get_by_label("Your reason").fill("evidence read")
        expect(page.get_by_label("Sign with your passkey")).to_be_checked()
        page.screenshot(path=shots / "change.png", full_page=True)
        page.get_by_role("button", name="Approve as owner").click()
        expect(page.get_by_text("Your decision is on record: approve as owner")).to_be_visible()
        expect(page.get_by_text("signed by their own device")).to_be_visible()
        page.set_viewport_size({"width": 390, "height": 844})
        page.screenshot(path=shots / "decided-phone.png", full_page=True)
    (entry,) = named.entries("change:approve")
    assert entry["actor"]["auth"] == {"amr": "passkey"}
    approve(named.ctx, named.person("sol"), change["id"], digest=change["digest"], reason="no new exposure")
    packet = export_packet(named.ctx, named.person("ada"), change["id"])
    assert "signed by passkey: owner" in verify_packet(packet, export_trust(named.ctx)).text()
