"""Options that are written as NAME=VALUE."""

from __future__ import annotations

import json
from typing import Any

import typer


def pairs(words: list[str] | None, option: str) -> dict[str, str]:
    found = {}
    for word in words or []:
        name, sign, value = word.partition("=")
        if not sign or not name or not value:
            raise typer.BadParameter(f"{option} {word}: write NAME=VALUE")
        found[name.strip()] = value.strip()
    return found


def value_of(text: str) -> Any:
    """JSON where it is an object, such as `params={"temperature": 0}`; else the text itself."""
    if not text.startswith("{"):
        return text
    try:
        return json.loads(text)
    except ValueError:
        raise typer.BadParameter(f"--option value {text!r} is not JSON") from None
