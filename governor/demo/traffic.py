"""A seeded month of LiteLLM `generic_api` records with believable warts: about 50,000 calls over twelve workflows.

The warts: an unpriced model, a key nobody owns, an unapproved model, silent fallbacks, failed attempts, gateway cache hits,
duplicate deliveries and rows that arrive after the month. Costs are what a gateway would estimate; Governor prices on its own.
"""

from __future__ import annotations

import calendar
import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from governor.demo.workflows import GPT41, HAIKU, MINI, SAMPLES, Sample

# Gateway price map of the demo, USD per million tokens: input, cache read, output.
GATEWAY_PRICES = {
    "gpt-4o": (2.5, 1.25, 10.0),
    "gpt-4o-mini": (0.15, 0.075, 0.6),
    "gpt-4.1": (2.0, 0.5, 8.0),
    "claude-sonnet-4-5": (3.0, 0.3, 15.0),
    "claude-haiku-4-5": (1.0, 0.1, 5.0),
    "text-embedding-3-small": (0.02, 0.02, 0.0),
}
SEVERITIES = ("low", "medium", "high", "critical")
LOSSES = (
    "water damage",
    "rear-end collision",
    "hail",
    "theft from vehicle",
    "kitchen fire",
    "slip and fall",
    "windscreen crack",
    "burst pipe",
)
PLACES = ("warehouse", "car park", "flat", "office", "motorway", "farm", "shop floor", "garage")


@dataclass(frozen=True)
class Month:
    """files: one NDJSON per source day bundle; late: what arrives after the close; counts: what was planted."""

    files: list[Path]
    late: Path
    counts: dict[str, int]


def make_month(folder: Path, month: str, *, calls: int = 50_000, seed: int = 20261) -> Month:
    """Write the month's NDJSON files under `folder`. The same arguments make the same bytes."""
    rng = random.Random(f"{seed} {month}")  # two months of one seed share no call id
    year, number = (int(part) for part in month.split("-"))
    first = datetime(year, number, 1, tzinfo=UTC)
    days = calendar.monthrange(year, number)[1]
    folder.mkdir(parents=True, exist_ok=True)
    counts = dict.fromkeys(
        (
            "records",
            "duplicates",
            "failed",
            "cache_hits",
            "unpriced",
            "unowned",
            "unapproved",
            "silent_fallbacks",
            "late",
        ),
        0,
    )
    weights = [sample.share for sample in SAMPLES]
    handles = [folder / f"litellm-{month}-week{week}.ndjson" for week in range(1, 6)]
    writers = [path.open("w") for path in handles]
    try:
        for index in range(calls):
            sample = rng.choices(SAMPLES, weights)[0]
            start = moment(rng, first, days, sample)
            week = min((start.day - 1) // 7, 4)
            for record in call(rng, sample, start, index, counts):
                line = json.dumps(record, separators=(",", ":"))
                writers[week].write(line + "\n")
                counts["records"] += 1
                if rng.random() < 0.004:  # the gateway's logger posted it twice
                    writers[week].write(line + "\n")
                    counts["duplicates"] += 1
    finally:
        for writer in writers:
            writer.close()
    late = folder / f"litellm-{month}-late.ndjson"
    with late.open("w") as out:
        for index in range(120):
            sample = rng.choice(SAMPLES)
            for record in call(rng, sample, moment(rng, first + timedelta(days=days - 2), 2, sample), calls + index, counts):
                out.write(json.dumps(record, separators=(",", ":")) + "\n")
                counts["late"] += 1
    return Month(files=[path for path in handles if path.stat().st_size], late=late, counts=counts)


def moment(rng: random.Random, first: datetime, days: int, sample: Sample) -> datetime:
    """An instant of the month: office hours and weekdays for people's work, any hour for machines."""
    while True:
        day = rng.randrange(days)
        hour = min(max(int(rng.gauss(13, 3)), 6), 21) if sample.hours else rng.randrange(24)
        start = first + timedelta(days=day, hours=hour, seconds=rng.random() * 3600)
        if not sample.hours or start.weekday() < 5 or rng.random() < 0.15:
            return start


def call(rng: random.Random, sample: Sample, start: datetime, index: int, counts: dict[str, int]) -> Iterator[dict[str, Any]]:
    """The records of one client call: usually one, two when a failed attempt fell back."""
    call_id = str(_uuid(rng))
    provider, model, snapshot = sample.provider, sample.model, sample.snapshot
    alias: str | None = f"c-{sample.team}-{sample.id}"
    requested = model
    fallback = False
    dice = rng.random()
    if dice < 0.010 and sample.id in {"reply-draft", "ad-copy"}:
        provider, model, snapshot, fallback = *MINI, True  # a silent downgrade
        counts["silent_fallbacks"] += 1
    elif dice < 0.012 and sample.id == "seo-brief":
        provider, model, snapshot, requested = *GPT41, GPT41[1]  # nobody approved this model here
        counts["unapproved"] += 1
    elif dice > 0.996 and sample.id == "batch-eval":
        provider, model, snapshot, requested = "openai", "acme-finetune-7b", "acme-finetune-7b", "acme-finetune-7b"
        counts["unpriced"] += 1
    elif dice > 0.992 and sample.id in {"ticket-summary", "incident-summary"}:
        alias = "c-orphan-notebook"
        counts["unowned"] += 1
    failed = rng.random() < 0.012
    if failed:
        counts["failed"] += 1
        yield record(rng, sample, start, index, call_id, alias, provider, requested, requested, snapshot, status="failure")
        if sample.kind != "chat" or rng.random() < 0.35:
            return
        provider, model, snapshot, fallback = (*HAIKU, True) if provider == "anthropic" else (*MINI, True)
        start += timedelta(seconds=1.2)
    hit = not fallback and rng.random() < 0.01
    if hit:
        counts["cache_hits"] += 1
    yield record(
        rng,
        sample,
        start,
        index,
        call_id,
        alias,
        provider,
        requested,
        model,
        snapshot,
        fallback=fallback,
        cache_hit=hit,
    )


def record(
    rng: random.Random,
    sample: Sample,
    start: datetime,
    index: int,
    call_id: str,
    alias: str | None,
    provider: str,
    requested: str,
    model: str,
    snapshot: str,
    *,
    status: str = "success",
    fallback: bool = False,
    cache_hit: bool = False,
) -> dict[str, Any]:
    """One StandardLoggingPayload, the fields the gateway sends, slimmed of what nobody reads."""
    ok = status == "success"
    tokens_in = max(40, int(rng.lognormvariate(0, 0.35) * sample.input_tokens)) if ok else 0
    tokens_out = max(8, int(rng.lognormvariate(0, 0.4) * sample.output_tokens)) if ok and sample.output_tokens else 0
    cached = int(tokens_in * rng.uniform(0.3, 0.8) * (rng.random() < sample.cached)) if ok else 0
    seconds = max(0.15, rng.lognormvariate(0, 0.3) * sample.latency_ms / 2200) if ok else rng.uniform(0.2, 2.0)
    rates = GATEWAY_PRICES.get(model)
    cost = (
        0.0 if rates is None or cache_hit or not ok else ((tokens_in - cached) * rates[0] + cached * rates[1] + tokens_out * rates[2]) / 1e6
    )
    identity = f"chatcmpl-{hashlib.sha256(f'{call_id}{fallback}{status}'.encode()).hexdigest()[:24]}" if ok else call_id
    if cache_hit:
        identity += f"_cache_hit{start.timestamp()}"
    end = start + timedelta(seconds=seconds)
    messages, answer = conversation(rng, sample, index) if sample.capture != "hashed" or index % 40 == 0 else (None, None)
    metadata: dict[str, Any] = {
        "user_api_key_hash": hashlib.sha256((alias or "none").encode()).hexdigest(),
        "user_api_key_alias": alias,
        "user_api_key_team_id": None if alias == "c-orphan-notebook" else hashlib.sha256(sample.team.encode()).hexdigest()[:16],
        "user_api_key_team_alias": None if alias == "c-orphan-notebook" else sample.team,
        "requester_metadata": {"workflow": sample.id, "data_class": sample.data_class}
        if alias != "c-orphan-notebook" and rng.random() < 0.6
        else {},
        "usage_object": {
            "prompt_tokens": tokens_in,
            "completion_tokens": tokens_out,
            "total_tokens": tokens_in + tokens_out,
            "prompt_tokens_details": {"cached_tokens": cached},
            "completion_tokens_details": {"reasoning_tokens": 0},
        }
        if ok
        else None,
        "attempted_fallbacks": int(fallback),
        "original_model_group": requested,
    }
    if sample.id == "clause-extract":
        metadata |= assembled(metadata["requester_metadata"], start, tokens_in)
    return {
        "id": identity,
        "litellm_call_id": call_id,
        "trace_id": call_id,
        "session_id": "",
        "call_type": "aembedding" if sample.kind == "embedding" else "acompletion",
        "cache_hit": True if cache_hit else None,
        "stream": None,
        "status": status,
        "custom_llm_provider": provider,
        "startTime": start.timestamp(),
        "endTime": end.timestamp(),
        "completionStartTime": end.timestamp(),
        "response_time": seconds,
        "model": f"{provider}/{model}",
        "model_group": requested,
        "model_id": hashlib.sha256(model.encode()).hexdigest()[:16],
        "api_base": f"https://api.{provider}.example/v1/",
        "response_cost": round(cost, 12),
        "total_tokens": tokens_in + tokens_out,
        "prompt_tokens": tokens_in,
        "completion_tokens": tokens_out,
        "request_tags": [f"workflow:{sample.id}"] if index % 3 == 0 and alias != "c-orphan-notebook" else [],
        "metadata": metadata,
        "model_parameters": {"temperature": 0, "max_tokens": 400} if sample.kind == "chat" else {},
        "messages": messages,
        "response": {
            "id": identity.split("_cache_hit")[0],
            "model": snapshot,
            "object": "chat.completion",
            "choices": [{"finish_reason": "stop", "index": 0, "message": {"role": "assistant", "content": answer}}]
            if answer is not None
            else [],
        }
        if ok
        else None,
        "error_information": {"error_code": "", "error_class": "", "error_message": ""}
        if ok
        else {
            "error_code": "429",
            "error_class": "RateLimitError",
            "error_message": "rate limit reached for this model",
        },
    }


def assembled(claims: dict[str, Any], start: datetime, tokens: int) -> dict[str, Any]:
    """A prompt under management, of which some callers say how it is put together; the second version has fewer examples."""
    later = start.day > 14
    contract, examples = (72, 8) if later else (55, 25)
    parts = {"system": tokens * 12 // 100, "contract": tokens * contract // 100, "examples": tokens * examples // 100}
    named = {"prompt_management_metadata": {"prompt_id": "clause-extract", "prompt_version": "13" if later else "12"}}
    return {**named, "requester_metadata": {**claims, "prompt_segments": parts}} if claims and tokens else named


def conversation(rng: random.Random, sample: Sample, index: int) -> tuple[list[dict[str, str]], str]:
    """A prompt and its answer; fnol-triage asks for JSON whose truth is in the prompt, so a replay can be judged."""
    loss, place = rng.choice(LOSSES), rng.choice(PLACES)
    amount = rng.randrange(200, 60_000)
    severity = SEVERITIES[min(3, sum(amount > limit for limit in (2_000, 12_000, 35_000)))]
    if sample.id == "fnol-triage":
        system = 'Triage the first notice of loss. Answer only JSON: {"severity": "low|medium|high|critical", "cause": "..."}'
        user = f"Notice {index}: {loss} at a {place}. Estimated damage {amount} EUR. Case notes attached."
        return [{"role": "system", "content": system}, {"role": "user", "content": user}], json.dumps({"severity": severity, "cause": loss})
    user = f"Please write the {sample.task}. Matter {index}: {loss}, {place}, about {amount} EUR."
    return [{"role": "user", "content": user}], f"{sample.task}: {loss} at a {place}; about {amount} EUR, handled as {severity}."


def _uuid(rng: random.Random) -> str:
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
