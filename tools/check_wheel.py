"""Build the wheel and fail unless its top-level names are exactly the five folders (and the data files the packages need are in it)."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

EXPECTED = {"governor", "connectors", "workers", "reports", "policies"}
ROOT = Path(__file__).parents[1]


def main() -> None:
    uv = Path(sys.prefix) / "bootstrap" / "bin" / "uv"
    with tempfile.TemporaryDirectory() as out:
        subprocess.run([str(uv) if uv.exists() else "uv", "build", "--wheel", "--quiet", "--out-dir", out, str(ROOT)], check=True)  # noqa: S603 - our own tool
        wheel = next(Path(out).glob("*.whl"))
        names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names} - {name.split("/")[0] for name in names if ".dist-info/" in name}
    if top != EXPECTED:
        sys.exit(f"wheel top-level names are {sorted(top)}, expected {sorted(EXPECTED)}")
    for needed in (".rego", ".html", ".css", "py.typed"):
        if not any(name.endswith(needed) for name in names):
            sys.exit(f"the wheel carries no {needed} file")
    print(f"wheel ok: {len(names)} files, top-level {', '.join(sorted(top))}")


if __name__ == "__main__":
    main()
