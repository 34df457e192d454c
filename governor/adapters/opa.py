"""A real OPA server behind ports.PolicyEngine, over HTTP.

Owns: loading modules and data through OPA's REST API, questions in batches, reading the answers. Does not own: starting OPA, bundles that OPA pulls
itself (`governor policy bundle` makes them; then construct with `managed=False` and only the revision is checked).
Invariants: data is replaced in one transaction and every batch names the revision that answered it, so that two processes which share a server can
never read each other's catalog; anything but a complete answer of that revision refuses (fail closed); builtin errors are errors.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Any
from urllib.parse import quote

import httpx

from governor.errors import Invalid, Misconfigured, PolicyRefused, Unavailable
from governor.policy.bundle import digest
from governor.policy.decision import EngineInfo
from governor.policy.syntax import parse

BATCH = 500  # OPA's `with` loop slows down far above this
PREFIX = "governor/"
NO_OPA = "look whether GOVERNOR_OPA_URL leads to OPA itself, and not to a page or a proxy"
BATCHED = {f"governor/{name}/decision": f"governor/lib/batch/{name}" for name in ("call", "window", "replay", "change")}


class OpaEngine:
    """`token` is sent as a bearer token; `address` is the URL without user and password; `managed=False`: OPA pulls its bundle itself; `transport` is for tests."""

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        managed: bool = True,
        timeout_s: float = 30,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.info = EngineInfo("opa", "unknown")
        self.managed = managed
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            self._http = httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=timeout_s, transport=transport, trust_env=False)
        except httpx.InvalidURL as error:  # the URL may hold a password
            raise Misconfigured(f"GOVERNOR_OPA_URL is no URL: {error}", hint="such as http://127.0.0.1:8181") from None
        self.address = str(self._http.base_url.copy_with(username=None, password=None))
        self._revision = ""
        self._data: dict[str, Any] = {}
        self._modules: dict[str, str] = {}

    def load(self, modules: Mapping[str, str], data: Mapping[str, Any]) -> None:
        if not modules:
            raise Invalid("no policy module: an empty rule set is refused")
        self._modules, self._data = dict(modules), dict(data)
        self._revision = digest([self._modules, self._data])
        if self.managed:
            self._put_modules()
            self._put_data()
        self.probe()

    def probe(self) -> EngineInfo:
        """Ask the server who it is. Raises Unavailable when it does not answer."""
        said = self._data_api("governor_loaded", {"provenance": "true"}, {})
        provenance = said.get("provenance")
        self.info = EngineInfo("opa", str(provenance.get("version", "unknown")) if isinstance(provenance, Mapping) else "unknown")
        return self.info

    def decide_many(self, path: str, inputs: Sequence[Mapping[str, Any]]) -> list[Any]:
        if not self._revision:
            raise PolicyRefused("no policy is loaded")
        path = path.strip("/")
        if path not in BATCHED:
            return [self._decide_one(path, one) for one in inputs]
        answers: list[Any] = []
        for start in range(0, len(inputs), BATCH):
            answers += self._batch(BATCHED[path], inputs[start : start + BATCH])
        return answers

    def close(self) -> None:
        self._http.close()

    def _decide_one(self, path: str, one: Mapping[str, Any]) -> Any:
        return self._data_api(path, {}, one).get("result")

    def _batch(self, path: str, questions: Sequence[Mapping[str, Any]]) -> list[Any]:
        for attempt in range(2):
            result = self._data_api(path, {}, {"questions": list(questions)}).get("result")
            if isinstance(result, Mapping) and isinstance(result.get("answers"), Mapping) and result.get("revision") == self._revision:
                return [result["answers"].get(str(number)) for number in range(len(questions))]
            if self.managed and not attempt:  # another process loaded its catalog in between, or the server was restarted
                self._put_modules()
                self._put_data()
        hint = "let each Governor process have its own OPA server, or serve OPA the bundle of `governor policy bundle`"
        raise PolicyRefused("the OPA server does not hold this policy and catalog", hint=hint)

    def _put_modules(self) -> None:
        wanted = {PREFIX + name: source for name, source in self._modules.items()}
        answer = self._send("GET", "/v1/policies")
        listed = read_answer(answer.status_code, answer.content).get("result") or []
        if not isinstance(listed, list) or not all(isinstance(one, Mapping) for one in listed):
            raise PolicyRefused("the OPA server does not list its policies as OPA does", hint=NO_OPA)
        present = {one["id"]: one.get("raw") for one in listed if str(one.get("id", "")).startswith(PREFIX)}
        for name in in_order(self._modules):
            if present.get(PREFIX + name) != self._modules[name]:
                place = "/v1/policies/" + quote(PREFIX + name)
                self._send("PUT", place, content=self._modules[name].encode(), headers={"Content-Type": "text/plain"})
        for gone in sorted(set(present) - set(wanted)):
            self._send("DELETE", "/v1/policies/" + quote(gone))

    def _put_data(self) -> None:
        documents = {**self._data, "governor_loaded": {"revision": self._revision}}
        patch = [{"op": "add", "path": f"/{name}", "value": value} for name, value in sorted(documents.items())]
        self._send("PATCH", "/v1/data", content=json.dumps(patch).encode(), headers={"Content-Type": "application/json-patch+json"})

    def _data_api(self, path: str, options: Mapping[str, str], question: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._send("POST", f"/v1/data/{path}", params={"strict-builtin-errors": "true", **options}, json={"input": question})
        return read_answer(answer.status_code, answer.content)

    def _send(self, method: str, place: str, **parts: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, place, **parts)
        except httpx.HTTPError as error:
            raise Unavailable(
                f"OPA server {self.address} does not answer: {type(error).__name__}", hint="nothing is allowed meanwhile"
            ) from None
        if not answer.is_success:
            read_answer(answer.status_code, answer.content)
        return answer


def read_answer(status: int, body: bytes) -> dict[str, Any]:
    """The document of an OPA reply. Raises Invalid for what OPA calls a bad parameter, PolicyRefused for anything else that is no answer."""
    try:
        document = json.loads(body)
    except ValueError:
        raise PolicyRefused(f"the OPA server answered {status} with something that is not JSON", hint=NO_OPA) from None
    if status == httpx.codes.OK and isinstance(document, dict):
        return document
    said = document if isinstance(document, dict) else {}
    errors = said.get("errors")
    details = [
        " ".join(str(one.get("message", "")).split()) for one in (errors if isinstance(errors, list) else []) if isinstance(one, dict)
    ]
    message = " ".join(str(said.get("message") or "no message").split()) + (f": {'; '.join(details[:3])}" if details else "")
    if said.get("code") == "invalid_parameter":
        raise Invalid(f"the OPA server refused: {message[:500]}")
    raise PolicyRefused(f"the OPA server answered {status}: {message[:500]}")


def in_order(modules: Mapping[str, str]) -> Iterator[str]:
    """File names such that a module comes after those it imports; OPA compiles at every PUT and knows no forward reference to a function."""
    parsed = parse(modules)
    homes = {module.package: module.file for module in parsed}
    graph: dict[str, set[str]] = {module.file: set() for module in parsed}
    for module in parsed:
        for path in [*module.imports.values(), *(name for name, _ in module.refs)]:
            package = path.removeprefix("data.")
            while package and package not in homes:
                package = package.rpartition(".")[0]
            if package and homes[package] != module.file:
                graph[module.file].add(homes[package])
    yield from TopologicalSorter(graph).static_order()
