"""The spend page: coverage before anything else, exact sums under every cut, nothing without a price shown as free."""

from __future__ import annotations

import html
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from page_text import plain

from governor.actions.apply import apply
from governor.actions.close_period import close
from governor.actions.context import OPERATOR
from governor.actions.draft_catalog import draft_catalog
from governor.actions.ingest import ingest
from governor.actions.month_view import daily
from governor.actions.people import authenticate, create_token
from governor.actions.show_spend import CUTS, price_yaml, show_spend
from governor.actions.usage import usage_report
from governor.catalog import Unfilled, parse_documents
from governor.demo.traffic import make_month
from governor.web.charts import daily_spec, svg
from governor.web.present import money_text
from governor.web.refusals import sentence
from governor.web.shell import environment
from governor.web.spend import share_text
from reports.charts import svg as printed_svg
from reports.charts import workflow_spec

MONTH = "2026-10"
FINN = "finn@acme.example"


def copied(text: str, kind: str) -> list[str]:
    return [found for found in map(html.unescape, re.findall(r"<pre>(.*?)</pre>", text, re.DOTALL)) if f"kind: {kind}" in found]


def test_coverage_and_what_is_missing_come_before_the_sums(site: Any) -> None:
    report = usage_report(site.ctx, MONTH, ["workflow"])
    with site.at(FINN) as finn:
        text = finn.get(f"/spend?period={MONTH}").text
    places = [text.index(mark) for mark in ("Mapped spend", "Without a price", "Without a workflow", "Spend per day", 'id="table"')]
    assert places == sorted(places)
    seen = plain(text)
    assert f"Mapped spend {report['coverage']['percent']}%" in seen
    for part in report["coverage"]["parts"].values():
        assert f"{part}%" in seen
    exposure = report["coverage"]["unpriced_exposure"]
    assert f"May cost {money_text(exposure['low'])} to {money_text(exposure['high'])}" in seen
    for digest in ("price_book", "policy_revision", "catalog"):
        assert f'title="{report[digest]}"' in text


@pytest.mark.parametrize("by", CUTS)
def test_every_cut_adds_up_to_the_month(site: Any, by: str) -> None:
    whole = usage_report(site.ctx, MONTH, [])["rows"][0]
    page = show_spend(site.ctx, MONTH, by=by)
    assert sum(Decimal(row["contracted_cost"]) for row in page["rows"]) == Decimal(whole["contracted_cost"])
    assert sum(row["calls"] for row in page["rows"]) == whole["calls"]
    assert abs(sum(row["share"] for row in page["rows"]) - 1) < Decimal("1e-20")
    with site.at(FINN) as finn:
        seen = plain(finn.get(f"/spend?period={MONTH}&by={by}").text)
    assert f"{whole['calls']:,}" in seen
    assert money_text(whole["contracted_cost"]) in seen


def test_what_no_workflow_owns_is_downloaded_as_a_catalog_to_complete(site: Any) -> None:
    with site.at(FINN) as finn:
        page = finn.get(f"/spend?period={MONTH}").text
        assert 'action="/spend/catalog.yaml"' in page
        sent = finn.get(f"/spend/catalog.yaml?period={MONTH}&at_least=&by=")
        assert (sent.status_code, sent.headers["content-disposition"]) == (200, f'attachment; filename="catalog-{MONTH}.yaml"')
        assert sent.text == draft_catalog(site.ctx, MONTH).text
        assert finn.get(f"/spend/catalog.yaml?period={MONTH}&by=nonsense").status_code == 422
    with pytest.raises(Unfilled):
        parse_documents(sent.text)


@pytest.mark.parametrize(
    ("only", "asked"),
    [("&cost_center=CC-4100", "&amp;cost_center=CC-4100"), ("&cost_center=CC-4100&provider=openai", "&amp;cost_center=CC-4100"),
     ("&cost_center=-", ""), ("&cost_center=CC-4100&owner=dana@acme.example", ""), ("", "")],
    ids=["cost-center", "and-provider", "of-nobody", "two-scopes", "all"],
)  # fmt: skip
def test_why_spend_moved_is_asked_of_whom_the_page_shows(site: Any, only: str, asked: str) -> None:
    """From the spend of a cost center the links led to the movement of the whole organization."""
    with site.at(FINN) as finn:
        seen = finn.get(f"/spend?period={MONTH}{only}").text
    for place in ("why", "forecast"):
        assert f'href="/budgets?period={MONTH}{asked}#{place}"' in seen


def test_the_days_add_up_whatever_they_are_stacked_by(site: Any) -> None:
    whole = Decimal(usage_report(site.ctx, MONTH, [])["rows"][0]["contracted_cost"])
    for by in ("workflow", "provider"):
        rows = daily(site.ctx, MONTH, by)
        assert sum(Decimal(row["cost"]) for row in rows) == whole
        assert len({row["name"] for row in rows}) <= 8
    assert [row["name"] for row in daily(site.ctx, MONTH, "workflow")][-1] == "others"
    one = daily(site.ctx, MONTH, "provider", only={"workflow": "fnol-triage"})
    [row] = [row for row in usage_report(site.ctx, MONTH, ["workflow"])["rows"] if row["workflow"] == "fnol-triage"]
    assert sum(Decimal(day["cost"]) for day in one) == Decimal(row["contracted_cost"])


def test_a_filter_narrows_the_table_and_never_the_coverage(site: Any) -> None:
    whole = show_spend(site.ctx, MONTH)
    narrow = show_spend(site.ctx, MONTH, by="model", only={"workflow": "-"})
    assert narrow["coverage"] == whole["coverage"]
    assert 0 < narrow["totals"]["calls"] < whole["totals"]["calls"]
    assert narrow["totals"] == whole["unattributed"]
    with site.at(FINN) as finn:
        text = finn.get(f"/spend?period={MONTH}&by=model&workflow=-").text
        assert "Only workflow none" in plain(text)
        assert f"/spend/chart.svg?period={MONTH}&amp;stack=workflow&amp;workflow=-" in text
        assert "No calls match" in finn.get(f"/spend?period={MONTH}&provider=nobody").text


def test_rows_lead_on(site: Any) -> None:
    with site.at(FINN) as finn:
        text = finn.get(f"/spend?period={MONTH}").text
        assert '<a href="/workflows/fnol-triage">fnol-triage</a>' in text
        for by in ("owner", "provider", "model", "status"):
            page = finn.get(f"/spend?period={MONTH}&by={by}").text
            links = [html.unescape(link) for link in re.findall(r'<th scope="row"><a href="(/spend[^"]+)"', page)]
            assert links
            assert f"by=workflow&stack=workflow&{by}=" in links[0]
            assert finn.get(links[0]).status_code == 200


def test_what_has_no_price_is_not_free(site: Any) -> None:
    page = show_spend(site.ctx, MONTH, by="model")
    [fine] = [row for row in page["rows"] if "acme-finetune" in (row["model"] or "")]
    assert fine["unpriced_calls"] == fine["calls"] > 0
    assert [row["calls"] for row in page["unpriced"] if "acme-finetune" in row["model"]] == [fine["calls"]]
    with site.at(FINN) as finn:
        text = finn.get(f"/spend?period={MONTH}&by=model").text
    row = plain(text[text.index("acme-finetune", text.index('id="table"')) :].split("</tr>")[0])
    assert "unpriced" in row
    assert "$0.00" not in row


def test_a_sum_and_what_has_no_price_in_it_do_not_run_together(site: Any) -> None:
    [row, *_] = [row for row in show_spend(site.ctx, MONTH)["rows"] if 0 < row["unpriced_calls"] < row["calls"]]
    with site.at(FINN) as finn:
        text = finn.get(f"/spend?period={MONTH}").text
    assert f"{money_text(row['contracted_cost'])} {row['unpriced_calls']:,} unpriced" in re.sub(r"<[^>]+>", "", text)


def test_what_the_page_offers_to_copy_can_be_applied(site: Any) -> None:
    with site.at(FINN) as finn:
        text = finn.get(f"/spend?period={MONTH}").text
    [rule] = copied(text, "attribution")
    assert parse_documents(rule.replace("CHANGE_ME", "fnol-triage"))
    [price] = copied(text, "contract_price")
    assert [document.meter for document in parse_documents(price.replace("CHANGE_ME", "1.25"))] == ["input", "output"]
    for left in (rule, price):
        with pytest.raises(Unfilled):
            parse_documents(left)


def test_a_tier_without_a_price_is_priced_as_that_tier() -> None:
    """Copied without its tier, the price of batch calls would have been charged for the standard ones."""
    [first, second] = parse_documents(price_yaml("cloudflare", "@cf/meta/llama", "batch", MONTH).replace("CHANGE_ME", "1.25"))
    assert [(one.model, one.service_tier, one.meter) for one in (first, second)] == [
        ("@cf/meta/llama", "batch", "input"),
        ("@cf/meta/llama", "batch", "output"),
    ]
    assert "service_tier" not in price_yaml("openai", "gpt-4o", "", MONTH)


@pytest.mark.parametrize("query", ["stack=workflow", "stack=provider", "stack=workflow&size=narrow", "stack=provider&workflow=fnol-triage"])
def test_the_chart_shows_every_day(site: Any, query: str) -> None:
    with site.at(FINN) as finn:
        image = finn.get(f"/spend/chart.svg?period={MONTH}&{query}")
        again = finn.get(f"/spend/chart.svg?period={MONTH}&{query}")
    assert image.headers["content-type"].startswith("image/svg+xml")
    assert image.text == again.text
    width = int(re.search(r'<svg[^>]* width="(\d+)', image.text)[1])  # type: ignore[index]
    assert width == (350 if "narrow" in query else 1060)
    labels = re.findall(r">(\d\d)</text>", image.text)
    assert labels == [f"{number:02d}" for number in range(1, 32, 5 if "narrow" in query else 1)]
    assert "<script" not in image.text
    assert "http" not in re.sub(r"http://www\.w3\.org/[\w/]+", "", image.text)


def test_a_wrong_page_is_named_as_the_address_names_it(site: Any) -> None:
    with site.at(FINN) as finn:
        assert "page: Expected <code>int</code> &gt;= 1." in finn.get("/spend?page=-1").text


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("empty.json is empty", "empty.json is empty."),
        ("dana@acme.example is known already", "dana@acme.example is known already."),
        ("line_id stands in two rows", "line_id stands in two rows."),
        ("page: Expected `int`", "page: Expected `int`."),
        ("fill in: the month", "Fill in: the month."),
        ("no, not so!", "No, not so!"),
        ("", ""),
    ],
)
def test_what_is_refused_is_a_sentence_and_names_stay_as_they_are(said: str, shown: str) -> None:
    assert sentence(said) == shown


def test_wrong_addresses_are_refused(site: Any) -> None:
    with site.at(FINN) as finn:
        for path in (
            f"/spend?period={MONTH}&by=mood",
            f"/spend/chart.svg?period={MONTH}&stack=mood",
            "/spend/chart.svg",
            "/spend?period=2026-13",
        ):
            assert finn.get(path).status_code in {400, 422}, path


def test_an_empty_month_teaches(site: Any) -> None:
    with site.at(FINN) as finn:
        text = finn.get("/spend?period=2031-02").text
    assert "No calls in 2031-02" in text
    assert "governor ingest" in text
    assert "Mapped spend" not in text


def test_a_small_share_is_not_written_as_none() -> None:
    assert share_text(Decimal("0.0004")) == "<0.1%"
    assert share_text(Decimal(0)) == "0.0%"
    assert share_text(Decimal("0.338")) == "33.8%"


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles"])
def test_a_month_has_the_days_of_its_calendar_in_every_zone(open_site: Any, tmp_path: Path, zone: str) -> None:
    with open_site(tmp_path / "home") as site:
        apply(site.ctx, site.admin, parse_documents(f"kind: organization\nname: Acme\nbilling_zone: {zone}\n"))
        with site.at("admin@acme.example") as admin:
            assert "2026-11-01 to 2026-11-30 of the billing zone" in plain(admin.get("/periods/2026-11").text)
            image = admin.get("/spend/chart.svg?period=2026-11").text
        assert re.findall(r">(\d\d)</text>", image) == [f"{number:02d}" for number in range(1, 31)]


def test_without_a_single_rule_the_page_says_which_to_begin_with(open_site: Any, tmp_path: Path) -> None:
    with open_site(tmp_path / "home") as site:
        ingest(site.ctx, OPERATOR, "litellm", [str(path) for path in make_month(tmp_path / "traffic", MONTH, calls=60).files])
        page = show_spend(site.ctx, MONTH)
        assert page["unattributed"]["calls"] == page["totals"]["calls"] == sum(one["calls"] for one in page["suggestions"])
        with site.at("admin@acme.example") as admin:
            text = admin.get(f"/spend?period={MONTH}").text
        rules = copied(text, "attribution")
        assert len(rules) == len(page["suggestions"]) > 3
        assert all("api_key_alias" in rule for rule in rules)
        assert [one["yaml"] for one in usage_report(site.ctx, MONTH, ["workflow"])["suggestions"]] == [
            one["yaml"] for one in page["suggestions"]
        ]
        assert f"{page['coverage']['percent']}%" == "0.00%"
        assert "provisional: below the gate" in text


def unpriced_calls(folder: Path) -> str:
    """A log of two calls of a model that the book does not know."""
    sent = [
        {
            "id": f"call-{day}",
            "litellm_call_id": f"call-{day}",
            "call_type": "acompletion",
            "status": "success",
            "model": "own-model",
            "custom_llm_provider": "openai",
            "startTime": f"{MONTH}-{day:02d}T10:00:00Z",
            "endTime": f"{MONTH}-{day:02d}T10:00:01Z",
            "prompt_tokens": read,
            "completion_tokens": made,
            "total_tokens": read + made,
            "metadata": {"user_api_key_alias": "k"},
        }
        for day, read, made in ((1, 10_000, 2_000), (2, 3_000, 0))
    ]
    log = folder / "calls.ndjson"
    log.write_text("\n".join(map(json.dumps, sent)))
    return str(log)


def test_coverage_is_the_gates_however_the_month_is_cut(open_site: Any, tmp_path: Path) -> None:
    """Of calls without a price the median model counts; the medians of days do not add up to that of the month."""
    with open_site(tmp_path / "home") as site:
        ingest(site.ctx, OPERATOR, "litellm", [unpriced_calls(tmp_path)])
        gate = usage_report(site.ctx, MONTH, ["workflow"])["coverage"]
        page = show_spend(site.ctx, MONTH)
        assert gate["unpriced_calls"] == 2
        for by in (["day"], ["prompt"]):
            assert usage_report(site.ctx, MONTH, by)["coverage"] == gate
        assert page["coverage"] == gate
        assert [one["high"] for one in page["unpriced"]] == [gate["unpriced_exposure"]["high"]]
        assert [one["workflows"] for one in page["unpriced"]] == [["no workflow"]]


def test_a_name_that_no_image_can_hold_is_drawn_with_a_replacement_sign(open_site: Any, tmp_path: Path) -> None:
    """The renderer ended the whole server at a control character, and callers choose the names."""
    log = Path(unpriced_calls(tmp_path))
    odd = log.read_text().replace('"custom_llm_provider": "openai"', r'"custom_llm_provider": "own\u0000\u0001"')
    log.write_text(odd.replace('"model": "own-model"', r'"model": "own\u001b\ufffe", "response_cost": 0.5'))
    with open_site(tmp_path / "home") as site:
        ingest(site.ctx, OPERATOR, "litellm", [str(log)])
        with site.at("admin@acme.example") as admin:
            page, image = (admin.get(path) for path in (f"/spend?period={MONTH}", f"/spend/chart.svg?period={MONTH}&stack=provider"))
    assert (page.status_code, image.status_code) == (200, 200)
    spec = daily_spec([{"day": f"{MONTH}-01", "name": "own\x00\x01", "cost": "1"}], "provider", [f"{MONTH}-01"], width=600, height=200)
    assert "own\ufffd\ufffd" in svg(spec)
    assert "own\ufffd" in printed_svg(workflow_spec([{"workflow": "own\x07", "amount": 1.0, "previous": None}]))


def test_a_workflow_whose_calls_have_no_price_did_not_cost_nothing(open_site: Any, tmp_path: Path) -> None:
    catalog = """kind: workflow
id: own
owner: admin@acme.example
cost_center: CC-1
match: [{api_key_alias: k}]
routes: [{id: current, provider: openai, model: gpt-4o, approved_until: 2099-12-31}]
"""
    with open_site(tmp_path / "home") as site:
        apply(site.ctx, site.admin, parse_documents(catalog))
        ingest(site.ctx, OPERATOR, "litellm", [unpriced_calls(tmp_path)])
        with site.at("admin@acme.example") as admin:
            every, one, idle = (
                plain(admin.get(path).text) for path in ("/workflows", f"/workflows/own?period={MONTH}", "/workflows/own?period=2026-09")
            )
    for page in (every, one):
        assert "unpriced" in page
        assert "$0.00" not in page
    assert "no all-clear" in idle
    assert "no objection" not in idle


def test_a_month_without_calls_has_nothing_to_cover(bare_site: Any) -> None:
    with bare_site.at("admin@acme.example") as admin:
        spend, period = (plain(admin.get(path).text) for path in (f"/spend?period={MONTH}", f"/periods/{MONTH}"))
    assert "Nothing to cover" in spend
    assert "enough to close" not in spend
    assert "nothing to cover" in period
    assert "at least 95% mapped" not in period


def test_commitments_stand_on_the_page_where_there_are_some(open_site: Any, tmp_path: Path) -> None:
    with open_site(tmp_path / "home", traffic=tmp_path / "traffic") as site, site.at(FINN) as finn:
        assert "Commitments and capacity" not in finn.get(f"/spend?period={MONTH}").text
        assert "commitments" not in finn.get(f"/periods/{MONTH}").text
        text = f"""kind: commitment
id: reserved
name: <b>Reserved</b> capacity
valid_from: {MONTH}-01
provider: openai
starts: {MONTH}-01
ends: 2027-10-01
monthly_amount: "100000"
unused: {{cost_center: CC-9}}
"""
        finance = authenticate(site.ctx, create_token(site.ctx, site.admin, email=FINN)["token"])
        apply(site.ctx, finance, parse_documents(text))
        answer = finn.get(f"/spend?period={MONTH}").text
        [one] = show_spend(site.ctx, MONTH)["commitments"]
        seen = plain(answer)
        assert "Commitments and capacity" in seen
        assert "&lt;b&gt;Reserved&lt;/b&gt; capacity" in answer
        assert one["words"] in seen
        for name in ("used", "unused", "cost", "covered_value"):
            assert money_text(one[name], 2) in seen
        explained = "of the charge $100,000.00 is the cost of commitments, used or not"
        assert explained in plain(finn.get(f"/periods/{MONTH}").text), "it would charge more than its use comes to at list prices"
        total = close(site.ctx, finance, MONTH)["totals"]["commitment_total"]
        assert abs(Decimal(total) - 100_000) <= Decimal("0.01"), "a cent of its lines may be the largest remainder's"
        assert explained.replace("$100,000.00", money_text(total, 2)) in plain(finn.get(f"/periods/{MONTH}").text)


def test_a_model_that_hundreds_of_workflows_use_names_a_few() -> None:
    """Each such row of the calls without a price was a screen of names, and what belongs to no workflow came thousands of lines later."""
    shown = environment().from_string('{% import "marks.html" as m %}{{ m.names(all) }}')
    assert shown.render(all=["<b>", "two"]) == "&lt;b&gt;, two"
    many = shown.render(all=[f"wf-{number}" for number in range(300)])
    before, _, folded = many.partition("<details><summary>292 more</summary>")
    assert before.endswith("wf-7")
    assert folded.startswith("wf-8, ")
