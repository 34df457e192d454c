"""What `deploy/` starts is a command there is, with options it has, in a home that it may write; the pages of the manual say the same."""

from __future__ import annotations

import configparser
import json
import re
from pathlib import Path
from typing import Any

from typer.main import get_command

from governor.cli import app
from governor.settings import Settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()


def parsed(words: list[str]) -> dict[str, Any]:
    """The options of a command line, as the command itself reads them."""
    group: Any = get_command(app)
    command = group.commands[words[0]]
    found: dict[str, Any] = command.make_context(words[0], words[1:]).params
    return found


def unit() -> configparser.SectionProxy:
    reader = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    reader.optionxform = str  # type: ignore[assignment,method-assign] # systemd's names have capitals
    reader.read(ROOT / "deploy/governor.service")
    return reader["Service"]


def test_the_unit_starts_a_server_that_may_write_its_home_alone() -> None:
    service = unit()
    assert parsed(service["ExecStart"].split()[1:])["port"] == 8321
    home = service["Environment"].partition("GOVERNOR_HOME=")[2]
    assert home.startswith(f"/var/lib/{service['StateDirectory']}/")
    assert (service["ProtectSystem"], service["PrivateTmp"], service["CapabilityBoundingSet"]) == ("strict", "yes", "")


def test_the_first_init_is_given_the_home_of_the_unit() -> None:
    """Systemd makes the folder, for a user who may not write /var/lib; the database and keys that init meets are those of the server."""
    service, told = unit(), (ROOT / "deploy/governor.service").read_text().partition("[Unit]")[0].replace("\\\n#", "")
    [command] = re.findall(r"systemd-run .*", told)
    for name in ("StateDirectory", "StateDirectoryMode", "EnvironmentFile"):
        assert f"-p {name}={service[name]} " in command
    assert f"-E {service['Environment']} " in command
    assert f"--uid={service['User']} --gid={service['Group']} " in command
    assert parsed(command.partition("/opt/governor/bin/governor ")[2].split())["email"] == "you@company.example"


def test_a_database_that_is_late_is_waited_for() -> None:
    service = unit()
    assert service["Restart"] == "on-failure"
    assert int(service["RestartSec"]) > 10 / 5, "systemd gives up after five starts in ten seconds"


def test_the_image_starts_a_server_as_nobody_special() -> None:
    command = json.loads(re.findall(r"^CMD (.*)$", DOCKERFILE, re.MULTILINE)[-1])
    assert parsed(command)["port"] == 8321
    assert re.search(r"^USER [1-9]\d+$", DOCKERFILE, re.MULTILINE)
    home = re.search(r"GOVERNOR_HOME=(\S+)", DOCKERFILE)
    volume = re.search(r"^VOLUME (\S+)$", DOCKERFILE, re.MULTILINE)
    assert home is not None
    assert volume is not None
    assert home[1].startswith(f"{volume[1]}/")


def test_every_setting_that_is_named_is_one() -> None:
    named = set(re.findall(r"GOVERNOR_[A-Z_]+", DOCKERFILE + (ROOT / "deploy/governor.service").read_text()))
    assert {name.removeprefix("GOVERNOR_").lower() for name in named} <= set(Settings.model_fields)
