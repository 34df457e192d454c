"""The price book in the browser: search, history, and a proposal decided on by finance."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from governor.actions.context import OPERATOR
from governor.actions.propose_prices import propose_prices
from governor.prices.formats import read_prices
from governor.prices.price import EVER

CSV = "provider,model,meter,amount,per,valid_from\nopenai,gpt-4o,input,3.25,1000000,2026-11-15\nopenai,<b>house</b>,input,1,1000000,\n"


def test_search_and_history(site: Any) -> None:
    with site.at("ada@acme.example") as ada:
        page = ada.get("/prices?q=gpt-4o&provider=openai").text
        assert ">2.1<" in page, "the contract's price"
        assert "gpt-4.1" not in page
        assert "No model of that name has a price" in ada.get("/prices?q=nobody-has-this").text
        history = ada.get("/prices/history?provider=openai&model=gpt-4o").text
        assert "genai-prices" in history
        assert "history.svg?provider=openai&amp;model=gpt-4o" in history
        for size in ("wide", "narrow"):
            assert ada.get(f"/prices/history.svg?provider=openai&model=gpt-4o&size={size}").text.startswith("<svg")
        assert ada.get("/prices/history?provider=openai&model=nothing").status_code == 404


def test_finance_decides_on_the_difference_it_saw(site: Any) -> None:
    made = propose_prices(site.ctx, OPERATOR, read_prices(CSV, "new.csv"))
    path = f"/prices/proposals/{made['proposal']}"
    with site.at("ada@acme.example") as ada:
        page = ada.get(path).text
        assert "Deciding needs role finance" in page
        assert "Approve these changes" not in page
        assert ada.post(path, {"decision": "approve", "difference": made["difference_digest"]}, page="/prices").status_code == 403
    with site.at("finn@acme.example") as finn:
        page = finn.get(path).text
        assert "over 20%" in page
        assert "<b>house</b>" not in page
        assert made["proposal"] in finn.get("/prices").text
        assert finn.client.post(path, data={"decision": "approve"}).status_code == 403, "without the form's own value"
        assert finn.post(path, {"decision": "approve", "difference": "0" * 64}, page=path).status_code == 409
        assert finn.post(path, {"decision": "reject"}, page=path).status_code == 422
        assert finn.post(path, {"decision": "approve", "difference": made["difference_digest"]}, page=path).status_code == 303
        assert "approved" in finn.get(path).text
        assert "3.25 USD" in finn.get("/prices/history?provider=openai&model=gpt-4o").text


def test_a_proposal_says_how_many_prices_it_ends_and_when(site: Any) -> None:
    """The page said that absence deletes nothing of a list that deletes what it lacks."""
    new = read_prices(CSV, "withdrawing.csv")
    for when, words in ((EVER, "as if they had never held"), (datetime(2026, 12, 1, tzinfo=UTC), "end ")):
        made = propose_prices(site.ctx, OPERATOR, replace(new, withdraw=when))
        with site.at("ada@acme.example") as ada:
            page = ada.get(f"/prices/proposals/{made['proposal']}").text
        assert f'<h3>Withdrawn</h3><div class="big">{made["prices_withdrawn"]}</div>' in page
        assert words in page
        assert "absence deletes nothing" not in page
