"""What every command shares: the global options, the opened organization, who acts, and how a result is shown."""

from __future__ import annotations

import errno
import json
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from governor.errors import Forbidden, Refused, Unauthenticated

if TYPE_CHECKING:  # the stores are heavy; commands that need no home (packet verify) must not wait for them
    from governor.actions.context import Actor, Context
    from governor.settings import Settings


@dataclass
class Session:
    """Lives in `typer.Context.obj` as `ctx.obj`. Progress and words go to stderr (`console`), results to stdout."""

    home: Path | None = None
    json: bool = False
    console: Console = field(default_factory=lambda: Console(stderr=True))
    _context: Context | None = None

    def settings(self) -> Settings:
        from governor.settings import load_settings

        warn_of_mistyped()
        found = load_settings(home=self.home)
        logging.getLogger().setLevel(found.log_level.upper())  # until here it was the environment's: governor.toml may name one too
        return found

    def context(self, *, create: bool = False, process: bool = False, pushing: bool = False) -> Context:
        """The organization of the home, opened by somebody who may. Raises NotFound when it was never initialised, Unauthenticated for a wrong
        token, Forbidden for one that only brings traffic in where the command is not that (`pushing`).

        `create` and `process` ask nobody: the first makes the home and its first person, the second runs for everybody (serve, worker).
        """
        if self._context is None:
            from governor.actions.context import open_context

            settings = self.settings()
            self._context = open_context(settings, create=create)
            if not create and not process:
                scopes = self.actor().scopes
                if not pushing and not scopes & {"api", "read"}:
                    raise Forbidden(
                        f"this token only brings traffic in (scope {' '.join(sorted(scopes))})",
                        hint="use a token with scope read or api: `governor token create EMAIL --scope read`",
                    )
        return self._context

    def actor(self) -> Actor:
        """The person of GOVERNOR_TOKEN, or the operator of an embedded home."""
        settings = self.settings()
        if settings.token:
            from governor.actions.people import authenticate

            return authenticate(self.context(), settings.token)
        if not settings.embedded:
            raise Unauthenticated("a shared installation needs a token for every command")
        from governor.actions.context import OPERATOR

        return OPERATOR

    def print(self, data: Any, human: str | Callable[[Any], None] | None = None) -> None:
        """`data` as JSON with --json, else `human` (text, or a callable that prints)."""
        if sys.stdout is None:  # closed by whoever started us: the result would be lost in silence
            raise OSError(errno.EBADF, "standard output is closed")
        if self.json or human is None:
            sys.stdout.write(json.dumps(data, ensure_ascii=False, indent=2, default=str) + "\n")
        elif callable(human):
            human(data)
        else:
            typer.echo(human)

    def note(self, text: str) -> None:
        """Words beside the result, never on stdout."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        if self._context is not None:
            self._context.close()
            self._context = None


@cache
def warn_of_mistyped() -> None:
    """Once in a process: a setting that comes near to a known one and sets nothing."""
    from governor.settings import not_settings

    for name, meant in not_settings(os.environ).items():
        if meant:
            sys.stderr.write(f"warning: {name} is no setting and does nothing; did you mean {meant}? (docs/settings.md)\n")


def session_of(ctx: typer.Context) -> Session:
    """The Session of a command; `--json` and `--home` are accepted before or after the command's name."""
    found = ctx.find_object(Session)
    if found is None:
        raise RuntimeError("the root callback makes the Session")
    return found


def write_new(path: Path, text: str) -> None:
    """A file that a person is to complete. Raises Refused for one that is there: it may be completed already."""
    try:
        with path.open("x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError:
        raise Refused(f"{path} is there already", hint="give another name, or remove it") from None
