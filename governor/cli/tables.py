"""Tables for people: whole numbers at any width, and other people's words shown as they are.

Owns: the console results are printed on, cells. Does not own: which columns a command shows.
Invariants: a number is never cut; text from traffic is never read as markup or sent to the terminal as a control sequence;
where nobody watches (a pipe, a file) a line is never folded.
"""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from governor.packets.report import plain

UNFOLDED: Final = 10_000


def results() -> Console:
    """Standard output."""
    console = Console()
    return console if console.is_terminal else Console(width=UNFOLDED)


def cell(value: object) -> Text:
    """A cell whose content came from outside; absence is a dash."""
    text = "-" if value is None or value == "" else str(value)
    return Text(plain(text), overflow="fold")


def table(words: tuple[str, ...], numbers: tuple[str, ...], *, title: str = "", caption: str = "") -> Table:
    """Columns of words, then columns of numbers."""
    made = Table(title=title or None, caption=caption or None)
    for name in words:
        made.add_column(name, overflow="fold")
    for name in numbers:
        made.add_column(name, justify="right", no_wrap=True, min_width=len(name), overflow="fold")
    return made
