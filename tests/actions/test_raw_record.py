"""The raw archive: opt-in, byte for byte, only where content may be kept in full, read by security, gone with an erasure and with its time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.langfuse import connector as langfuse
from connectors.otlp import connector as otlp
from governor.actions.context import OPERATOR, Context
from governor.actions.erase import erase, erase_expired
from governor.actions.ingest import ingest, ingest_payloads
from governor.actions.push import push
from governor.actions.raw_record import raw_record
from governor.errors import Forbidden, NotFound, Unauthenticated
from governor.ports import Payload

FIXTURES = Path(__file__).parents[1] / "connectors/fixtures"
RECORD = json.loads((FIXTURES / "litellm_generic_api.jsonl").read_text().splitlines()[0])
WORKFLOWS = "\n---\n".join(
    f"kind: workflow\nid: {mode}\nowner: dana@acme.example\ncontent_capture: {mode}\ncontent_retention_days: 30\nmatch: [{{metadata.workflow: {mode}}}]"
    for mode in ("full", "redacted", "hashed")
)
ARCHIVED = "kind: source\nid: litellm\nconnector: litellm\narchive: full\n"


@pytest.fixture
def ctx(world: Any) -> Context:
    world.now = datetime(2026, 11, 22, tzinfo=UTC)
    world.apply(WORKFLOWS)
    found: Context = world.ctx
    return found


def line(number: int, workflow: str, text: str = "") -> bytes:
    one = json.loads(
        json.dumps(RECORD).replace(RECORD["id"], f"{RECORD['id']}{number}").replace(RECORD["litellm_call_id"], f"call-{workflow}-{number}")
    )
    one["metadata"]["spend_logs_metadata"] = {"workflow": workflow}
    one["messages"] = [{"role": "user", "content": text or f"Zürich \u2603 {number}"}]
    return json.dumps(one, ensure_ascii=False, indent=None, separators=(", ", " : ")).encode()  # spacing of its own, to be kept


def bring(ctx: Context, tmp_path: Path, lines: Sequence[bytes], end: bytes = b"\n") -> None:
    path = tmp_path / "records.jsonl"
    path.write_bytes(b"".join(one + end for one in lines))
    assert ingest(ctx, OPERATOR, "litellm", [str(path)])["stored"] == len(lines)


def rows(ctx: Context) -> dict[str, dict[str, Any]]:
    columns = ["record_id", "call_group_id", "raw_ref", "raw_sha256", "input_sha256"]
    return {row["call_group_id"]: row for row in ctx.lake.calls(columns=columns).to_pylist()}


def test_off_by_default(ctx: Context, world: Any, tmp_path: Path) -> None:
    bring(ctx, tmp_path, [line(0, "full")])
    [row] = rows(ctx).values()
    assert row["raw_ref"] is None
    with pytest.raises(NotFound, match="not archived"):
        raw_record(ctx, world.person("sol"), row["record_id"])


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_bytes_come_back_as_they_were_received(ctx: Context, world: Any, tmp_path: Path, end: bytes) -> None:
    world.apply(ARCHIVED)
    lines = [line(number, "full") for number in range(5)]
    bring(ctx, tmp_path, lines, end)
    found = rows(ctx)
    for number, sent in enumerate(lines):
        row = found[f"call-full-{number}"]
        got = raw_record(ctx, world.person("sol"), row["record_id"])
        assert got.body == sent
        assert row["raw_ref"] == row["raw_sha256"] == got.sha256 == hashlib.sha256(sent).hexdigest()
        assert (got.matches, got.row) == (True, number)


def test_a_record_is_archived_only_where_its_content_may_be_kept_in_full(ctx: Context, world: Any, tmp_path: Path) -> None:
    world.apply("kind: organization\narchive: full\n")
    modes = ("full", "redacted", "hashed", "nobody", "full")
    bring(ctx, tmp_path, [line(number, mode, "ssn 078-05-1120") for number, mode in enumerate(modes)])
    archived = {name for name, row in rows(ctx).items() if row["raw_ref"] is not None}
    assert archived == {"call-full-0", "call-full-4"}


def test_the_sources_own_word_wins(ctx: Context, world: Any, tmp_path: Path) -> None:
    world.apply("kind: organization\narchive: full\n---\nkind: source\nid: litellm\nconnector: litellm\narchive: off\n")
    bring(ctx, tmp_path, [line(0, "full")])
    assert rows(ctx)["call-full-0"]["raw_ref"] is None


def test_a_pushed_record_is_archived_too(ctx: Context, world: Any) -> None:
    world.apply(ARCHIVED)
    first, second = line(0, "full"), line(1, "full")
    assert push(ctx, OPERATOR, "litellm", b"[" + first + b",\n " + second + b"]", "application/json")["stored"] == 2
    assert raw_record(ctx, world.person("sol"), rows(ctx)["call-full-1"]["record_id"]).body == second


def test_a_document_of_several_calls_is_one_body_unless_one_of_them_may_not_be_kept(ctx: Context, world: Any) -> None:
    """Langfuse answers pages; a page holds what each of its calls says."""
    world.apply("kind: organization\narchive: full\n")

    def page(name: str, *workflows: str) -> bytes:
        observations = [
            {
                "id": f"{name}-{number}",
                "traceId": f"t-{name}-{number}",
                "type": "GENERATION",
                "startTime": "2026-11-20T10:00:00.000Z",
                "endTime": "2026-11-20T10:00:01.000Z",
                "model": "gpt-4o",
                "input": [{"role": "user", "content": f"{name} {number}"}],
                "output": {"role": "assistant", "content": "ok"},
                "usageDetails": {"input": 3, "output": 1, "total": 4},
                "metadata": {"workflow": workflow},
            }
            for number, workflow in enumerate(workflows)
        ]
        return json.dumps({"data": observations, "meta": {"page": 1}}).encode()

    good, mixed = page("good", "full", "full"), page("mixed", "full", "hashed")
    for number, body in enumerate((good, mixed)):
        assert ingest_payloads(ctx, OPERATOR, langfuse, [Payload(f"page-{number}", body=body)], source="langfuse").stored == 2
    found = ctx.lake.calls(columns=["source_record_id", "raw_ref", "record_id"]).to_pylist()
    of = {row["source_record_id"]: row for row in found}
    references = {name: row["raw_ref"] for name, row in of.items()}
    assert {references[name] for name in references if "good" in name} == {hashlib.sha256(good).hexdigest()}
    assert {references[name] for name in references if "mixed" in name} == {None}
    [one] = [row for name, row in of.items() if "good-0" in name]
    assert not raw_record(ctx, world.person("sol"), one["record_id"]).matches


def test_a_span_is_archived_as_its_digest_is_taken(ctx: Context, world: Any) -> None:
    world.apply("kind: organization\narchive: full\ncontent_capture: {confidential: full}\n")
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 3,
    }
    span = {
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": "eee19b7ec3c1b174",
        "name": "chat gpt-4o",
        "startTimeUnixNano": "1795168800000000000",
        "endTimeUnixNano": "1795168801000000000",
        "attributes": [
            {"key": key, "value": {"intValue": value} if isinstance(value, int) else {"stringValue": value}}
            for key, value in attributes.items()
        ],
    }
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
    assert ingest_payloads(ctx, OPERATOR, otlp, [Payload("push", body=body, content_type="application/json")], source="otlp").stored == 1
    [row] = ctx.lake.calls(columns=["record_id", "raw_ref", "raw_sha256"]).to_pylist()
    assert row["raw_ref"] == row["raw_sha256"]
    assert b"gen_ai.request.model" in raw_record(ctx, world.person("sol"), row["record_id"]).body


def test_only_security_reads_it(ctx: Context, world: Any, tmp_path: Path) -> None:
    world.apply(ARCHIVED)
    bring(ctx, tmp_path, [line(0, "full")])
    record_id = rows(ctx)["call-full-0"]["record_id"]
    for name in ("rae", "dana", "finn", "ada"):
        with pytest.raises(Forbidden):
            raw_record(ctx, world.person(name), record_id)
    with pytest.raises(Unauthenticated):
        raw_record(ctx, OPERATOR, record_id)
    with pytest.raises(NotFound):
        raw_record(ctx, world.person("sol"), "0" * 64)


def test_an_erasure_takes_the_record_with_the_bodies(ctx: Context, world: Any, tmp_path: Path) -> None:
    world.apply(ARCHIVED)
    bring(ctx, tmp_path, [line(0, "full"), line(1, "full")])
    found = rows(ctx)
    gone, stays = found["call-full-0"], found["call-full-1"]
    erase(ctx, world.person("sol"), record_ids=[gone["record_id"]], reason="request")
    with pytest.raises(NotFound, match="erased"):
        raw_record(ctx, world.person("sol"), gone["record_id"])
    assert raw_record(ctx, world.person("sol"), stays["record_id"]).body == line(1, "full")
    assert rows(ctx)["call-full-0"]["raw_ref"] == gone["raw_ref"], "the call still says what was there"


def test_a_record_expires_with_its_content(ctx: Context, world: Any, tmp_path: Path) -> None:
    world.apply(ARCHIVED)
    bring(ctx, tmp_path, [line(0, "full")])
    world.later(days=20)
    assert erase_expired(ctx) == 0
    world.later(days=20)
    assert erase_expired(ctx) > 0
    with pytest.raises(NotFound, match="erased"):
        raw_record(ctx, world.person("sol"), rows(ctx)["call-full-0"]["record_id"])
