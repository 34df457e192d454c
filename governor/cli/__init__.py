"""The operators' door: one file per noun, one visible list of commands.

Owns: argument names, exit codes (0 done, 1 refused or failed, 2 wrong usage, 130 stopped, 141 no reader), one-line errors. Does not own: what a command does (actions/).
Invariants: results on stdout, words and progress on stderr, never a traceback.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final, cast

import click
import typer

from governor.cli import (
    allocation,
    apply,
    bills,
    budgets,
    catalog,
    change,
    demo,
    erase,
    findings,
    focus,
    golden,
    home,
    ingest,
    keys,
    ledger,
    month_end,
    notify,
    packet,
    policy,
    prices,
    review,
    sources,
    spend,
    token,
    trust,
    usage,
    witness,
    worker,
)
from governor.cli.session import Session
from governor.errors import GovernorError

# Typer carries its own copy of click since 0.27 and raises that copy's errors; the base of BadParameter is the right UsageError in every version.
UsageError: Final = cast("type[click.UsageError]", typer.BadParameter.__base__)

READER_GONE: Final = 141  # what shells say of a program whose reader had enough (`governor usage | head -1`)

app = typer.Typer(
    name="governor",
    help="A governance ledger over the LLM gateways you already run: who used which model, was it allowed, what did it cost, who approved the change.\n\n"
    "Start with `governor demo`, or `governor init` and `governor ingest auto FILE`.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root(
    ctx: typer.Context,
    home_dir: Annotated[
        Path | None,
        typer.Option(
            "--home",
            envvar="GOVERNOR_HOME",
            help="Directory of the embedded database, lake and keys.",
            show_envvar=True,
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Machine output on stdout; words go to stderr.")] = False,
) -> None:
    session = ctx.ensure_object(Session)
    session.home, session.json = home_dir, json


app.command("init")(home.init)
app.command("doctor")(home.doctor)
app.command("serve")(home.serve)
app.command("demo")(demo.demo)
app.command("apply")(apply.apply)
app.command("ingest")(ingest.ingest)
app.command("sync")(ingest.sync)
app.command("usage")(usage.usage)
app.command("findings")(findings.findings)
app.command("budgets")(budgets.budgets)
app.command("forecast")(budgets.forecast)
app.command("movement")(budgets.movement)
app.command("worker")(worker.worker)
app.add_typer(spend.app, name="spend")
app.add_typer(ingest.calls_app, name="calls")
app.add_typer(ingest.quarantine_app, name="quarantine")
app.add_typer(policy.app, name="policy")
app.add_typer(change.app, name="change")
app.add_typer(review.app, name="review")
app.add_typer(golden.app, name="golden")
app.add_typer(packet.app, name="packet")
app.add_typer(trust.app, name="trust")
app.add_typer(erase.app, name="erase")
app.add_typer(keys.app, name="keys")
app.add_typer(ledger.app, name="ledger")
app.add_typer(prices.app, name="prices")
app.add_typer(month_end.app, name="period")  # the same group as period.app, with the way to a close and back
app.add_typer(focus.app, name="focus")
app.add_typer(bills.app, name="bills")
app.add_typer(allocation.app, name="allocation")
app.add_typer(catalog.app, name="catalog")
app.add_typer(sources.app, name="sources")
app.add_typer(token.app, name="token")
app.add_typer(notify.app, name="notify")
app.add_typer(witness.app, name="witness")


def global_options_first(arguments: list[str]) -> list[str]:
    """Let `--json` and `--home DIR` stand anywhere: they are moved before the command's name."""
    front: list[str] = []
    rest: list[str] = []
    queue = list(arguments)
    while queue:
        word = queue.pop(0)
        if word == "--":
            rest += [word, *queue]
            break
        if word == "--json":
            front.append(word)
        elif word == "--home" and queue:
            front += [word, queue.pop(0)]
        elif word.startswith("--home="):
            front.append(word)
        else:
            rest.append(word)
    return front + rest


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the `governor` command."""
    level = os.environ.get("GOVERNOR_LOG_LEVEL", "warning").upper()
    if level not in logging.getLevelNamesMapping():
        fail("settings", f"GOVERNOR_LOG_LEVEL {level.lower()!r} is not a level", "use debug, info, warning or error")
    words = global_options_first(sys.argv[1:] if arguments is None else arguments)
    log_to_stderr(level, long_lived=bool({"serve", "worker"} & set(words)))
    session = Session()
    try:
        code = typer.main.get_command(app).main(args=words, prog_name="governor", standalone_mode=False, obj=session)
        raise SystemExit(code if isinstance(code, int) else 0)
    except (click.Abort, typer.Abort):
        fail("aborted", "stopped by the user", "")
    except UsageError as wrong:
        wrong.show(sys.stderr)
        raise SystemExit(64 if ("packet", "verify") in pairwise(words) else 2) from None
    except GovernorError as error:
        fail(error.code, error.message, error.hint)
    except SystemExit as over:
        if isinstance(over.__context__, BrokenPipeError):  # Typer's answer to it is 1, which says that the command failed
            raise SystemExit(READER_GONE) from None
        raise
    except Exception as error:
        logging.getLogger("governor").debug("unexpected failure", exc_info=True)
        fail(*unforeseen(error))
    finally:
        session.close()


def unforeseen(error: Exception) -> tuple[str, str, str]:
    """(code, message, hint) of an error that the command did not expect."""
    pydantic = sys.modules.get("pydantic")  # not imported for its error's sake: every press of TAB starts this program
    if pydantic is not None and isinstance(error, pydantic.ValidationError):
        first = error.errors()[0]
        unknown = first["type"] == "extra_forbidden"
        said = "no setting has this name" if unknown else first["msg"].removeprefix("Value error, ")
        return "settings", f"{'.'.join(str(part) for part in first['loc'])}: {said}", "see docs/settings.md"
    if isinstance(error, UnicodeDecodeError):
        return "invalid", f"a file that was given is not UTF-8 text (byte {error.start})", "save it as UTF-8"
    # what Python makes of bytes in an argument or the environment
    if isinstance(error, UnicodeEncodeError) and "surrogates" in error.reason:
        return "invalid", "a text that was given (an argument, or GOVERNOR_TOKEN) is not UTF-8", "write it in UTF-8"
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return "file", f"{where}{error.strerror or error}", "check the path, its permissions and the free space of the disk"
    if "database or disk is full" in str(error):  # SQLite's words; its error is none of the system's
        return "file", "the disk of the home is full", "free some space and run the command again"
    return "internal", f"{type(error).__name__}: {error}", "run again with GOVERNOR_LOG_LEVEL=debug and report the trace"


class OneLine(logging.Formatter):
    """A cause in one line: the trace is for whoever asks with GOVERNOR_LOG_LEVEL=debug, and for errors of a process that runs on, which says when, too."""

    def __init__(self, *, traces_from: int, dated: bool = False) -> None:
        super().__init__(f"{'%(asctime)s.%(msecs)03dZ ' if dated else ''}%(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
        self.converter = time.gmtime
        self.traces_from = traces_from

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """What somebody sent must not begin a line that looks like one of ours."""
        return "\\n".join(super().formatMessage(record).splitlines())

    def format(self, record: logging.LogRecord) -> str:
        asked = logging.getLogger().isEnabledFor(logging.DEBUG)
        if not record.exc_info or record.exc_info[1] is None or record.levelno >= self.traces_from or asked:
            return super().format(record)
        cause, short = record.exc_info[1], logging.makeLogRecord(record.__dict__ | {"exc_info": None, "exc_text": None})
        return "\\n".join(f"{super().format(short)} ({type(cause).__name__}: {cause})".splitlines())


def log_to_stderr(level: str, *, long_lived: bool) -> None:
    """Words of the program beside its results."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine(traces_from=logging.ERROR if long_lived else logging.CRITICAL + 1, dated=long_lived))
    logging.basicConfig(level=level, handlers=[handler])


def fail(code: str, message: str, hint: str) -> None:
    """One clear line on stderr, exit 1."""
    line = " ".join(f"error[{code}]: {message}".split())
    print(line + (f". hint: {hint}" if hint else ""), file=sys.stderr)
    raise SystemExit(1)
