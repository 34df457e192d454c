"""A list of prices becomes a version when a person of finance approves the difference it makes, not before."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from governor.actions import propose_prices as proposing
from governor.actions.context import OPERATOR, SYSTEM
from governor.actions.import_prices import import_prices, import_seed, list_rows, load_book
from governor.actions.load_catalog import catalog_as_of
from governor.actions.propose_prices import decide_proposal, list_proposals, propose_prices, show_proposal
from governor.errors import Forbidden, Invalid, NotFound, Refused, StaleApproval, Unauthenticated
from governor.prices.formats import read_prices
from governor.prices.price import EVER
from governor.prices.rate import Usage, rate_group
from governor.prices.seed import Seed

HEAD = "provider,model,meter,amount,per\n"


def listed(*amounts: str, model: str = "gpt-4o") -> Seed:
    return read_prices(
        HEAD + "".join(f"openai,{model},{meter},{amount},1000000\n" for meter, amount in zip(("input", "output"), amounts, strict=False)),
        "a.csv",
    )


def cost(world: Any) -> int | None:
    book = load_book(world.ctx, catalog_as_of(world.ctx))
    return rate_group(book, "openai", "gpt-4o", datetime(2026, 11, 1, tzinfo=UTC), Usage(1_000_000, 0)).list_pico


def test_a_proposal_prices_nothing_until_finance_approves(world: Any) -> None:
    import_prices(world.ctx, SYSTEM, listed("2.5", "10"))
    made = propose_prices(world.ctx, OPERATOR, listed("3.1", "10"), evidence=b"the file as it came")
    assert (made["proposal"], made["state"], made["version"], made["jumps_over_20_percent"]) == ("PP-1", "proposed", None, 1)
    assert cost(world) == 2_500_000_000_000
    shown = show_proposal(world.ctx, "PP-1")
    assert shown["difference"]["changes"][0]["before"] == "2.5 USD per 1000000"
    assert shown["difference"]["changes"][0]["after"] == "3.1 USD per 1000000"
    assert shown["difference"]["changes"][0]["jump"] is True
    said = decide_proposal(world.ctx, world.person("finn"), "PP-1", approve=True, difference_digest=shown["difference_digest"])
    assert (said["state"], said["stored"]) == ("approved", 2)
    assert cost(world) == 3_100_000_000_000
    (proposed,), (approved,) = (world.entries(f"prices:{verb}") for verb in ("propose", "approve"))
    assert proposed["actor"]["kind"] == "operator"
    assert approved["payload"]["difference"] == shown["difference_digest"]
    assert (approved["payload"]["proposal"], approved["payload"]["version"]) == ("PP-1", said["version"])
    assert approved["payload"]["evidence_sha256"] == proposed["payload"]["evidence_sha256"] != approved["payload"]["digest"]
    kept = show_proposal(world.ctx, "PP-1")["difference"]
    assert kept == shown["difference"], "the difference that was decided on stays readable"
    with pytest.raises(Refused, match="approved already"):
        decide_proposal(world.ctx, world.person("finn"), "PP-1", approve=True)


def test_a_list_withdraws_what_its_own_source_brought(world: Any) -> None:
    """LiteLLM's map took the tiers and meters of the same models away that the installed list alone knows."""
    held = listed("2.5", "10")
    import_prices(world.ctx, SYSTEM, replace(held, source="genai-prices"))
    old = {
        "litellm_provider": "openai",
        "output_cost_per_token": 1e-05,
        "input_cost_per_token_batches": 1e-06,
        "input_cost_per_audio_token": 4e-06,
    }
    finn = world.person("finn")
    import_prices(world.ctx, finn, read_prices(json.dumps({"gpt-4o": old}), "old.json"))
    new = read_prices(json.dumps({"gpt-4o": {"litellm_provider": "openai", "output_cost_per_token": 1e-05}}), "new.json")
    made = propose_prices(world.ctx, OPERATOR, replace(new, withdraw=EVER))
    shown = show_proposal(world.ctx, made["proposal"])
    ended = {(change["meter"], change["service_tier"]) for change in shown["difference"]["changes"]}
    assert ended == {("input", "batch"), ("audio_input", "")}, "not the input of the installed list"
    assert (shown["difference"]["prices_withdrawn"], shown["withdrawn_from"]) == (2, "ever")
    decide_proposal(world.ctx, finn, made["proposal"], approve=True, difference_digest=shown["difference_digest"])
    assert cost(world) == 2_500_000_000_000
    assert show_proposal(world.ctx, "PP-1")["withdrawn_from"] is None


def test_a_withdrawal_waits_for_finance_and_is_in_the_ledger(world: Any) -> None:
    """A zero that was a mistake priced calls at nothing for ever: no list could take it away."""
    import_prices(world.ctx, SYSTEM, listed("0", "10"))
    new = read_prices(HEAD + "openai,gpt-4o,output,10,1000000\n", "b.csv")
    assert propose_prices(world.ctx, OPERATOR, new)["proposal"] is None, "absence alone changes nothing"
    made = propose_prices(world.ctx, OPERATOR, replace(new, withdraw=EVER))
    assert (made["prices_withdrawn"], cost(world)) == (1, 0)
    (change,) = show_proposal(world.ctx, made["proposal"])["difference"]["changes"]
    assert (change["meter"], change["before"], change["after"]) == ("input", "0 USD per 1000000", None)
    decide_proposal(world.ctx, world.person("finn"), made["proposal"], approve=True, difference_digest=made["difference_digest"])
    assert cost(world) is None
    (approved,) = world.entries("prices:approve")
    assert (approved["payload"]["prices_withdrawn"], approved["payload"]["withdrawn_from"]) == (1, "ever")
    assert approved["payload"]["digest"] != new.digest


def test_a_jump_that_begins_on_a_later_day_is_still_a_jump(world: Any) -> None:
    import_prices(world.ctx, SYSTEM, listed("2.5", "10"))
    later = read_prices("provider,model,meter,amount,per,valid_from\nopenai,gpt-4o,input,3.25,1000000,2026-12-01\n", "b.csv")
    (change,) = show_proposal(world.ctx, propose_prices(world.ctx, OPERATOR, later)["proposal"])["difference"]["changes"]
    assert (change["before"], change["after"], change["jump"]) == ("2.5 USD per 1000000", "3.25 USD per 1000000", True)


def test_who_decides(world: Any) -> None:
    propose_prices(world.ctx, world.admin, listed("2.5", "10"))
    for actor, error in (
        (world.person("rae"), Forbidden),
        (world.admin, Forbidden),
        (OPERATOR, Unauthenticated),
        (SYSTEM, Unauthenticated),
    ):
        with pytest.raises(error):
            decide_proposal(world.ctx, actor, "PP-1", approve=True)
    with pytest.raises(Forbidden):
        propose_prices(world.ctx, world.person("ada"), listed("2", "10"))
    assert [row["state"] for row in list_proposals(world.ctx)] == ["proposed"]
    with pytest.raises(NotFound):
        show_proposal(world.ctx, "PP-99")


def test_a_rejection_needs_a_reason_and_changes_no_price(world: Any) -> None:
    propose_prices(world.ctx, OPERATOR, listed("2.5", "10"))
    with pytest.raises(Invalid, match="say why"):
        decide_proposal(world.ctx, world.person("finn"), "PP-1", approve=False)
    decide_proposal(world.ctx, world.person("finn"), "PP-1", approve=False, reason="the invoice says 2.4")
    assert (cost(world), list_proposals(world.ctx)[0]["reason"], len(world.entries("prices:reject"))) == (None, "the invoice says 2.4", 1)
    assert propose_prices(world.ctx, OPERATOR, listed("2.5", "10"))["proposal"] == "PP-2", "it may be proposed again"


def test_who_approves_approves_the_difference_they_saw(world: Any) -> None:
    propose_prices(world.ctx, OPERATOR, listed("3", "10"))
    seen = show_proposal(world.ctx, "PP-1")["difference_digest"]
    import_prices(world.ctx, world.person("finn"), listed("2", "10"))
    with pytest.raises(StaleApproval, match="the book has changed"):
        decide_proposal(world.ctx, world.person("finn"), "PP-1", approve=True, difference_digest=seen)
    assert cost(world) == 2 * 10**12


def test_the_same_list_is_proposed_once_and_no_change_is_no_proposal(world: Any) -> None:
    first = propose_prices(world.ctx, OPERATOR, listed("3", "10"))
    assert propose_prices(world.ctx, OPERATOR, listed("3", "10"))["proposal"] == first["proposal"] == "PP-1"
    import_prices(world.ctx, world.person("finn"), listed("3", "10"))
    assert propose_prices(world.ctx, OPERATOR, listed("3", "10"))["proposal"] is None


def test_a_list_that_contradicts_itself_is_refused_by_name() -> None:
    with pytest.raises(Invalid, match="two prices of openai/m input hold at the same time: 1 per 1000000 and 2 per 1000000"):
        read_prices(f"{HEAD}openai,m,input,1,1000000\nopenai,m,input,2,1000000\n", "a.csv")


def test_a_source_that_narrows_its_clause_names_the_model_that_would_lose_its_price(world: Any) -> None:
    def clause(*names: str) -> Seed:
        import json

        from governor.prices.price import price_of

        match = json.dumps({"rank": 0, "clause": {"or": [{"equals": name} for name in names]}})
        row = {"kind": "list", "provider": "openai", "model": "gpt-4o", "meter": "input", "amount": "2.5", "per": 1_000_000, "match": match}
        return Seed("genai-prices", "x", (price_of(row),), ())

    import_prices(world.ctx, SYSTEM, clause("gpt-4o", "gpt-4o-2024-08-06"))
    made = propose_prices(world.ctx, OPERATOR, clause("gpt-4o"))
    assert (made["unmatched_count"], show_proposal(world.ctx, "PP-1")["difference"]["unmatched"]) == (1, ["openai/gpt-4o-2024-08-06"])


def test_a_later_package_is_proposed_and_not_taken_by_init(world: Any) -> None:
    import_prices(world.ctx, SYSTEM, listed("2.5", "10"))
    made = import_seed(world.ctx, SYSTEM)
    assert (made["state"], made["version"]) == ("proposed", None)


OVERLAP = """INSERT INTO pricerow (org_id, id, version_id, kind, provider, model, "match", region, service_tier, meter, context_min, context_max, amount, per,
    currency, valid_from, valid_to, recorded_at, superseded_at, band_rule)
    SELECT org_id, 'another', version_id, kind, provider, model, "match", region, service_tier, meter, context_min, context_max, '9', per, currency, {when},
    NULL, recorded_at, NULL, '' FROM pricerow WHERE meter = 'input'"""


def database_refuses(world: Any) -> None:
    import_prices(world.ctx, SYSTEM, listed("2.5", "10"))
    for statement in (
        OVERLAP.format(when="NULL"),
        OVERLAP.format(when="'2026-01-01 00:00:00.000000'"),
        "UPDATE pricerow SET amount = '9'",
        "UPDATE pricerow SET superseded_at = recorded_at, amount = '9'",
        "DELETE FROM pricerow",
    ):
        with (
            pytest.raises(DatabaseError, match=r"same time|append only|pricerow_no_overlap"),
            world.ctx.rows.session(write=True) as session,
        ):
            session.execute(text(statement))
    assert cost(world) == 2_500_000_000_000
    with world.ctx.rows.session(write=True) as session:
        session.execute(text("UPDATE pricerow SET superseded_at = recorded_at WHERE meter = 'input'"))
        session.execute(text(OVERLAP.format(when="NULL") + " AND id <> 'another'"))


def test_the_database_refuses_an_overlap_an_edit_and_a_deletion(world: Any) -> None:
    database_refuses(world)


def test_so_does_postgres(two_worlds: tuple[Any, Any]) -> None:
    for world in two_worlds:
        database_refuses(world)
        break
    import_prices(two_worlds[1].ctx, SYSTEM, listed("2", "10"))


def test_rivals_propose_and_approve_one_after_the_other(two_worlds: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    world, _ = two_worlds
    monkeypatch.setattr(proposing, "list_rows", lambda *given: (list_rows(*given), time.sleep(0.3))[0])

    def both(first: Callable[[], Any], second: Callable[[], Any]) -> list[str]:
        def told(verb: Callable[[], Any]) -> str:
            try:
                return str(verb()["proposal"])
            except Refused as error:
                return error.message

        with ThreadPoolExecutor(2) as pool:
            return sorted(pool.map(told, (first, second)))

    finn, admin = world.person("finn"), world.admin
    assert both(*(partial(propose_prices, world.ctx, admin, listed("1", model=name)) for name in ("one", "two"))) == ["PP-1", "PP-2"]
    assert both(*[partial(decide_proposal, world.ctx, finn, "PP-1", approve=True)] * 2) == ["PP-1", "PP-1 was approved already"]
