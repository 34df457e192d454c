"""The public validator on our FOCUS files: focus-validator 2.2.1 in its own Python 3.12 environment, its known defects subtracted.

    python tools/focus_validate.py [FILE...]      default: the sample month of the tests, CSV and Parquet

It leaves with 0 when every rule that fails is a known defect of the validator, with 1 when one is ours, with 3 when there is no Python 3.12 to run it.
The validator itself always leaves with 0, reads its currency list from the working directory and skips most rules unless it is told what a producer supports.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
ENVIRONMENT = Path(os.environ.get("FOCUS_VALIDATOR_ENV", ROOT / ".venv" / "focus-validator"))
PACKAGES = ("focus-validator==2.2.1", "pyarrow<22")  # it wants numpy 1, which newer pyarrow refuses
SUPPORTED = (
    "ACCOUNT_NAMING", "MULTIPLE_PRICING_CATEGORIES", "MULTIPLE_SUB_ACCOUNT_TYPES", "MULTIPLE_BILLING_ACCOUNT_TYPES", "NEGOTIATED_PRICING",
    "PUBLIC_PRICE_LIST", "USAGE_MEASUREMENT", "UNIT_PRICING", "SUB_ACCOUNT", "BILLING_BASED_ON_PROVISIONED_RESOURCES", "RESOURCE_TYPE_ASSIGNMENT",
    "PRICING_BILLING_CURRENCY_DIFFERENCES", "REGION", "TAGGING",
)  # fmt: skip
# Rules of the validator that no file can pass, and what is wrong with each.
DEFECTS = {
    "InvoiceId-C-004-C": "has no condition, so it fails as soon as InvoiceId is set",
    "InvoiceId-C-005-C": "has no condition, so it fails as soon as InvoiceId is null",
    "CapacityReservationStatus-C-004-C": "its condition is dropped, so it fires on every row",
    "CommitmentDiscountStatus-C-004-C": "its condition is inverted and contradicts C-003-C",
}
ENOUGH = 290  # rules that pass; fewer means that the criteria were not taken


def environment() -> Path | None:
    """The validator's own environment, made once; None without uv or Python 3.12."""
    program = ENVIRONMENT / "bin" / "focus-validator"
    if program.exists():
        return program
    uv = shutil.which("uv") or str(ROOT / ".venv/bootstrap/bin/uv")
    python = os.environ.get("PYTHON312") or "3.12"
    for command in (
        [uv, "venv", "--quiet", "--clear", "--python", python, str(ENVIRONMENT)],
        [uv, "pip", "install", "--quiet", "--python", str(ENVIRONMENT / "bin" / "python"), *PACKAGES],
    ):
        try:
            done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own words
        except FileNotFoundError:
            return None
        if done.returncode:
            print(done.stderr.strip()[-500:], file=sys.stderr)
            return None
    return program


def failures(program: Path, file: Path) -> tuple[int, set[str]]:
    """How many rules pass, and the names of those that fail."""
    package = next(ENVIRONMENT.glob("lib/python3*/site-packages/focus_validator"))
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "focus_validator").symlink_to(package.resolve())
        criteria = ",".join(f"{name}_SUPPORTED" for name in SUPPORTED)
        command = [
            str(program),
            "--data-file",
            str(file.resolve()),
            "--validate-version",
            "1.2",
            "--block-download",
            "--applicability-criteria",
            criteria,
        ]
        printed = subprocess.run(command, cwd=scratch, check=False, capture_output=True, text=True).stdout  # noqa: S603 - our own words
    return printed.count("✅"), {line.split()[1].rstrip(":") for line in printed.splitlines() if line.startswith("❌")}


def sample(folder: Path) -> list[Path]:
    """The tests' sample month in both layouts."""
    from reports.focus import render_csv
    from reports.focus_files import render_parquet

    spec = importlib.util.spec_from_file_location("statement_sample", ROOT / "tests/reports/statement_sample.py")
    if spec is None or spec.loader is None:
        raise SystemExit("tests/reports/statement_sample.py is not here")
    module: Any = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    document = module.sample()
    made = {"focus-sample.csv": render_csv(document), "focus-sample.parquet": render_parquet(document)}
    for name, body in made.items():
        (folder / name).write_bytes(body)
    return [folder / name for name in made]


def main(names: list[str]) -> int:
    program = environment()
    if program is None:
        print("no Python 3.12 here (uv finds or fetches one; PYTHON312 names one): the public validator did not run", file=sys.stderr)
        return 3
    ours = 0
    with tempfile.TemporaryDirectory() as folder:
        for file in [Path(name) for name in names] or sample(Path(folder)):
            passed, failed = failures(program, file)
            mine = sorted(failed - DEFECTS.keys())
            known = sorted(failed & DEFECTS.keys())
            few = passed < ENOUGH
            ours += bool(mine) or few
            print(f"{file.name}: {passed} rules pass, known defects {known}, ours {mine}{'; too few rules ran' if few else ''}")
    return 1 if ours else 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    raise SystemExit(main(sys.argv[1:]))
