"""Peak memory of `governor ingest` on one large file of LiteLLM JSONL, as a process of its own.

The file is made by repeating a bundled fixture with fresh ids until GOVERNOR_BENCH_GB (default 2) GB; `lean` are the fixture's records (6 kB), `whole` those
with their price table and prompt (16 kB). Content is on, as it is by default. Peak: the kernel's VmHWM of the process, file pages that it maps included;
nothing is asserted about it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_ingest_bench import make

GIB = 1 << 30


@pytest.mark.bench
@pytest.mark.parametrize("records", ["lean", "whole"])
def test_peak_memory_of_a_large_file(records: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "generic_api.jsonl"
    count = make(path, int(float(os.environ.get("GOVERNOR_BENCH_GB", "2")) * 1e9), lean=records == "lean")
    size = path.stat().st_size
    governor = [str(Path(sys.executable).with_name("governor")), "--home", str(tmp_path / "home"), "--json"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("GOVERNOR_")}
    subprocess.run([*governor, "init"], check=True, env=env, capture_output=True)
    start = time.perf_counter()
    with subprocess.Popen([*governor, "ingest", "litellm", str(path)], env=env, stdout=subprocess.PIPE, text=True) as process:
        peak = watched(process)
        assert process.stdout is not None
        counts = json.loads(process.stdout.read())
    took = time.perf_counter() - start
    path.unlink()
    with capsys.disabled():
        print(  # noqa: T201 - the peak is what the benchmark is for
            f"\n{size / 1e9:.1f} GB, {count:,} records of {size // count:,} bytes: peak {peak / GIB:.2f} GiB (wanted < 1), {took:.0f} s, {size / took / 1e6:.0f} MB/s"
        )
    assert process.returncode == 0
    assert counts["stored"] == counts["read"] == count


def watched(process: subprocess.Popen[str]) -> int:
    """Bytes of the highest resident set that the kernel saw. It only grows, so the last look counts."""
    peak = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            break
        marks = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
        peak = max(peak, *(int(mark) << 10 for mark in marks), 0)
        time.sleep(0.1)
    return peak
