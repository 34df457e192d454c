"""The process that serves, where it is started anew and not forked from the command."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from governor import asgi
from governor.cli import OneLine


@pytest.fixture
def bare_log() -> Iterator[logging.Logger]:
    """The root logger, put back as it was."""
    root, told = logging.getLogger(), signal.getsignal(signal.SIGTERM)
    level = root.level
    yield root
    root.setLevel(level)
    signal.signal(signal.SIGTERM, told)


def test_a_server_that_was_started_anew_logs_as_its_settings_say(
    bare_log: logging.Logger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOVERNOR_HOME", str(tmp_path))
    (tmp_path / "governor.toml").write_text('log_level = "info"\n')
    monkeypatch.setattr(asgi, "create_app", lambda settings: settings)
    before = bare_log.handlers[:]
    bare_log.handlers[:] = []  # pytest's own among them
    for _ in range(2):
        asgi.build()
    [handler] = bare_log.handlers
    bare_log.handlers[:] = before
    assert bare_log.level == logging.INFO
    assert isinstance(handler.formatter, OneLine)
    assert "%(asctime)s" in str(handler.formatter._fmt)
