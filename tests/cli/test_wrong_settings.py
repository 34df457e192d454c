"""What a person sees when the installation itself is wrong: one line that names the knob, exit 1, never a traceback."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from governor.cli.session import warn_of_mistyped

Command = Callable[..., Any]


@pytest.fixture(scope="module")
def home(governor: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("settings") / "home"
    assert governor("--home", str(made), "init", "--admin", "a@acme.example").returncode == 0
    return made


def test_the_level_of_the_log_may_stand_in_the_file(governor: Command, home: Path) -> None:
    """It was taken there, right or wrong, and did nothing."""
    file = home / "governor.toml"
    try:
        file.write_text('log_level = "loud"\n')
        assert "error[settings]: log_level: 'loud' is not a level" in governor("usage", "--period", "2026-10", "--home", str(home)).stderr
        file.write_text('log_level = "info"\n')
        governor("usage", "--period", "2026-10", "--home", str(home))
        assert logging.getLogger().level == logging.INFO
        governor("usage", "--period", "2026-10", "--home", str(home), GOVERNOR_LOG_LEVEL="error")
        assert logging.getLogger().level == logging.ERROR
    finally:
        file.unlink()
        governor("usage", "--period", "2026-10", "--home", str(home))


@pytest.mark.parametrize(
    ("environment", "code", "named"),
    [
        ({"GOVERNOR_LOG_LEVEL": "loud"}, "settings", "GOVERNOR_LOG_LEVEL"),
        ({"GOVERNOR_APPROVAL_DAYS": "many"}, "settings", "approval_days"),
        ({"GOVERNOR_DATABASE_URL": "garbage"}, "settings", "GOVERNOR_DATABASE_URL"),
        ({"GOVERNOR_DATABASE_URL": "postgresql://me:hunter2@127.0.0.1:1/x", "GOVERNOR_TOKEN": "t"}, "unavailable", "127.0.0.1"),
        ({"GOVERNOR_DATABASE_URL": "postgresql://me:hunter2@127.0.0.1:1/x"}, "unauthenticated", "token"),
        ({"GOVERNOR_TOKEN": "gov_wrong"}, "unauthenticated", "token"),
        ({"GOVERNOR_DATABASE_URL": "postgresql://me:hunter2@127.0.0.1:port/x", "GOVERNOR_TOKEN": "t"}, "settings", "GOVERNOR_DATABASE_URL"),
        ({"GOVERNOR_DATABASE_URL": "postgresql://me:hunter2@127.0.0.1:1/x?foo=1", "GOVERNOR_TOKEN": "t"}, "unavailable", "127.0.0.1"),
        ({"GOVERNOR_LAKE_CATALOG": "mysql://me:hunter2@db/lake"}, "settings", "lake_catalog"),
        ({"GOVERNOR_LAKE_CATALOG": "postgresql:/me:hunter2@db/lake"}, "settings", "lake_catalog"),
        ({"GOVERNOR_LAKE_DATA": "s3:/company/lake"}, "settings", "lake_data"),
        ({"GOVERNOR_PUBLIC_URL": "governor.acme.example"}, "settings", "public_url"),
        ({"GOVERNOR_PUBLIC_URL": "https://acme.example/governor"}, "settings", "under a path"),
        ({"GOVERNOR_LAKE_DATA": "abfss://company/lake"}, "settings", "lake_data"),
        ({"GOVERNOR_ANCHORS": "hunter2"}, "settings", "anchors"),
        ({"GOVERNOR_ANCHORS": '[{"name": "a", "kind": "git", "target": "https://me:hunter2@git.example/x"}]'}, "settings", "anchor a"),
        ({"GOVERNOR_ANCHORS": '[{"name": "a", "kind": "git", "target": "ssh://me:hunter2@git.example/x"}]'}, "settings", "anchor a"),
        ({"GOVERNOR_ANCHORS": '[{"name": "a", "kind": "directory", "target": "s3://hunter2@bucket/x"}]'}, "settings", "anchor a"),
        ({"GOVERNOR_MAX_BODY_BYTES": "-1"}, "settings", "max_body_bytes"),
        ({"GOVERNOR_SPOOL_MAX_BYTES": "-1"}, "settings", "spool_max_bytes"),
        ({"GOVERNOR_KEY_PASSPHRASE": "hunter2"}, "invalid", "by reference"),
    ],
)
def test_a_wrong_knob_is_one_line(governor: Command, home: Path, environment: dict[str, str], code: str, named: str) -> None:
    done = governor("usage", "--period", "2026-10", "--home", str(home), "--json", **environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error[{code}]: ")
    assert done.stderr.count("\n") == 1
    assert named in done.stderr
    assert "hunter2" not in done.stderr


@pytest.mark.parametrize("name", [b"back\\slash", b"not-\xff-utf8"])
def test_a_home_that_no_engine_could_hold_is_refused_before_it_is_made(governor: Command, tmp_path: Path, name: bytes) -> None:
    wanted = tmp_path / os.fsdecode(name)
    done = governor("init", "--admin", "a@acme.example", "--home", str(wanted))
    assert done.returncode == 1
    assert "cannot be a home: its path holds a backslash or a character that is not UTF-8 text" in done.stderr
    assert not wanted.exists()


def test_a_mistyped_variable_is_named_with_the_one_it_comes_near_to(governor: Command, home: Path) -> None:
    warn_of_mistyped.cache_clear()
    strange = {"GOVERNOR_DATBASE_URL": "postgresql://me:hunter2@db/x", "GOVERNOR_SHADOW_KEY": "hunter2"}
    done = governor("token", "list", "--home", str(home), **strange)
    assert done.returncode == 0
    assert done.stderr.count("did you mean GOVERNOR_DATABASE_URL?") == 1
    assert "SHADOW_KEY" not in done.stderr  # a secret may have such a name
    doctor = governor("doctor", "--home", str(home), **strange)
    assert "GOVERNOR_SHADOW_KEY" in doctor.stdout
    assert "GOVERNOR_DATBASE_URL (did you mean GOVERNOR_DATABASE_URL?)" in doctor.stdout
    assert "hunter2" not in done.stderr + doctor.stdout + doctor.stderr


def test_a_broken_settings_file_is_named_by_the_installed_command(tmp_path: Path) -> None:
    (tmp_path / "governor.toml").write_text("broken [")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GOVERNOR_")}
    words = [str(Path(sys.executable).with_name("governor")), "usage", "--period", "2026-10", "--home", str(tmp_path)]
    done = subprocess.run(words, env=clean, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error[settings]: governor.toml")
    assert done.stderr.count("\n") == 1


def test_an_unknown_name_in_the_settings_file_is_named(governor: Command, tmp_path: Path) -> None:
    (tmp_path / "governor.toml").write_text("governor_approval_days = 3\n")
    done = governor("usage", "--period", "2026-10", "--home", str(tmp_path))
    assert done.stderr.startswith("error[settings]: governor_approval_days: no setting has this name")


def test_a_home_that_is_a_file_is_refused(governor: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = governor("init", "--admin", "a@acme.example", "--home", str(tmp_path / "file"))
    assert done.returncode == 1
    assert "error[settings]: " in done.stderr


def test_progress_is_silent_where_nobody_watches(governor: Command, home: Path) -> None:
    done = governor("ingest", "litellm", str(home / "nothing-here"), "--home", str(home))
    warned, error = done.stderr.splitlines()
    assert warned.startswith("No workflow is registered")
    assert error.startswith("error[not_found]: ")


def test_an_unknown_model_names_those_spelled_nearly_so(governor: Command, home: Path) -> None:
    done = governor("prices", "show", "openai/gpt-4oo", "--home", str(home), "--json")
    assert "openai/gpt-4o" in json.loads(done.stdout)["prices"][0]["unpriced"]["alike"]
