"""YAML to documents: the contract's own example, clear refusals, hostile input."""

import json
import time
from pathlib import Path

import jsonschema
import pytest
import yaml

from governor.catalog import (
    KINDS,
    ContractPriceDocument,
    Unfilled,
    WorkflowDocument,
    document_json,
    document_of,
    json_schema,
    parse_documents,
)
from governor.errors import GovernorError, Invalid, TooLarge

ROOT = Path(__file__).parents[2]
EXAMPLE = """
kind: person            # roles: requester, owner, security, finance, auditor, admin
email: dana@acme.example
roles: [owner]
---
kind: workflow
id: fnol-triage
owner: dana@acme.example
cost_center: CC-4100
grc_id: SNOW-12345
environment: production
risk_tier: high
data_class: confidential
latency_target_ms: 2500
max_cost_per_call: "0.08"
monthly_budget: "12000"
output_contract: {json_schema: {type: object, required: [severity]}}
content_capture: redacted
match:
  - {metadata.workflow: fnol-triage}
  - {api_key_alias: c-claims-ops-fnol-triage}
routes:
  - {id: current, provider: openai, model: gpt-4o, regions: [us-east-1], approved_until: 2027-03-31}
fallback: [{provider: azure.openai, model: gpt-4o}]
---
kind: endpoint
id: gateway-shadow
protocol: openai
base_url: https://gateway.acme.example/v1
secret: env:SHADOW_KEY
---
kind: contract_price
provider: openai
model: gpt-4o
meter: input
price: {amount: "2.10", per: 1000000, currency: USD}
valid_from: 2026-10-01
---
kind: source
id: litellm-prod
connector: litellm
config: {database: env:LITELLM_DB}
---
kind: waiver
rule: latency.target
scope: {workflow: fnol-triage}
reason: provider incident
compensating_control: queue
expires: 2026-12-31
---
kind: organization
name: Acme
billing_zone: Europe/Berlin
---
kind: attribution
id: legacy-keys
order: 10
rules:
  - {workflow: fnol-triage, match: {team_id: "4711", tag: "app:claims*"}}
"""


def refusal(text: str | bytes) -> GovernorError:
    with pytest.raises(GovernorError) as refused:
        parse_documents(text, "f.yaml")
    return refused.value


def test_the_documented_example_parses_and_survives_storage() -> None:
    documents = parse_documents(EXAMPLE)
    assert [document.kind for document in documents] == [
        "person", "workflow", "endpoint", "contract_price", "source", "waiver", "organization", "attribution",
    ]  # fmt: skip
    for document in documents:
        assert document_of(document_json(document)) == document
    price = next(document for document in documents if isinstance(document, ContractPriceDocument))
    assert (price.key, price.price.amount) == ("openai/gpt-4o/input@2026-10-01", "2.1")
    workflow = next(document for document in documents if isinstance(document, WorkflowDocument))
    assert workflow.capture() == "redacted"


def test_every_kind_of_the_example_satisfies_its_published_schema() -> None:
    for plain in yaml.load_all(EXAMPLE, yaml.BaseLoader):
        schema = json_schema(plain["kind"])
        jsonschema.Draft202012Validator.check_schema(schema)
        text = json.loads(json.dumps(plain))
        for name in ("order", "latency_target_ms"):  # BaseLoader keeps numbers as text
            if name in text:
                text[name] = int(text[name])
        if "price" in text:
            text["price"]["per"] = int(text["price"]["per"])
        jsonschema.validate(text, schema)


def test_published_schemas_are_those_of_the_program() -> None:
    published = {path.stem: json.loads(path.read_text()) for path in (ROOT / "docs" / "schemas").glob("*.json")}
    for other in ("mapping", "output"):  # no catalog documents: their own tests hold them to their programs
        published.pop(other)
    assert published == {kind: json_schema(kind) for kind in KINDS}, "run make docs"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind: workflow\nid: x", "document 1 (workflow x): owner: a workflow without an owner is refused"),
        ("kind: workflow\nid: x\nowner: ''", "a workflow without an owner is refused"),
        ("kind: workflow\nid: x\nowner: a@b\nbudget: 1", "budget: unknown field"),
        ("kind: workflow\nid: x\nowner: a@b\nmatch: [{}]", "would take every call"),
        ("kind: workflow\nid: x\nowner: a@b\nmatch: [{model_name: y}]", "unknown field 'model_name'"),
        ("kind: workflow\nid: x\nowner: a@b\nmonthly_budget: 1.5", "write money as quoted text"),
        ("kind: workflow\nid: x\nowner: a@b\nmonthly_budget: '-1'", "zero or more"),
        ("kind: workflow\nid: x\nowner: a@b\nmonthly_budget: NaN", "zero or more"),
        ("kind: workflow\nid: ../x\nowner: a@b", "letters, digits"),
        ("kind: workflow\nid: x\nowner: a@b\nroutes: [{id: r, provider: p, model: m}]", "routes[0].approved_until: missing"),
        ("kind: workflow\nid: x\nowner: a@b\nroutes: [{id: r, provider: p, model: m, approved_until: someday}]", "write a date"),
        ("kind: workflow\nid: x\nowner: a@b\nroutes: [{id: r, provider: p, model: m, approved_until: 2026-01-01T00:00:00}]", "zone"),
        (
            "kind: workflow\nid: x\nowner: a@b\nroutes:\n" + 2 * "- {id: r, provider: p, model: m, approved_until: 2027-01-01}\n",
            "route id 'r' is used twice",
        ),
        ("kind: workflow\nid: x\nowner: a@b\noutput_contract: {json_schema: {type: wrong}}", "not a JSON Schema"),
        ("kind: endpoint\nid: e\nprotocol: openai\nbase_url: https://g/v1\nsecret: sk-live-123", "secrets are references"),
        ("kind: endpoint\nid: e\nprotocol: openai\nbase_url: https://me:pw@g/v1\nsecret: env:K", "without user, password"),
        ("kind: endpoint\nid: e\nprotocol: openai\nbase_url: file:///etc/passwd\nsecret: env:K", "http(s)"),
        ("kind: source\nid: s\nconnector: litellm\nconfig: {url: 'postgres://u:secret@h/db'}", "holds a secret"),
        ("kind: source\nid: s\nconnector: litellm\nconfig: {api_key: sk-123}", "holds a secret"),
        ("kind: waiver\nrule: a.b\nreason: r\ncompensating_control: c", "expires: missing"),
        ("kind: waiver\nrule: a.b\nreason: r\nexpires: 2027-01-01", "compensating_control: missing"),
        ("kind: person\nemail: a@b\nroles: [boss]", "roles[0]"),
        ('kind: person\nemail: "n\\u202ee@acme.example"', "invisible character"),
        ('kind: person\nemail: "n\\u200be@acme.example"', "invisible character"),
        ("kind: person\nemail: <script>@x.example", "a bracket"),
        ("kind: person\nemail: a@b.example,c@d.example", "a comma"),
        ("kind: organization\nbilling_zone: Mars/Olympus", "unknown time zone"),
        ("id: x", "unknown kind None"),
        ("kind: [1]", "unknown kind"),
        ("- a", "expected fields"),
        ("kind: person\nemail: a@b\nemail: c@d", "line 1: not YAML: key 'email' is written twice"),
        ("kind: person\n  email: a@b", "line 2: not YAML"),
        ("kind: !!python/object/apply:os.system [ls]", "not YAML"),
        (b"kind: \xff\xfe", "not YAML"),
        ("1: 2", "quote 1"),
    ],
)
def test_refusals_say_where_and_what(text: str | bytes, words: str) -> None:
    error = refusal(text)
    assert isinstance(error, Invalid)
    assert "f.yaml" in error.message
    assert words in error.message
    assert "sk-" not in error.message
    assert "pw@" not in error.message


def test_the_number_of_the_wrong_document_is_named() -> None:
    assert "document 2 (workflow w)" in refusal("kind: person\nemail: a@b\n---\nkind: workflow\nid: w\nowner: a@b\nx: 1").message


def test_bombs_are_refused_before_they_expand() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert isinstance(refusal("\n".join(lines)), TooLarge)
    assert isinstance(refusal("[" * 3000 + "]" * 3000), GovernorError)
    assert isinstance(refusal("x: " + "y" * (9 * 1024 * 1024)), TooLarge)
    assert isinstance(refusal("a: &a {b: *a}"), GovernorError)
    merges = ["a0: &a0 {k: 1}", *(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 12))]
    assert "merges (<<) are written out" in refusal("\n".join(merges)).message
    assert isinstance(refusal("a: &a {<<: *a}"), GovernorError)


def test_many_keys_of_one_document_take_no_longer_than_as_many_documents() -> None:
    started = time.process_time()
    refusal("m:\n" + "".join(f" k{number}: 1\n" for number in range(20_000)))
    assert time.process_time() - started < 10  # it was 23 s, and four times as much for twice the keys


def test_empty_documents_are_nothing() -> None:
    assert parse_documents("---\n---\n# only words\n") == []


def test_what_is_left_to_fill_in_is_told_by_line_wherever_it_stands() -> None:
    text = "kind: workflow\nid: a\nowner: CHANGE_ME\nroutes:\n  - {id: r, approved_until: 'CHANGE_ME'}\n---\nkind: person\nemail: a@b.example\nroles: [CHANGE_ME]\n"
    with pytest.raises(Unfilled) as refused:
        parse_documents(text, "f.yaml")
    assert refused.value.places == [
        "f.yaml:3: workflow a: owner",
        "f.yaml:5: workflow a: approved_until",
        "f.yaml:9: person a@b.example: roles",
    ]
    assert "3 values are still CHANGE_ME" in str(refused.value)
