"""The plan of the house, tested: names, sizes, signs on doors, imports."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("governor", "connectors", "workers", "reports", "policies")
FORBIDDEN_NAMES = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "misc",
    "managers",
    "manager",
    "services",
    "service",
    "handlers",
    "handler",
    "mapper",
}
# A module over 300 lines needs its reason here; none may pass 500.
LONG_MODULES: dict[str, str] = {}
# May be longer still: these are handed out as one file.
ALONE = {"governor/packets/standalone_verifier.py": "an auditor reads and runs it without us"}


def modules() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if "migrations/versions" not in path.as_posix())


def test_no_room_is_named_after_nothing() -> None:
    named = [path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.stem.lower() in FORBIDDEN_NAMES]
    assert not named, f"name these after what they mean: {named}"


def test_modules_stay_small() -> None:
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in modules()}
    lengths = {name: length for name, length in lengths.items() if name not in ALONE}
    assert not {name: length for name, length in lengths.items() if length > 500}
    unexplained = {name: length for name, length in lengths.items() if length > 300 and name not in LONG_MODULES}
    assert not unexplained, f"split these or give a reason in LONG_MODULES: {unexplained}"
    assert not {name for name in LONG_MODULES if lengths.get(name, 0) <= 300}, "a reason is left over in LONG_MODULES"


def test_folders_are_at_most_three_deep() -> None:
    deep = [path for path in modules() if len(path.relative_to(ROOT).parts) > 4]
    assert not deep


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_module_has_a_sign_on_the_door(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert not tree.body or ast.get_docstring(tree), "say what this module is for in its docstring"


def test_import_contracts_hold() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]


def test_tests_have_no_package_files() -> None:
    """A tests/connectors/__init__.py would hide the real package."""
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_no_path_of_a_machine_or_secret_in_the_repo() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    bad = re.compile(r"/root/|/work/|BEGIN (?:RSA |EC |)PRIVATE KEY|AKIA[0-9A-Z]{16}")
    allowed = {"tests/house/test_house.py"}
    found = []
    for name in tracked:
        path = ROOT / name
        if name in allowed or not path.is_file() or path.suffix in {".lock", ".png", ".pdf", ".parquet", ".pb", ".gz", ".govpacket"}:
            continue
        text = path.read_text(errors="ignore")
        found += [f"{name}: {hit.group(0)}" for hit in bad.finditer(text)]
    assert not found
