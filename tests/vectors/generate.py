"""Write the frozen vectors again: `python tests/vectors/generate.py`. A difference means that old ledgers or packets would no longer verify.

Everything here is made by our own code from fixed seeds.
"""

import hashlib
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from governor.ledger.entry import disclose
from governor.ledger.note import sign_note
from governor.ledger.types import REGISTRY

HERE = Path(__file__).parent


def load(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def main() -> None:
    keys = load(HERE.parent / "ledger/conftest.py", "ledger_keys")
    entries = load(HERE.parent / "ledger/test_entry.py", "ledger_entries")
    sys.path.insert(0, str(HERE.parent / "packets"))
    import packet_story as stories

    signer: Any = keys.SeedSigner(hashlib.sha256(b"producer").digest())
    ledger, packets = HERE / "ledger", HERE / "packets"
    ledger.mkdir(exist_ok=True)
    packets.mkdir(exist_ok=True)
    (ledger / "frozen.note").write_text(sign_note("frozen\n", [("acme.example/log", signer)]), encoding="utf-8")
    email = disclose("email", "dana@acme.example", bytes(16))
    (ledger / "approve.entry.json").write_bytes(entries.build(signer, disclosures=[email]).leaf)
    (ledger / "types.json").write_text(json.dumps({name: kind.schema_sha256 for name, kind in REGISTRY.items()}, indent=1) + "\n")
    story = stories.make_story()
    (packets / "good.govpacket").write_bytes(story.packet())
    (packets / "good.trust").write_bytes(story.trust)
    write_reasons(packets / "negatives.json")


def write_reasons(path: Path) -> None:
    """What each named negative packet is answered, first finding only. Read the difference before committing it."""
    import negative_packets
    from verifiers import ours, portable

    reasons = {}
    for name in sorted(negative_packets.CASES):
        found = ours(*negative_packets.build(name))
        first = next(check for check in found["checks"] if check["status"] in {"fail", "undecided"})
        reasons[name] = {"result": found["result"], "check": first["name"], "reason": portable(first["detail"])}
    path.write_text(json.dumps(reasons, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
