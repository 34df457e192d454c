"""Price files: LiteLLM's map and CSV, exactly; and what they would change."""

import csv
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from governor.errors import Invalid
from governor.prices.book import PriceBook
from governor.prices.difference import difference
from governor.prices.formats import read_prices
from governor.prices.overlap import refuse_overlaps
from governor.prices.rate import Usage, rate_group
from governor.prices.seed import Seed

AT = datetime(2026, 11, 1, tzinfo=UTC)
COMPARED = Path(__file__).parents[2] / "../shared/data/prices/price_compare_genai_vs_litellm.csv"
MAP = {
    "sample_spec": {"input_cost_per_token": 0, "litellm_provider": "one of"},
    "gpt-4o": {"litellm_provider": "openai", "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05, "cache_read_input_token_cost": 1.25e-06,
               "input_cost_per_token_batches": 1.25e-06, "output_cost_per_token_batches": 5e-06, "search_context_cost_per_query": {"low": 0.03}},
    "vertex_ai/gemini-2.5-pro": {"litellm_provider": "vertex_ai-language-models", "input_cost_per_token": 1.25e-06, "output_cost_per_token": 1e-05,
                                 "input_cost_per_token_above_200k_tokens": 2.5e-06, "output_cost_per_token_above_200k_tokens": 1.5e-05},
    "whisper-1": {"litellm_provider": "openai", "input_cost_per_second": 0.0001},
}  # fmt: skip


def test_litellm_numbers_are_read_exactly_with_tiers_and_bands() -> None:
    seed = read_prices(json.dumps(MAP), "map.json")
    book = PriceBook(seed.rows)
    assert rate_group(book, "openai", "gpt-4o", AT, Usage(1_000_000, 0, 400_000)).list_pico == 600_000 * 2_500_000 + 400_000 * 1_250_000
    assert rate_group(book, "openai", "gpt-4o", AT, Usage(1_000_000, 0), tier="batch").list_pico == 1_250_000_000_000
    pro = [rate_group(book, "vertex_ai", "gemini-2.5-pro", AT, Usage(tokens, 0)).list_pico for tokens in (200_000, 200_001)]
    assert pro == [200_000 * 1_250_000, 200_001 * 2_500_000]
    assert any("input_cost_per_second" in note for note in seed.notes)


def test_every_context_threshold_of_litellms_map_is_a_band() -> None:
    """272,000 tokens for OpenAI, 128,000 and 256,000 elsewhere: longer requests were rated at the short one's price."""
    entry = {
        "litellm_provider": "openai", "input_cost_per_token": 1e-06, "output_cost_per_token": 4e-06, "input_cost_per_token_priority": 3e-06,
        "input_cost_per_token_above_128k_tokens": 2e-06, "input_cost_per_token_above_272k_tokens": 5e-06,
        "output_cost_per_token_above_272k_tokens": 6e-06, "input_cost_per_token_above_272k_tokens_priority": 7e-06,
    }  # fmt: skip
    book = PriceBook(read_prices(json.dumps({"gpt-long": entry}), "map.json").rows)

    def cost(tokens: int, tier: str = "") -> int | None:
        return rate_group(book, "openai", "gpt-long", AT, Usage(tokens, 1), tier=tier).list_pico

    assert cost(128_000) == 128_000 * 1_000_000 + 4_000_000
    assert cost(128_001) == 128_001 * 2_000_000 + 4_000_000
    assert cost(272_000) == 272_000 * 2_000_000 + 4_000_000
    assert cost(272_001) == 272_001 * 5_000_000 + 6_000_000
    assert [cost(tokens, "priority") for tokens in (272_000, 272_001)] == [272_000 * 3_000_000 + 4_000_000, 272_001 * 7_000_000 + 6_000_000]


def test_openrouters_prices_for_longer_requests_are_bands() -> None:
    """The whole answer was refused as soon as one model had `overrides`."""
    base = {"prompt": "0.000003", "completion": "0.000015", "input_cache_read": "0.0000003", "web_search": "0.01", "discount": 0}
    longer = [
        {"min_prompt_tokens": 500_000, "prompt": "0.000009"},
        {"min_prompt_tokens": 200_000, "prompt": "0.000006", "completion": "0.0000225"},
        {"utc_start": 1630, "utc_end": 30, "prompt": "0.000001"},
    ]
    models = [{"id": "anthropic/claude", "canonical_slug": "anthropic/claude-20260101", "pricing": base | {"overrides": longer}}]
    seed = read_prices(json.dumps({"data": models}), "models.json")
    assert "prices by the hour of the day (1)" in seed.notes
    book = PriceBook(seed.rows)

    def cost(tokens: int) -> int | None:
        return rate_group(book, "openrouter", "anthropic/claude-20260101", AT, Usage(tokens, 1)).list_pico

    assert cost(200_000) == 200_000 * 3_000_000 + 15_000_000
    assert cost(200_001) == 200_001 * 6_000_000 + 22_500_000
    assert cost(500_001) == 500_001 * 6_000_000 + 22_500_000, "of several that hold the later one wins"
    models[0]["pricing"] = base | {"overrides": [longer[1], longer[0]]}
    book = PriceBook(read_prices(json.dumps({"data": models}), "models.json").rows)
    assert cost(500_001) == 500_001 * 9_000_000 + 22_500_000
    models[0]["pricing"] = base | {"overrides": "none"}
    with pytest.raises(Invalid, match=r"anthropic/claude: pricing\.overrides"):
        read_prices(json.dumps({"data": models}), "models.json")


def test_openrouters_picture_is_one_that_is_shown_and_what_models_make_is_charged_by_its_tokens() -> None:
    """`image` was taken for pictures made, and a model that only draws (0 for prompt and completion) for a free one."""
    prices = {
        "google/gemini-flash": {"prompt": "0.0000001", "completion": "0.0000004", "image": "0.0000001", "input_audio_cache": "0.00000003"},
        "maker/sees": {"prompt": "0.000001", "completion": "0.000002", "image": "0.0012", "input_cache_write_1h": "0.000002"},
        "maker/draws": {"prompt": "0", "completion": "0", "image_output": "0.00004"},
        "maker/both": {"prompt": "0.000005", "completion": "0.00001", "image_token": "0.000008", "image_output": "0.00004", "audio_output": "0.00002"},
        "maker/asked": {"prompt": "0", "completion": "0", "request": "0.005", "web_search": "0.01"},
    }  # fmt: skip
    seed = read_prices(json.dumps({"data": [{"id": name, "pricing": one} for name, one in prices.items()]}), "models.json")
    found = {name: {row.meter: f"{row.amount}/{row.per}" for row in seed.rows if row.model == name} for name in prices}
    assert found == {
        "google/gemini-flash": {"input": "0.1/1000000", "output": "0.4/1000000", "cache_read_audio": "0.03/1000000"},
        "maker/sees": {"input": "1/1000000", "output": "2/1000000", "input_image": "0.0012/1", "cache_write_1h": "2/1000000"},
        "maker/draws": {"image_output": "40/1000000"},
        "maker/both": {
            "input": "5/1000000",
            "output": "10/1000000",
            "image_input": "8/1000000",
            "image_output": "40/1000000",
            "audio_output": "20/1000000",
        },
        "maker/asked": {"input": "0/1000000", "output": "0/1000000", "request": "0.005/1", "web_search": "0.01/1"},
    }
    drawn = rate_group(PriceBook(seed.rows), "openrouter", "maker/draws", AT, Usage(20, 1000))
    assert drawn.status == "unpriced", "how many of the tokens are a picture's nobody said"


def test_a_price_below_zero_is_none_and_the_notes_say_so() -> None:
    seed = read_prices(json.dumps(MAP | {"router": {"litellm_provider": "openai", "input_cost_per_token": -1}}), "map.json")
    assert "router" not in {row.model for row in seed.rows}
    assert "field not used: input_cost_per_token (below zero) (1)" in seed.notes


def test_a_currency_may_be_written_small() -> None:
    rows = read_prices("provider,model,meter,amount,per,currency\nopenai,m,input,1,1,usd\n", "own.csv").rows
    assert [row.currency for row in rows] == ["USD"]


def test_a_csv_of_prices() -> None:
    text = "provider,model,meter,amount,per,valid_from\nazure,my-deployment,input,2.75,1000000,2026-10-01T00:00:00+00:00\nazure,my-deployment,output,11,1000000,\n"
    book = PriceBook(read_prices(text, "own.csv").rows)
    assert rate_group(book, "azure.openai", "my-deployment", AT, Usage(1_000_000, 0)).list_pico == 2_750_000_000_000
    assert (
        rate_group(book, "azure.openai", "my-deployment", datetime(2026, 9, 1, tzinfo=UTC), Usage(1_000_000, 0)).reason == "no_meter_price"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("provider,model,meter,amount,per\nopenai,m,input,abc,1\n", "line 2"),
        ("provider,model,meter,amount,per\nopenai,m,inptu,1,1\n", "line 2: no call is rated by a meter 'inptu'"),
        ("provider,model,meter,amount,per,currency\nopenai,m,input,1,1,EURO\n", "line 2: 'EURO' is no currency"),
        ("provider,model,meter,amount,per\nopenai,m,input,1,\n", "line 2"),
        ("provider,model,meter,amount,per\nopenai,m,input,1,500,1000000\n", "line 2: more values than the header names"),
        ("provider,model,meter,amount,per\nopenai,m,input,1,x\n", "whole number"),
        ("provider,model,meter,amount,per\nopenai,m,input,1,\u00b2\n", "whole number"),
        ("provider,model,meter,amount,per\nopenai,m,input,-1,1\n", "zero or more"),
        ("hello", "neither"),
        ("{not json", "not JSON"),
        ('{"a": ' + "[" * 100_000, "not JSON"),
        ('provider,model,meter,amount,per\nopenai,m,input,"' + "1" * 200_000 + '",1\n', "not CSV: field larger"),
    ],
)
def test_a_malformed_file_is_refused_by_place(text: str, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        read_prices(text, "file")


def test_a_difference_names_changes_jumps_and_what_stays(seed: Seed) -> None:
    new = read_prices("provider,model,meter,amount,per\nopenai,gpt-4o,input,5,1000000\nopenai,brand-new,input,1,1000000\n", "n.csv")
    found = difference(seed.rows, new.rows)
    assert (found.added, found.changed) == ([("openai", "brand-new")], [("openai", "gpt-4o")])
    assert len(found.missing) > 2000
    jump = next(change for change in found.changes if change.meter == "input" and change.service_tier == "")
    assert (jump.before, jump.after, jump.jump) == ("2.5 USD per 1000000", "5 USD per 1000000", True)
    assert difference(seed.rows, seed.rows).document()["changed"] == 0


def test_our_list_prices_are_the_genai_side_of_the_published_comparison(book: PriceBook) -> None:
    """The discrepancy report between price sources was made by hand once; our frozen rows must be its genai column."""
    if not COMPARED.exists():
        pytest.skip("../shared/data/prices is not here")
    fields = {
        "input_mtok": "input",
        "output_mtok": "output",
        "cache_read_mtok": "cache_read",
        "cache_write_mtok": "cache_write",
        "cache_write_1h_mtok": "cache_write_1h",
    }
    compared, wrong = 0, []
    for row in csv.DictReader(COMPARED.open()):
        if row["mode"] != "std" or row["field"] not in fields or row["genai_usd_per_mtok"] in {"", "None"}:
            continue
        rates = book.lookup(row["provider"], row["model"], AT)
        price = None if not hasattr(rates, "price") else rates.price(fields[row["field"]], 0, contract=False)
        compared += 1
        if price is None or Decimal(price.amount) != Decimal(row["genai_usd_per_mtok"]):
            wrong.append((row["provider"], row["model"], row["field"], row["genai_usd_per_mtok"], price and price.amount))
    assert compared > 15
    assert {provider for provider, *_ in wrong} <= {"deepseek"}, wrong  # its time-of-day prices are not modelled


def litellm(**entries: Mapping[str, object]) -> Seed:
    return read_prices(json.dumps({name: {"litellm_provider": "openai", **entry} for name, entry in entries.items()}), "map.json")


def test_a_zero_for_tokens_beside_what_is_charged_in_other_units_is_no_price() -> None:
    """A reranker charged by the query, video by the second: their calls cost nothing, where they have no price."""
    free = {"input_cost_per_token": 0, "output_cost_per_token": 0.0}
    seed = litellm(
        rerank=free | {"input_cost_per_query": 0.002},
        read={"input_cost_per_token": 0, "ocr_cost_per_page": 0.001},
        video={"input_cost_per_token": 0, "output_cost_per_token": 7e-06, "input_cost_per_video_per_second": 0.0005},
        embedding={"input_cost_per_token": 1e-07, "output_cost_per_token": 0, "output_cost_per_image": 0},
        local=free | {"search_context_cost_per_query": {"low": 0.01}},
        paged=free | {"input_cost_per_request": "0.005"},
    )
    assert {(row.model, row.meter, row.amount, row.per) for row in seed.rows} == {
        ("read", "page", "1", 1000),
        ("video", "output", "7", 1_000_000),
        ("video", "input_video_second", "1.8", 3600),
        ("embedding", "input", "0.1", 1_000_000),
        ("embedding", "output", "0", 1_000_000),
        ("local", "input", "0", 1_000_000),
        ("local", "output", "0", 1_000_000),
        ("paged", "input", "0", 1_000_000),
        ("paged", "output", "0", 1_000_000),
        ("paged", "request", "0.005", 1),
    }
    book = PriceBook(seed.rows)
    assert [rate_group(book, "openai", model, AT, Usage(10, 1)).status for model in ("rerank", "video", "local")] == [
        "unpriced",
        "unpriced",
        "priced",
    ]
    assert rate_group(book, "openai", "paged", AT, Usage(10, 1, requests=3)).list_pico == 3 * 5_000_000_000
    assert "models whose tokens cost nothing beside what is charged in other units (2)" in seed.notes
    assert "zero for tokens beside what is charged in other units (1)" in seed.notes
    assert "field not used: search_context_cost_per_query (1)" in seed.notes


def test_prices_by_the_length_of_a_request_hold_for_all_of_it() -> None:
    """Fifty models of LiteLLM's map have their prices in `tiered_pricing` alone: they had none, and nothing said so."""
    tiers = [
        {"range": [32000.0, 128000.0], "input_cost_per_token": "2.4e-06", "output_cost_per_token": 1.2e-05},
        {"range": [0, 32000.0], "input_cost_per_token": 1.2e-06, "output_cost_per_token": 6e-06, "cache_read_input_token_cost": 1e-07},
        {"range": [128000.0, 252000.0], "input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05},
    ]
    own = {
        "input_cost_per_token": 9e-06,
        "output_cost_per_token": 9e-06,
        "input_cost_per_token_batches": 5e-07,
        "output_cost_per_token_batches": 1e-06,
    }
    seed = litellm(
        tiered=own | {"tiered_pricing": tiers},
        answered={"output_cost_per_token": 9e-06, "tiered_pricing": [{"range": [0, 1], "input_cost_per_token": 1e-06}]},
    )
    book = PriceBook(seed.rows)

    def cost(tokens: int, read: int = 0, tier: str = "") -> int | None:
        return rate_group(book, "openai", "tiered", AT, Usage(tokens, 1, read), tier=tier).list_pico

    assert cost(32_000, 1_000) == 31_000 * 1_200_000 + 1_000 * 100_000 + 6_000_000
    assert cost(32_001, 1_000) == 32_001 * 2_400_000 + 12_000_000, "its range names no price for what was read: input's"
    assert cost(128_000) == 128_000 * 2_400_000 + 12_000_000
    assert cost(128_001) == 128_001 * 3_000_000 + 15_000_000
    assert cost(900_000) == 900_000 * 3_000_000 + 15_000_000, "longer than any range: the last one"
    assert cost(32_001, tier="batch") == 32_001 * 500_000 + 1_000_000
    assert rate_group(book, "openai", "answered", AT, Usage(500, 1)).list_pico == 500 * 1_000_000 + 9_000_000
    for wrong in (
        [{"range": [0], "input_cost_per_token": 1}],
        [{"max_results_range": [0, 25]}],
        "none",
        [None],
        [tiers[1], tiers[1]],
        [{"range": [0, 5]}],
    ):
        found = litellm(tiered=own | {"tiered_pricing": wrong})
        assert "field not used: tiered_pricing (1)" in found.notes
        assert rate_group(PriceBook(found.rows), "openai", "tiered", AT, Usage(1, 0)).list_pico == 9_000_000


def test_two_names_of_one_model_are_one_price() -> None:
    """The whole map was refused: the later name's short requests and the earlier one's long ones held at once."""
    seed = litellm(
        **{
            "gpt": {"input_cost_per_token": 0, "input_cost_per_token_above_128k_tokens": 0, "input_cost_per_token_flex": 1e-06},
            "openai/gpt": {"input_cost_per_token": 3e-07},
        }
    )
    refuse_overlaps(seed.rows)
    assert [(row.service_tier, row.amount, row.context_max) for row in seed.rows] == [("", "0.3", None), ("flex", "1", None)]


def test_numbers_as_text_newer_tiers_and_the_threshold_of_xai() -> None:
    entry = {
        "input_cost_per_token": "1e-06",
        "output_cost_per_token": "free",
        "input_cost_per_token_ultrafast": 5e-06,
        "input_cost_per_token_above_200k_tokens": 2e-06,
    }
    for provider, long in (("xai", 200_000), ("openai", 200_001)):
        seed = litellm(model=entry | {"litellm_provider": provider})
        assert "field not used: output_cost_per_token (no number) (1)" in seed.notes
        book = PriceBook(seed.rows)
        assert [rate_group(book, provider, "model", AT, Usage(tokens, None)).list_pico for tokens in (long - 1, long)] == [
            (long - 1) * 1_000_000,
            long * 2_000_000,
        ]
        assert rate_group(book, provider, "model", AT, Usage(1, None), tier="ultrafast").list_pico == 5_000_000
