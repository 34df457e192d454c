"""The command as a process among others: readers that go away, and people who stop it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from governor.cli import READER_GONE
from governor.quick import STOPPED

PROGRAM = "from governor.quick import main; main()"
LISTENS = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell starts what runs in the background deaf to it
)
STOP_WHILE_LOADING = """
import os, signal, sys
class Loading:
    def find_spec(self, name, path=None, target=None):
        if name == "governor.cli":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Loading())
"""
STOP_AT_WORK = """
import signal, governor.cli
governor.cli.global_options_first = lambda words: signal.raise_signal(signal.SIGINT)
"""


@pytest.mark.parametrize("words", [["--help"], ["change", "--help"]], ids=" ".join)
def test_a_reader_that_had_enough_is_no_failure(words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as nobody:
        done = subprocess.run([sys.executable, "-c", PROGRAM, *words], stdout=nobody, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (READER_GONE, b"")


@pytest.mark.parametrize(("before", "code"), [(STOP_WHILE_LOADING, -signal.SIGINT), (STOP_AT_WORK, STOPPED)], ids=["loading", "at work"])
def test_stopping_it_shows_no_trace(before: str, code: int) -> None:
    done = subprocess.run([sys.executable, "-c", LISTENS + before + PROGRAM, "change", "list"], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, b"", b"")
