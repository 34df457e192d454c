"""The command as people type it, without the second and a half that a process of its own takes to start."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from governor.cli import main


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


def in_this_process(*words: str, **environment: str) -> Done:
    """The command as its entry point runs it, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        for name in [name for name in os.environ if name.startswith("GOVERNOR_")]:
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main(list(words))
    return Done(int(ended.value.code or 0), out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def governor() -> Callable[..., Done]:
    return in_this_process
