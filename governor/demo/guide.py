"""Runs the same commands a person would type, shows them, and gives back their JSON."""

from __future__ import annotations

import contextlib
import io
import json
import os
import time
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from governor.cli import app, global_options_first
from governor.cli.session import Session
from governor.errors import GovernorError


class Guide:
    """One home, many people. `do` prints `$ governor ...` and returns what `--json` printed."""

    def __init__(self, home: Path, console: Console) -> None:
        self.home = home
        self.console = console
        self.tokens: dict[str, str] = {}
        self._started = time.monotonic()

    def chapter(self, title: str) -> None:
        self.console.print(f"\n[bold]{title}[/]  [dim]{time.monotonic() - self._started:.0f} s[/]", highlight=False)

    def say(self, text: str) -> None:
        self.console.print(f"  {text}", highlight=False)

    def do(self, *words: str, person: str | None = None, show: bool = True) -> Any:
        """Run one command as `person` (an e-mail with a token, or the operator). Raises GovernorError as the command does."""
        if show:
            who = f"[dim]({person})[/] " if person else ""
            self.console.print(f"  {who}[cyan]$ governor {' '.join(quote(word) for word in words)}[/]", highlight=False)
        before = os.environ.pop("GOVERNOR_TOKEN", None)
        if person:
            os.environ["GOVERNOR_TOKEN"] = self.tokens[person]
        session = Session(console=self.console if show else Console(quiet=True))
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)  # not StringIO: a verdict is written as bytes
        try:
            with contextlib.redirect_stdout(out):
                arguments = global_options_first(["--home", str(self.home), "--json", *words])
                typer.main.get_command(app).main(args=arguments, prog_name="governor", standalone_mode=False, obj=session)
        finally:
            session.close()
            os.environ.pop("GOVERNOR_TOKEN", None)
            if before is not None:
                os.environ["GOVERNOR_TOKEN"] = before
        out.seek(0)
        text = out.read()
        return json.loads(text) if text.strip() else None

    def refused(self, *words: str, person: str | None = None) -> GovernorError:
        """Run a command that must be refused, and show why."""
        try:
            self.do(*words, person=person)
        except GovernorError as error:
            self.say(f"[yellow]error[{error.code}][/]: {error.message}".replace("[" + error.code + "]", f"\\[{error.code}]"))
            return error
        raise RuntimeError(f"governor {' '.join(words)} should have been refused")


def quote(word: str) -> str:
    return f"'{word}'" if " " in word or not word else word
