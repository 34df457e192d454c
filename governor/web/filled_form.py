"""The text of a page of ours with one of its forms filled in: which form was sent, where its fields are, what to write there.

Owns: finding and filling. Does not own: what was sent, and why it comes back (form_again.py). Invariants: passwords, files and hidden values (the digest that is
signed) are never filled in; what was typed is escaped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from html.parser import HTMLParser
from typing import Final
from urllib.parse import unquote

NOT_FILLED: Final = frozenset({"hidden", "password", "file"})


@dataclass
class Control:
    """A field of a form, or an option of its select, with the place of its tag; `end`: where the text of a textarea ends."""

    tag: str
    name: str
    attributes: dict[str, str | None]
    start: int
    stop: int
    end: int = 0


@dataclass
class Found:
    """A form: its address, where its content begins, the folded parts around it, its fields."""

    action: str
    begin: int
    folded: list[Control]
    controls: list[Control] = field(default_factory=list)

    def answers(self, path: str, sent: dict[str, str]) -> bool:
        """Is this the form that was sent? Several may have one address: they differ in their fields, or in a hidden `id`."""
        same = all(one.attributes.get("value") == sent.get("id") for one in self.controls if one.name == "id")
        return unquote(self.action) == unquote(path) and same and set(sent) <= {one.name for one in self.controls}

    def visible(self) -> list[Control]:
        return [one for one in self.controls if one.tag != "button" and one.attributes.get("type") != "hidden"]


class Forms(HTMLParser):
    """The forms of a page of ours, with their places in its text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.lines = [0]
        for line in text.split("\n"):
            self.lines.append(self.lines[-1] + len(line) + 1)
        self.found: list[Found] = []
        self.folded: list[Control] = []
        self.form: Found | None = None
        self.select = ""
        self.main = 0
        self.feed(text)

    def place(self) -> int:
        line, column = self.getpos()
        return self.lines[line - 1] + column

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        start = self.place()
        stop = start + len(self.get_starttag_text() or "")
        one = Control(tag, dict(attrs).get("name") or "", dict(attrs), start, stop)
        if tag == "main":
            self.main = stop
        elif tag == "details":
            self.folded.append(one)
        elif tag == "form":
            self.form = Found(one.attributes.get("action") or "", stop, list(self.folded))
            self.found.append(self.form)
        elif self.form is not None and tag in {"input", "textarea", "select", "button"}:
            self.select = one.name if tag == "select" else ""
            self.form.controls.append(one)
        elif self.form is not None and tag == "option" and self.select:
            self.form.controls.append(Control(tag, self.select, one.attributes, start, stop))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.form = None
        elif tag == "details" and self.folded:
            self.folded.pop()
        elif tag == "select":
            self.select = ""
        elif tag == "textarea" and self.form is not None:
            self.form.controls[-1].end = self.place()


def filled(text: str, path: str, sent: dict[str, str], notice: str) -> str:
    """The page with the notice in the form that was sent to `path` and the values in its fields; without that form, or where it is a bare button, on top."""
    forms = Forms(text)
    form = next((one for one in forms.found if one.answers(path, sent)), None)
    if form is None or not form.visible():
        return text[: forms.main] + notice + text[forms.main :]
    edits = [(form.begin, form.begin, notice)]
    edits += [(one.start, one.stop, tag_with(one, open="")) for one in form.folded]
    edits += [edit for one in form.visible() if (edit := edit_of(one, sent.get(one.name)))]
    for start, stop, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[stop:]
    return text


def edit_of(one: Control, value: str | None) -> tuple[int, int, str] | None:
    """What to write where, so that the field holds what was sent; an unticked box sends nothing."""
    kind = one.attributes.get("type") or "text"
    if one.tag == "option":
        return one.start, one.stop, tag_with(one, selected="" if one.attributes.get("value") == value else None)
    if kind in {"checkbox", "radio"}:
        return one.start, one.stop, tag_with(one, checked="" if one.attributes.get("value") == value else None)
    if value is None or kind in NOT_FILLED or one.tag == "select":
        return None
    if one.tag == "textarea":
        return one.stop, one.end, ("\n" if value.startswith(("\r", "\n")) else "") + escape(value)
    return one.start, one.stop, tag_with(one, value=value)


def tag_with(one: Control, **changed: str | None) -> str:
    """The tag with attributes set, or left out where they are None."""
    kept = {name: value or "" for name, value in {**one.attributes, **changed}.items() if value is not None or name not in changed}
    written = [f'{name}="{escape(value)}"' for name, value in kept.items()]
    return f"<{' '.join([one.tag, *written])}>"
