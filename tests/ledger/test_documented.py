"""The ledger's page names every entry type in its own words; regenerate the table when a type is added."""

from pathlib import Path

from governor.ledger.types import REGISTRY

PAGE = Path(__file__).parents[2] / "docs/ledger.md"


def test_every_entry_type_is_documented() -> None:
    page = PAGE.read_text(encoding="utf-8")
    missing = [name for name, kind in REGISTRY.items() if f"| `{name}` | {kind.meaning} |" not in page]
    assert not missing
