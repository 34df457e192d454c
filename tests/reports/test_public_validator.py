"""The public FOCUS validator on our files, where Python 3.12 and the validator are here (`make focus-validate` makes them)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEFECTS = ROOT / "../shared/data/focus/known_validator_defects.json"
sys.path.insert(0, str(ROOT / "tools"))
import focus_validate  # noqa: E402 - a program, not a package


def test_the_validator_finds_nothing_but_its_known_defects_in_csv_and_parquet() -> None:
    if not (focus_validate.ENVIRONMENT / "bin" / "focus-validator").exists():
        pytest.skip("the validator's environment is not made: make focus-validate")
    done = subprocess.run([sys.executable, ROOT / "tools/focus_validate.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ours []") == 2


def test_the_defects_we_subtract_are_known_ones() -> None:
    if not DEFECTS.exists():
        pytest.skip("../shared/data/focus is not here")
    assert focus_validate.DEFECTS.keys() <= set(json.loads(DEFECTS.read_text())["allowlisted_rules"])
