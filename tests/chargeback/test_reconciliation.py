"""The bridge always adds up, whatever the two sides say; names that mean one model meet; errors and verdicts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governor.chargeback.reconciliation.bill import KINDS, WIDE, BillLine, add_up, line_of, pico, total
from governor.chargeback.reconciliation.bridge import CAUSES, document, exceeds, percent, reconcile
from governor.chargeback.reconciliation.cells import UsageLine, lay_out
from governor.chargeback.reconciliation.names import matched_names
from governor.errors import Invalid

NOW = datetime(2026, 11, 20, tzinfo=UTC)
ISSUERS, MODELS, METERS = (
    ("openai", "gcp"),
    ("gpt-5-2025-08-07", "gpt-5", "o3", ""),
    ("input", "cache_read", "output", "request", "other", ""),
)
days = st.sampled_from(("2026-10-01", "2026-10-02", "2026-10-03", "2026-10-31"))
amounts = st.decimals(min_value=-1000, max_value=1000, places=9)
bill_lines = st.builds(
    BillLine,
    day=days | st.just("2026-09-30"),
    issuer=st.sampled_from(ISSUERS),
    account=st.sampled_from(("", "a", "b")),
    model=st.sampled_from(MODELS),
    meter=st.sampled_from(METERS),
    tier=st.sampled_from((None, "", "batch")),
    kind=st.sampled_from(("usage", "usage", "usage", *KINDS)),
    currency=st.sampled_from(("USD", "USD", "EUR")),
    amount=amounts,
    quantity=st.none() | st.integers(0, 10**6).map(Decimal),
    list_amount=st.none() | amounts,
    usd_rate=st.sampled_from((Decimal("1.0870"), Decimal("1.1"))),
    invoice_month=st.sampled_from(("", "2026-10")),
)
usage_lines = st.builds(
    UsageLine,
    day=days,
    issuer=st.sampled_from((*ISSUERS, "anthropic")),
    accounts=st.sampled_from(((), ("a",), ("b", "x"))),
    model=st.sampled_from(MODELS[:3]),
    meter=st.sampled_from(METERS[:4]),
    tier=st.sampled_from(("", "batch")),
    quantity=st.integers(0, 10**6),
    list_pico=st.integers(0, 10**15),
    cost_pico=st.integers(0, 10**15),
)


@settings(max_examples=250, deadline=None)
@given(
    st.lists(usage_lines, max_size=12),
    st.lists(bill_lines, min_size=1, max_size=12),
    st.sampled_from((None, {"EUR": Decimal("1.2")})),
    st.sampled_from((NOW, datetime(2026, 10, 3, 12, tzinfo=UTC))),
)
def test_the_bridge_sums_exactly(ours: list[UsageLine], billed: list[BillLine], booked: dict[str, Decimal] | None, now: datetime) -> None:
    found = reconcile("2026-10", ours, billed, now=now, booked=booked)
    rates = booked or {}
    inside = [line for line in billed if line.month == "2026-10"]
    invoice = sum(
        pico(line.amount or Decimal(0), rates.get(line.currency, line.usd_rate) if line.currency != "USD" else Decimal(1))
        for line in inside
    )
    issuers = {line.issuer for line in inside}
    own = sum(use.cost_pico for use in ours if use.issuer in issuers)
    assert set(found.terms) == set(CAUSES)
    assert (found.ours_pico, found.invoice_pico) == (own, invoice)
    assert own + sum(found.terms.values()) == invoice
    assert all(sum(cell.terms.values()) == cell.difference for cell in found.cells)
    assert found.net_pico <= found.gross_pico
    told = document(found)
    assert sum(Decimal(amount) for amount in told["bridge"].values()) == Decimal(told["difference"])


@settings(max_examples=100, deadline=None)
@given(st.lists(bill_lines, max_size=15))
def test_adding_up_loses_nothing(lines: list[BillLine]) -> None:
    added = add_up(lines)
    assert sum(line.amount or 0 for line in added) == sum(line.amount or 0 for line in lines)
    assert sum(line.rows for line in added) == len(lines)
    assert add_up(reversed(added)) == added
    assert [line_of(line.record()) for line in added] == added


@pytest.mark.parametrize(
    ("ours", "billed"),
    [
        ("anthropic.claude-sonnet-4-6-v1:0", "Claude4.6Sonnet"),
        ("us.anthropic.claude-3-5-haiku-20241022-v1:0", "Claude3.5Haiku"),
        ("gpt-4o-mini", "gpt 4o mini"),
        ("gpt-5", "gpt-5-2025-08-07"),
        ("gpt-4o-2024-08-06", "gpt 4o 0806"),
        ("gpt-4o-mini-2024-07-18", "gpt 4o mini0718"),
        ("gemini-2.5-pro", "Gemini 2.5 Pro"),
        ("amazon.nova-pro-v1:0", "NovaPro"),
        ("openai/gpt-4.1", "openai/gpt-4.1-2025-04-14"),
        ("meta.llama3-1-70b-instruct-v1:0", "Llama3-1-70B-Instruct"),
        ("amazon.titan-embed-text-v2:0", "TitanEmbeddingV2"),
        ("amazon.titan-embed-text-v2:0", "Titan-Embeddings-V2"),
        ("amazon.titan-embed-text-v1", "TitanEmbeddingsG1"),
        ("amazon.titan-text-express-v1", "TitanTextG1-Express"),
        ("deepseek.r1-v1:0", "DeepSeek-R1"),
        ("mistral.mistral-large-2402-v1:0", "MistralLarge"),
        ("amazon.nova-2-multimodal-embeddings-v1:0", "NovaMultiModalEmbeddings"),
        ("amazon.titan-embed-image-v1", "TitanMultiModalEmbeddingsG1"),
    ],
)
def test_names_of_one_model_meet(ours: str, billed: str) -> None:
    assert matched_names([ours, "o3-mini"], [billed]) == ({ours: ours, "o3-mini": "o3-mini"}, {billed: ours})


def test_names_of_other_models_do_not_meet() -> None:
    for one, other in (
        ("gpt-4o", "gpt-4o-mini"),
        ("gpt-5", "gpt-5-nano"),
        ("claude-sonnet-4-5", "claude-sonnet-4-6"),
        ("claude-sonnet-4", "claude-opus-4"),
    ):
        assert matched_names([one], [other])[1] == {other: other}
    snapshots = ["gpt-4o-2024-05-13", "gpt-4o-2024-08-06"]
    assert matched_names(snapshots, ["gpt-4o"])[0] == dict.fromkeys(snapshots, "gpt-4o")
    assert matched_names(snapshots, snapshots)[0] == {name: name for name in snapshots}
    assert matched_names(snapshots, ["gpt 4o 0806", "gpt-4o-0513"])[1] == {"gpt 4o 0806": snapshots[1], "gpt-4o-0513": snapshots[0]}


def test_lines_with_and_without_a_list_price_add_up_in_any_order() -> None:
    """Of a key whose lines carry a list price only in part, what had come before was left out of the list, and the rest was told as a negative discount."""
    line = BillLine("2026-10-01", "gcp", "", "gemini-2.5-pro", "input", "", "usage", "USD", Decimal(100))
    listed = replace(line, amount=Decimal(40), list_amount=Decimal(50))
    discount = replace(line, kind="discount", amount=Decimal(-10))
    for lines, at_list in (([line, listed], 150), ([listed, line], 150), ([discount, line, listed], 150), ([line, discount, listed], 150)):
        (cell,) = lay_out([], lines).cells.values()
        assert cell.bill_list == at_list * 10**12


def test_a_name_without_a_number_is_the_only_model_of_its_words() -> None:
    first, second = "amazon.nova-lite-v1:0", "amazon.nova-2-lite-v1:0"
    assert matched_names([second], ["NovaLite"])[1] == {"NovaLite": second}
    assert matched_names([second], ["NovaLite", "Nova2.0Lite"])[1] == {"NovaLite": "NovaLite", "Nova2.0Lite": second}, (
        "the bill means another by it"
    )
    assert matched_names([first, second], ["NovaLite"])[1] == {"NovaLite": first}
    assert matched_names(["gpt-5-nano", "gpt-4.1-nano"], ["gpt nano"])[1] == {"gpt nano": "gpt nano"}, "which of them is not known"


def test_fees_that_a_bill_names_without_a_model_meet_those_of_all_models() -> None:
    """OpenAI bills `web search tool calls`, whichever model searched; tokens beside them stay with their model."""
    use = [
        UsageLine("2026-10-01", "openai", (), model, meter, "", quantity, pico_usd, pico_usd)
        for model, meter, quantity, pico_usd in (
            ("gpt-5", "input", 1000, 10**12),
            ("gpt-5", "web_search", 3, 3 * 10**10),
            ("o3", "web_search", 2, 2 * 10**10),
        )
    ]
    tokens = BillLine("2026-10-01", "openai", "", "gpt-5", "input", None, "usage", "USD", Decimal(1), Decimal(1000))
    searches = replace(tokens, model="", meter="web_search", amount=Decimal("0.05"), quantity=Decimal(5))
    laid = lay_out(use, [tokens, searches])
    assert sorted((cell.key.model, cell.key.meter, cell.difference, cell.ours_quantity) for cell in laid.cells.values()) == [
        ("", "web_search", 0, 5),
        ("gpt-5", "input", 0, 1000),
    ]


def test_a_line_that_names_no_model_stands_for_itself() -> None:
    """One nameless line turned off the comparison by model and meter for everything that the issuer billed."""
    use = [
        UsageLine(f"2026-10-0{day}", "openai", (account,), model, "input", "", 1000, 10**12, 10**12)
        for day in (1, 2)
        for account in ("a", "b")
        for model in ("gpt-5", "o3")
    ]
    line = BillLine("2026-10-01", "openai", "a", "gpt-5", "input", "", "usage", "USD", Decimal(1), Decimal(1000))
    billed = [replace(line, day=one.day, account=one.accounts[0], model=one.model) for one in use]
    nameless = replace(line, model="", meter="", tier=None, amount=Decimal(3), quantity=None)
    laid = lay_out(use, [*billed, nameless])
    (alone,) = [cell for cell in laid.cells.values() if not cell.key.model]
    assert (alone.bill_pico, alone.ours_pico, len(laid.cells)) == (3 * 10**12, 0, 9)
    assert all(cell.difference == 0 for cell in laid.cells.values() if cell is not alone)
    assert laid.notes == ["openai: lines of the bill that name neither model nor meter stand for themselves: 1"]
    assert reconcile("2026-10", use, [*billed, nameless], now=NOW).terms["not_captured"] == 3 * 10**12

    # where all that is said of an account's day is a sum, that sum meets all of its usage, and only its
    sums = [replace(nameless, day="2026-10-02", account="b", amount=Decimal(2))]
    laid = lay_out(use, [*(one for one in billed if (one.day, one.account) != ("2026-10-02", "b")), *sums])
    assert all(cell.difference == 0 for cell in laid.cells.values())
    assert [cell.key.day for cell in laid.cells.values() if not cell.key.model] == ["2026-10-02"]
    assert laid.notes == ["openai: models and meters of 2026-10-02 are not compared, because the bill does not name them"]

    # without accounts the sums of one cannot be taken from the named lines of another: that day is one cell
    strangers = [replace(one, accounts=()) for one in use]
    laid = lay_out(strangers, [*(one for one in billed if (one.day, one.account) != ("2026-10-02", "b")), *sums])
    assert all(cell.difference == 0 for cell in laid.cells.values())
    assert sum(cell.key.day == "2026-10-02" for cell in laid.cells.values()) == 1
    assert laid.notes[0] == "openai: accounts are not compared, because our calls do not name them"
    assert lay_out(use, [replace(nameless, day=one.day, account=one.accounts[0]) for one in use]).notes == [
        "openai: models and meters are not compared, because the bill does not name them"
    ]


@pytest.mark.parametrize("said", ["images", "other", "image"])
def test_a_unit_that_the_bill_words_its_own_way_is_the_one_that_its_model_is_counted_in(said: str) -> None:
    """A bill of images has meters of its own; each dollar of it was not captured, and each of ours not billed."""
    use = UsageLine("2026-10-01", "fal", (), "fal-ai/flux/dev", "image", "", 100, 2 * 10**12, 2 * 10**12)
    line = BillLine("2026-10-01", "fal", "", "fal-ai/flux/dev", said, None, "usage", "USD", Decimal("2.40"), Decimal(120))
    (cell,) = reconcile("2026-10", [use], [line], now=NOW).cells
    assert (cell.ours_quantity, cell.bill_quantity, cell.terms) == (100, 120, {"not_captured": 4 * 10**11})
    charged = replace(use, meter="reported_cost", quantity=2 * 10**12)  # the provider's own charge counts no images
    (cell,) = reconcile("2026-10", [charged], [line], now=NOW).cells
    assert cell.terms == {"unexplained": 4 * 10**11}
    tokens = replace(use, meter="input")
    assert len(reconcile("2026-10", [tokens], [replace(line, meter="other")], now=NOW).cells) == 2
    assert len(reconcile("2026-10", [use, tokens], [replace(line, meter="other")], now=NOW).cells) == 3, (
        "of two it is not known which is meant"
    )


def test_a_model_partly_in_tokens_and_partly_as_charged_meets_its_bill_whole() -> None:
    """What the provider said it charged stood on a meter that no bill has: not billed, and as much not captured, of a month that agrees."""
    at = ("2026-10-02", "openai", ())
    ours = [
        UsageLine(*at, "m", "input", "", 900_000, 9 * 10**12, 9 * 10**12),
        UsageLine(*at, "m", "output", "", 90_000, 9 * 10**12, 9 * 10**12),
        UsageLine(*at, "m", "reported_cost", "", 2 * 10**12, 2 * 10**12, 2 * 10**12),
        UsageLine(*at, "other", "input", "", 100, 10**12, 10**12),
    ]
    line = BillLine(*at[:2], "", "m", "input", None, "usage", "USD", Decimal("10.00"), Decimal(1_000_000))
    billed = [line, replace(line, meter="output", quantity=Decimal(100_000))]
    billed.append(replace(line, model="other", amount=Decimal("1.00"), quantity=Decimal(100)))
    found = reconcile("2026-10", ours, billed, now=NOW)
    assert (found.status, found.gross_pico, set(found.terms.values())) == ("reconciled", 0, {0})
    assert {(cell.key.model, cell.key.meter) for cell in found.cells} == {("m", "reported_cost"), ("other", "input")}
    assert found.notes == ["openai: compared as a sum, because some calls have the provider's own charge alone: m"]


@pytest.mark.parametrize("report", [False, True])
def test_tokens_of_a_bill_are_no_count_of_what_was_charged(report: bool) -> None:
    """OpenRouter's activity counts tokens, the charge counts money: all of it was not billed, and all of the bill a matter of price."""
    use = UsageLine("2026-10-02", "openrouter", (), "a/m", "reported_cost", "", 2 * 10**12, 2 * 10**12, 2 * 10**12)
    line = BillLine("2026-10-02", "openrouter", "", "a/m", "", None, "usage", "USD", Decimal("2.06"), Decimal(12_345))
    billed = [replace(line, meter="input", quantity=None), replace(line, meter="input", amount=None)] if report else [line]
    found = reconcile("2026-10", [use], billed, now=NOW)
    assert {cause: amount for cause, amount in found.terms.items() if amount} == {"unexplained": 6 * 10**10}
    assert found.status == "mismatch"


def test_revisions_of_a_model_are_told_apart_where_the_bill_tells_them() -> None:
    first, second = "amazon.titan-embed-text-v1", "amazon.titan-embed-text-v2:0"
    assert matched_names([first, second], ["TitanEmbeddingV2", "TitanEmbeddingsG1"]) == (
        {first: first, second: second},
        {"TitanEmbeddingV2": second, "TitanEmbeddingsG1": first},
    )
    assert matched_names([first], ["TitanEmbeddingV2"]) == ({first: first}, {"TitanEmbeddingV2": "TitanEmbeddingV2"})
    assert matched_names(["deepseek-v2", "deepseek-v3"], ["DeepSeek-V3"])[0] == {"deepseek-v2": "deepseek-v2", "deepseek-v3": "deepseek-v3"}
    june, october = "anthropic.claude-3-5-sonnet-20240620-v1:0", "anthropic.claude-3-5-sonnet-20241022-v2:0"
    assert matched_names([june, october], ["Claude3.5Sonnet", "Claude3.5Sonnetv2"])[1] == {
        "Claude3.5Sonnet": june,
        "Claude3.5Sonnetv2": october,
    }
    large = ["mistral-large-2402", "mistral-large-2407"]
    assert matched_names(large, ["MistralLarge", "MistralLarge2407"])[1] == {"MistralLarge": large[0], "MistralLarge2407": large[1]}


def test_amounts_are_added_after_a_rate_that_was_rounded() -> None:
    """One bill at such a rate and no other bill with two lines alike was read until the server started again."""
    WIDE.divide(Decimal(1), Decimal("0.92"))
    assert total(Decimal("2.2"), Decimal("2.3")) == Decimal("4.5")
    with pytest.raises(Invalid, match="cannot be added exactly"):
        total(Decimal("1e-29"), Decimal("1e31"))


def test_an_alias_that_the_bill_never_names_is_the_one_snapshot_that_it_does() -> None:
    """Some calls name the alias, others the snapshot it stands for; providers bill the snapshot."""
    ours, dated = ["gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-mini"], "gpt-4o-2024-08-06"
    assert matched_names(ours, [dated])[0] == {"gpt-4o": dated, dated: dated, "gpt-4o-mini": "gpt-4o-mini"}
    for billed in ([dated, "gpt-4o"], [dated, "gpt-4o-2024-05-13"]):
        assert matched_names(ours, billed)[0] == {name: name for name in ours}, "the bill tells them apart, or which is meant is not known"
    older = ["gpt-4o-2024-05-13", dated]
    assert matched_names(older, [dated])[0] == {name: name for name in older}, "a snapshot is no alias"


def test_errors_are_shares_of_the_bill_and_limits_are_exact() -> None:
    assert percent(5, 100) == "5.0000"
    assert percent(0, 0) == "0.0000"
    assert percent(1, 0) is None
    assert exceeds(5, 100, Decimal(5))
    assert not exceeds(4_999_999, 10**8, Decimal(5))
    assert exceeds(1, 0, Decimal(5))


def test_a_factor_that_every_price_shares_is_the_exchange_rate_whatever_the_bill_rounds_away() -> None:
    uses = [
        UsageLine(f"2026-10-{day:02d}", "openai", (), "gpt-5", "input", "", day**6, day**6 * 1000, day**6 * 1000) for day in range(1, 31)
    ]
    lines = [
        BillLine(use.day, "openai", "", "gpt-5", "input", "", "usage", "EUR", round(Decimal(use.cost_pico).scaleb(-12) / Decimal("1.08"), 2), Decimal(use.quantity))
        for use in uses
    ]  # fmt: skip
    found = reconcile("2026-10", uses, lines, now=NOW, booked={"EUR": Decimal("1.1")})
    assert found.terms["fx"] > 10**10
    assert (found.terms["price"], found.terms["unexplained"]) == (0, 0)
    twice = [replace(line, amount=2 * line.amount) if line.day == "2026-10-29" and line.amount else line for line in lines]
    assert reconcile("2026-10", uses, twice, now=NOW, booked={"EUR": Decimal("1.1")}).terms["price"], (
        "one price of its own is no exchange rate"
    )


@pytest.mark.parametrize("rate", ["1E+400", "0.0000001", "-1.1"])
def test_a_rate_that_no_currency_has_is_refused(rate: str) -> None:
    line = BillLine("2026-10-01", "azure", "", "gpt-5", "input", None, "usage", "EUR", Decimal(1), row=7)
    with pytest.raises(Invalid, match="EUR: an exchange rate of"):
        reconcile("2026-10", [], [line], now=NOW, booked={"EUR": Decimal(rate)})
    with pytest.raises(Invalid, match="row 7: EUR: an exchange rate of"):
        reconcile("2026-10", [], [replace(line, usd_rate=Decimal(rate))], now=NOW)


def test_a_currency_without_a_rate_names_its_row() -> None:
    line = BillLine("2026-10-01", "azure", "", "gpt-5", "input", None, "usage", "EUR", Decimal(1), row=7)
    with pytest.raises(Invalid, match=r"row 7 is in EUR") as refused:
        reconcile("2026-10", [], [line], now=NOW)
    assert "--fx EUR=" in refused.value.hint
    found = reconcile("2026-10", [], [replace(line, usd_rate=Decimal("1.1"))], now=NOW)
    assert found.invoice_pico == found.terms["not_captured"] == 11 * 10**11


def test_use_of_an_earlier_month_on_this_invoice_is_timing() -> None:
    line = BillLine("2026-09-30", "gcp", "", "gemini-2.5-pro", "input", None, "usage", "USD", Decimal("2.5"), invoice_month="2026-10")
    found = reconcile("2026-10", [], [line], now=NOW)
    assert found.terms["timing"] == found.invoice_pico == 25 * 10**11
