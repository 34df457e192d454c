"""Twelve workflows of a made-up insurer: who owns them, which model they use, how much, and what their prompts look like."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """One workflow's habits. share: part of the month's calls; tokens: medians; hours: working hours only."""

    id: str
    team: str
    owner: str
    cost_center: str
    provider: str
    model: str
    snapshot: str
    share: float
    input_tokens: int
    output_tokens: int
    data_class: str
    risk_tier: str
    capture: str
    budget: str
    latency_ms: int
    hours: bool = True
    cached: float = 0.0
    kind: str = "chat"
    task: str = ""


GPT4O = ("openai", "gpt-4o", "gpt-4o-2024-08-06")
MINI = ("openai", "gpt-4o-mini", "gpt-4o-mini-2024-07-18")
GPT41 = ("openai", "gpt-4.1", "gpt-4.1-2025-04-14")
SONNET = ("anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929")
HAIKU = ("anthropic", "claude-haiku-4-5", "claude-haiku-4-5-20251001")
EMBED = ("openai", "text-embedding-3-small", "text-embedding-3-small")

SAMPLES = (
    Sample(
        "fnol-triage",
        "claims-ops",
        "dana",
        "CC-4100",
        *GPT4O,
        0.13,
        1450,
        90,
        "internal",
        "high",
        "full",
        "900",
        3200,
        task="severity of a first notice of loss as JSON",
    ),
    Sample(
        "reserve-estimate",
        "claims-ops",
        "dana",
        "CC-4100",
        *GPT41,
        0.05,
        2600,
        420,
        "confidential",
        "high",
        "redacted",
        "800",
        9000,
        task="reserve estimate",
    ),
    Sample(
        "fraud-screen",
        "claims-ops",
        "dana",
        "CC-4100",
        *SONNET,
        0.06,
        2100,
        260,
        "confidential",
        "high",
        "redacted",
        "1500",
        8000,
        cached=0.6,
        task="fraud signals",
    ),
    Sample(
        "ticket-summary",
        "support-ai",
        "li",
        "CC-4200",
        *MINI,
        0.20,
        900,
        140,
        "internal",
        "low",
        "hashed",
        "60",
        4000,
        task="summary of a ticket",
    ),
    Sample(
        "reply-draft",
        "support-ai",
        "li",
        "CC-4200",
        *GPT4O,
        0.12,
        1100,
        320,
        "internal",
        "medium",
        "hashed",
        "900",
        7000,
        task="draft of a reply",
    ),
    Sample(
        "clause-extract",
        "legal-research",
        "sam",
        "CC-4300",
        *SONNET,
        0.04,
        5200,
        380,
        "confidential",
        "medium",
        "redacted",
        "1600",
        9000,
        cached=0.7,
        task="clauses of a contract",
    ),
    Sample(
        "case-search",
        "legal-research",
        "sam",
        "CC-4300",
        *EMBED,
        0.09,
        600,
        0,
        "internal",
        "low",
        "hashed",
        "20",
        900,
        kind="embedding",
        task="embedding of a case",
    ),
    Sample(
        "ad-copy",
        "growth-marketing",
        "mia",
        "CC-4400",
        *GPT4O,
        0.04,
        700,
        420,
        "public",
        "low",
        "hashed",
        "400",
        9000,
        task="variants of an ad",
    ),
    Sample(
        "seo-brief",
        "growth-marketing",
        "mia",
        "CC-4400",
        *MINI,
        0.05,
        1300,
        600,
        "public",
        "low",
        "hashed",
        "60",
        12000,
        task="brief for a page",
    ),
    Sample(
        "code-review",
        "platform-eng",
        "pat",
        "CC-4500",
        *SONNET,
        0.07,
        6800,
        520,
        "internal",
        "medium",
        "hashed",
        "4000",
        15000,
        cached=0.5,
        task="review of a change",
    ),
    Sample(
        "incident-summary",
        "platform-eng",
        "pat",
        "CC-4500",
        *HAIKU,
        0.06,
        3200,
        240,
        "internal",
        "medium",
        "hashed",
        "400",
        6000,
        hours=False,
        task="summary of an incident",
    ),
    Sample(
        "batch-eval",
        "platform-eng",
        "pat",
        "CC-4500",
        *MINI,
        0.09,
        1500,
        180,
        "internal",
        "low",
        "hashed",
        "90",
        20000,
        hours=False,
        task="nightly evaluation",
    ),
)

PEOPLE = (
    ("dana@acme.example", "Dana Ortiz", ["owner"]),
    ("li@acme.example", "Li Wei", ["owner"]),
    ("sam@acme.example", "Sam Okafor", ["owner"]),
    ("mia@acme.example", "Mia Ruiz", ["owner"]),
    ("pat@acme.example", "Pat Nowak", ["owner", "requester"]),
    ("rae@acme.example", "Rae Lindqvist", ["requester"]),
    ("sol@acme.example", "Sol Haddad", ["security"]),
    ("finn@acme.example", "Finn Keller", ["finance"]),
    ("ada@acme.example", "Ada Mbeki", ["auditor"]),
)
