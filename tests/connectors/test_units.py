"""Counts of searches, seconds, images, pages and rerankers' units, out of what providers and LiteLLM write."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from connectors.litellm import connector
from connectors.units import units_of, units_sql, with_units, with_units_sql

PAYLOAD = json.loads((Path(__file__).parent / "fixtures" / "litellm_generic_api.jsonl").read_text().splitlines()[0])
SEARCH = {"type": "web_search_call", "action": {"type": "search"}}
USAGES: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 2}}, {"web_search": "3"}),
    ({"prompt_tokens_details": {"web_search_requests": 1}}, {"web_search": "1"}),
    ({"server_side_tool_usage_details": {"web_search_calls": 2}, "num_sources_used": 7}, {"web_search": "2", "source": "7"}),
    ({"prompt_tokens_details": {"google_maps_grounding_requests": 2}}, {"maps_search": "2"}),
    ({"search_context_size": "high", "num_search_queries": 1}, {"request@high": "1"}),
    ({"search_context_size": "low", "prompt_tokens_details": {"web_search_requests": 1}}, {"request@low": "1"}),
    ({"search_context_size": "low", "num_search_queries": 18, "citation_tokens": 5}, {"web_search": "18"}),
    ({"type": "duration", "seconds": 27}, {"second": "27"}),
    ({"type": "tokens", "seconds": 27}, {}),
    ({"prompt_tokens_details": {"audio_length_seconds": 12.3456}}, {"second": "12.346"}),
    ({"duration_seconds": 8.0, "video_resolution": "720P"}, {"video_second@720p": "8"}),
    ({"duration_seconds": 8}, {"video_second": "8"}),
    ({"billed_units": {"search_units": 1}}, {"search_unit": "1"}),
    ({"pages_processed": 12}, {"page": "12"}),
    ({"prompt_tokens_details": {"image_count": 2, "video_length_seconds": 4}}, {"input_image": "2", "input_video_second": "4"}),
    (
        {"input_token_details": {"cached_tokens": 5, "cached_tokens_details": {"text_tokens": 5, "audio_tokens": 0}}},
        {"cached_audio_tokens": "0"},
    ),
    ({"server_tool_use": {"web_search_requests": 0}}, {}),
    ({"server_tool_use": {"web_search_requests": -1}, "pages_processed": "many", "num_sources_used": True}, {}),
    ({"prompt_tokens": 10}, {}),
]


@pytest.mark.parametrize(("usage", "counts"), USAGES, ids=[f"usage-{place}" for place in range(len(USAGES))])
def test_counts_are_read_alike_in_sql_and_in_python(usage: dict[str, Any], counts: dict[str, str]) -> None:
    wanted = {name: Decimal(count) for name, count in counts.items()}
    assert units_of(usage) == wanted
    query = f"SELECT {units_sql('u')} FROM (SELECT ?::JSON AS u)"
    row = duckdb.connect().execute(query, [json.dumps(usage)]).fetchone()
    assert row is not None
    assert {name: Decimal(str(count)) for name, count in json.loads(row[0] or "{}").items()} == wanted


@pytest.mark.parametrize("raw", ['{"a":1}', "{}", "{ }", None], ids=["one-member", "empty", "a-blank", "none"])
def test_what_the_source_wrote_stands_behind_the_counts(raw: str | None) -> None:
    told = with_units(raw, {"web_search": Decimal(2), "file_search": None})
    assert told is not None
    assert told.startswith('{"governor_units":{"file_search":null,"web_search":2}')
    assert json.loads(told) == {"governor_units": {"file_search": None, "web_search": 2}} | json.loads(raw or "{}")
    assert with_units(raw, {}) == raw
    row = (
        duckdb.connect().execute(f"SELECT {with_units_sql('r', 'u')} FROM (SELECT ?::VARCHAR AS r, ? AS u)", [raw, '{"page":1}']).fetchone()
    )
    assert row is not None
    assert json.loads(row[0]) == {"governor_units": {"page": 1}} | json.loads(raw or "{}")


@pytest.mark.parametrize(
    ("facts", "counts"),
    [
        pytest.param({"response": {"output": [SEARCH, SEARCH, {"type": "web_search_call", "action": {"type": "open_page"}}, {"type": "message"}]}},
                     {"web_search": 2}, id="pages-that-a-search-opened-are-no-searches"),
        pytest.param({"response": {"output": [{"type": "file_search_call"}, {"type": "code_interpreter_call", "container_id": "a"},
                                              {"type": "code_interpreter_call", "container_id": "a"}]}},
                     {"file_search": 1, "session": 1}, id="files-and-one-container"),
        pytest.param({"call_type": "aimage_generation", "response": {"data": [{"url": "x"}, {"url": "y"}]},
                      "model_parameters": {"size": "1024x1024", "quality": "hd"}}, {"image@1024x1024-hd": 2}, id="pictures-by-size"),
        pytest.param({"call_type": "aimage_generation", "response": {"data": [{"b64_json": None}]}, "model_parameters": {"size": "auto"}},
                     {"image": 1}, id="pictures-of-no-size"),
        pytest.param({"call_type": "arerank", "response": {"meta": {"billed_units": {"search_units": 2}}}}, {"search_unit": 2}, id="reranked"),
        pytest.param({"call_type": "aocr", "response": {"usage_info": {"pages_processed": 3}}}, {"page": 3}, id="pages"),
        pytest.param({"call_type": "atranscription", "response": {"duration": 12.5}}, {"second": 12.5}, id="duration-of-an-answer"),
        pytest.param({"call_type": "atranscription", "response": {"duration": 12.5, "usage": {"type": "duration", "seconds": 13}}},
                     {"second": 13}, id="seconds-that-are-billed"),
        pytest.param({"metadata": {"usage_object": {"server_tool_use": {"web_search_requests": 4}}}, "response": {}}, {"web_search": 4}, id="usage"),
        pytest.param({"response": "{}"}, None, id="nothing"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("content", [False, True], ids=["bare", "content"])
def test_a_record_of_litellm_says_what_was_used(read: Any, facts: dict[str, Any], counts: dict[str, Any] | None, content: bool) -> None:
    record = PAYLOAD | facts | {"status": "success", "cache_hit": None}
    if "metadata" in facts:
        record["metadata"] = PAYLOAD["metadata"] | facts["metadata"]
    batch = read(connector, json.dumps(record).encode(), with_content=content)
    assert batch.rejected.to_pylist() == []
    said = json.loads(batch.calls.to_pylist()[0]["usage_raw"])
    assert said.get("governor_units") == counts
