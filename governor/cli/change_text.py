"""A change as lines on a terminal. Words only; what is true comes from actions/show_change.py."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import typer

OVER: Final = frozenset({"rejected", "withdrawn"})


def share_words(spoken: dict[str, Any]) -> str:
    shares = [(spoken[name], word) for name, word in (("calls", "requests"), ("tokens", "tokens"), ("spend", "spend"))]
    return ", ".join(
        f"{Decimal(share) * 100:.1f}% of {word}" if share is not None else f"an unknown share of {word}" for share, word in shares
    )


def translation_words(lines: list[dict[str, Any]]) -> str:
    return ", ".join(f"{one['name']} {one['action']}{' into ' + one['into'] if one['into'] else ''} in {one['calls']}" for one in lines)


def print_change(shown: dict[str, Any]) -> None:
    lines = [shown["sentence"], f"state   {shown['state']}    ({shown['next']})", f"digest  {shown['digest']}"]
    if shown["stale"]:
        lines.append("        changed since it was last reviewed; approvals on the old digest are void")
    lines += [f"before  the same model was asked for in {one['said']}" for one in shown["asked_before"]]
    if shown["verdict"]:
        lines.append(f"shadow  {shown['verdict']['verdict']}: {shown['verdict']['sentence']}")
        lines += [f"        {shown['earlier_runs']}"] if shown["earlier_runs"] else []
    elif shown["runs"]:
        last = shown["runs"][-1]
        lines.append(f"shadow  run {last['status']}{': ' + last['sentence'] if last['sentence'] else ''}")
        lines += [f"        problem: {last['error']}"] if last["error"] else []
    for one in shown["runs"][-1]["failures"] if shown["runs"] else ():
        lines.append(f"        {one['n']} {one['arm']} replies: {one['error'].replace('http_', 'HTTP ').replace('_', ' ')}")
    spoken = shown["representativeness"]
    if spoken:
        lines.append(f"speaks  for {share_words(spoken)} of the workflow in the window")
        lines += [f"        left out: {one['n']} {one['reason'].replace('_', ' ')}" for one in spoken["left_out"]]
    lines += [f"params  {arm}: {translation_words(lines_of)}" for arm, lines_of in (shown["plan"].get("translation") or {}).items()]
    steps = (shown["verdict"] or {}).get("steps")
    if steps:
        lines.append(
            f"steps   {steps['diverged_traces']} of {steps['traces']} traces with tools left the recorded way; no tool was executed"
        )
    lines += needed(shown)
    lines += [f"policy  {one['severity']} {one['rule']}: {one['message']}" for one in shown["policy"]["violations"]]
    for vote in shown["approvals"]:
        counted = "" if vote["counts"] or vote["decision"] == "reject" else "  (void)"
        lines.append(f"{vote['decision']:<7} {vote['person']} as {vote['role']}: {vote['reason']}{counted}")
    lines += ending(shown)
    if shown["you"]:
        you = shown["you"]
        lines.append(f"you     may approve as {you['role']}" if you["may_approve"] else f"you     cannot approve: {you['why_not']}")
    typer.echo("\n".join(lines))


def needed(shown: dict[str, Any]) -> list[str]:
    """Which roles answer, and who may."""
    found = []
    for need in shown["needs"]:
        lost = "" if need["by_holds_role"] else ", who no longer holds that role"
        may = ", ".join(need["may"]) or "nobody yet"
        asked = "not asked any more" if shown["state"] in OVER else f"open; may answer: {may}"
        who = f"answered by {need['by']}{lost}" if need["status"] == "answered" else asked
        found.append(f"needs   {need['role']}: {need['reason']}  [{who}]")
    return found


def ending(shown: dict[str, Any]) -> list[str]:
    """Until when approvals hold; who withdrew it and why."""
    if shown["expires_at"]:
        return [f"until   {shown['expires_at'][:16].replace('T', ' ')} UTC: then the first approval runs out, and the change expires"]
    taken = shown["withdrawal"]
    if not taken:
        return []
    return [f"withdrawn by {taken['by'] or 'a person'}: {taken['reason'] or 'reason not kept'}{stopped_words(taken['stopped'])}"]


def stopped_words(run: Mapping[str, Any] | None) -> str:
    """What a shadow run had cost when it was stopped."""
    if run is None:
        return ""
    spent, reserved = (Decimal(run[name]) / 10**12 for name in ("spent_pico", "reserved_pico"))
    more = f", and at most ${reserved:.4f} more for calls that were under way" if reserved else ""
    return f". Its shadow run is stopped; ${spent:.4f} was spent{more}"


def tight_budget(plan: Mapping[str, Any]) -> list[str]:
    """A run that is expected to cost more than its budget ends without a verdict: said before anything is spent."""
    if Decimal(plan["expected_spend_usd"]) <= Decimal(plan["budget_usd"]):
        return []
    return [f"  the budget of ${plan['budget_usd']} will not reach: the plan is expected to spend about ${plan['expected_spend_usd']}"]


def print_split(found: dict[str, Any]) -> None:
    lines = [
        found["sentence"],
        f"by      {', '.join(found['fields'])}    margin {found['margin']}    chosen on {found['choosing']['pairs']}, confirmed on {found['fresh']['pairs']} pairs",
    ]
    if found["frontier"]:
        lines.append("traffic  savings [95 %]              quality [95 %]              status")
    for row in found["frontier"]:
        share, quality = f"{float(row['traffic_share']):6.1%}", f"{float(row['quality']):+7.1%} {ends(row['quality_ci95'], '+.1%')}"
        saved = f"{float(row['savings_rate']):6.1%} {ends(row['savings_ci95'], '.1%')}" if row["savings_ci95"] else "not priced"
        lines.append(f"{share}  {saved:<27} {quality}  {row['status']}")
    if found["still_needed"]:
        lines.append(f"about {found['still_needed']:,} fresh pairs would likely confirm the first open row")
    typer.echo("\n".join(lines))


def ends(interval: list[str], form: str) -> str:
    return f"[{', '.join(format(float(end), form) for end in interval)}]"
