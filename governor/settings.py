"""Every knob of a Governor process, one class.

Owns: names, defaults, meaning. Does not own: the catalog (workflows, routes: data, see catalog.py).
Read from the environment (`GOVERNOR_*`), then `governor.toml` in the home. Secrets are references (`env:NAME`, `file:PATH`, key-store URI).
"""

from __future__ import annotations

import logging
import os
import re
import tomllib
from collections.abc import Iterable
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import platformdirs
from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError, TomlConfigSettingsSource

from governor.errors import Misconfigured
from governor.ledger.anchor import AnchorConfig

LAKE_SCHEMES: Final = {
    "lake_catalog": ("postgres://", "postgresql://", "postgresql+psycopg://"),
    "lake_data": ("s3://", "gs://", "gcs://"),
}


def default_home() -> Path:
    return Path(platformdirs.user_data_dir("governor"))


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="GOVERNOR_", extra="forbid", frozen=True)

    home: Path = Field(default_factory=default_home, description="Directory of the embedded database, lake, keys and outputs.")
    database_url: str = Field(default="", description="SQLAlchemy URL of the operational rows; empty means SQLite in the home.")
    ledger_role: str = Field(
        default="",
        description="Postgres role that alone may write leaves, tree and checkpoints of the ledger; taken for those statements only. Empty means the role of the URL.",
    )
    lake_catalog: str = Field(default="", description="DuckLake catalog: a path or postgres:// URL; empty means SQLite in the home.")
    lake_data: str = Field(default="", description="Where Parquet files live: a directory or s3:// prefix; empty means the home.")
    broker_url: str = Field(default="", description="redis:// URL of the job broker; empty means worker threads in this process.")
    opa_url: str = Field(default="", description="URL of a running OPA server; empty means the embedded engine.")
    policies: str = Field(
        default="",
        description="Directory of the rules that decide, of the shape that `governor policy copy` writes; empty means those that ship. The same for every process.",
    )
    opa_token: str = Field(default="", repr=False, description="Bearer token the OPA server wants; empty sends none.")
    token: str = Field(default="", repr=False, description="API token of the person who acts; empty means the local operator.")
    org: str = Field(default="default", description="Organization this process serves; embedded mode holds one.")
    public_url: str = Field(
        default="http://127.0.0.1:8321",
        description="URL people use; fixes cookies and links. Where none is set, `governor serve` takes the loopback address it listens on.",
    )
    trusted_proxies: str = Field(
        default="",
        description="Addresses or networks of reverse proxies, separated by commas: theirs is the `X-Forwarded-For` that counts tries to sign in. Empty means none.",
    )
    oidc_issuer: str = Field(
        default="",
        description="Issuer of the company's identity provider (OpenID Connect), as it spells itself; empty means no single sign-on.",
    )
    oidc_client_id: str = Field(default="", description="What the identity provider calls Governor.")
    oidc_client_secret: str = Field(
        default="", description="Reference (env:NAME or file:PATH) to the client's secret; empty for a public client (PKCE alone)."
    )
    oidc_name: str = Field(default="single sign-on", description="What people call it; the button says `Sign in with NAME`.")
    oidc_email_claim: str = Field(
        default="email",
        description="Claim that holds the e-mail of `kind: person`. `email` counts only with `email_verified`; name another only if your administrators alone set it.",
    )
    password_sign_in: bool = Field(default=True, description="Whether people may sign in on the pages with a password; tokens always may.")
    log_level: str = Field(default="warning", description="debug | info | warning | error.")
    max_body_bytes: int = Field(default=32 * 1024 * 1024, ge=1, description="Largest request body accepted, in bytes.")
    spool_max_bytes: int = Field(
        default=4 * 1024**3,
        ge=0,
        description="Pushed bodies that may wait on disk for the lake, in bytes; past it receivers answer 503 and keep nothing.",
    )
    allow_private_endpoints: bool = Field(
        default=False,
        description="Let replay endpoints and pulled sources resolve to loopback or private addresses (a gateway inside the company network).",
    )
    catalog_secrets: str = Field(
        default="",
        description="References that the catalog may name as secrets, patterns separated by commas, such as `env:GATEWAY_*, file:/run/secrets/*`. "
        "Empty means all but Governor's own.",
    )
    approval_days: int = Field(default=14, ge=0, le=36_500, description="Days an approval stays valid.")
    evidence_days: int = Field(
        default=90,
        ge=1,
        le=36_500,
        description="Days after its end in which a shadow run may be approved and cut over; then it is repeated.",
    )

    key_passphrase: str = Field(
        default="",
        description="Reference (env:NAME or file:PATH) to the passphrase of the key files; empty means unencrypted files, mode 0600.",
    )
    log_domain: str = Field(
        default="",
        description="Domain in the ledger's name and the packet issuer's; choose your own before the first `governor init`. Empty means the home's own (`keys/domain`).",
    )
    anchors: tuple[AnchorConfig, ...] = Field(
        default=(),
        description="Places outside the database that keep signed checkpoints: a JSON list, or `[[anchors]]` tables in governor.toml; see docs/anchors.md.",
    )
    anchor_seconds: int = Field(default=60, ge=1, le=86_400, description="A growing ledger is published to its anchors at most this often.")
    anchor_alarm_minutes: int = Field(
        default=60, ge=1, description="An anchor that lacks a checkpoint older than this is reported as stale."
    )
    public_tiles: bool = Field(
        default=False,
        description="Serve /checkpoint and /tile/ to readers without a token (leaves hold no personal data, but business facts).",
    )

    @field_validator("home")
    @classmethod
    def _a_path_for_all(cls, home: Path) -> Path:
        """Said before anything is made there: the lake's engine parts a path at a backslash, and what is no UTF-8 fails in the database."""
        if not str(home).isprintable() or "\\" in str(home):
            raise ValueError(f"{str(home)!r} cannot be a home: its path holds a backslash or a character that is not UTF-8 text")
        return home

    @field_validator("lake_catalog", "lake_data")
    @classmethod
    def _known_scheme(cls, place: str, field: ValidationInfo) -> str:
        """A mistyped URL would be taken for the path of a new lake beside the real one."""
        known = LAKE_SCHEMES[str(field.field_name)]
        if re.match(r"[A-Za-z][\w+.-]+:/", place) and not place.startswith(known):
            raise ValueError(f"neither a path nor a URL that begins with {', '.join(known)}")
        return place

    @field_validator("log_level")
    @classmethod
    def _a_level(cls, level: str) -> str:
        if level.upper() not in logging.getLevelNamesMapping():
            raise ValueError(f"{level!r} is not a level: use debug, info, warning or error")
        return level

    @field_validator("public_url")
    @classmethod
    def _a_host_of_its_own(cls, url: str) -> str:
        """Without `https:` cookies are not marked Secure, and links of pages begin at the root of their host."""
        found = urlsplit(url)
        if found.scheme not in {"http", "https"} or not found.hostname or found.path.strip("/") or found.query:
            raise ValueError("not the address of a host, such as https://governor.acme.example (pages cannot live under a path)")
        return url

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, text: str) -> str:
        for one in text.split(",") if text.strip() else ():
            ip_network(one.strip(), strict=False)
        return text

    @field_validator("catalog_secrets")
    @classmethod
    def _references(cls, text: str) -> str:
        for one in text.split(",") if text.strip() else ():
            if not re.match(r"env:.|file:[/*]", one.strip()):
                raise ValueError(f"{one.strip()!r} is neither env:NAME nor file:/PATH (both may hold *)")
        return text

    @field_validator("oidc_issuer")
    @classmethod
    def _over_tls(cls, issuer: str) -> str:
        found = urlsplit(issuer)
        if issuer and (found.scheme not in {"http", "https"} or not found.hostname or found.query or found.fragment):
            raise ValueError("not the address of an identity provider, such as https://login.acme.example/realms/main")
        if found.scheme == "http" and found.hostname not in {"127.0.0.1", "localhost", "::1"}:
            raise ValueError("an identity provider is asked over https")
        return issuer

    @model_validator(mode="after")
    def _single_sign_on_is_whole(self) -> Settings:
        if self.oidc_issuer and not self.oidc_client_id:
            raise ValueError("oidc_issuer needs oidc_client_id: what the identity provider calls Governor")
        return self

    @model_validator(mode="after")
    def _anchors_hold(self) -> Settings:
        names = [anchor.name for anchor in self.anchors]
        if len(set(names)) < len(names):
            raise ValueError("two anchors have the same name")
        for anchor in self.anchors:
            if anchor.outside and anchor.kind == "directory" and Path(anchor.target).absolute().is_relative_to(self.home.absolute()):
                raise ValueError(f"anchor {anchor.name} lies inside the home: that is not outside anybody's reach")
        return self

    @property
    def database(self) -> str:
        path = (
            str(self.home / "governor.db").replace("%", "%25").replace("?", "%3F")
        )  # in a URL they would end the path, or be other characters
        return self.database_url or f"sqlite:///{path}"

    @property
    def own_policies(self) -> Path | None:
        return Path(self.policies) if self.policies else None

    @property
    def proxies(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return tuple(ip_network(one.strip(), strict=False) for one in self.trusted_proxies.split(",") if one.strip())

    @property
    def embedded(self) -> bool:
        return self.database.startswith("sqlite")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - signature is pydantic's
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        home = Path(str(init_settings().get("home") or os.environ.get("GOVERNOR_HOME") or default_home()))
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, home / "governor.toml")


def load_settings(**overrides: Any) -> Settings:
    """Settings from overrides, environment and the home's governor.toml. Raises pydantic.ValidationError naming the knob, or Misconfigured."""
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"governor.toml: {error}") from None
    except SettingsError as error:  # it names the setting, not its value
        raise Misconfigured(f"{error}: it is no JSON") from None


def not_settings(variables: Iterable[str]) -> dict[str, str]:
    """GOVERNOR_* variables that set nothing, each with the name it comes near to, or ''. They are not refused: a secret's own variable may be called so."""
    known = [name.upper() for name in Settings.model_fields]
    own = sorted(name.removeprefix("GOVERNOR_") for name in variables if name.startswith("GOVERNOR_"))
    near = {name: get_close_matches(name.upper(), known, n=1, cutoff=0.7) for name in own if name not in known}
    return {f"GOVERNOR_{name}": f"GOVERNOR_{found[0]}" if found else "" for name, found in near.items()}
