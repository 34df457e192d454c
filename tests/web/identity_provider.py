"""An identity provider for tests: OpenID Connect's code flow over real HTTP on loopback, whose every answer a test may spoil."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT = "governor"
SECRET = "the-client-secret"
KEY = RSAKey.generate_key(2048, {"kid": "now", "use": "sig", "alg": "RS256"})
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "now", "use": "sig", "alg": "RS256"})


@dataclass
class Provider:
    """Who signs in next, and how its answers are spoilt."""

    issuer: str = ""
    claims: dict[str, Any] = field(default_factory=lambda: {"sub": "u-1", "email": "dana@acme.example", "email_verified": True})
    userinfo: dict[str, Any] = field(default_factory=dict)
    signed: Callable[[dict[str, Any]], str] = lambda claims: jwt.encode({"alg": "RS256", "kid": "now"}, claims, KEY)
    metadata: dict[str, Any] = field(default_factory=dict)
    down: frozenset[str] = frozenset()
    asked: dict[str, dict[str, str]] = field(default_factory=dict)  # code -> the authorization request
    requests: list[tuple[str, dict[str, str], str]] = field(default_factory=list)  # path, body, authorization header

    def authorize(self, url: str) -> str:
        """What a browser that was sent to `url` comes back with, as path and query."""
        found = urlsplit(url)
        asked = {name: values[0] for name, values in parse_qs(found.query).items()}
        code = f"code-{len(self.asked)}"
        self.asked[code] = asked
        back = urlsplit(asked["redirect_uri"])
        return f"{back.path}?{urlencode({'code': code, 'state': asked['state']})}"

    def answer(self, path: str, body: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if path in self.down:
            return 503, {"error": "temporarily_unavailable"}
        if path == "/.well-known/openid-configuration":
            places = {
                name: f"{self.issuer}/{name}" for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint")
            }
            return 200, {"issuer": self.issuer, **places, **self.metadata}
        if path == "/jwks_uri":
            return 200, {"keys": [KEY.as_dict(private=False)]}
        if path == "/userinfo_endpoint":
            return 200, self.userinfo
        asked = self.asked.pop(body.get("code", ""), None)  # a code is good once
        challenge = base64.urlsafe_b64encode(hashlib.sha256(body.get("code_verifier", "").encode()).digest()).rstrip(b"=").decode()
        if asked is None or asked.get("code_challenge") != challenge or asked["code_challenge_method"] != "S256":
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"], **self.claims}
        return 200, {
            "access_token": "at",
            "token_type": "Bearer",
            "id_token": self.signed({k: v for k, v in claims.items() if v is not None}),
        }


@contextmanager
def served() -> Iterator[Provider]:
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            fields = {name: values[0] for name, values in parse_qs(body).items()}
            provider.requests.append((self.path, fields, self.headers.get("Authorization", "")))
            if self.path.startswith("/authorization_endpoint?"):  # a browser: whoever it is, they are signed in here
                asked = parse_qs(urlsplit(self.path).query)
                self.send_response(303)
                self.send_header("Location", urljoin(asked["redirect_uri"][0], provider.authorize(self.path)))
                self.end_headers()
                return
            status, document = provider.answer(self.path, fields)
            said = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_POST = do_GET  # noqa: N815 - the standard library's name

        def log_message(self, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
