"""What must be refused is refused by both doors: the command (exit 1, one line) and the API (a problem document), each refusal with its own code."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient
from rich.console import Console

from governor.asgi import create_app
from governor.cli import main
from governor.demo.catalog import catalog_yaml
from governor.demo.guide import Guide
from governor.demo.run import AUDITOR, CANDIDATE, FINANCE, OWNER, REQUESTER, SECURITY, WORKFLOW, last_month
from governor.demo.simulated_endpoint import SimulatedEndpoint
from governor.demo.traffic import make_month
from governor.settings import load_settings

ADMIN = "admin@acme.example"
LOWEST, BELOW, EXACT = "2026-03", "2026-04", "2026-05"  # months of two calls each, long over
FUTURE = (datetime.now(UTC) + timedelta(days=70)).strftime("%Y-%m")
MAPPED_ALIAS, UNKNOWN_ALIAS = "c-claims-ops-fnol-triage", "c-nobody"
ENTRY = "from governor.cli import main; main()"


@dataclass
class Refusal:
    code: str
    hint: str
    status: int = 0


@dataclass
class Scene:
    """One embedded home and its two doors."""

    guide: Guide
    client: TestClient[Any]
    ids: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)

    def command(self, *words: str, person: str | None = None) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of the command as its entry point runs it."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            if person:
                patch.setenv("GOVERNOR_TOKEN", self.guide.tokens[person])
            with pytest.raises(SystemExit) as ended:
                main(["--home", str(self.guide.home), *words])
        return int(ended.value.code or 0), out.getvalue(), err.getvalue()

    def request(self, method: str, path: str, body: dict[str, Any] | None, person: str) -> Any:
        return self.client.request(method, f"/api/v1{path}", json=body, headers={"Authorization": f"Bearer {self.guide.tokens[person]}"})

    def by_command(self, *words: str, person: str) -> Refusal:
        code, out, err = self.command(*words, person=person)
        assert (code, out) == (1, ""), (code, out, err)
        assert err.count("\n") == 1, err
        assert "Traceback" not in err
        name, sentence = err.removeprefix("error[").split("]: ", 1)
        return Refusal(name, sentence.partition(". hint: ")[2])

    def by_api(self, method: str, path: str, body: dict[str, Any] | None, person: str) -> Refusal:
        answer = self.request(method, path, body, person)
        assert answer.headers["content-type"].startswith("application/problem+json"), answer.text
        problem = answer.json()
        assert problem["status"] == answer.status_code
        assert all(problem[name] for name in ("type", "title", "detail"))
        return Refusal(problem["code"], problem.get("hint", ""), answer.status_code)


def two_calls(folder: Path, month: str, mapped: int, unmapped: int) -> Path:
    """A month of two calls that cost in proportion to their input tokens: one of a workflow, one of nobody."""
    lines = []
    for number, (alias, tokens) in enumerate([(MAPPED_ALIAS, mapped), (UNKNOWN_ALIAS, unmapped)]):
        start = datetime.fromisoformat(f"{month}-10T12:00:0{number}+00:00").timestamp()
        lines.append(
            {
                "id": f"chatcmpl-{month}-{number}",
                "litellm_call_id": f"{month}-{number}",
                "trace_id": f"{month}-{number}",
                "call_type": "acompletion",
                "status": "success",
                "custom_llm_provider": "openai",
                "startTime": start,
                "endTime": start + 1,
                "response_time": 1.0,
                "model": "openai/gpt-4o",
                "model_group": "gpt-4o",
                "prompt_tokens": tokens,
                "completion_tokens": 0,
                "total_tokens": tokens,
                "response_cost": 0.0,
                "metadata": {
                    "user_api_key_alias": alias,
                    "usage_object": {"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens},
                },
                "response": {"id": f"chatcmpl-{month}-{number}", "model": "gpt-4o-2024-08-06", "object": "chat.completion", "choices": []},
            }
        )
    path = folder / f"{month}.ndjson"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("refusals")
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name in [name for name in os.environ if name.startswith("GOVERNOR_")]:
            patch.delenv(name)
        patch.setenv("GOVERNOR_ALLOW_PRIVATE_ENDPOINTS", "true")
        patch.setenv("GOVERNOR_DEMO_SHADOW_KEY", "test-shadow-key")
        endpoint = stack.enter_context(SimulatedEndpoint(seed=7))
        guide = Guide(folder / "home", Console(stderr=True, quiet=True))
        guide.tokens[ADMIN] = guide.do("init", "--admin", ADMIN)["token"]
        until = (datetime.now(UTC) + timedelta(days=90)).date().isoformat()
        catalog = folder / "catalog.yaml"
        catalog.write_text(catalog_yaml(endpoint.base_url, until))
        guide.do("apply", "-f", str(catalog), person=ADMIN)
        for email in (REQUESTER, OWNER, SECURITY, FINANCE, AUDITOR):
            guide.tokens[email] = guide.do("token", "create", email, person=ADMIN)["token"]
        month = make_month(folder / "month", last_month(datetime.now(UTC)), calls=1600)
        small = [
            two_calls(folder, LOWEST, 949_000, 51_000),
            two_calls(folder, BELOW, 18_999, 1_000),
            two_calls(folder, EXACT, 19_000, 1_000),
        ]
        guide.do("ingest", "litellm", *[str(path) for path in (*month.files, *small)], person=ADMIN)
        client = stack.enter_context(
            TestClient(create_app(load_settings(home=guide.home), with_worker=False), raise_server_exceptions=False)
        )
        made = Scene(guide, client)
        propose(made, "draft")
        for name in ("review", "expired by command", "expired by api"):
            propose(made, name)
            guide.do("change", "shadow", made.ids[name], "--wait", person=REQUESTER if name != "review" else OWNER)
        made.digests["old"] = guide.do("change", "show", made.ids["review"], person=SECURITY)["digest"]
        catalog.write_text(catalog.read_text().replace("latency_target_ms: 3200", "latency_target_ms: 3100"))
        guide.do("apply", "-f", str(catalog), person=ADMIN)
        for name in made.ids:
            made.digests[name] = guide.do("change", "show", made.ids[name], person=SECURITY)["digest"]
        with pytest.MonkeyPatch.context() as brief:
            brief.setenv("GOVERNOR_APPROVAL_DAYS", "0")
            for name in ("expired by command", "expired by api"):
                guide.do("change", "approve", made.ids[name], "--digest", made.digests[name], "--reason", "read", person=OWNER)
        yield made


def propose(scene: Scene, name: str) -> None:
    words = ("--workflow", WORKFLOW, "--candidate", CANDIDATE, "--endpoint", "gateway-shadow", "--sample", "120")
    change = scene.guide.do("change", "propose", *words, "--budget-usd", "5", "--reason", name, person=REQUESTER)
    scene.ids[name] = change["id"]
    scene.digests[name] = change["digest"]


# (the refusal, who, the change, the digest shown, its code)
DECISIONS = [
    ("the requester approves the own change", REQUESTER, "review", "review", "separation_of_duties"),
    ("the author of the evidence approves it", OWNER, "review", "review", "separation_of_duties"),
    ("a digest seen before the workflow changed", SECURITY, "review", "old", "stale_approval"),
    ("a change without evidence", OWNER, "draft", "draft", "missing_evidence"),
    ("a role this change does not ask for", AUDITOR, "review", "review", "role_not_needed"),
]


@pytest.mark.parametrize(("what", "person", "change", "shown", "code"), DECISIONS, ids=[case[0] for case in DECISIONS])
def test_a_decision_is_refused(scene: Scene, what: str, person: str, change: str, shown: str, code: str) -> None:
    number, digest = scene.ids[change], scene.digests[shown]
    told = scene.by_command("change", "approve", number, "--digest", digest, "--reason", what, person=person)
    assert told.code == code
    assert told.hint or code == "role_not_needed"
    answered = scene.by_api("POST", f"/changes/{number}/approve", {"digest": digest, "reason": what}, person)
    assert (answered.code, answered.status) == (code, 409)
    assert scene.guide.do("change", "show", number, person=person)["approvals"] == [], "a refused decision leaves nothing behind"


def test_an_approval_that_ran_out_is_refused_and_the_change_expires(scene: Scene) -> None:
    number, digest = scene.ids["expired by command"], scene.digests["expired by command"]
    told = scene.by_command("change", "approve", number, "--digest", digest, "--reason", "late", person=SECURITY)
    assert told.code == "expired_approval"
    assert scene.guide.do("change", "show", number, person=SECURITY)["state"] == "expired"

    number, digest = scene.ids["expired by api"], scene.digests["expired by api"]
    answered = scene.by_api("POST", f"/changes/{number}/approve", {"digest": digest, "reason": "late"}, SECURITY)
    assert (answered.code, answered.status) == ("expired_approval", 409)
    assert scene.request("GET", f"/changes/{number}", None, SECURITY).json()["state"] == "expired"


# (the refusal, command, method, path, body, who, its code, HTTP status); {name} stands for the id of a change
OTHERS: list[tuple[str, list[str], str, str, dict[str, Any] | None, str, str, int]] = [
    ("cut over in review", ["change", "cutover", "{review}"], "POST", "/changes/{review}/cutover", {}, REQUESTER, "wrong_state", 409),
    ("verify before the cutover", ["change", "verify", "{review}"], "POST", "/changes/{review}/verify", {}, REQUESTER, "wrong_state", 409),
    ("cut over without role", ["change", "cutover", "{review}"], "POST", "/changes/{review}/cutover", {}, AUDITOR, "forbidden", 403),
    ("close without role", ["period", "close", LOWEST], "POST", f"/periods/{LOWEST}/close", None, REQUESTER, "forbidden", 403),
    ("close before it begins", ["period", "close", FUTURE], "POST", f"/periods/{FUTURE}/close", None, FINANCE, "wrong_state", 409),
    ("close no month", ["period", "close", "2026-13"], "POST", "/periods/2026-13/close", None, FINANCE, "invalid", 422),
    ("status of no month", ["period", "status", "2026-13"], "GET", "/periods/2026-13", None, FINANCE, "invalid", 422),
    ("usage of no month", ["usage", "--period", "2026-00"], "GET", "/usage?period=2026-00", None, FINANCE, "invalid", 422),
    ("an unknown change", ["change", "show", "RC-99"], "GET", "/changes/RC-99", None, FINANCE, "not_found", 404),
    ("close at 94.9%", ["period", "close", LOWEST], "POST", f"/periods/{LOWEST}/close", None, FINANCE, "coverage_too_low", 409),
    ("close one token below 95%", ["period", "close", BELOW], "POST", f"/periods/{BELOW}/close", None, FINANCE, "coverage_too_low", 409),
]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "words", "method", "path", "body", "person", "code", "status"),
    OTHERS,
    ids=[case[0].replace("%", " percent") for case in OTHERS],
)
def test_a_verb_is_refused(
    scene: Scene, what: str, words: list[str], method: str, path: str, body: dict[str, Any] | None, person: str, code: str, status: int
) -> None:
    told = scene.by_command(*[word.format(**scene.ids) for word in words], person=person)
    assert told.code == code, what
    answered = scene.by_api(method, path.format(**scene.ids), body, person)
    assert (answered.code, answered.status) == (code, status), what


def test_the_files_of_a_month_that_is_open_are_not_there(scene: Scene) -> None:
    assert scene.by_command("period", "files", BELOW, person=FINANCE).code == "not_found"


def test_the_operator_of_a_home_cannot_decide_or_close(scene: Scene) -> None:
    number, digest = scene.ids["review"], scene.digests["review"]
    for words in (["change", "approve", number, "--digest", digest, "--reason", "r"], ["period", "close", EXACT]):
        code, out, err = scene.command(*words)
        assert (code, out) == (1, "")
        assert err.startswith("error[unauthenticated]: ")


def test_coverage_is_compared_exactly(scene: Scene) -> None:
    for month, percent, enough in ((LOWEST, "94.90", False), (BELOW, "94.99", False), (EXACT, "95.00", True)):
        found = scene.guide.do("period", "status", month, person=FINANCE)
        assert Decimal(found["coverage"]["percent"]) == Decimal(percent), "shown rounded down, so that 95.00 is 95"
        assert found["can_close"] is enough
        assert scene.request("GET", f"/periods/{month}", None, FINANCE).json()["coverage"] == found["coverage"]
    closed = scene.guide.do("period", "close", EXACT, person=FINANCE)
    assert closed["state"] == "closed"
    for month in (LOWEST, BELOW):
        assert scene.guide.do("period", "status", month, person=FINANCE)["state"] == "open", "a refused close leaves the month open"


def test_the_installed_command_ends_with_one_line_and_one(scene: Scene) -> None:
    """The same in a process of its own, where a traceback could not hide."""
    environment = os.environ | {"GOVERNOR_TOKEN": scene.guide.tokens[FINANCE], "GOVERNOR_HOME": str(scene.guide.home)}
    done = subprocess.run(
        [sys.executable, "-c", ENTRY, "period", "close", LOWEST, "--json"], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error[coverage_too_low]: ")
    assert done.stderr.count("\n") == 1
