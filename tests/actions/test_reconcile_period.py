"""A month of our own traffic beside bills made from it: imports are idempotent, results go on record, the command line and JSON say the same."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

sys.path.insert(0, str(Path(__file__).parents[1] / "chargeback"))

import bills_of_usage as made

from governor.actions import import_bill as import_module
from governor.actions import reconcile_period as reconcile_module
from governor.actions.context import OPERATOR, Actor, Context, open_context
from governor.actions.import_bill import import_bills, list_bills, show_bill
from governor.actions.ingest import ingest
from governor.actions.init_home import init_home
from governor.actions.our_usage import our_usage
from governor.actions.reconcile_period import latest, reconcile_period
from governor.actions.verify_ledger import verify_ledger
from governor.api.money_answers import ReconciliationResult, UsedBill
from governor.chargeback.reconciliation.cells import UsageLine
from governor.cli import main
from governor.demo.traffic import make_month
from governor.errors import Forbidden, Invalid, NotFound
from governor.ports import Payload
from governor.settings import load_settings
from governor.store.rows.base import uuid7
from governor.store.rows.ledger import LedgerEntry

MONTH = "2026-10"


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a month of traffic, made once and copied for each test."""
    home = tmp_path_factory.mktemp("reconciled")
    ctx = open_context(load_settings(home=home), create=True)
    init_home(ctx, email="admin@acme.example", name="", billing_zone="UTC")
    traffic = make_month(tmp_path_factory.mktemp("traffic"), MONTH, calls=1200)
    ingest(ctx, OPERATOR, "litellm", [str(path) for path in traffic.files])
    ctx.close()
    return home


@pytest.fixture
def home(month: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(month, tmp_path / "home"))


@pytest.fixture
def ctx(home: Path) -> Iterator[Context]:
    made_ = open_context(load_settings(home=home))
    yield made_
    made_.close()


def used(ctx: Context) -> dict[str, list[UsageLine]]:
    """What our own numbers say, one line a key, by issuer."""
    sums: dict[tuple[str, str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for line in our_usage(ctx, MONTH).lines:
        sums[line.issuer, line.day, line.model, line.meter][0] += line.quantity
        sums[line.issuer, line.day, line.model, line.meter][1] += line.cost_pico
    found: dict[str, list[UsageLine]] = defaultdict(list)
    for (issuer, day, model, meter), (quantity, cost) in sums.items():
        found[issuer].append(UsageLine(day, issuer, (), model, meter, "", quantity, cost, cost))
    return dict(found)


def bill_of(ours: dict[str, list[UsageLine]], issuer: str) -> list[Payload]:
    return [Payload(f"{issuer}.json", body=made.BILLS[issuer](ours[issuer]))]


def entries(ctx: Context, kind: str) -> int:
    with ctx.rows.session() as session:
        return len(session.exec(select(LedgerEntry).where(LedgerEntry.type == kind)).all())


def test_there_is_no_bill_yet(ctx: Context) -> None:
    with pytest.raises(NotFound, match="no bill of 2026-10"):
        reconcile_period(ctx, OPERATOR, MONTH)
    assert latest(ctx, MONTH) is None
    assert list_bills(ctx) == []
    with pytest.raises(Forbidden):
        reconcile_period(ctx, Actor("p1", "rae@acme.example", roles=frozenset({"requester"})), MONTH)


def test_the_month_agrees_with_bills_made_from_it(ctx: Context) -> None:
    ours = used(ctx)
    assert set(ours) == {"openai", "anthropic"}
    bills = [(issuer, bill_of(ours, issuer)) for issuer in ours]
    found = reconcile_period(ctx, OPERATOR, MONTH, bills=bills)
    assert found["status"] == "reconciled"
    assert found["gross"] == {"amount": "0.00", "percent": "0.0000"}
    assert set(found["bridge"].values()) == {"0.00"}
    assert (
        Decimal(found["ours"])
        == Decimal(found["invoice"])
        == made.dollars(sum(line.cost_pico for lines in ours.values() for line in lines))
    )
    before = (entries(ctx, "bill:import"), entries(ctx, "period:reconcile"))
    assert before == (2, 1)
    assert found.keys() == ReconciliationResult.__annotations__.keys()  # what the OpenAPI document names
    assert found["bills"][0].keys() == UsedBill.__annotations__.keys()
    again = reconcile_period(ctx, OPERATOR, MONTH, bills=bills)
    assert again["id"] == found["id"]
    assert (entries(ctx, "bill:import"), entries(ctx, "period:reconcile")) == before
    assert latest(ctx, MONTH) == again
    assert verify_ledger(ctx).ok
    shown = show_bill(ctx, found["bills"][0]["id"])
    assert len(shown["items"]) == shown["lines"] > 10


def test_a_newer_bill_of_a_day_replaces_the_older_one(ctx: Context) -> None:
    import_bills(ctx, OPERATOR, "auto", bill_of(ours := used(ctx), "openai"))
    import_bills(ctx, OPERATOR, "auto", bill_of(ours, "anthropic"))
    lines = ours["openai"]
    day = max(line.day for line in lines)
    dearer = [replace(line, cost_pico=line.cost_pico * 3) for line in lines if line.day == day]
    import_bills(ctx, OPERATOR, "auto", [Payload("last-day.json", body=made.openai(dearer))])
    found = reconcile_period(ctx, OPERATOR, MONTH)
    extra = made.dollars(2 * sum(line.cost_pico for line in dearer) // 3)
    assert Decimal(found["bridge"]["price"]) == extra == Decimal(found["difference"])
    assert sorted(bill["superseded"] > 0 for bill in found["bills"]) == [False, False, True]


def test_rows_that_were_not_understood_are_kept_by_name(ctx: Context) -> None:
    body = b"date,provider,model,meter,amount\n2026-10-01,mistral,mistral-large,input,1.25\n2026-10-02,mistral,mistral-large,input,abc\n"
    [bill] = import_bills(ctx, OPERATOR, "auto", [Payload("m.csv", body=body)])
    assert bill["rejected"] == [{"file": "m.csv", "row": 3, "field": "amount", "reason": "'abc' is not a number"}]
    found = reconcile_period(ctx, OPERATOR, MONTH)
    assert found["quarantined"][0]["row"] == 3
    assert found["status"] != "reconciled"
    with pytest.raises(Invalid, match="row 2: amount is missing"):
        import_bills(ctx, OPERATOR, "csv", [Payload("n.csv", body=b"date,provider,amount\n2026-10-01,mistral,\n")])
    with pytest.raises(Invalid, match="no reader of bills recognises"):
        import_bills(ctx, OPERATOR, "auto", [Payload("x.json", body=b'{"hello": 1}')])


def run(home: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["--home", str(home), *words])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


@pytest.mark.parametrize("text", ["", "date,provider,amount\n"])
def test_a_file_of_no_line_is_refused_and_not_kept(ctx: Context, text: str) -> None:
    with pytest.raises(Invalid, match=r"empty\.csv: no line of a model bill; there is no row"):
        import_bills(ctx, OPERATOR, "csv", [Payload(uri="empty.csv", body=text.encode())])
    assert all(file["name"] != "empty.csv" for bill in list_bills(ctx) for file in bill["files"])


def test_the_command_line(home: Path, tmp_path: Path, ctx: Context, capsys: pytest.CaptureFixture[str]) -> None:
    names = {}
    for issuer, lines in used(ctx).items():
        days = sorted({line.day for line in lines})
        for part, wanted in (("a", days[:15]), ("b", days[15:])):
            names[issuer, part] = tmp_path / f"{issuer}-{part}.json"
            names[issuer, part].write_bytes(made.BILLS[issuer]([line for line in lines if line.day in wanted]))
    words = [w for issuer in ("openai", "anthropic") for w in ("--bill", issuer, str(names[issuer, "a"]), str(names[issuer, "b"]))]
    code, out, _ = run(home, capsys, "period", "reconcile", MONTH, *words, "--json")
    found = json.loads(out)
    assert (code, found["status"], found["gross"]["amount"], found["period"]) == (0, "reconciled", "0.00", MONTH)
    assert sum(Decimal(amount) for amount in found["bridge"].values()) == Decimal(found["invoice"]) - Decimal(found["ours"])
    code, out, _ = run(home, capsys, "period", "reconcile", MONTH, *words)
    assert code == 0
    assert "2026-10: reconciled" in out
    code, out, _ = run(home, capsys, "bills", "list", "--json")
    assert (code, len(json.loads(out)["bills"])) == (0, 2)
    assert run(home, capsys, "period", "reconcile", MONTH, "--bill", "openai")[0] == 2
    assert run(home, capsys, "period", "reconcile", MONTH, "--fx", "EUR=free")[0] == 2
    code, _, err = run(home, capsys, "period", "reconcile", "2026-09", *words)
    assert code == 1
    assert "no line of 2026-09" in err


def test_bills_of_two_accounts_both_count_and_a_newer_one_of_an_account_replaces_its_own(tmp_path: Path) -> None:
    ctx = open_context(load_settings(home=tmp_path), create=True)

    def brought(name: str, *rows: str) -> str:
        body = "\n".join(["date,provider,model,account,amount", *(f"2026-10-05,azure,gpt-4o,{row}" for row in rows)])
        import_bills(ctx, OPERATOR, "csv", [Payload(uri=name, body=body.encode())])
        return str(reconcile_period(ctx, OPERATOR, MONTH)["invoice"])

    assert brought("one.csv", "sub-1,5.00", ",0.10") == "5.10"
    assert brought("two.csv", "sub-2,7.00") == "12.10"
    assert brought("one, put right.csv", "sub-1,4.00") == "11.00"
    assert brought("all.csv", "sub-1,4.00", "sub-2,6.00") == "10.00"
    assert brought("no accounts.csv", ",9.00") == "9.00"
    ctx.close()


def test_of_two_who_bring_the_same_bill_at_once_the_second_finds_it_known(two_worlds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world, _ = two_worlds
    finn, bill = world.person("finn"), Payload(uri="bill.csv", body=b"date,provider,model,amount\n2026-10-01,openai,gpt-4o,5.00\n")
    monkeypatch.setattr(import_module, "uuid7", lambda *given: (uuid7(*given), time.sleep(0.3))[0])
    monkeypatch.setattr(reconcile_module, "uuid7", lambda *given: (uuid7(*given), time.sleep(0.3))[0])

    def bring(_: int) -> str:
        return str(reconcile_period(world.ctx, finn, MONTH, bills=[("csv", [bill])])["id"])

    with ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(bring, range(2)))) == 1
    assert (len(world.entries("bill:import")), len(world.entries("period:reconcile"))) == (1, 1)
