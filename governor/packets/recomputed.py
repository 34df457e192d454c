"""The verdict computed again from the plan and the pair table of the packet, every number of it.

Owns: this one check. Does not own: the arithmetic (governor.shadow). Invariants: a verdict that the pair table does not give is a failure; a packet without
a pair table, or one computed by another version of the method, is told apart from one that was checked.
"""

from __future__ import annotations

import json
from typing import Any, Final

from governor.errors import IntegrityError
from governor.packets.case import Case, need
from governor.packets.report import Check
from governor.shadow.software import SOFTWARE

PLAN: Final = "evidence/plan.json"
PAIRS: Final = "evidence/pairs.jsonl"
GOLDEN: Final = "evidence/golden.jsonl"
VERDICT: Final = "evidence/verdict.json"


def check_verdict(case: Case) -> Check:
    """Byte for byte."""
    need(case.subjects, "the statement did not verify")
    missing = [
        name for name in (PLAN, PAIRS, VERDICT) if name not in case.files
    ]  # what the ledger names and is not here fails in `evidence`
    if missing:
        return Check("verdict", "none", f"not computed again: the packet holds no {missing[0]}")
    held = case.files[VERDICT]
    document: dict[str, Any] = json.loads(held)
    if document.get("software") != SOFTWARE:
        return Check("verdict", "warn", f"computed by {document.get('software')}; this program computes {SOFTWARE} and cannot repeat it")
    from governor.shadow.verdict import rederive  # numpy takes longer to load than the rest of a verification

    found = rederive(case.files[PLAN], case.files[PAIRS], case.files.get(GOLDEN, b""))
    if found != held:
        again = json.loads(found)
        names = sorted(name for name in {*again, *document} if again.get(name) != document.get(name))
        raise IntegrityError(f"verdict.json is not what plan.json and pairs.jsonl give: {', '.join(names) or 'its bytes'} differ")
    rows = len(case.files[PAIRS].splitlines())
    cases = len(case.files.get(GOLDEN, b"").splitlines())
    beside = f", {cases} golden cases" if cases else ""
    return Check(
        "verdict", "ok", f"{document['verdict']}: every number computed again from {rows} pairs{beside} and the plan, byte for byte"
    )
