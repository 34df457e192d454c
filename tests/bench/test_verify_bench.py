"""A packet is verified in 10 ms once loaded, and the whole command answers within 300 ms from a cold start."""

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import pytest
from packet_story import make_story
from verifiers import ask_node, by_program

from governor.packets.verify import verify_packet

pytestmark = pytest.mark.bench
ROUNDS = 50


def test_verify_warm_and_cold(tmp_path: Path) -> None:
    story = make_story()
    packet, trust = story.packet(), story.trust
    (tmp_path / "p").write_bytes(packet)
    (tmp_path / "t").write_bytes(trust)

    def cpu(work: object) -> float:
        times = []
        for _ in range(ROUNDS):
            start = time.process_time()
            work()  # type: ignore[operator]
            times.append((time.process_time() - start) * 1000)
        return median(times)

    def cold(command: list[str]) -> tuple[float, float]:
        walls, cpus = [], []
        for _ in range(7):
            before, start = os.times(), time.perf_counter()
            subprocess.run([*command, "packet", "verify", "p", "--trust", "t"], cwd=tmp_path, check=True, capture_output=True)
            walls.append((time.perf_counter() - start) * 1000)
            after = os.times()
            cpus.append((after.children_user + after.children_system - before.children_user - before.children_system) * 1000)
        return median(walls), median(cpus)

    warm, program = cpu(lambda: verify_packet(packet, trust)), cpu(lambda: by_program(packet, trust))
    bare = cold([sys.executable, "-c", "pass"])
    quick = cold([sys.executable, "-c", "from governor.quick import main; main()"])
    import base64

    (page,) = ask_node([{"packet": base64.b64encode(packet).decode(), "trust": base64.b64encode(trust).decode(), "repeat": ROUNDS}])
    print(  # noqa: T201
        f"\npacket of {len(packet):,} bytes: ours {warm:.1f} ms CPU warm, verify.py {program:.1f}, verify.html in Node {median(page):.1f}; "
        f"command from cold {quick[0]:.0f} ms wall, {quick[1]:.0f} ms CPU ({quick[1] / bare[1]:.1f} times an empty Python)"
    )
    assert warm <= 10
    assert quick[1] <= 300
