"""Of all witnesses of one call exactly one carries its cost, whatever the order in which they arrive."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from governor.store import lake_witness
from governor.store.lake import Lake

NOW = datetime(2026, 11, 21, tzinfo=UTC)
Make = Callable[..., Any]
Verdicts = dict[str, tuple[bool, str | None]]
CLAIMED = [
    "record_id",
    "workflow_id",
    "environment",
    "response_model",
    "data_class",
    "data_class_source",
    "tags",
    "metadata",
    "filled_columns",
]


def claims(lake: Lake) -> dict[str, dict[str, Any]]:
    """What is seen of each call: its own claims and those of its other witnesses."""
    rows = lake.calls(columns=CLAIMED).to_pylist()
    return {row["record_id"]: row | {"metadata": dict(row["metadata"] or [])} for row in rows}


def verdicts(lake: Lake) -> Verdicts:
    rows = lake.calls(columns=["record_id", "cost_bearing", "exclusion_reason"]).to_pylist()
    return {row["record_id"]: (row["cost_bearing"], row["exclusion_reason"]) for row in rows}


def outcome(folder: Path, make_batch: Make, arrivals: list[list[dict[str, Any]]]) -> Verdicts:
    return both(folder, make_batch, arrivals)[0]


def both(folder: Path, make_batch: Make, arrivals: list[list[dict[str, Any]]]) -> tuple[Verdicts, dict[str, dict[str, Any]]]:
    lake = Lake(str(folder / "catalog.sqlite"), str(folder / "data"), "default", lock_dir=folder)
    for number, calls in enumerate(arrivals):
        lake.ingest(f"b{number}", [make_batch(*calls)], NOW)
    found = verdicts(lake), claims(lake)
    lake.close()
    return found


def group(make_call: Make) -> list[dict[str, Any]]:
    key = {"dup_group_key": "response:r1"}
    return [
        make_call("spend", source_kind="litellm.spend_logs", **key),
        make_call("log", source_kind="litellm.generic_api", **key),
        make_call("span", source_kind="otlp.gen_ai", **key),
        make_call("other-span", source_kind="otlp.openinference", **key),
    ]


def test_the_best_witness_wins_in_any_order(make_call: Make, make_batch: Make, tmp_path: Path) -> None:
    expected = {
        "spend": (True, None),
        "log": (False, "duplicate_instrumentation"),
        "span": (False, "superseded"),
        "other-span": (False, "superseded"),
    }
    for number, order in enumerate(itertools.permutations(group(make_call))):
        if number % 5 == 0:
            assert outcome(tmp_path / f"one-by-one-{number}", make_batch, [[call] for call in order]) == expected
    assert outcome(tmp_path / "together", make_batch, [group(make_call)]) == expected


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 0, 2), (2, 1, 0, 3)])
def test_a_call_that_several_gateways_logged_counts_once(order: tuple[int, ...], make_call: Make, make_batch: Make, tmp_path: Path) -> None:
    """Kong stands before LiteLLM, which answered the second request from its cache: that call names no answer and stays one of its own."""
    answer = {"dup_alias_key": "response:chatcmpl-1", "input_tokens": 10}
    calls = [
        make_call("kong", source_kind="kong.log", dup_group_key="kong-row:1", gateway_kind="kong", workflow_id="fnol", **answer),
        make_call("litellm", source_kind="litellm.generic_api", dup_group_key="litellm:c1:ok:chatcmpl-1", gateway_kind="litellm", **answer),
        make_call("hit", source_kind="litellm.generic_api", dup_group_key="litellm:c2:ok:chatcmpl-1", gateway_kind="litellm"),
        make_call("other", source_kind="kong.log", dup_group_key="kong-row:2", gateway_kind="kong", dup_alias_key="response:chatcmpl-2"),
    ]
    expected = {"kong": (False, "superseded"), "litellm": (True, None), "hit": (True, None), "other": (True, None)}
    for place, arrivals in enumerate(([[calls[at]] for at in order], [[calls[at] for at in order]])):
        folder = tmp_path / str(place)
        folder.mkdir()
        found, seen = both(folder, make_batch, arrivals)
        assert found == expected
        assert seen["litellm"]["workflow_id"] == "fnol"


def test_shadow_traffic_behind_another_gateway_bears_no_cost(lake: Lake, make_call: Make, make_batch: Make) -> None:
    answer = {"dup_alias_key": "response:chatcmpl-1"}
    kong = make_call("kong", source_kind="kong.log", dup_group_key="kong-row:1", traffic_class="shadow", **answer)
    lake.ingest("b1", [make_batch(make_call("pk", source_kind="portkey.export", dup_group_key="portkey-row:1", **answer))], NOW)
    lake.ingest("b2", [make_batch(kong)], NOW)
    assert verdicts(lake) == {"kong": (False, "shadow"), "pk": (False, "shadow")}


def test_the_winner_is_filled_with_what_only_others_say(lake: Lake, make_call: Make, make_batch: Make) -> None:
    """The spend row bears the cost; the log knows the workflow and the model, the client's own span the environment."""
    spend = make_call(
        "spend",
        source_kind="litellm.spend_logs",
        dup_group_key="litellm:1",
        dup_alias_key="response:r",
        input_tokens=None,
        response_model=None,
    )
    spend |= {"metadata": [("team", "claims")], "data_class": None, "data_class_source": "unknown", "tags": []}
    log = make_call(
        "log", source_kind="litellm.generic_api", dup_group_key="litellm:1", workflow_id="fnol", response_model="m-2", tags=["t"]
    )
    log |= {"metadata": [("team", "other"), ("case", "7")], "data_class": "internal", "data_class_source": "metadata"}
    span = make_call(
        "span", source_kind="otlp.gen_ai", dup_group_key="response:r", workflow_id="late", environment="prod", response_model="alias"
    )
    for number, call in enumerate((span, spend, log)):
        lake.ingest(f"b{number}", [make_batch(call)], NOW)
    assert [key for key, (bears, _) in verdicts(lake).items() if bears] == ["spend"]
    seen = claims(lake)
    assert seen["spend"] == {
        "record_id": "spend", "workflow_id": "fnol", "environment": "prod", "response_model": "m-2", "data_class": "internal",
        "data_class_source": "metadata", "tags": ["t"], "metadata": {"team": "claims", "case": "7"},
        "filled_columns": ["workflow_id", "environment", "data_class", "response_model", "tags", "metadata"],
    }  # fmt: skip
    assert seen["log"]["filled_columns"] is None
    assert lake.calls(["spend"], columns=["input_tokens"]).to_pylist() == [{"input_tokens": None}]  # usage is the winner's alone
    assert lake.ingest("again", [make_batch(spend)], NOW).duplicates == 1  # compared with what its own source said


def test_a_row_that_loses_gives_back_what_it_was_filled_with(lake: Lake, make_call: Make, make_batch: Make) -> None:
    key = {"dup_group_key": "k"}
    lake.ingest("b1", [make_batch(make_call("span", source_kind="otlp.gen_ai", workflow_id="fnol", **key), make_call("log", **key))], NOW)
    assert claims(lake)["log"]["workflow_id"] == "fnol"
    lake.ingest("b2", [make_batch(make_call("spend", source_kind="litellm.spend_logs", **key))], NOW)
    seen = claims(lake)
    assert (seen["log"]["workflow_id"], seen["log"]["filled_columns"]) == (None, None)
    assert (seen["spend"]["workflow_id"], seen["spend"]["filled_columns"]) == ("fnol", ["workflow_id"])


def test_usage_then_id_decide_among_equals(lake: Lake, make_call: Make, make_batch: Make) -> None:
    key = {"dup_group_key": "k", "source_kind": "otlp.gen_ai"}
    blind = make_call("a", **key) | {"input_tokens": None, "output_tokens": None}
    lake.ingest("b1", [make_batch(blind, make_call("c", **key))], NOW)
    lake.ingest("b2", [make_batch(make_call("b", **key))], NOW)
    assert verdicts(lake) == {"a": (False, "duplicate_instrumentation"), "b": (True, None), "c": (False, "duplicate_instrumentation")}


def test_the_lifetime_of_what_was_written_and_sound_are_usage_too(lake: Lake, make_call: Make, make_batch: Make) -> None:
    key = {"dup_group_key": "response:r1", "source_kind": "otlp.gen_ai"}
    lake.ingest("b1", [make_batch(make_call("a", **key), make_call("b", cache_write_1h_tokens=5, **key), make_call("c", **key))], NOW)
    assert verdicts(lake)["b"] == (True, None)
    lake.ingest("b2", [make_batch(make_call("d", cache_write_1h_tokens=5, audio_input_tokens=1, **key))], NOW)
    assert (verdicts(lake)["b"][0], verdicts(lake)["d"]) == (False, (True, None))


def test_the_newest_revision_carries_the_cost(lake: Lake, make_call: Make, make_batch: Make) -> None:
    lake.ingest("b1", [make_batch(make_call("r1", revision=1, dup_group_key="k", input_tokens=7))], NOW)
    lake.ingest("b2", [make_batch(make_call("r0", revision=0, dup_group_key="k"))], NOW)
    assert verdicts(lake) == {"r0": (False, "duplicate_instrumentation"), "r1": (True, None)}


def test_a_named_group_gives_way(lake: Lake, make_call: Make, make_batch: Make) -> None:
    """A gateway's row names the client's own span of the same call; a call names the agent span around it."""
    rollup = make_call("agent", source_kind="otlp.gen_ai", grain="span_rollup", dup_group_key="span:t:p")
    wrapper = make_call("wrapper", source_kind="otlp.gen_ai", dup_group_key="span:t:w")
    client = make_call("client", source_kind="otlp.gen_ai", dup_group_key="response:r")
    lake.ingest("b1", [make_batch(rollup, wrapper, client)], NOW)
    assert set(verdicts(lake).values()) == {(True, None)}
    inner = [
        make_call("in-agent", source_kind="otlp.openinference", dup_group_key="span:t:c1", dup_alias_key="span:t:p"),
        make_call("in-wrapper", source_kind="otlp.openinference", dup_group_key="span:t:c2", dup_alias_key="span:t:w"),
        make_call("gateway", source_kind="litellm.generic_api", dup_group_key="litellm:1", dup_alias_key="response:r"),
    ]
    lake.ingest("b2", [make_batch(*inner)], NOW)
    assert verdicts(lake) == {
        "agent": (False, "parent_rollup"),
        "wrapper": (False, "wrapper_span"),
        "client": (False, "superseded"),
        "in-agent": (True, None),
        "in-wrapper": (True, None),
        "gateway": (True, None),
    }


def test_what_the_source_excluded_stays_out_and_names_nobody(lake: Lake, make_call: Make, make_batch: Make) -> None:
    out = make_call("out", source_kind="litellm.spend_logs", dup_group_key="k", dup_alias_key="z", cost_bearing=False)
    out |= {"exclusion_reason": "duplicate_instrumentation"}
    lake.ingest("b1", [make_batch(out)], NOW)
    lake.ingest("b2", [make_batch(make_call("in", source_kind="otlp.gen_ai", dup_group_key="k"), make_call("z", dup_group_key="z"))], NOW)
    assert verdicts(lake) == {"out": (False, "duplicate_instrumentation"), "in": (True, None), "z": (True, None)}


def test_shadow_traffic_never_bears_production_cost(lake: Lake, make_call: Make, make_batch: Make) -> None:
    """Also not through a witness that was not told that the call was ours."""
    lake.ingest(
        "b1", [make_batch(make_call("blind", source_kind="otlp.gen_ai", dup_group_key="k"), make_call("solo", traffic_class="shadow"))], NOW
    )
    lake.ingest("b2", [make_batch(make_call("told", dup_group_key="k", traffic_class="shadow"))], NOW)
    assert verdicts(lake) == {"blind": (False, "shadow"), "solo": (False, "shadow"), "told": (False, "shadow")}


def test_calls_without_a_key_stand_alone(lake: Lake, make_call: Make, make_batch: Make) -> None:
    lake.ingest("b1", [make_batch(make_call("a", dup_group_key=None), make_call("b", dup_group_key=None), make_call("c"))], NOW)
    assert set(verdicts(lake).values()) == {(True, None)}


@pytest.mark.parametrize("seed", range(6))
def test_any_order_and_any_split_give_the_same_view(make_call: Make, make_batch: Make, tmp_path: Path, seed: int) -> None:
    """Random groups with aliases between them; the reference is everything in one batch."""
    dice = random.Random(seed)
    keys = [f"k{number}" for number in range(12)]
    kinds = ["litellm.spend_logs", "litellm.generic_api", "otlp.gen_ai", "otlp.openinference", "otlp.litellm", "portkey.export"]
    calls = [
        make_call(
            f"c{number:02}",
            dup_group_key=dice.choice(keys),
            dup_alias_key=dice.choice([None] * 24 + keys),
            source_kind=dice.choice(kinds),
            grain=dice.choice(["attempt", "attempt", "span_rollup"]),
            input_tokens=dice.choice([None, 5]),
            traffic_class=dice.choice(["production"] * 12 + ["shadow"]),
            cost_bearing=(keep := dice.random() > 0.1),
            exclusion_reason=None if keep else "duplicate_instrumentation",
            workflow_id=dice.choice([None, None, "fnol", "triage"]),
            response_model=dice.choice([None, "m-1", "m-2"]),
            data_class=(data_class := dice.choice([None, "internal"])),
            data_class_source="metadata" if data_class else "unknown",
            tags=dice.choice([None, [], ["a"], ["b"]]),
            metadata=dice.choice([None, [], [("x", f"x{number}")], [("x", f"x{number}"), ("y", f"y{number}")], [("z", "z")]]),
        )
        for number in range(40)
    ]
    reference, seen = both(tmp_path / "whole", make_batch, [calls])
    assert any(row["filled_columns"] for row in seen.values())
    assert not any(row["filled_columns"] for key, row in seen.items() if not reference[key][0])
    bearing = [call["dup_group_key"] for call in calls if reference[call["record_id"]][0]]
    assert len(bearing) == len(set(bearing))
    for attempt in range(3):
        shuffled = dice.sample(calls, len(calls))
        arrivals = [[]]
        for call in shuffled:
            arrivals[-1].append(call)
            if dice.random() < 0.25:
                arrivals.append([])
        assert both(tmp_path / f"split{attempt}", make_batch, [part for part in arrivals if part]) == (reference, seen)


def test_a_roll_up_gives_way_to_calls_further_inside_in_any_order(make_call: Make, make_batch: Make, tmp_path: Path) -> None:
    """Agent, two steps of it and a call inside, each exported when it ends: the call names a step that claims no call."""
    trace = "a" * 32
    agent = make_call("agent", source_kind="otlp.gen_ai", grain="span_rollup", workflow_id="triage", dup_group_key=f"span:{trace}:agent")
    call = make_call("call", source_kind="otlp.gen_ai", dup_group_key=f"span:{trace}:call", dup_alias_key=f"span:{trace}:inner")
    batches = [
        make_batch(agent),
        make_batch(call),
        make_batch(spans=[structure(trace, "inner", "outer")]),
        make_batch(spans=[structure(trace, "outer", "agent")]),
    ]
    for number, order in enumerate(((1, 2, 3, 0), (0, 3, 2, 1), (1, 0, 2, 3))):
        folder = tmp_path / str(number)
        lake = Lake(str(folder / "catalog.sqlite"), str(folder / "data"), "default", lock_dir=folder)
        for place in order:
            lake.ingest(f"b{place}", [batches[place]], NOW)
        assert verdicts(lake) == {"agent": (False, "parent_rollup"), "call": (True, None)}
        assert claims(lake)["call"]["workflow_id"] == "triage"
        lake.close()


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_nested_views_of_one_answer_count_once_in_any_order(
    make_call: Make, make_batch: Make, tmp_path: Path, order: tuple[int, ...]
) -> None:
    """An agent with a sum, a wrapper that counted nothing, a view without an id, and the call: each in its own request."""
    trace = "a" * 32
    answer = {"provider_response_id": "r1", "dup_group_key": "response:r1"}
    spans = [
        make_call("agent", grain="span_rollup", dup_group_key=f"span:{trace}:agent"),
        make_call("wrapper", dup_alias_key=f"span:{trace}:agent", input_tokens=None, output_tokens=None, **answer),
        make_call("nameless", dup_group_key=f"span:{trace}:nameless", dup_alias_key=f"span:{trace}:wrapper"),
        make_call("call", dup_alias_key=f"span:{trace}:nameless", **answer),
    ]
    calls = [one | {"source_kind": "otlp.gen_ai", "trace_id": trace, "span_id": one["record_id"]} for one in spans]
    found = outcome(tmp_path, make_batch, [[calls[place]] for place in order])
    assert {name: reason for name, (_, reason) in found.items()} == {
        "agent": "parent_rollup",
        "wrapper": "duplicate_instrumentation",
        "nameless": "wrapper_span",
        "call": None,
    }


def test_a_view_that_tells_nothing_carries_no_cost(make_call: Make, make_batch: Make, tmp_path: Path) -> None:
    unknown = dict.fromkeys(("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "cost_amount"))
    calls = [
        make_call("span", source_kind="otlp.gen_ai", dup_group_key="response:r1", **unknown),
        make_call("counted", source_kind="otlp.openinference", dup_group_key="response:r1", input_tokens=5),
    ]
    for number, arrivals in enumerate(([calls], [calls[:1], calls[1:]], [calls[1:], calls[:1]])):
        assert outcome(tmp_path / str(number), make_batch, arrivals)["counted"] == (True, None)


def test_calls_nested_without_end_take_no_memory_without_end(lake: Lake, make_call: Make, make_batch: Make) -> None:
    trace = "a" * 32
    kind = {"source_kind": "otlp.gen_ai", "trace_id": trace}
    calls = [
        make_call(f"c{n}", span_id=f"s{n}", dup_group_key=f"span:{trace}:s{n}", dup_alias_key=f"span:{trace}:s{n - 1}", **kind)
        for n in range(400)
    ]
    lake.ingest("b0", [make_batch(*calls)], NOW)
    assert [name for name, (bearing, _) in verdicts(lake).items() if bearing] == ["c399"]
    with lake._cursor() as connection:
        lake_witness.decide(connection, "(SELECT * FROM lake.calls)")
        assert connection.execute("SELECT count(*) FROM reach").fetchall()[0][0] < 400 * 40


def test_a_ring_of_spans_ends(lake: Lake, make_call: Make, make_batch: Make) -> None:
    trace = "a" * 32
    call = make_call("call", dup_group_key=f"span:{trace}:call", dup_alias_key=f"span:{trace}:one")
    lake.ingest("b0", [make_batch(call, spans=[structure(trace, "one", "two"), structure(trace, "two", "one")])], NOW)
    assert verdicts(lake) == {"call": (True, None)}


def structure(trace: str, span: str, parent: str) -> dict[str, Any]:
    return {
        "source_instance": "prod",
        "trace_id": trace,
        "span_id": span,
        "parent_span_id": parent,
        "name": span,
        "kind": "other",
        "start_time": datetime(2026, 10, 5, 12, tzinfo=UTC),
        "raw_sha256": f"raw-{span}",
    }
