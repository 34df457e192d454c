"""Docs that cannot rot: settings, commands and links."""

import re
from pathlib import Path

import click
import typer

from governor.cli import app
from governor.settings import Settings

ROOT = Path(__file__).parents[2]


def commands(command: click.Command, trail: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if isinstance(command, click.Group):
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
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
            if not target.startswith(("http:", "https:", "mailto:")) and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)} -> {target}")
    assert not broken
