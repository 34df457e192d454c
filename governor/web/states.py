"""Which words the product uses for its states, and in which tone a page shows them: good, warn, bad, live or plain."""

from __future__ import annotations

from typing import Final

TONES: Final[dict[str, frozenset[str]]] = {
    "good": frozenset(
        {
            "approved",
            "verified",
            "pass",
            "ok",
            "closed",
            "done",
            "stored",
            "allow",
            "priced",
            "valid",
            "active",
            "governed",
            "allowed",
            "fresh",
            "reconciled",
            "matched",
        }
    ),
    "warn": frozenset(
        {
            "inconclusive",
            "waived",
            "expiring",
            "closing",
            "undecided",
            "unattributed",
            "unpriced",
            "warn",
            "warning",
            "medium",
            "stale",
            "provisional",
            "excluded_policy",
            "waiting",
            "withdrawn",
            "aborted_withdrawn",
            "low_coverage",
            "mismatch",
        }
    ),
    "bad": frozenset(
        {
            "rejected",
            "reject",
            "drifted",
            "expired",
            "fail",
            "failed",
            "unapproved",
            "aborted_budget",
            "aborted_policy",
            "invalid_baseline",
            "high",
            "critical",
            "revoked",
            "denied",
            "deny",
            "disabled",
            "lapsed",
            "no_route",
            "error",
            "timeout",
            "violation",
        }
    ),
    "live": frozenset({"shadowing", "in_review", "running", "planned", "cutover", "open", "draft"}),
}
LABELS: Final[dict[str, str]] = {
    "in_review": "in review",
    "aborted_budget": "stopped: budget",
    "aborted_policy": "stopped: policy",
    "aborted_withdrawn": "stopped: withdrawn",
    "invalid_baseline": "baseline not valid",
    "cutover": "cut over",
}


def state_tone(state: str | None) -> str:
    return next((tone for tone, states in TONES.items() if (state or "").lower() in states), "plain")


def state_label(state: str | None) -> str:
    return LABELS.get(state or "", (state or "—").replace("_", " "))


VERBS: Final[dict[str, str]] = {
    "home:init": "Home made",
    "catalog:apply": "Catalog applied",
    "source:ingest": "Batch ingested",
    "prices:import": "Prices imported",
    "prices:propose": "Prices proposed",
    "prices:approve": "Prices approved",
    "prices:reject": "Prices rejected",
    "quarantine:discard": "Quarantined records discarded",
    "change:propose": "Proposed",
    "change:shadow": "Shadow run",
    "change:review": "Put to review",
    "change:approve": "Approved",
    "change:reject": "Rejected",
    "change:expire": "Expired",
    "change:withdraw": "Withdrawn",
    "change:cutover": "Cut over",
    "change:verify": "Later traffic looked at",
    "packet:issue": "Audit packet issued",
    "period:close": "Month closed",
    "period:except": "Exception signed",
    "person:apply": "Person changed",
    "token:create": "Token made",
    "token:revoke": "Token revoked",
}


def verb_words(entry_type: str) -> str:
    """An entry type in words; an unknown one as it is written."""
    return VERBS.get(entry_type, entry_type.replace(":", ": ").replace("_", " "))
