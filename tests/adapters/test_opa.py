"""The OPA client against a stub that keeps OPA's REST behaviour, the shapes recorded from a real server, and a live one where GOVERNOR_OPA_URL is set."""

import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from governor.actions.judge import judge, prepare
from governor.adapters.opa import OpaEngine, in_order, read_answer
from governor.errors import Invalid, Misconfigured, PolicyRefused, Unavailable
from governor.policy.bundle import load_bundle
from governor.policy.embedded import RegorusEngine
from governor.policy.question import CallQuestion

WIRE = Path(__file__).parents[2] / "../shared/data/policy/wire.json"
CATALOG = {
    "workflows": [
        {
            "id": "w",
            "owner": "a@b.example",
            "data_class": "internal",
            "routes": [{"id": "r", "provider": "openai", "model": "gpt-4o", "approved_until": "2027-03-31"}],
        }
    ]
}


class StubServer:
    """Policies, data and the Data API of OPA; regorus evaluates. It compiles at every PUT, as OPA does."""

    def __init__(self) -> None:
        self.policies: dict[str, str] = {}
        self.data: dict[str, Any] = {}
        self.log: list[tuple[str, str]] = []
        self.down = False
        self.spoil: httpx.Response | None = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectError("refused")
        path = request.url.path
        self.log.append((request.method, path))
        if path == "/v1/policies":
            return httpx.Response(200, json={"result": [{"id": name, "raw": raw} for name, raw in self.policies.items()]})
        if path.startswith("/v1/policies/"):
            return self.policy(request, path.removeprefix("/v1/policies/"))
        if request.method == "PATCH" and path == "/v1/data":
            assert request.headers["content-type"] == "application/json-patch+json"
            self.data |= {one["path"].removeprefix("/"): one["value"] for one in json.loads(request.content)}
            return httpx.Response(204)
        return self.evaluate(request, path.removeprefix("/v1/data/"))

    def policy(self, request: httpx.Request, name: str) -> httpx.Response:
        if request.method == "DELETE":
            del self.policies[name]
            return httpx.Response(200, json={})
        source = request.content.decode()
        known = {*self.policies.values(), source}
        needs = [line.removeprefix("import ") for line in source.splitlines() if line.startswith("import data.governor.lib.")]
        packages = {line.removeprefix("package ") for one in known for line in one.splitlines() if line.startswith("package ")}
        missing = [need for need in needs if need.removeprefix("data.").rpartition(".")[0] not in packages]
        if missing:
            error = {"code": "rego_type_error", "message": f"undefined function {missing[0]}"}
            return httpx.Response(
                400, json={"code": "invalid_parameter", "message": "error(s) occurred while compiling module(s)", "errors": [error]}
            )
        self.policies[name] = source
        return httpx.Response(200, json={})

    def evaluate(self, request: httpx.Request, path: str) -> httpx.Response:
        assert request.url.params["strict-builtin-errors"] == "true"
        if self.spoil is not None:
            return self.spoil
        if path == "governor_loaded":
            return httpx.Response(200, json={"result": self.data.get("governor_loaded"), "provenance": {"version": "1.9.0"}})
        engine = RegorusEngine()
        engine.load(self.policies, self.data)
        try:
            answer = engine.decide_many(path, [json.loads(request.content)["input"]])[0]
        except PolicyRefused as error:
            return httpx.Response(500, json={"code": "internal_error", "message": error.message})
        return httpx.Response(200, json={"decision_id": "d"} | ({} if answer is None else {"result": answer}))


@pytest.fixture
def server() -> StubServer:
    return StubServer()


def client(server: StubServer) -> OpaEngine:
    return OpaEngine("http://opa.example:8181", transport=httpx.MockTransport(server))


def question(**changes: Any) -> CallQuestion:
    values: dict[str, Any] = {
        "workflow_id": "w",
        "attribution_status": "mapped",
        "provider": "openai",
        "model": "gpt-4o",
        "requested_model": "gpt-4o",
        "region": None,
        "environment": None,
        "data_class": None,
        "is_fallback": False,
        "fallback_from": None,
        "traffic_class": "production",
        "at": "2026-10-01T00:00:00Z",
    }
    return CallQuestion(**(values | changes))


def mixed(count: int) -> list[CallQuestion]:
    return [question(model=f"m{number}" if number % 3 else "gpt-4o", workflow_id="w" if number % 5 else None) for number in range(count)]


def test_decides_as_the_embedded_engine_does(server: StubServer) -> None:
    bundle, opa, embedded = load_bundle(), client(server), RegorusEngine()
    prepare(opa, bundle, CATALOG)
    prepare(embedded, bundle, CATALOG)
    assert judge(opa, mixed(40)) == judge(embedded, mixed(40))
    assert opa.info.version == "1.9.0"


def test_batches_keep_the_order(server: StubServer) -> None:
    opa = client(server)
    prepare(opa, load_bundle(), CATALOG)
    before = len(server.log)
    questions = [question(model=f"m{number}").document() for number in range(1001)]
    answers = opa.decide_many("governor/call/decision", questions)
    assert [place for _, place in server.log[before:]] == ["/v1/data/governor/lib/batch/call"] * 3
    assert [answer["violations"][0]["message"] for answer in answers[498:502]] == [
        f"asked for gpt-4o, answered by openai/m{number} without a declared fallback" for number in range(498, 502)
    ]


def test_modules_are_put_after_those_they_import() -> None:
    order = list(in_order(load_bundle().modules))
    assert (
        order.index("lib/names.rego")
        < order.index("lib/catalog.rego")
        < order.index("rules/data_class.rego")
        < order.index("collections/call.rego")
    )


def test_only_what_changed_is_put_and_what_is_gone_is_deleted(server: StubServer) -> None:
    bundle, opa = load_bundle(), client(server)
    server.policies["governor/rules/old.rego"] = "package governor.rules.old\n"
    server.policies["somebody/else.rego"] = "package else\n"
    prepare(opa, bundle, CATALOG)
    assert "governor/rules/old.rego" not in server.policies
    assert "somebody/else.rego" in server.policies
    before = len(server.log)
    prepare(opa, bundle, CATALOG)
    assert [method for method, _ in server.log[before:]] == ["GET", "PATCH", "POST"]


def test_another_catalog_in_between_is_noticed_and_loaded_again(server: StubServer) -> None:
    bundle, ours, theirs = load_bundle(), client(server), client(server)
    prepare(ours, bundle, CATALOG)
    prepare(theirs, bundle, {})
    assert judge(ours, [question()])[0].allow


def test_a_foreign_bundle_is_refused(server: StubServer) -> None:
    bundle = load_bundle()
    prepare(client(server), bundle, {})
    ours = OpaEngine("http://opa.example:8181", managed=False, transport=httpx.MockTransport(server))
    prepare(ours, bundle, CATALOG)
    with pytest.raises(PolicyRefused, match="does not hold this policy and catalog"):
        judge(ours, [question()])
    prepare(ours, bundle, {})
    assert judge(ours, [question()])[0].status == "violation"


@pytest.mark.parametrize(
    "spoil",
    [
        httpx.Response(200, json={"decision_id": "d"}),
        httpx.Response(200, json={"result": {"answers": {"0": {"allow": True}}}}),
        httpx.Response(200, json={"result": True}),
        httpx.Response(200, content=b"<html>"),
        httpx.Response(500, json={"code": "internal_error", "message": "builtin failed"}),
        httpx.Response(404, content=b"404 page not found"),
    ],
    ids=["undefined", "no-revision", "not-an-object", "html", "builtin-error", "not-found"],
)
def test_anything_but_a_whole_answer_refuses(server: StubServer, spoil: httpx.Response) -> None:
    opa = client(server)
    prepare(opa, load_bundle(), CATALOG)
    server.spoil = spoil
    with pytest.raises(PolicyRefused):
        judge(opa, [question()])


def test_an_undefined_decision_is_undecided(server: StubServer) -> None:
    opa = client(server)
    prepare(opa, load_bundle(), CATALOG)
    server.policies["governor/collections/call.rego"] = "package governor.call\n\nimport rego.v1\n\ndecision := 1 if input.nothing\n"
    assert opa.decide_many("governor/call/decision", [question().document()]) == [None]
    assert judge(opa, [question()])[0].status == "undecided"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>sign in</html>"),
        httpx.Response(302, headers={"Location": "https://sso.example/"}),
        httpx.Response(200, json=["no", "object"]),
        httpx.Response(200, json={"result": {"a": 1}}),
        httpx.Response(200, json={"result": None, "provenance": None}),
        httpx.Response(502, json={"code": "x", "message": None, "errors": None}),
    ],
    ids=["page", "redirect", "list", "policies-no-list", "nulls", "errors-null"],
)
def test_what_is_no_opa_is_refused_in_words(answer: httpx.Response) -> None:
    """A page of a proxy behind GOVERNOR_OPA_URL was an internal error of every page and command."""
    engine = OpaEngine("http://opa.example:8181", transport=httpx.MockTransport(lambda _: answer))

    def ask() -> None:
        engine.load(load_bundle().modules, {})
        engine.decide_many("governor/call/decision", [{}])

    with pytest.raises(PolicyRefused, match="the OPA server"):
        ask()
    with pytest.raises(Misconfigured, match="GOVERNOR_OPA_URL"):
        OpaEngine("http://me:s3cret@[::1")


def test_a_server_that_is_down_is_unavailable(server: StubServer) -> None:
    opa = client(server)
    server.down = True
    with pytest.raises(Unavailable, match="does not answer"):
        prepare(opa, load_bundle(), CATALOG)
    with pytest.raises(Unavailable) as refused:
        OpaEngine("http://me:s3cret@opa.example:8181", transport=httpx.MockTransport(server)).probe()
    assert "http://opa.example:8181" in refused.value.message
    assert "s3cret" not in refused.value.message
    with pytest.raises(PolicyRefused, match="no policy is loaded"):
        OpaEngine("http://opa.example").decide_many("governor/call/decision", [{}])


def test_the_token_is_sent(server: StubServer) -> None:
    seen: list[str] = []

    def listen(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("authorization", ""))
        return server(request)

    assert OpaEngine("http://opa.example", token="s3cret", transport=httpx.MockTransport(listen)).probe().version == "1.9.0"
    OpaEngine("http://opa.example", transport=httpx.MockTransport(listen)).probe()
    assert seen == ["Bearer s3cret", ""]


def test_a_policy_opa_rejects_names_the_reason(server: StubServer) -> None:
    opa = client(server)
    source = "package governor.rules.x\n\nimport rego.v1\n\nimport data.governor.lib.gone.f\n\nx := f(1)\n"
    with pytest.raises(Invalid, match=r"undefined function data\.governor\.lib\.gone"):
        opa.load({"rules/x.rego": source}, {})


@pytest.mark.skipif(not WIRE.is_file(), reason="recorded OPA traffic is not here (../shared)")
def test_recorded_answers_of_a_real_server() -> None:
    calls = json.loads(WIRE.read_text())["calls"]
    status, _, body = calls["data_v1"]
    assert read_answer(status, body.encode())["provenance"]["version"] == "1.9.0"
    status, _, body = calls["undefined"]
    assert "result" not in read_answer(status, body.encode())
    status, _, body = calls["bad_json"]
    with pytest.raises(Invalid, match="malformed input document"):
        read_answer(status, body.encode())
    status, _, body = calls["batch_api"]
    with pytest.raises(PolicyRefused, match="404"):
        read_answer(status, body.encode())


@pytest.mark.skipif(not os.environ.get("GOVERNOR_OPA_URL"), reason="GOVERNOR_OPA_URL names no OPA server")
def test_a_live_server_decides_as_the_embedded_engine_does() -> None:
    bundle, opa, embedded = (
        load_bundle(),
        OpaEngine(os.environ["GOVERNOR_OPA_URL"], token=os.environ.get("GOVERNOR_OPA_TOKEN", "")),
        RegorusEngine(),
    )
    prepare(opa, bundle, CATALOG)
    prepare(embedded, bundle, CATALOG)
    assert judge(opa, mixed(600)) == judge(embedded, mixed(600))
