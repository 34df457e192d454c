"""What a replay plan will cost, before anything is sent: a forecast beside the hard budget.

Owns: the forecast of the sample and of golden cases. Does not own: prices (replay_price.py), the budget (replay_rows.py).
Invariants: exact sums at contracted prices; a golden case has no recorded usage, so its input is counted from its text and its answer is taken to be as long as
production's are on average.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from governor.actions.context import Context
from governor.actions.replay_inputs import read_input
from governor.actions.replay_price import Pricer
from governor.shadow.golden import GoldenSet
from governor.shadow.plan import Arm
from governor.shadow.sampling import Draw

CHARACTERS_PER_TOKEN: Final = 4  # of English text, by the usual tokenizers


def expected_spend(
    rows: Mapping[str, Mapping[str, Any]], draws: Sequence[Draw], pricer: Pricer, now: datetime, baseline: Arm | None, candidate: Arm | None
) -> int:
    """What the replays will cost if they use the tokens that production used."""
    return sum(
        pricer.tokens(arm, now, input_tokens=row["input_tokens"] or 0, output_tokens=row["output_tokens"] or 0) or 0
        for pick in draws
        for row in (rows[pick.record_id],)
        for arm in (baseline, candidate)
        if arm is not None
    )


def expected_golden(
    ctx: Context, golden: GoldenSet | None, rows: Mapping[str, Mapping[str, Any]], pricer: Pricer, arms: Sequence[Arm], most_output: int
) -> int:
    """Every case is asked of both routes."""
    if golden is None:
        return 0
    known = [row["output_tokens"] for row in rows.values() if row["output_tokens"]]
    output = min(round(sum(known) / len(known)) if known else most_output, most_output)
    now, total = ctx.now(), 0
    for case in golden.cases:
        given = read_input(ctx, case.sha256)
        into = -(-len(given.given) // CHARACTERS_PER_TOKEN) if given is not None else 0
        total += sum(pricer.tokens(arm, now, input_tokens=into, output_tokens=output) or 0 for arm in arms)
    return total
