"""Rules in order, the first match wins, no match is a state, unattributed traffic suggests rules."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from governor import attribution
from governor.attribution import SEPARATOR, Rule, attribute, rule_fields, rules_of, suggestions
from governor.catalog import AttributionDocument, Catalog, WorkflowDocument, parse_documents

WORKFLOWS = """
kind: workflow
id: fnol
owner: a@b
match: [{metadata.workflow: fnol}, {api_key_alias: "c-*-fnol", environment: production}]
---
kind: workflow
id: rest
owner: a@b
order: 5
match: [{api_key_alias: "c-*"}, {tag: "workflow:rest"}]
---
kind: attribution
id: legacy
order: -1
rules: [{workflow: rest, match: {api_key_alias: c-old-fnol}}]
"""


def catalog(text: str = WORKFLOWS) -> Catalog:
    documents = parse_documents(text)
    return Catalog(
        workflows={one.id: one for one in documents if isinstance(one, WorkflowDocument)},
        attributions={one.id: one for one in documents if isinstance(one, AttributionDocument)},
        sequence={(one.kind, one.key): place for place, one in enumerate(documents)},
    )


def one(**key: str | None) -> tuple[str | None, str | None, str]:
    found = attribute(rules_of(catalog()), [{name.replace("__", "."): value for name, value in key.items()}])[0]
    return found.workflow_id, found.rule_id, found.trust


def test_order_then_place_then_conditions_decide() -> None:
    assert [rule.id for rule in rules_of(catalog())] == ["legacy#1", "fnol#1", "fnol#2", "rest#1", "rest#2"]
    assert one(metadata__workflow="fnol", api_key_alias="c-x") == ("fnol", "fnol#1", "claim")
    assert one(api_key_alias="c-claims-fnol", environment="production") == ("fnol", "fnol#2", "credential")
    assert one(api_key_alias="c-claims-fnol", environment="test") == ("rest", "rest#1", "credential")
    assert one(api_key_alias="c-old-fnol", environment="production") == ("rest", "legacy#1", "credential")


def test_a_tag_matches_as_a_member() -> None:
    assert one(tag=SEPARATOR.join(["team:x", "workflow:rest"])) == ("rest", "rest#2", "claim")
    assert one(tag="workflow:rest2") == (None, None, "none")


def test_blanks_around_a_value_do_not_keep_a_rule_from_it() -> None:
    """A rule's own are taken off when it is applied: no rule could ask for such a value."""
    assert one(metadata__workflow=" fnol\t") == ("fnol", "fnol#1", "claim")
    assert one(tag=SEPARATOR.join([" x ", " workflow:rest "])) == ("rest", "rest#2", "claim")


def test_no_match_says_why() -> None:
    reasons = [found.reason for found in attribute(rules_of(catalog()), [{}, {"api_key_alias": None}, {"api_key_alias": "d"}])]
    assert reasons == [
        "the call carries none of the fields that rules ask for",
        "the call carries none of the fields that rules ask for",
        "no rule matches",
    ]
    assert attribute([], [{"app": "x"}])[0].reason == "no attribution rules are declared"


def test_only_a_star_is_special() -> None:
    rule = Rule("r", "w", (("app", "a[b]?.*x"),))
    said = [found.workflow_id for found in attribute([rule], [{"app": value} for value in ("a[b]?.ZZx", "ab1.x", "a[b]?.x\ny", "a[b]?_x")])]
    assert said == ["w", None, None, None]
    assert attribute([Rule("r", "w", (("app", "a*c"),))], [{"app": "a\nc"}])[0].workflow_id == "w"


def test_fields_to_group_by_are_those_of_the_rules() -> None:
    assert rule_fields(rules_of(catalog())) == ["api_key_alias", "environment", "metadata.workflow", "tag"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y*", "*"])), max_size=6), st.sampled_from(["x", "yy", "", "z"]))
def test_the_answer_is_that_of_the_first_matching_rule(patterns: list[tuple[str, str]], value: str) -> None:
    rules = [Rule(f"r{place}", f"w{place}", ((field, pattern),)) for place, (field, pattern) in enumerate(patterns)]
    found = attribute(rules, [{"a": value, "b": None}])[0]
    alone = [attribute([rule], [{"a": value, "b": None}])[0] for rule in rules]
    first = next((answer for answer in alone if answer.workflow_id), None)
    assert found.workflow_id == (first.workflow_id if first else None)
    assert found.rule_id == (first.rule_id if first else None)


def test_suggestions_are_ranked_by_spend_and_apply_as_they_are() -> None:
    groups = [
        ({"api_key_alias": "c-claims-fnol", "app": "x"}, 10, 5),
        ({"api_key_alias": "c-claims-fnol", "app": "y"}, 10, 7),
        ({"api_key_alias": None, "app": "new-thing"}, 1, 100),
        ({"api_key_alias": None, "app": None}, 1000, 10**9),
    ]
    found = suggestions(groups, catalog())
    assert [(one.match, one.workflow_id, one.calls, one.spend_pico) for one in found] == [
        ("app: new-thing", None, 1, 100),
        ("api_key_alias: c-claims-fnol", "fnol", 20, 12),
    ]
    parsed = parse_documents(found[1].yaml)[0]
    assert isinstance(parsed, AttributionDocument)
    assert parsed.rules[0].match == {"api_key_alias": "c-claims-fnol"}
    assert yaml.safe_load(found[1].yaml)["rules"][0]["workflow"] == "fnol"
    ids = {yaml.safe_load(one.yaml)["id"] for one in found}
    assert len(ids) == len(found)  # applied one after another, none replaces another


def test_a_rule_for_a_value_with_a_star_says_that_it_takes_others_too() -> None:
    found = suggestions([({"app": name}, 1, 1) for name in ("batch*", "batch-1")], catalog())
    assert {one.match: "# a `*` stands for any text" in one.yaml for one in found} == {"app: batch*": True, "app: batch-1": False}
    assert yaml.safe_load(found[0].yaml)["rules"] == [{"workflow": "CHANGE_ME", "match": {"app": "batch*"}}]


def test_of_thousands_of_workflows_only_those_near_a_call_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    same, search = attribution._same, attribution.re.search
    monkeypatch.setattr(attribution, "_same", lambda pattern, value: looked.append(value) or same(pattern, value))  # type: ignore[func-returns-value]
    monkeypatch.setattr(attribution.re, "search", lambda *asked: looked.append(asked[1]) or search(*asked))  # type: ignore[func-returns-value]
    many = catalog("---\n".join(f"kind: workflow\nid: wf-{n:03d}\nowner: a@b\nmatch: [{{app: wf-{n:03d}}}]\n" for n in range(300)))
    assert [one.workflow_id for one in attribute(rules_of(many), [{"app": "wf-007"}, {"app": "none"}])] == ["wf-007", None]
    assert suggestions([({"app": "c-WF-123"}, 1, 1)], many)[0].workflow_id == "wf-123"
    assert len(looked) == 2
