"""The scorecard counts what calls say about themselves, per workflow, and what to do about the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from governor.actions.context import OPERATOR
from governor.actions.ingest import ingest
from governor.actions.scorecard import FACTS, scorecard

RECORD = {
    "call_type": "acompletion",
    "status": "success",
    "model": "gpt-4o",
    "custom_llm_provider": "openai",
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "total_tokens": 15,
}


def test_shares_are_of_the_calls_of_each_workflow(world: Any, tmp_path: Path) -> None:
    ctx = world.ctx
    lines = []
    for number in range(10):
        said = {"workflow": "fnol-triage", "data_class": "internal"} if number < 4 else {"workflow": "fnol-triage"} if number < 8 else {}
        name = f"00000000-0000-4000-8000-00000000{number:04d}"
        row = RECORD | {"id": f"chatcmpl-scorecard-{number:04d}-abcdef", "litellm_call_id": name, "startTime": 1793520000.0 + number}
        row |= {"endTime": 1793520001.0 + number, "end_user": "u-1" if number == 0 else ""}
        row["metadata"] = {
            "user_api_key_alias": "k",
            "spend_logs_metadata": said,
            "user_api_key_end_user_id": "u-1" if number == 0 else None,
        }
        lines.append(json.dumps(row))
    path = tmp_path / "calls.jsonl"
    path.write_text("\n".join(lines))
    assert ingest(ctx, OPERATOR, "litellm", [str(path)])["stored"] == 10
    cards = {one["workflow"]: one for one in scorecard(ctx, "2026-11")}
    assert {name: one["calls"] for name, one in cards.items()} == {"fnol-triage": 8, None: 2}
    facts = {fact["fact"]: fact for fact in cards["fnol-triage"]["facts"]}
    assert list(facts) == list(FACTS)
    assert (facts["data class"]["calls"], facts["data class"]["share"]) == (4, 50)
    assert "data_class" in facts["data class"]["fix"]
    assert (facts["user"]["calls"], facts["user"]["share"]) == (1, 12)
    assert (facts["workflow tag"]["share"], facts["workflow tag"]["fix"]) == (100, "")
    assert facts["token counts"]["share"] == 100
    total = sum(fact["calls"] for fact in facts.values())
    assert cards["fnol-triage"]["score"] == 100 * total // (8 * len(FACTS))
    assert [one["workflow"] for one in scorecard(ctx, "2026-11", workflow="fnol-triage")] == ["fnol-triage"]
    assert scorecard(ctx, "2026-10") == []
