"""Journals and usage events through mapping files: they balance, equal the statement, keep their ids, look like the samples, and run nowhere."""

import csv
import io
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from governor.catalog.commitment import FxRateDocument
from governor.chargeback.currency import stated_in
from governor.errors import Invalid, TooLarge
from reports.outputs.document import output_mapping, shipped
from reports.outputs.facts import journal
from reports.outputs.month import described, formats, printed, start
from reports.table import csv_bytes, runs_as_formula, safe_text

SAMPLES = Path(__file__).parents[2] / "../shared/data/billing"
JOURNALS = {
    "generic": ("debit", "credit", "generic_journal_entry.csv"),
    "netsuite": ("Debit", "Credit", "netsuite_journal_entry.csv"),
    "quickbooks": ("Debits", "Credits", "quickbooks_online_journal.csv"),
    "workday": ("L_DebitAmount", "L_CreditAmount", "workday_accounting_journal.csv"),
    "sap": ("WRSOL", "WRHAB", "sap_s4_general_journal_upload.csv"),
    "dynamics365": ("DEBITAMOUNT", "CREDITAMOUNT", ""),
    "oracle": ("ENTERED_DR", "ENTERED_CR", ""),
}
SAMPLED = sorted(name for name, (*_, sample) in JOURNALS.items() if sample)
ORACLE = [column.name for column in output_mapping(shipped()["oracle"]).columns]  # its file has no header row
CUSTOMERS = "extends: stripe\ncost_centers:\n  CC-4100: {customer: cus_1}\n  CC-5200: {customer: cus_2}\n  UNALLOCATED: {customer: cus_3}\n"


def rows_of(body: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body.decode()), ORACLE if body.startswith(b"NEW,") else None))


def total(rows: list[dict[str, str]], side: str) -> Decimal:
    return sum((Decimal(row[side]) for row in rows if row[side]), Decimal(0))


@pytest.fixture
def plain(month: dict[str, Any]) -> dict[str, Any]:
    """The sample month without the workflow that is named like a formula."""
    return json.loads(json.dumps(month).replace("=HYPERLINK(1)", "hyperlink"))  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", JOURNALS)
def test_a_journal_balances_equals_the_statement_and_is_the_same_again(name: str, plain: dict[str, Any]) -> None:
    made = printed(plain, name)
    rows = rows_of(made.body)
    debit, credit, _ = JOURNALS[name]
    assert total(rows, debit) == total(rows, credit)
    assert Decimal(rows[-1][credit]) == Decimal(plain["totals"]["statement_total"])
    assert len(rows) >= 2
    for row in rows:
        assert bool(row[debit]) != bool(row[credit])
        whole, _, cents = (row[debit] or row[credit]).partition(".")
        assert whole.isdigit()
        assert len(whole) <= 10
        assert len(cents) == 2
    assert printed(json.loads(json.dumps(plain)), name).body == made.body
    assert made.control["debit"] == f"{total(rows, debit):.2f}"


@pytest.mark.parametrize("name", SAMPLED)
def test_a_journal_has_the_columns_of_the_target(name: str, plain: dict[str, Any]) -> None:
    sample = SAMPLES / "gl" / JOURNALS[name][2]
    if not sample.exists():
        pytest.skip("../shared/data/billing is not here")
    assert printed(plain, name).body.decode().splitlines()[0] == sample.read_text().splitlines()[0]


def test_netsuite_is_told_what_a_unit_of_the_journals_currency_is_in_dollars(plain: dict[str, Any]) -> None:
    def rates(month: dict[str, Any], **options: str) -> set[tuple[str, str]]:
        return {(row["Currency"], row["Exchange Rate"]) for row in rows_of(printed(month, "netsuite", **options).body)}

    assert rates(plain) == {("USD", "1")}
    rate = FxRateDocument(currency="EUR", period="2026-10", rate="0.87", source="ECB", date="2026-10-30")
    assert rates(stated_in(plain, rate)) == {("EUR", "1.14942529")}
    assert rates(stated_in(plain, rate), mapping="extends: netsuite\ncurrency: pricing\n") == {("USD", "1")}


@pytest.mark.parametrize("name", [name for name in JOURNALS if name != "generic"])
def test_a_cent_that_is_none_in_the_journals_currency_is_no_line_without_an_amount(name: str, plain: dict[str, Any]) -> None:
    center = plain["cost_centers"][0] | {"total": "0.01"} | dict.fromkeys(("commitments", "internal", "corrections", "unpriced"), ())
    line = center["lines"][0] | {"amount": "0.01", "traffic_class": "production"}
    centers = [center | {"id": f"CC-{at}", "lines": [line | {"line_id": f"l{at}"}]} for at in range(3)]
    month = plain | {"cost_centers": centers, "totals": plain["totals"] | {"statement_total": "0.03"}}
    rate = FxRateDocument(currency="GBP", period="2026-10", rate="0.79", source="ECB", date="2026-10-30")
    sides = JOURNALS[name][:2]
    for accrual in (False, True):
        rows = rows_of(printed(stated_in(month, rate), name, accrual=accrual).body)
        assert [sum(bool(row[side]) for side in sides) for row in rows] == [1] * len(rows)
        assert total(rows, sides[0]) == total(rows, sides[1]) == Decimal("0.02") * (1 + accrual)


@pytest.mark.parametrize("name", [name for name in JOURNALS if name != "generic"])
def test_a_currency_without_decimals_is_written_without_them(name: str, plain: dict[str, Any]) -> None:
    """1234.00 yen has more decimals than the currency, which an upload of journals refuses."""
    stated = stated_in(plain, FxRateDocument(currency="JPY", period="2026-10", rate="151.37", source="ECB", date="2026-10-30"))
    file = printed(stated, name)
    amounts = [row[side] for row in rows_of(file.body) for side in JOURNALS[name][:2] if row[side]]
    assert amounts
    assert all(re.fullmatch("[1-9][0-9]*", amount) for amount in amounts)
    assert file.control["credit"] == file.control["debit"] == f"{total(rows_of(file.body), JOURNALS[name][0]):.2f}"


@pytest.mark.parametrize(("rate", "kept"), [("150", 3), ("0.79", 2)])
def test_a_journal_in_dollars_has_no_line_without_an_amount(rate: str, kept: int, plain: dict[str, Any]) -> None:
    """A correction of nothing in dollars may be a yen; `generic` has a column for it, a mapping in dollars alone wrote a line of neither side."""
    empty = dict.fromkeys(("commitments", "internal", "corrections", "unpriced"), ())
    line = plain["cost_centers"][0]["lines"][0] | {"traffic_class": "production"}
    pairs = {"A": ("0.01", "1.00"), "B": ("0.00", "1.00") if kept == 3 else ("0.00", "0.00"), "C": ("0.01", "1.00")}
    centers = [{"id": name, **empty, "lines": [line | {"amount": one, "local_amount": other}]} for name, (one, other) in pairs.items()]
    fx = {"currency": "JPY", "rate": rate, "source": "ECB", "date": "2026-10-30"}
    month = plain | {"cost_centers": centers, "fx": fx, "totals": plain["totals"] | {"statement_total": "0.02", "local_total": "3.00"}}
    rows = rows_of(printed(month, "netsuite", mapping="extends: netsuite\ncurrency: pricing\n").body)
    assert [(row["Department"], row["Debit"], row["Credit"]) for row in rows] == [("A", "0.01", ""), ("C", "0.01", ""), ("", "", "0.02")]
    assert len(rows_of(printed(month, "generic").body)) == kept + 1


@pytest.mark.parametrize(("name", "column", "most"), [("sap", "SGTXT", 50), ("dynamics365", "TEXT", 60)])
def test_a_line_text_that_is_cut_says_the_month(name: str, column: str, most: int, plain: dict[str, Any]) -> None:
    """It stood at the end: of corrections, and of any cost center with a long name, an accountant could not tell the month."""
    own = f'extends: {name}\ncost_centers: {{CC-4100: {{name: "{"Claims operations and first notice " * 2}"}}}}\n'
    texts = {row[column] for row in rows_of(printed(plain, name, mapping=own, accrual=True).body)}
    assert {len(text) for text in texts} >= {most}
    assert all(text.startswith(("2026-10 ", "Reversal: 2026-10 ")) for text in texts)


def test_every_cost_center_that_is_too_long_for_sap_is_named_with_what_to_write(plain: dict[str, Any]) -> None:
    long = json.loads(json.dumps(plain).replace("CC-4100", "CC-4100-CLAIMS").replace("CC-5200", "CC-5200-GROWTH"))
    with pytest.raises(Invalid, match=r"sap: KOSTL: longer than 10 characters: CC-4100-CLAIMS, CC-5200-GROWTH") as refused:
        printed(long, "sap")
    written = refused.value.hint.partition("mapping file what each is called there: ")[2]
    assert written == 'extends: sap, cost_centers: {"CC-4100-CLAIMS": {code: ...}, "CC-5200-GROWTH": {code: ...}}'
    codes = 'extends: sap\ncost_centers: {"CC-4100-CLAIMS": {code: "4100"}, "CC-5200-GROWTH": {code: "5200"}}\n'
    assert {"4100", "5200"} <= {row["KOSTL"] for row in rows_of(printed(long, "sap", mapping=codes).body)}


def test_oracle_goes_by_position_and_every_line_has_its_segments(plain: dict[str, Any]) -> None:
    """Positions of the journal import template, counted from one."""
    own = "extends: oracle\nvalues: {ledger_id: '300000001', company: '07', no_cost_center: '0000', group_id: '12'}\n"
    rows = list(csv.reader(io.StringIO(printed(plain, "oracle", mapping=own).body.decode())))
    assert {len(row) for row in rows} == {92}
    for row in rows:
        assert (row[0], row[1], row[2], row[5], row[7]) == ("NEW", "300000001", "2026/10/31", "USD", "A")
        assert row[8] == "07"
        assert row[9]
        assert row[10]
        assert bool(row[38]) != bool(row[39])
        assert row[66] == "12"
        assert row[91] == "Primary Ledger"
    assert (rows[-1][9], rows[-1][10], rows[-1][39]) == ("0000", "2150", plain["totals"]["statement_total"])


def test_dynamics_takes_account_and_cost_center_in_one_value(plain: dict[str, Any]) -> None:
    rows = rows_of(printed(plain, "dynamics365", accrual=True).body)
    assert {"5210|CC-4100", "2150|"} <= {row["ACCOUNTDISPLAYVALUE"] for row in rows}
    assert [len({row["VOUCHER"] for row in rows if row["TRANSDATE"] == day}) for day in ("2026-10-31", "2026-11-01")] == [1, 1]
    assert max(len(row["TEXT"]) for row in rows) <= 60
    dashes = "extends: dynamics365\nvalues: {delimiter: '-'}\n"
    with pytest.raises(Invalid, match="cost_center 'CC-4100' holds the delimiter '-'"):
        printed(plain, "dynamics365", mapping=dashes)
    codes = json.dumps({center["id"]: {"code": center["id"].removeprefix("CC-")} for center in plain["cost_centers"]})
    coded = rows_of(printed(plain, "dynamics365", mapping=f"{dashes}cost_centers: {codes}\n").body)
    assert "5210-4100" in {row["ACCOUNTDISPLAYVALUE"] for row in coded}


@pytest.mark.parametrize(("name", "column"), [("netsuite", "Department"), ("quickbooks", "Class"), ("generic", "owner")])
def test_the_clearing_line_is_of_no_department(name: str, column: str, plain: dict[str, Any]) -> None:
    rows = rows_of(printed(plain, name).body)
    assert rows[-1][column] == ""
    assert all(row[column] for row in rows[:-1])


def test_saps_short_header_text_says_which_month_and_what_it_is(plain: dict[str, Any]) -> None:
    def texts(*, accrual: bool) -> list[str]:
        return list(dict.fromkeys(row["BKTXT"] for row in rows_of(printed(plain, "sap", accrual=accrual).body)))

    assert texts(accrual=False) == ["AI chargeback 2026-10"]
    assert texts(accrual=True) == ["AI accrual 2026-10", "Reversal AI accr. 2026-10"]
    assert all(len(text) <= 25 for text in texts(accrual=True))


def test_an_accrual_is_taken_back_on_the_first_of_the_next_month(plain: dict[str, Any]) -> None:
    rows = rows_of(printed(plain, "generic", accrual=True).body)
    first = [row for row in rows if not row["reverses_external_id"]]
    back = [row for row in rows if row["reverses_external_id"]]
    assert {row["posting_date"] for row in first} == {"2026-10-31"}
    assert {row["posting_date"] for row in back} == {"2026-11-01"}
    assert [row["external_id"] for row in first] == [row["reverses_external_id"] for row in back]
    assert [(row["account"], row["debit"], row["credit"]) for row in first] == [
        (row["account"], row["credit"], row["debit"]) for row in back
    ]
    assert len({row["external_id"] for row in rows}) == len(rows)
    assert {row["batch_id"] for row in rows}.isdisjoint({row["batch_id"] for row in rows_of(printed(plain, "generic").body)})


def test_the_chart_of_accounts_is_yours_by_cost_center(plain: dict[str, Any]) -> None:
    own = """
extends: generic
accounts: {usage: {number: "6100", name: Cloud AI}}
cost_centers:
  CC-4100: {name: Claims, code: "4100", accounts: {usage: {number: "6110", name: Claims AI}}}
"""
    rows = rows_of(printed(plain, "generic", mapping=own).body)
    assert {(row["cost_center"], row["account"]) for row in rows} >= {("4100", "6110"), ("CC-5200", "6100"), ("UNALLOCATED", "5290")}


def test_an_amount_of_eleven_digits_is_refused(plain: dict[str, Any]) -> None:
    plain["cost_centers"][0]["lines"][0]["amount"] = "10000000000.00"
    with pytest.raises(Invalid, match="more than 10 digits"):
        journal(plain, output_mapping(shipped()["generic"]))


def test_events_sum_to_the_statement_and_keep_their_ids(month: dict[str, Any]) -> None:
    statement = Decimal(month["totals"]["statement_total"])
    stripe = [json.loads(line) for line in printed(month, "stripe", mapping=CUSTOMERS).body.splitlines()]
    lago = [event for line in printed(month, "lago").body.splitlines() for event in json.loads(line)["events"]]
    orb = [event for line in printed(month, "orb").body.splitlines() for event in json.loads(line)["events"]]
    openmeter = json.loads(printed(month, "openmeter").body)
    assert sum(Decimal(event["payload[value]"]) for event in stripe) == statement * 1_000_000
    assert sum(Decimal(event["precise_total_amount_cents"]) for event in lago) == statement * 100
    assert sum(Decimal(event["properties"]["cost_usd"]) for event in orb) == statement
    assert sum(Decimal(event["data"]["cost_usd"]) for event in openmeter) == statement
    ids = [
        [event[key] for event in found]
        for found, key in ((stripe, "identifier"), (lago, "transaction_id"), (orb, "idempotency_key"), (openmeter, "id"))
    ]
    assert all(len(set(found)) == len(found) for found in ids)
    assert ids[0] == ids[1] == ids[2] == ids[3]
    for name in ("lago", "orb", "openmeter"):
        assert printed(json.loads(json.dumps(month)), name).body == printed(month, name).body
    assert printed(month, "orb").control["unpriced_calls"] == 41
    assert stripe[0]["timestamp"] == 1793491199  # 2026-10-31T23:59:59Z


def test_events_have_the_keys_of_the_samples(month: dict[str, Any]) -> None:
    if not SAMPLES.exists():
        pytest.skip("../shared/data/billing is not here")
    folder = SAMPLES / "billing_events"
    form = json.loads((folder / "stripe_v1_meter_event_form.json").read_text())["POST /v1/billing/meter_events (form)"]
    assert json.loads(printed(month, "stripe", mapping=CUSTOMERS).body.splitlines()[0]).keys() == form.keys()
    for name, file in (("lago", "lago_events_batch.json"), ("orb", "orb_ingest.json")):
        meant = json.loads((folder / file).read_text())["events"][0]
        found = json.loads(printed(month, name).body.splitlines()[0])["events"][0]
        assert found.keys() == meant.keys()
        assert found["properties"].keys() >= meant["properties"].keys()
        assert {key: type(value) for key, value in found["properties"].items() if key in meant["properties"]} == {
            key: type(value) for key, value in meant["properties"].items()
        }
    meant = json.loads((folder / "openmeter_cloudevents_batch.json").read_text())[0]
    found = json.loads(printed(month, "openmeter").body)[0]
    assert found.keys() == meant.keys()
    assert found["data"].keys() >= meant["data"].keys()


def test_a_cost_center_without_a_stripe_customer_is_named(month: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match=r"payload\[stripe_customer_id\]: no customer for CC-4100, "):
        printed(month, "stripe")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("extends: nothing", "no mapping 'nothing' is shipped"),
        ("extends: sap\ncolumns: [{name: A, from: prompt}]", "no fact 'prompt'"),
        ("extends: sap\ncolumns: [{name: A, text: '{account.__class__}'}]", "no fact 'account.__class__'"),
        ("extends: sap\ncolumns: [{name: A, text: '{account:99999999}'}]", "may be padded"),
        ("extends: sap\ncolumns: [{name: A, from: debit, value: x}]", "exactly one of"),
        ("extends: sap\ncolumns: [{name: A, from: debit}, {name: A, from: credit}]", "stands twice"),
        ("extends: sap\ncolumns: [{name: A, text: 'a {} b'}]", "column 'A': {} names no fact"),
        (
            "extends: sap\nlayout: json\ncolumns: [{name: a.b, from: debit}, {name: a, from: credit}]",
            "'a' is a value and cannot hold 'a.b'",
        ),
        ("extends: sap\ncolumns: [{name: A, from: account_name, kind: integer}]", "record 1, A: 'AI model usage' is no whole number"),
        ("extends: sap\ncolumns: [{name: A, value: 1e999999999, kind: integer}]", "is no whole number"),
        ("extends: sap\ncode: 1", "code: no such key"),
        ("- a", "not one set of keys"),
        ("a: [", "not YAML"),
    ],
)
def test_a_wrong_mapping_file_is_refused_by_place(text: str, what: str, month: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        printed(month, "sap", mapping=text)
    assert what in refused.value.message


def test_whole_cents_are_an_integer_and_a_padded_day_is_a_day(month: dict[str, Any]) -> None:
    columns = "columns: [{name: cents, from: amount_cents, kind: integer}, {name: day, text: '{period}/{time:0>30}'}]"
    body = printed(month, "mine", mapping=f"output: mine\nrecords: events\nlayout: json\n{columns}").body
    assert sum(event["cents"] for event in json.loads(body)) == Decimal(month["totals"]["statement_total"]) * 100
    assert {event["day"] for event in json.loads(body)} == {"2026-10/000002026-10-31 23:59:59+00:00"}


def test_every_shipped_mapping_is_one(plain: dict[str, Any]) -> None:
    assert formats().keys() >= {*JOURNALS, "stripe", "lago", "orb", "openmeter", "focus-1.2", "focus-1.3"}
    for name, text in shipped().items():
        assert output_mapping(text).output == name


CORPUS = [
    "=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(1)", "\t=1", "\r=1", "\n=1", " =1", "\u00a0=1", "\ufeff=1", "\u200b=1", "\u2028=1", "＝1", "＋1", "－1", "＠x",
    "﹢1", "﹣1", "﹦1", "﹫1", "−1", "a\n=1", "a\r=1", "a\r\n@x", "a\u2028=1", "a\x0b=1", "a\x85=1", '"=1', ";=1", ",=1", "|=1", "\x00=1", "\u202e=1",
    '=HYPERLINK("http://x","y")', "=cmd|'/C calc'!'A1'", "\u3000=1",
]  # fmt: skip


@pytest.mark.parametrize("text", CORPUS)
def test_the_corpus_is_defused_in_words_and_refused_in_ids(text: str, plain: dict[str, Any]) -> None:
    assert runs_as_formula(text)
    assert not runs_as_formula(safe_text(text))
    plain["cost_centers"][0]["id"] = text
    with pytest.raises(Invalid, match="would run as a formula"):
        printed(plain, "generic")
    named = {"extends": "generic", "cost_centers": {text: {"name": "Claims", "code": "4100"}}}
    assert "4100" in printed(plain, "generic", mapping=json.dumps(named)).body.decode()


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_defused_text_never_runs_and_reads_back(text: str) -> None:
    safe = safe_text(text)
    assert not runs_as_formula(safe)
    assert safe_text(safe) == safe
    assert safe.replace("'", "") == text.replace("\r\n", "\n").replace("\r", "\n").replace("'", "")
    [_, row] = list(csv.reader(io.StringIO(csv_bytes((("a", "text"),), [{"a": f"x{text}"}]).decode(), newline="")))
    assert row == [safe_text(f"x{text}")]


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=12))
def test_numbers_are_never_altered(amount: Decimal) -> None:
    row = rows_of(csv_bytes((("n", "number"), ("e", "exact")), [{"n": amount, "e": f"{amount:f}"}]))[0]
    assert Decimal(row["n"]) == Decimal(row["e"]) == amount


@pytest.mark.parametrize("name", sorted(shipped()))
def test_every_shipped_mapping_fits_the_published_schema(name: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((Path(__file__).parents[2] / "docs/schemas/output.json").read_text())
    jsonschema.validate(yaml.safe_load(shipped()[name]), schema)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("- a\n", "not one set of keys"),
        ("extends: netsuite\n---\nextends: sap\n", "not one set of keys"),
        ("extends: lawson\n", "no mapping 'lawson' is shipped"),
        ("extends: [netsuite]\n", "is shipped"),
        ("extends: netsuite\nacounts: {}\n", "acounts: no such key; keys are about, accounts"),
        ("extends: netsuite\naccounts: {usgae: {number: '1'}}\n", "accounts: no kind of spend 'usgae'; kinds are usage"),
        (
            "extends: netsuite\ncost_centers: {CC-1: {accounts: {used: {number: '1'}}}}\n",
            "cost_centers.CC-1.accounts: no kind of spend 'used'",
        ),
        ("extends: netsuite\naccounts: {usage: {number: 6100}}\n", "accounts.usage.number: 6100 is not text; write it in quotes"),
        ("extends: stripe\ncost_centers: {CC-1: {custommer: cus_1}}\n", "cost_centers.CC-1.custommer: no such key"),
        ("extends: stripe\ncost_centers: {4100: {customer: cus_1}}\n", "every field name is text; quote 4100"),
        ("extends: stripe\ncost_centers: {CC-1: {}}\ncost_centers: {CC-2: {}}\n", "key 'cost_centers' is written twice"),
        ("accounts: {}\n", "output: is missing; a file without `extends` describes the whole target"),
        ("a: &a [x,x]\nb: &b [*a,*a]\n" + "[" * 3000, "not YAML"),
    ],
)
def test_a_mapping_file_is_read_strictly_and_its_refusal_names_the_key(text: str, words: str) -> None:
    with pytest.raises(Invalid) as refused:
        output_mapping(text)
    assert words in str(refused.value)


def test_a_mapping_file_has_a_limit() -> None:
    with pytest.raises(TooLarge, match="at most"):
        output_mapping("extends: netsuite\n#" + "x" * (1 << 20))


def test_a_refusal_names_every_cost_center_without_a_customer(plain: dict[str, Any]) -> None:
    charged = [one["id"] for one in plain["cost_centers"] if one["lines"]]
    assert len(charged) > 1
    with pytest.raises(Invalid) as refused:
        printed(plain, "stripe")
    assert all(name in str(refused.value) for name in charged)
    filled = start("stripe", [one["id"] for one in plain["cost_centers"]]).replace("{customer: }", "{customer: cus_1}")
    made = printed(plain, "", mapping=filled + '  "CC-GONE": {customer: cus_9}\n')
    assert made.control["cost_centers_not_in_the_month"] == ["CC-GONE"]


def test_every_shipped_mapping_is_described_and_started_from_itself(plain: dict[str, Any]) -> None:
    found = described()
    assert {name for name, one in found.items() if one.needs_customers} == {"stripe"}
    for name, one in found.items():
        if one.records == "focus":
            continue
        text = start(name, ["CC-4100"])
        if one.records == "journal":
            assert printed(plain, "", mapping=text).body == printed(plain, name).body, "what is not changed stays as shipped"
        else:
            assert set(output_mapping(text).cost_centers) == {"CC-4100"}
