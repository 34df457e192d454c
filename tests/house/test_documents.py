"""Docs that cannot rot: settings, commands and links."""

import re
from pathlib import Path

import click
import typer

from governor.cli import app
from governor.settings import Settings

ROOT = Path(__file__).parents[2]


def commands(command: click.Command, trail: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if hasattr(command, "commands"):  # Typer carries its own copy of click
        return [found for name, child in command.commands.items() for found in commands(child, (*trail, name))]
    return [trail]


def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    missing = [name for name in Settings.model_fields if f"GOVERNOR_{name.upper()}" not in page]
    assert not missing


def test_every_command_is_documented_and_explains_itself() -> None:
    page = (ROOT / "docs" / "commands.md").read_text()
    root = typer.main.get_command(app)
    missing = [" ".join(trail) for trail in commands(root) if f"governor {' '.join(trail)}" not in page]
    assert not missing, "run make docs"


def test_links_between_pages_lead_somewhere() -> None:
    broken = []
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        targets = [
            found for found in re.findall(r"\]\(([^)#\s]+)", page.read_text()) if not found.startswith(("http:", "https:", "mailto:"))
        ]
        broken += [f"{page.relative_to(ROOT)} -> {target}" for target in targets if not (page.parent / target).exists()]
    assert not broken
