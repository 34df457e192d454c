"""Docs that cannot rot: settings, commands and links."""

import re
from pathlib import Path

import click
import typer

from governor.actions.apply import FINANCE_KINDS, SIGNED_BY_FINANCE
from governor.asgi import create_app
from governor.catalog import parse_documents
from governor.catalog.documents import KINDS
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


def test_every_kind_of_the_catalog_is_in_its_table_and_so_is_who_may_apply_it() -> None:
    page = (ROOT / "docs" / "catalog.md").read_text()
    assert [kind for kind in KINDS if f"\n| `{kind}` | " not in page] == []
    rows = {row.split(" | ")[0]: set(re.findall(r"`(\w+)`", row)) for row in page.splitlines() if row.startswith("| ")}
    assert rows["| finance"] == FINANCE_KINDS
    assert rows["| the operator of an embedded home (no token)"] == {"waiver", *SIGNED_BY_FINANCE}


def test_the_catalog_to_begin_with_is_one_and_comes_before_the_whole_traffic() -> None:
    page = (ROOT / "docs" / "catalog.md").read_text()
    first = parse_documents(re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[0])
    assert [document.kind for document in first] == ["person", "workflow", "endpoint"]
    start = (ROOT / "README.md").read_text()
    assert start.index("governor apply -f") < start.index("governor ingest auto export.jsonl"), (
        "a prompt that was not kept cannot be had later"
    )


def test_every_route_of_the_api_is_on_its_page() -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    paths = create_app(Settings()).openapi_schema.to_schema()["paths"]
    fixed = {path: [part for part in path.split("/") if part and not part.startswith("{")] for path in paths}
    assert [path for path, parts in fixed.items() if not re.search(rf"/{re.escape(parts[-1])}\b", page) and parts != ["tile"]] == []


def test_links_between_pages_lead_somewhere() -> None:
    broken = []
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        targets = [
            found for found in re.findall(r"\]\(([^)#\s]+)", page.read_text()) if not found.startswith(("http:", "https:", "mailto:"))
        ]
        broken += [f"{page.relative_to(ROOT)} -> {target}" for target in targets if not (page.parent / target).exists()]
    assert not broken
