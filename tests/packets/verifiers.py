"""The three verifiers as functions from bytes to the same report: ours, verify.py, and verify.html in Node."""

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from governor.packets import standalone_verifier
from governor.packets.verify import verify_packet

PAGE = Path(standalone_verifier.__file__).with_name("verify.html")
DRIVER = Path(__file__).with_name("verify_in_node.mjs")
# What a language or a library says about broken input in its own words stands after these.
_OWN_WORDS = re.compile(
    r"(not a readable zip|malformed|envelope is malformed|an approval entry is malformed|not JSON|not a date)(?: \(|: ).*", re.DOTALL
)


def ours(packet: bytes, trust: bytes) -> dict[str, Any]:
    return verify_packet(packet, trust).as_dict()


def by_program(packet: bytes, trust: bytes) -> dict[str, Any]:
    believed = standalone_verifier.Trust(trust)
    title, lines = standalone_verifier.verify(packet, believed)
    code = standalone_verifier.result_of(lines)
    return {
        "result": ["VERIFIED", "FAILED", "UNDECIDED"][code],
        "exit_code": code,
        "title": title,
        "sha256": standalone_verifier.sha256(packet),
        "trust_sha256": believed.sha256,
        "trust_root": believed.root_text(),
        "checks": [{"name": name, "status": status, "detail": detail} for name, status, detail in lines],
    }


def in_node(pairs: Iterable[tuple[bytes, bytes]]) -> list[dict[str, Any]]:
    return ask_node([{"packet": _text(packet), "trust": _text(trust)} for packet, trust in pairs])


def ask_node(questions: list[dict[str, Any]]) -> list[Any]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: the page's checks run in a browser and in Node 18 or later")
    lines = "".join(json.dumps(question) + "\n" for question in questions)
    done = subprocess.run([node, str(DRIVER), str(PAGE)], input=lines, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def portable(found: Any) -> Any:
    """Without the parts that are a library's own words."""
    if isinstance(found, str):
        return _OWN_WORDS.sub(r"\1", found)
    return {**found, "checks": [{**check, "detail": portable(check["detail"])} for check in found["checks"]]}


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
