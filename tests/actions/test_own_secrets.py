"""Documents of the catalog that would send a secret of Governor itself to an address of their own."""

from pathlib import Path
from typing import Any

import pytest

from governor.actions.own_secrets import is_allowed, is_own
from governor.errors import Invalid
from governor.settings import load_settings

ENDPOINT = "kind: endpoint\nid: mine\nprotocol: openai\nbase_url: https://collector.example/v1\nsecret: {}\n"
SOURCE = "kind: source\nid: mine\nconnector: langfuse\nconfig: {{url: https://collector.example, headers: {{x: '{}'}}}}\n"


@pytest.mark.parametrize("document", [ENDPOINT, SOURCE], ids=["endpoint", "source"])
def test_a_document_names_no_secret_of_governor(world: Any, document: str) -> None:
    for reference in ("env:GOVERNOR_DATABASE_URL", f"file:{world.ctx.settings.home}/keys/log.pem", "file:/proc/self/environ"):
        with pytest.raises(Invalid, match="a secret of Governor itself"):
            world.apply(document.format(reference))
    world.apply(ENDPOINT.format("env:GOVERNOR_DEMO_SHADOW_KEY"))


@pytest.mark.parametrize(
    ("reference", "own"),
    [
        ("env:GOVERNOR_DATABASE_URL", True),
        ("env:GOVERNOR_TOKEN", True),
        ("env:WORDS", True),
        ("env:AWS_SECRET_ACCESS_KEY", True),
        ("env:GATEWAY_KEY", False),
        ("file:HOME/keys/log.pem", True),
        ("file:HOME/../home/governor.toml", True),
        ("file:HOME/link/environ", True),
        ("file:HOME/../elsewhere/s3.key", True),
        ("file:HOME/../elsewhere/gateway.key", False),
    ],
)
def test_what_is_governors_own(tmp_path: Path, reference: str, own: bool) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "link").symlink_to("/proc/self")
    anchor = {"name": "a", "kind": "s3", "target": "s3://b/p", "access_key": "env:ID", "secret_key": f"file:{tmp_path}/elsewhere/s3.key"}
    settings = load_settings(home=home, key_passphrase="env:WORDS", anchors=[anchor])
    assert is_own(reference.replace("HOME", str(home)), settings) is own


@pytest.mark.parametrize(
    ("allowed", "reference", "may"),
    [
        ("", "env:DATABASE_URL", True),
        ("env:GATEWAY_*, file:/run/secrets/*", "env:GATEWAY_KEY", True),
        ("env:GATEWAY_*, file:/run/secrets/*", "env:DATABASE_URL", False),
        ("env:GATEWAY_*, file:/run/secrets/*", "file:/run/secrets/shadow", True),
        ("env:GATEWAY_*, file:/run/secrets/*", "file:/run/secrets/../../etc/ssl/private/key.pem", False),
        ("env:GATEWAY_*", "file:/etc/passwd", False),
    ],
)
def test_an_operator_says_what_the_catalog_may_name(tmp_path: Path, allowed: str, reference: str, may: bool) -> None:
    assert is_allowed(reference, load_settings(home=tmp_path, catalog_secrets=allowed)) is may


def test_a_document_names_only_what_is_allowed(world: Any) -> None:
    world.ctx.settings = world.ctx.settings.model_copy(update={"catalog_secrets": "env:GATEWAY_*"})
    with pytest.raises(Invalid, match="no secret that the catalog may name") as caught:
        world.apply(ENDPOINT.format("env:DATABASE_URL"))
    assert "GOVERNOR_CATALOG_SECRETS" in caught.value.hint
    world.apply(ENDPOINT.format("env:GATEWAY_KEY"))


@pytest.mark.parametrize("pattern", ["GATEWAY_KEY", "file:relative", "env:A,vault:x"])
def test_a_pattern_that_allows_nothing_is_refused(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(ValueError, match="is neither env:NAME nor file:/PATH"):
        load_settings(home=tmp_path, catalog_secrets=pattern)
