"""Documents take effect: idempotent, on two clocks, by the right people, with digests in the ledger."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import select

from governor.actions.apply import apply, plan
from governor.actions.context import OPERATOR
from governor.actions.load_catalog import catalog_as_of, load_timeline
from governor.attribution import rules_of
from governor.catalog import parse_documents
from governor.errors import Forbidden, Invalid, Refused, Unauthenticated
from governor.store.rows.changes import EvidenceFile

WORKFLOW = "kind: workflow\nid: fnol-triage\nowner: dana@acme.example\ncost_center: {}\n"
WAIVER = """
kind: waiver
rule: latency.target
scope: {workflow: fnol-triage}
reason: provider incident
compensating_control: queue
expires: 2026-12-31
"""


def cost_center(world: Any, valid_at: datetime, known_at: datetime | None = None) -> str:
    return catalog_as_of(world.ctx, valid_at, known_at).workflows["fnol-triage"].cost_center


def test_applying_again_changes_nothing_and_writes_nothing(world: Any) -> None:
    size = len(world.entries())
    assert world.apply(WORKFLOW.format("CC-1")).counts == {"create": 0, "update": 1, "unchanged": 0, "remove": 0}
    assert world.apply(WORKFLOW.format("CC-1")).counts == {"create": 0, "update": 0, "unchanged": 1, "remove": 0}
    assert world.apply(WORKFLOW.format('"CC-1"') + "environment: production").changes == [], "spelling and defaults do not matter"
    assert len(world.entries()) == size + 1


def test_a_change_that_was_made_before_is_made_again(world: Any) -> None:
    world.apply(WORKFLOW.format("CC-1"))
    for place in ("CC-2", "CC-1", "CC-2", "CC-1"):
        assert world.apply(WORKFLOW.format(place)).counts["update"] == 1
        assert cost_center(world, world.later(minutes=1)) == place
    made = [entry["payload"]["changes_sha256"] for entry in world.entries("catalog:apply")][-2:]
    with world.ctx.rows.session() as session:
        stored = session.exec(select(EvidenceFile.sha256).where(EvidenceFile.change_id == "catalog")).all()
    assert [stored.count(digest) for digest in made] == [1, 1]


def test_the_plan_names_fields_and_a_dry_run_changes_nothing(world: Any) -> None:
    text = WORKFLOW.format("CC-2") + "routes:\n- {id: current, provider: openai, model: gpt-4o, approved_until: 2028-01-31}"
    planned = world.apply(text, dry_run=True)
    changed = {change.path: (change.before, change.after) for change in planned.items[0].fields}
    assert changed["cost_center"] == ("CC-4100", "CC-2")
    assert changed["routes.current.approved_until"] == ("2027-03-31", "2028-01-31")
    assert changed["routes.current.regions"] == (["us-east-1"], None)
    assert cost_center(world, world.now) == "CC-4100"


def test_the_first_version_holds_since_ever_and_a_later_one_from_now(world: Any) -> None:
    before = world.now
    at = world.later(days=3)
    world.apply(WORKFLOW.format("CC-NEW"))
    assert cost_center(world, datetime(2020, 1, 1, tzinfo=UTC)) == "CC-4100"
    assert cost_center(world, before) == "CC-4100"
    assert cost_center(world, at - timedelta(microseconds=1)) == "CC-4100"
    assert cost_center(world, at) == "CC-NEW"
    assert cost_center(world, at, known_at=before) == "CC-4100", "what was known before does not change"


def test_a_correction_of_the_past_is_visible_as_of_now_and_not_as_of_then(world: Any) -> None:
    known = world.now
    world.later(days=10)
    world.apply(WORKFLOW.format("CC-FIXED") + "valid_from: 2026-10-15")
    october = datetime(2026, 10, 20, tzinfo=UTC)
    assert cost_center(world, october) == "CC-FIXED"
    assert cost_center(world, october, known_at=known) == "CC-4100"
    assert cost_center(world, datetime(2026, 10, 14, 23, 59, tzinfo=UTC)) == "CC-4100"
    assert world.apply(WORKFLOW.format("CC-FIXED") + "valid_from: 2026-10-15").changes == []


def test_a_version_planned_for_later_survives_an_edit_of_today(world: Any) -> None:
    world.apply(WORKFLOW.format("CC-2027") + "valid_from: 2027-01-01")
    world.later(days=1)
    world.apply(WORKFLOW.format("CC-NOW"))
    assert cost_center(world, world.now) == "CC-NOW"
    assert cost_center(world, datetime(2026, 12, 31, 23, tzinfo=UTC)) == "CC-NOW"
    assert cost_center(world, datetime(2027, 1, 1, tzinfo=UTC)) == "CC-2027"


def test_a_month_is_cut_where_the_catalog_or_an_approval_changed(world: Any) -> None:
    at = world.later(days=5)
    world.apply(WORKFLOW.format("CC-B") + "routes: [{id: current, provider: openai, model: gpt-4o, approved_until: 2026-11-20}]")
    start, end = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    timeline = load_timeline(world.ctx, start, end)
    assert [(epoch.start, epoch.catalog.workflows["fnol-triage"].cost_center) for epoch in timeline.epochs] == [
        (start, "CC-4100"),
        (at, "CC-B"),
    ]
    assert timeline.boundaries == (at, datetime(2026, 11, 21, tzinfo=UTC)), "an approval until the 20th includes the 20th"
    assert timeline.at(at - timedelta(seconds=1)).workflows["fnol-triage"].cost_center == "CC-4100"
    today = load_timeline(world.ctx, start, end, as_of="now")
    assert [epoch.catalog.workflows["fnol-triage"].cost_center for epoch in today.epochs] == ["CC-B"]
    earlier = load_timeline(world.ctx, start, end, known_at=at - timedelta(seconds=1))
    assert earlier.digest != timeline.digest
    assert earlier.digest == load_timeline(world.ctx, start, end, known_at=at - timedelta(seconds=1)).digest


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind: workflow\nid: x", "without an owner"),
        ("kind: workflow\nid: x\nowner: nobody@acme.example", "not a known person"),
        ("kind: attribution\nid: a\nrules: [{workflow: gone, match: {app: x}}]", "no workflow 'gone'"),
        (WAIVER.replace("fnol-triage", "gone"), "no workflow 'gone'"),
        (WAIVER.replace("2026-12-31", "2026-01-01"), "expired on 2026-01-01"),
        (WORKFLOW.format("A") + "---\n" + WORKFLOW.format("B"), "written twice"),
        ("kind: organization\ntables: {approval: {finance_delta_micro_usd: lots}}", "tables.approval"),
    ],
)
def test_documents_that_are_wrong_together_are_refused_whole(world: Any, text: str, words: str) -> None:
    before = (len(world.entries()), catalog_as_of(world.ctx).digest)
    with pytest.raises(Invalid, match=words):
        world.apply("kind: workflow\nid: fine\nowner: dana@acme.example\n---\n" + text)
    assert (len(world.entries()), catalog_as_of(world.ctx).digest) == before


def test_an_owner_may_come_in_the_same_file_and_not_leave_while_owning(world: Any) -> None:
    world.apply("kind: workflow\nid: w2\nowner: new@acme.example\n---\nkind: person\nemail: New@Acme.example\nroles: [owner]")
    world.apply(
        "kind: workflow\nid: w3\nowner: new@acme.example\n---\nkind: budget\nid: theirs\nscope: {owner: new@acme.example}\nmonthly: 5"
    )
    with pytest.raises(Invalid, match="disabled and owns budget theirs, workflow w2, workflow w3"):
        world.apply("kind: person\nemail: new@acme.example\nroles: [owner]\ndisabled: true")


def test_the_last_admin_stays(world: Any) -> None:
    world.apply("kind: person\nemail: multi@acme.example\nroles: [security]")
    with pytest.raises(Refused, match="role admin"):
        world.apply("kind: person\nemail: admin@acme.example\nroles: [requester]")


def test_who_may_apply_what(world: Any) -> None:
    with pytest.raises(Forbidden):
        world.apply(WORKFLOW.format("X"), world.person("dana"))
    with pytest.raises(Unauthenticated, match="waiver"):
        world.apply(WAIVER, OPERATOR)
    with pytest.raises(Forbidden):
        world.apply(WAIVER, world.person("dana"))
    with pytest.raises(Forbidden):
        world.apply(WAIVER + "---\n" + WORKFLOW.format("X"), world.person("sol"))
    assert world.apply(WORKFLOW.format("X"), OPERATOR).counts["update"] == 1
    assert world.entries()[-1]["actor"]["kind"] == "operator"
    sol = world.person("sol")
    world.apply(WAIVER, sol)
    waiver = catalog_as_of(world.ctx).waivers[0]
    assert (waiver.approver, waiver.in_force(world.now)) == (sol.id, True)
    assert not waiver.in_force(datetime(2027, 1, 1, tzinfo=UTC))
    assert waiver.in_force(datetime(2026, 12, 31, 23, 59, tzinfo=UTC))
    assert world.apply(WAIVER, sol).counts["unchanged"] == 1, "a pipeline of security's own may run again"
    with pytest.raises(Forbidden):
        world.apply(WAIVER, world.person("dana"))


def test_what_changed_since_it_was_planned_is_permitted_anew(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan is made again behind the lock, and an admin may have changed what the file names beside the waiver."""
    world.apply(WORKFLOW.format("CC-1"))
    files = WAIVER + "---\n" + WORKFLOW.format("CC-1")
    before = plan(world.ctx, parse_documents(files))
    world.later(minutes=1)
    world.apply(WORKFLOW.format("CC-2"))
    monkeypatch.setattr("governor.actions.apply.plan", lambda *_, **__: before)
    with pytest.raises(Forbidden):
        world.apply(files, world.person("sol"))
    assert cost_center(world, world.later(minutes=1)) == "CC-2"


def test_prune_removes_what_the_files_do_not_name_and_keeps_the_past(world: Any) -> None:
    before = world.now
    world.later(days=1)
    planned = world.apply(WORKFLOW.format("CC-4100"), prune=True)
    assert [(item.kind, item.key) for item in planned.of("remove")] == [("endpoint", "gateway-shadow")]
    assert not catalog_as_of(world.ctx).endpoints
    assert list(catalog_as_of(world.ctx, before).endpoints) == ["gateway-shadow"]
    assert len(catalog_as_of(world.ctx).people) == 8, "people are never pruned"
    world.apply("kind: endpoint\nid: gateway-shadow\nprotocol: openai\nbase_url: https://g.example/v1\nsecret: env:K")
    assert list(catalog_as_of(world.ctx).endpoints) == ["gateway-shadow"]


def test_a_price_that_was_pruned_and_is_applied_again_holds_again(world: Any) -> None:
    price = 'kind: contract_price\nprovider: openai\nmodel: gpt-4o\nmeter: input\nprice: {amount: "2"}\nvalid_from: 2026-10-01'
    world.apply(price)
    world.later(days=1)
    world.apply(WORKFLOW.format("CC-4100"), prune=True)
    assert catalog_as_of(world.ctx).contract_prices == ()
    world.later(days=1)
    world.apply(price)
    assert len(catalog_as_of(world.ctx).contract_prices) == 1
    assert not world.apply(price).changes


def test_a_contract_price_that_no_call_could_have_is_refused(world: Any) -> None:
    """A misspelt meter would change nothing, another currency would leave the model without any price: both without a word."""
    price = 'kind: contract_price\nprovider: openai\nmodel: gpt-4o\nmeter: {}\nprice: {{amount: "2"{}}}\nvalid_from: 2026-10-01'
    with pytest.raises(Invalid, match=r"openai/gpt-4o/outptu@2026-10-01: meter: no call is rated by a meter 'outptu'") as refused:
        world.apply(price.format("outptu", ""), dry_run=True)
    assert "did you mean output?" in (refused.value.hint or "")
    assert "cache_read" in (refused.value.hint or "")
    with pytest.raises(Invalid, match=r"openai/gpt-4o/input@2026-10-01: price: currency EUR: calls are rated in USD only") as refused:
        world.apply(price.format("input", ", currency: EUR"))
    assert "write the amount in USD" in (refused.value.hint or "")
    term = "kind: contract_price\nprovider: openai\nmodel: '*'\nmeter: {}\npercent_off: '20'\nvalid_from: 2026-10-01"
    with pytest.raises(Invalid, match="meter 'cached_input'"):
        world.apply(term.format("cached_input"))
    assert catalog_as_of(world.ctx).contract_prices == ()
    world.apply(term.format("'*'"))


def test_rules_keep_the_order_of_first_application_through_edits(world: Any) -> None:
    text = "kind: workflow\nid: {}\nowner: dana@acme.example\ncost_center: '{}'\nmatch: [{{team_id: t}}]"
    world.apply("\n---\n".join(text.format(name, 1) for name in ("zeta", "alpha", "mid")))
    world.later(minutes=1)
    world.apply(text.format("zeta", 2))
    order = [rule.workflow_id for rule in rules_of(catalog_as_of(world.ctx)) if rule.workflow_id != "fnol-triage"]
    assert order == ["zeta", "alpha", "mid"]
    world.apply(text.format("mid", 1) + "\norder: -1")
    assert rules_of(catalog_as_of(world.ctx))[0].workflow_id == "mid"


def test_the_ledger_holds_digests_and_no_personal_data(world: Any) -> None:
    many = "\n---\n".join(f"kind: workflow\nid: w-{number:03d}\nowner: dana@acme.example" for number in range(250))
    world.apply(many)
    entry = world.entries()[-1]
    assert entry["payload"]["counts"]["create"] == 250
    assert 0 < len(entry["payload"]["changes"]) < 250, "the full list is evidence by digest"
    assert entry["evidence"][0]["sha256"] == entry["payload"]["changes_sha256"]
    assert "acme.example" not in json.dumps(world.entries())


def test_what_is_planned_is_what_is_done(world: Any) -> None:
    documents = parse_documents(WORKFLOW.format("CC-P") + "---\n" + "kind: source\nid: s\nconnector: litellm")
    planned = plan(world.ctx, documents).as_dict()
    assert world.apply(WORKFLOW.format("CC-P") + "---\n" + "kind: source\nid: s\nconnector: litellm").as_dict() == planned


def test_a_source_whose_connector_is_not_installed_is_refused(world: Any) -> None:
    for dry_run in (True, False):
        with pytest.raises(Invalid, match="source s: no connector 'litelm'") as refused:
            apply(world.ctx, world.admin, parse_documents("kind: source\nid: s\nconnector: litelm"), dry_run=dry_run)
        assert "litellm" in refused.value.hint
    assert "s" not in catalog_as_of(world.ctx).sources
    assert world.apply("kind: source\nid: s\nconnector: mapping:gateway.yaml").counts["create"] == 1
