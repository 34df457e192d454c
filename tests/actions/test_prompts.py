"""Spend by prompt version and by the parts of prompts: exact, whole, and silent about calls that do not say it."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from governor.actions import remembered
from governor.actions.context import SYSTEM
from governor.actions.import_prices import import_prices
from governor.actions.ingest import ingest
from governor.actions.month_view import month_view, prompt_view
from governor.actions.show_segments import APART, OUTPUT, SEGMENT, SMALLER, UNSAID, show_segments
from governor.actions.show_spend import show_spend, spend_table
from governor.actions.usage import usage_report
from governor.calls import CALL_SCHEMA, CONTENT_SCHEMA, REJECT_SCHEMA, SPAN_SCHEMA
from governor.errors import Invalid
from governor.ports import Batch
from governor.prices.price import price_of
from governor.prices.seed import Seed
from governor.store import lake_segments, lake_slices

OCTOBER = "2026-10"
START = datetime(2026, 10, 1, tzinfo=UTC)
AFTER = datetime(2026, 11, 3, 9, tzinfo=UTC)
# model -> pico-USD for a token: fresh, from cache, into cache for 5 minutes, for an hour, out, and for a request
RATES = {
    "m-small": (37_037, 3_703, 46_291, 74_074, 148_151, 0),
    "m-large": (2_500_001, 250_003, 3_125_007, 5_000_002, 10_000_007, 1_000_000_007),
}
METERS = ("input", "cache_read", "cache_write", "cache_write_1h", "output", "request")
WORKFLOW = """
kind: workflow
id: {id}
owner: dana@acme.example
cost_center: CC-4100
match:
  - {{metadata.workflow: {id}}}
routes:
  - {{id: s, provider: openai, model: m-small, approved_until: 2027-03-31}}
  - {{id: l, provider: openai, model: m-large, approved_until: 2027-03-31}}
"""
Call = dict[str, Any]


@pytest.fixture
def priced(world: Any) -> Any:
    for name in ("claims", "search"):
        world.apply(WORKFLOW.format(id=name))
    rows = [
        price_of({"kind": "list", "provider": "openai", "model": model, "meter": meter, "amount": str(Decimal(rate).scaleb(-12)), "per": 1})
        for model, rates in RATES.items()
        for meter, rate in zip(METERS, rates, strict=True)
        if rate
    ]
    import_prices(world.ctx, SYSTEM, Seed("csv", "test", tuple(rows), ()))
    world.now = AFTER
    return world


def call(number: int, **columns: Any) -> Call:
    key = f"call-{number}"
    made = {
        "record_id": key, "source_record_id": key, "raw_sha256": key, "dup_group_key": f"response:{key}", "revision": 0,
        "source_kind": "litellm.generic_api", "source_instance": "prod", "ingest_uri": "a.jsonl", "ingest_row": number, "grain": "attempt",
        "cost_bearing": True, "sample_rate": 1.0, "start_time": START + timedelta(hours=number % 700), "provider": "openai",
        "response_model": "m-large", "status": "ok", "input_tokens": 1_000, "output_tokens": 100, "traffic_class": "production",
        "duration_ms": 10.0, "metadata": {"workflow": "claims"},
    }  # fmt: skip
    return made | columns


def said(parts: Any, workflow: str = "claims", name: str = "prompt_segments") -> dict[str, Any]:
    text = parts if isinstance(parts, str) else json.dumps(parts)
    return {"metadata": {"workflow": workflow, name: text}}


def store(world: Any, *calls: Call, batch: str = "b1") -> None:
    rows = [{**one, "metadata": list(one["metadata"].items())} for one in calls]
    empty = [schema.empty_table() for schema in (REJECT_SCHEMA, SPAN_SCHEMA, CONTENT_SCHEMA)]
    counts = world.ctx.lake.ingest(batch, [Batch(pa.Table.from_pylist(rows, schema=CALL_SCHEMA), *empty)], AFTER)
    assert counts.stored == len(rows)


def classes(one: Call) -> list[int]:
    """Tokens by the meters of RATES."""
    read, written, long = (one.get(name) or 0 for name in ("cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens"))
    return [one["input_tokens"] - read - written, read, written - long, long, one["output_tokens"], 1]


def worth(one: Call) -> list[int]:
    return [quantity * rate for quantity, rate in zip(classes(one), RATES[one["response_model"]], strict=True)]


def drawn(draw: random.Random, number: int) -> Call:
    tokens = draw.randrange(1, 90_000)
    read = draw.choice((None, 0, draw.randrange(tokens)))
    written = draw.choice((None, draw.randrange(tokens - (read or 0) + 1)))
    parts = {
        name: draw.randrange(30_000)
        for name in draw.sample(["system", "retrieved", "history", "tools", "naïve \u2603"], draw.randrange(1, 5))
    }
    return call(
        number,
        response_model=draw.choice(list(RATES)),
        input_tokens=tokens,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=draw.randrange(written + 1) if written and draw.random() < 0.5 else None,
        output_tokens=draw.randrange(8_000),
        prompt_id=draw.choice((None, "triage", "answer")),
        prompt_version=draw.choice((None, "1", "2")),
        is_fallback=draw.choice((None, False)),
        **(said(parts, draw.choice(("claims", "search"))) if draw.random() < 0.8 and any(parts.values()) else {}),
    )


def pico(text: str) -> int:
    return int(Decimal(text).scaleb(12))


@pytest.mark.parametrize("seed", [3, 41, 20_261_121])
def test_parts_what_is_unsaid_and_the_answer_are_the_whole(seed: int, priced: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(seed)
    calls = [drawn(draw, number) for number in range(400)]
    store(priced, *calls)
    saying = [one for one in calls if "prompt_segments" in one["metadata"]]
    exact: dict[tuple[str, str, str | None], Fraction] = defaultdict(Fraction)
    for one in saying:
        parts, workflow = json.loads(one["metadata"]["prompt_segments"]), one["metadata"]["workflow"]
        money, whole = worth(one), max(one["input_tokens"], sum(parts.values()))
        for name, tokens in parts.items():
            exact[(workflow, SEGMENT, name)] += Fraction(sum(money[:4]) * tokens, whole)
        exact[(workflow, UNSAID, None)] += Fraction(sum(money[:4]) * (whole - sum(parts.values())), whole)
        exact[(workflow, OUTPUT, None)] += money[4]
        exact[(workflow, APART, None)] += money[5]
    found = show_segments(priced.ctx, OCTOBER)
    assert (found["calls"], found["quiet_calls"]) == (len(saying), len(calls) - len(saying))
    assert pico(found["cost"]) == sum(sum(worth(one)) for one in saying)
    for by in (["workflow"], ["workflow", "prompt", "prompt_version", "model"], [], ["owner", "cost_center", "provider"]):
        rows = show_segments(priced.ctx, OCTOBER, by=by)["rows"]
        assert sum(pico(row["cost"]) for row in rows) == pico(found["cost"]), by
    got = {(row["workflow"], row["part"], row["segment"]): pico(row["cost"]) for row in found["rows"]}
    assert set(got) == {key for key in exact if exact[key]}
    groups = 2 * 2 * 3 * 3 * 2 * 4  # workflow, model, prompt, version, fallback said or not, input meters: each is rounded once
    assert max(abs(got[key] - exact[key]) for key in got) <= groups
    assert found["scaled_calls"] == sum(
        sum(json.loads(one["metadata"]["prompt_segments"]).values()) > one["input_tokens"] for one in saying
    )
    # the same from kept days
    monkeypatch.setattr(lake_slices, "LEAST", 0)
    for _ in range(2):
        remembered._memory.clear()
        assert show_segments(priced.ctx, OCTOBER) == found


def test_a_prompts_cost_is_that_of_its_calls_and_all_of_them_are_the_month(priced: Any) -> None:
    draw = random.Random(5)
    calls = [drawn(draw, number) for number in range(300)]
    store(priced, *calls)
    exact: dict[tuple[str | None, str | None], list[int]] = defaultdict(list)
    for one in calls:
        exact[(one["prompt_id"], one["prompt_version"])].append(sum(worth(one)))
    page = show_spend(priced.ctx, OCTOBER, by="prompt")
    rows = {(row["prompt"], row["prompt_version"]): row for row in page["rows"]}
    assert {key: pico(row["contracted_cost"]) for key, row in rows.items()} == {key: sum(costs) for key, costs in exact.items()}
    for key, row in rows.items():
        assert abs(Decimal(row["cost_per_call"]).scaleb(12) - Decimal(sum(exact[key])) / len(exact[key])) <= Decimal("0.5")
    whole = show_spend(priced.ctx, OCTOBER)
    assert page["totals"] == whole["totals"]
    assert page["days"] == whole["days"]
    assert sum(pico(row["contracted_cost"]) for row in page["rows"]) == pico(whole["totals"]["contracted_cost"])
    usage = usage_report(priced.ctx, OCTOBER, ["prompt"])["rows"]
    assert {row["prompt"] for row in usage} == {None, "triage", "answer"}
    one = spend_table(priced.ctx, OCTOBER, by="workflow", only={"prompt": "triage", "prompt_version": "-"})
    assert pico(one["totals"]["contracted_cost"]) == sum(exact[("triage", None)])
    # nobody else's month is larger for it
    assert len(month_view(priced.ctx, OCTOBER).groups) < len(prompt_view(priced.ctx, OCTOBER).groups)
    assert not any({"prompt_id", "prompt_version"} & group.keys.keys() for group in month_view(priced.ctx, OCTOBER).groups)


BAD = [
    "{", "[1, 2]", "12", "", "null", '"system"', "{}", '{"system": -1}', '{"system": 1.5}', '{"system": 1e3}', '{"system": null}', '{"system": "many"}',
    '{"system": true}', '{"system": {"a": 1}}', '{"system": 0}', '{"": 5}', json.dumps({"x" * 65: 5}), json.dumps({f"part {n}": 1 for n in range(65)}),
    '{"system": 5, "system": 6}', '{"system": 100000000}', '{"a": 1, "b": -1}',
]  # fmt: skip


def test_what_cannot_be_read_is_not_said_and_never_an_error(priced: Any) -> None:
    store(priced, *[call(number, **said(text)) for number, text in enumerate(BAD)])
    found = show_segments(priced.ctx, OCTOBER)
    assert (found["calls"], found["quiet_calls"], found["rows"], found["parts"], found["cost"]) == (0, len(BAD), [], [], "0.00")
    assert show_spend(priced.ctx, OCTOBER)["totals"]["calls"] == len(BAD)


def test_the_edges_of_what_can_be_read(priced: Any) -> None:
    store(
        priced,
        call(1, **said({"x" * 64: 1000})),
        call(2, **said({f"part {n}": 10 for n in range(64)})),
        call(3, **said({"system": 600, "history": 0}, name="governor.prompt.segments")),
        call(4, **said({"system": 600}), input_tokens=None),
        call(5, **said({"system": 600}), input_tokens=0, output_tokens=0),
        call(6, **said({"system": 600}), gateway_cache="hit_exact"),
    )
    found = show_segments(priced.ctx, OCTOBER)
    assert (found["calls"], found["quiet_calls"], found["scaled_calls"]) == (5, 1, 1)
    rows = {(row["part"], row["segment"]): row for row in found["parts"]}
    assert rows[(SEGMENT, "x" * 64)]["cost"] == "0.002500001"
    assert pico(rows[(SEGMENT, "system")]["cost"]) == 600 * 2_500_001
    assert (rows[(SEGMENT, "system")]["calls"], rows[(SEGMENT, "history")]["cost"]) == (3, "0.00")
    assert pico(rows[(UNSAID, None)]["cost"]) == (360 + 400) * 2_500_001
    assert sum(pico(row["cost"]) for row in found["parts"]) == pico(found["cost"])


def test_the_largest_calls_are_divided_as_exactly(priced: Any) -> None:
    """At the ends of what a call may say, the shares of its tokens do not overflow and lose nothing."""
    most = 99_999_999
    store(
        priced,
        call(1, **said({f"part {n:02}": most for n in range(64)}), input_tokens=64 * most, response_model="m-small"),
        call(2, **said({f"part {n:02}": most for n in range(64)}), input_tokens=3, response_model="m-small"),
        call(3, **said({"part 00": 1}), input_tokens=9_000_000_000, response_model="m-small"),
        call(4, **said({"part 00": 1}), input_tokens=9_000_000_001, response_model="m-small"),
    )
    found = show_segments(priced.ctx, OCTOBER)
    assert (found["calls"], found["quiet_calls"], found["scaled_calls"]) == (3, 1, 1)
    rows = {(row["part"], row["segment"]): pico(row["cost"]) for row in found["parts"]}
    assert sum(rows.values()) == pico(found["cost"])
    assert abs(rows[(SEGMENT, "part 07")] - (most * 37_037 + Fraction(3 * 37_037, 64))) <= 1
    assert abs(rows[(UNSAID, None)] - 8_999_999_999 * 37_037) <= 1


def test_cached_tokens_are_divided_with_the_calls_they_are_of(priced: Any) -> None:
    """A call that came from the cache and one that did not: each one's own input is divided by its own parts."""
    store(
        priced,
        call(1, **said({"system": 900, "retrieved": 100}), cache_read_tokens=1_000),
        call(2, **said({"system": 100, "retrieved": 900})),
    )
    rows = {row["segment"]: pico(row["cost"]) for row in show_segments(priced.ctx, OCTOBER)["parts"] if row["part"] == SEGMENT}
    assert rows == {"system": 900 * 250_003 + 100 * 2_500_001, "retrieved": 100 * 250_003 + 900 * 2_500_001}


def test_names_beyond_the_largest_are_one_line(priced: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_segments, "MOST_NAMES", 3)
    store(priced, *[call(number, **said({"system": 500, f"document {number}": 100 + number})) for number in range(40)])
    found = show_segments(priced.ctx, OCTOBER)
    names = {row["segment"] for row in found["parts"] if row["part"] == SEGMENT}
    assert names == {"system", "document 39", "document 38"}
    assert sum(pico(row["cost"]) for row in found["parts"]) == pico(found["cost"])
    [smaller] = [row for row in found["parts"] if row["part"] == SMALLER]
    assert pico(smaller["cost"]) == sum(100 + number for number in range(38)) * 2_500_001


def test_another_witness_may_say_it(priced: Any) -> None:
    store(priced, call(1, source_kind="litellm.spend_logs", source_instance="table"))
    assert show_segments(priced.ctx, OCTOBER)["calls"] == 0
    store(
        priced,
        call(2, dup_group_key="response:call-1", **said({"system": 1000}), prompt_id="triage", source_kind="otlp.gen_ai"),
        batch="b2",
    )
    found = show_segments(priced.ctx, OCTOBER, by=["prompt"])
    assert (found["calls"], found["quiet_calls"]) == (1, 0)
    assert next((row["prompt"], row["part"], row["cost"]) for row in found["rows"]) == ("triage", SEGMENT, "0.002500001")


def test_calls_without_a_price_are_counted_and_cost_nothing(priced: Any) -> None:
    store(priced, call(1, **said({"system": 500}), response_model="nobody-prices-this"), call(2, **said({"system": 1_000})))
    found = show_segments(priced.ctx, OCTOBER)
    assert (found["calls"], found["unpriced_calls"], pico(found["cost"])) == (2, 1, sum(worth(call(2))))


def test_what_the_provider_charged_itself_is_apart(priced: Any) -> None:
    charged = {"cost_amount": Decimal("0.5"), "cost_currency": "USD", "cost_source": "provider_billed"}
    store(priced, call(1, **said({"system": 500}), response_model="nobody-prices-this", **charged))
    costs = {row["part"]: row["cost"] for row in show_segments(priced.ctx, OCTOBER)["parts"]}
    assert costs == {SEGMENT: "0.00", UNSAID: "0.00", OUTPUT: "0.00", APART: "0.50"}


def test_an_unknown_cut_is_refused_by_name(priced: Any) -> None:
    with pytest.raises(Invalid, match="day"):
        show_segments(priced.ctx, OCTOBER, by=["day"])
    with pytest.raises(Invalid, match="colour"):
        show_segments(priced.ctx, OCTOBER, only={"colour": "red"})
    with pytest.raises(Invalid, match="prompt_version"):
        show_spend(priced.ctx, OCTOBER, by="prompt_version")


def test_through_litellm_and_through_spans(priced: Any, tmp_path: Path) -> None:
    parts = {"system": 700, "retrieved": 250}
    usage = {"prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_100}
    records = [
        {
            "id": f"chatcmpl-{number}-0123456789abcdef", "litellm_call_id": f"{number}" * 8, "call_type": "acompletion", "status": "success",
            "custom_llm_provider": "openai", "startTime": START.timestamp() + 60 * number, "endTime": START.timestamp() + 60 * number + 1,
            "model": "openai/m-large", "model_group": "m-large", "response_cost": 0.01, **usage,
            "metadata": {
                "usage_object": usage, where: {"workflow": "claims", "prompt_segments": value},
                "prompt_management_metadata": {"prompt_id": "triage", "prompt_version": "7"},
            },
        }
        for number, (where, value) in enumerate([("requester_metadata", parts), ("spend_logs_metadata", json.dumps(parts))], start=1)
    ]  # fmt: skip
    (tmp_path / "litellm.ndjson").write_text("".join(json.dumps(record) + "\n" for record in records))
    values = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "m-large", "gen_ai.response.model": "m-large",
              "workflow": "claims", "governor.prompt.segments": json.dumps(parts), "gen_ai.prompt.name": "triage"}  # fmt: skip
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in values.items()]
    attributes += [
        {"key": f"gen_ai.usage.{name}_tokens", "value": {"intValue": str(number)}} for name, number in (("input", 1_000), ("output", 100))
    ]
    began = int(START.timestamp()) * 10**9 + 3_600 * 10**9
    span = {"traceId": "ab" * 16, "spanId": "cd" * 8, "name": "chat m-large", "startTimeUnixNano": str(began), "endTimeUnixNano": str(began + 10**9),
            "attributes": attributes}  # fmt: skip
    (tmp_path / "spans.json").write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"scope": {"name": "own"}, "spans": [span]}]}]}))
    for connector, name in (("litellm", "litellm.ndjson"), ("otlp", "spans.json")):
        read = ingest(priced.ctx, priced.admin, connector, [str(tmp_path / name)])
        assert read["quarantined"] == 0, read
    found = show_segments(priced.ctx, OCTOBER, by=["workflow", "prompt"])
    assert (found["calls"], found["quiet_calls"]) == (3, 0)
    assert {(row["workflow"], row["prompt"]) for row in found["rows"]} == {("claims", "triage")}
    assert {row["segment"]: pico(row["cost"]) for row in found["rows"] if row["segment"]} == {
        name: 3 * tokens * 2_500_001 for name, tokens in parts.items()
    }
