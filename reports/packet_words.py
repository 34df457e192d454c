"""The words and colours of the packet's report: every code the product stores, as a CFO reads it."""

from __future__ import annotations

from typing import Final

STATES: Final = {
    "approved": ("Approved", "good"),
    "cutover": ("Approved and cut over", "good"),
    "verified": ("Approved, cut over, verified in traffic", "good"),
    "drifted": ("Approved, but traffic drifted from it", "bad"),
    "rejected": ("Rejected", "bad"),
    "expired": ("Expired undecided", "warn"),
    "withdrawn": ("Withdrawn", "warn"),
}
VERDICTS: Final = {
    "pass": ("Pass", "good"),
    "fail": ("Fail", "bad"),
    "inconclusive": ("Inconclusive", "warn"),
    "invalid_baseline": ("Invalid baseline", "warn"),
    "aborted_budget": ("Stopped: budget", "warn"),
    "aborted_policy": ("Stopped: policy", "warn"),
    "aborted_withdrawn": ("Stopped: withdrawn", "warn"),
}
METRICS: Final = {
    "quality": "Answers as good as before",
    "golden": "Right on the cases with a known answer",
    "error": "Calls without an error",
    "timeout": "Calls answered in time",
    "refusal": "Answers not refused",
    "truncation": "Answers not cut off",
    "empty": "Answers not empty",
    "contract": "Answers that keep the output contract",
    "tool_calls": "Valid tool calls",
    "leak": "Answers without foreign personal data or secrets",
    "language": "Answers in the language of the question",
    "latency": "Calls within the latency target",
    "cost_ceiling": "Calls under the cost ceiling",
}
EXCLUDED: Final = {
    "excluded_policy": "not allowed by policy",
    "excluded_content": "without stored content",
    "excluded_params": "with settings the candidate lacks",
    "skipped_budget": "stopped by the spending limit",
    "skipped_decided": "not needed: harm was certain before",
}
GOLDEN: Final = {
    "lost": "right before, wrong now",
    "judged_worse": "judged worse than before",
    "neither": "wrong before, wrong now",
}
COLOURS: Final = {"good": ("#5fa37f", "#17663c"), "warn": ("#d0a45c", "#7a4b00"), "bad": ("#cf7a72", "#9b1c1c")}  # bar, dot
EVENTS: Final = {
    "change:propose": "Change requested, test plan fixed",
    "change:submit": "Handed in for review",
    "change:shadow": "Shadow test ended",
    "change:review": "Policy evaluated",
    "change:approve": "Approved",
    "change:reject": "Rejected",
    "change:expire": "Expired",
    "change:withdraw": "Withdrawn",
    "change:cutover": "Cut over (reported by the company)",
    "change:verify": "Compared with later traffic",
    "change:drift": "Drift found in later traffic",
    "packet:issue": "Earlier packet issued",
}
