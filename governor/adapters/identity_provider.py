"""The company's own sign-in, by OpenID Connect: where to send a browser, and who came back.

Owns: discovery, the authorization request (code flow with PKCE, state and nonce), the exchange, what makes an ID token good. Does not own: whose account
that is (actions/single_sign_on.py), cookies and pages (web).
Invariants: only asymmetric signatures by a key that the issuer publishes now; issuer, audience, expiry and nonce are checked; an e-mail counts only where the
provider says that it has verified it, or where the operator names another claim; neither code nor token is logged or kept. What checks tokens is imported
when somebody signs in: a server without single sign-on starts without it.
Sources: OpenID Connect Core 1.0 section 3.1, Discovery 1.0, RFC 7636 (PKCE), RFC 9700 (best current practice).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx

from governor.errors import Unauthenticated, Unavailable

SCOPE: Final = "openid email profile"
SIGNED_BY: Final = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
LEEWAY_S: Final = 60
KNOWN_FOR_S: Final = 3600.0  # how long the addresses of the provider are believed; keys are asked for each time
TIMEOUT_S: Final = 10.0
NEEDED: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")


@dataclass(frozen=True)
class Asked:
    """What a sign-in that is under way must come back with; it waits in the browser."""

    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True)
class Identity:
    issuer: str
    subject: str
    email: str


class IdentityProvider:
    """`callback`: our address that the provider sends browsers back to; `claim`: which claim is the e-mail of `kind: person`."""

    def __init__(self, issuer: str, client_id: str, secret: str, callback: str, *, claim: str = "email") -> None:
        self.issuer, self.callback = issuer, callback
        self._client_id, self._secret, self._claim = client_id, secret, claim
        self._metadata: tuple[float, dict[str, Any]] | None = None

    def begin(self) -> tuple[str, Asked]:
        """The address to send the browser to. Raises Unavailable where the provider does not say where."""
        from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
        from authlib.oauth2.rfc7636 import create_s256_code_challenge

        asked = Asked(*(secrets.token_urlsafe(48) for _ in range(3)))
        metadata = self.metadata()
        url = prepare_grant_uri(
            metadata["authorization_endpoint"],
            client_id=self._client_id,
            response_type="code",
            redirect_uri=self.callback,
            scope=SCOPE,
            state=asked.state,
            nonce=asked.nonce,
            code_challenge=create_s256_code_challenge(asked.verifier),
            code_challenge_method="S256",
        )
        return str(url), asked

    def finish(self, code: str, asked: Asked, now: int) -> Identity:
        """Who the code stands for. `now`: Unix seconds. Raises Unauthenticated for a code or token that is not good, Unavailable where nobody answers."""
        from authlib.common.errors import AuthlibBaseError
        from joserfc.errors import JoseError

        metadata = self.metadata()
        try:
            with self._http() as http:
                token = self._token(http, metadata, code, asked)
                keys = _document(http.get(metadata["jwks_uri"]))
                said = self._checked(token, keys, asked, now)
                if not said.get(self._claim) and metadata.get("userinfo_endpoint"):
                    bearer = {"Authorization": f"Bearer {token['access_token']}"}
                    more = _document(http.get(metadata["userinfo_endpoint"], headers=bearer))
                    said = {**more, **said} if more.get("sub") == said["sub"] else said
        except httpx.HTTPError as error:
            raise Unavailable(f"the identity provider {self.issuer} does not answer: {type(error).__name__}", hint="try again") from None
        except (AuthlibBaseError, JoseError, ValueError, KeyError, TypeError) as error:
            raise Unauthenticated(f"what the identity provider sent is not good: {_reason(error)}", hint="sign in again") from None
        return Identity(self.issuer, str(said["sub"]), self._email(said))

    def metadata(self) -> dict[str, Any]:
        """Its addresses, as it publishes them. Raises Unavailable where it does not, or is another than the settings name."""
        if self._metadata is not None and time.monotonic() - self._metadata[0] < KNOWN_FOR_S:
            return self._metadata[1]
        place = f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            with self._http() as http:
                found = _document(http.get(place))
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable(f"{place} does not answer as an identity provider does: {_reason(error)}") from None
        if found.get("issuer") != self.issuer:
            raise Unavailable(f"{place} names the issuer {found.get('issuer')!r}", hint="GOVERNOR_OIDC_ISSUER must be spelt as it is there")
        for name in NEEDED:
            address = str(found.get(name, ""))
            if not address.startswith("https://" if self.issuer.startswith("https:") else ("https://", "http://")):
                raise Unavailable(f"{place} has no {name} under https")
        self._metadata = (time.monotonic(), found)
        return found

    def _http(self) -> httpx.Client:
        return httpx.Client(timeout=TIMEOUT_S)

    def _token(self, http: httpx.Client, metadata: Mapping[str, Any], code: str, asked: Asked) -> dict[str, Any]:
        """The answer to the code (RFC 6749 section 4.1.3). Raises ValueError where it is refused."""
        body = {"grant_type": "authorization_code", "code": code, "redirect_uri": self.callback, "code_verifier": asked.verifier}
        ways = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        basic = self._secret and "client_secret_basic" in ways
        if not basic:
            body |= {"client_id": self._client_id} | ({"client_secret": self._secret} if self._secret else {})
        auth = httpx.BasicAuth(quote(self._client_id, safe=""), quote(self._secret, safe="")) if basic else httpx.USE_CLIENT_DEFAULT
        answer = http.post(metadata["token_endpoint"], data=body, auth=auth)
        if answer.status_code in {400, 401}:  # refused, in the words of RFC 6749 section 5.2
            raise ValueError("the code or the client was refused")
        return _document(answer)

    def _checked(self, token: Mapping[str, Any], keys: Mapping[str, Any], asked: Asked, now: int) -> Mapping[str, Any]:
        """The claims of the ID token, each rule of OpenID Connect Core 3.1.3.7 held."""
        from authlib.oidc.core import CodeIDToken
        from joserfc import jwt
        from joserfc.jwk import KeySet

        signed = jwt.decode(str(token["id_token"]), KeySet.import_key_set(keys), algorithms=SIGNED_BY)  # type: ignore[arg-type]
        claims = CodeIDToken(
            signed.claims,
            signed.header,
            options={"iss": {"values": [self.issuer]}, "aud": {"values": [self._client_id]}},
            params={"nonce": asked.nonce, "client_id": self._client_id, "access_token": token.get("access_token")},
        )
        claims.validate(now=now, leeway=LEEWAY_S)
        return dict(claims)

    def _email(self, said: Mapping[str, Any]) -> str:
        email = said.get(self._claim)
        if not isinstance(email, str) or "@" not in email:
            raise Unauthenticated(
                f"the identity provider named no e-mail in {self._claim}", hint="GOVERNOR_OIDC_EMAIL_CLAIM says which claim it is"
            )
        if self._claim == "email" and said.get("email_verified") is not True:
            raise Unauthenticated(
                "the identity provider does not say that it verified this e-mail (email_verified)",
                hint="where only your administrators set addresses, name the claim that they set: GOVERNOR_OIDC_EMAIL_CLAIM=preferred_username",
            )
        return email.strip().lower()


def _document(answer: httpx.Response) -> dict[str, Any]:
    """Raises httpx.HTTPStatusError, ValueError for what is no JSON object."""
    answer.raise_for_status()
    found = answer.json()
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - as where it is no JSON at all
    return found


def _reason(error: Exception) -> str:
    """What went wrong, never what was sent."""
    return str(getattr(error, "error", "") or (error if type(error) is ValueError else type(error).__name__))
