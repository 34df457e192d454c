"""Ingest through the actions: two commits in order, every file found, bad records tried again, content kept as its workflow allows."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import select

from governor.actions import ingest as ingest_module
from governor.actions.browse_sources import quarantined, sources, tally_quarantined
from governor.actions.context import OPERATOR, Actor, Context
from governor.actions.discard import discard, discard_all
from governor.actions.ingest import complete_batches, ingest
from governor.actions.payloads import connector_named, files_of, payloads_of
from governor.actions.quarantine import retry
from governor.actions.sync import sync
from governor.errors import Forbidden, IntegrityError, Invalid, NotFound, Unavailable, WrongState
from governor.ports import Batch, Payload, ReadOptions
from governor.store.content import ContentStore
from governor.store.rows.ingest import IngestBatch, SourceCursor

FIXTURES = Path(__file__).parents[1] / "connectors/fixtures"
GENERIC = FIXTURES / "litellm_generic_api.jsonl"
SPEND = FIXTURES / "litellm_spend_logs.jsonl"
OTLP = FIXTURES / "otlp_litellm.pb"


def totals(ctx: Context) -> list[dict[str, Any]]:
    sql = """SELECT source_kind, status, cost_bearing, exclusion_reason, count(*) AS calls, sum(input_tokens) AS input, sum(output_tokens) AS output,
        sum(cost_amount) AS cost FROM {calls} GROUP BY ALL ORDER BY ALL"""
    found: list[dict[str, Any]] = ctx.lake.query(sql).to_pylist()
    return found


def test_three_times_the_same_file_is_once(ctx: Context, world: Any) -> None:
    lines = len(GENERIC.read_text().splitlines())
    first = ingest(ctx, OPERATOR, "litellm", [str(GENERIC)])
    assert (first["read"], first["stored"]) == (lines, lines)
    kept = totals(ctx)
    for _ in range(2):
        again = ingest(ctx, OPERATOR, "auto", [str(GENERIC)])
        assert (again["read"], again["stored"], again["duplicates"]) == (lines, 0, lines)
    assert totals(ctx) == kept
    with ctx.rows.session() as session:
        batches = session.exec(select(IngestBatch)).all()
    entries = world.entries("source:ingest")
    assert sorted(entry["payload"]["batch"] for entry in entries) == sorted(batch.id for batch in batches)
    assert [entry["payload"]["stored"] for entry in entries] == [lines, 0, 0]
    assert all(batch.read == batch.stored + batch.duplicates + batch.conflicts + batch.quarantined for batch in batches)


def test_witnesses_in_any_order_give_the_same_view(ctx: Context, world: Any, tmp_path: Path, opening: Callable[[Path], Any]) -> None:
    for path in (GENERIC, SPEND, OTLP):
        ingest(ctx, OPERATOR, "auto", [str(path)])
    with opening(tmp_path / "other") as other:
        for path in (OTLP, SPEND, GENERIC):
            ingest(other, OPERATOR, "auto", [str(path)])
        assert totals(other) == totals(ctx)
    [row] = ctx.lake.query(
        "SELECT count(*) AS rows, count(DISTINCT dup_group_key) AS groups FROM {calls} WHERE cost_bearing AND dup_group_key IS NOT NULL"
    ).to_pylist()
    assert row["rows"] == row["groups"] > 0


def test_folders_globs_and_compressed_files_are_found(ctx: Context, tmp_path: Path) -> None:
    folder = tmp_path / "logs" / "day=1"
    folder.mkdir(parents=True)
    lines = GENERIC.read_bytes().splitlines(keepends=True)
    (folder / "a.jsonl.gz").write_bytes(gzip.compress(b"".join(lines[:10])))
    (folder / "b.jsonl").write_bytes(b"".join(lines[10:]))
    (folder / ".hidden").write_bytes(b"not ours")
    assert ingest(ctx, OPERATOR, "litellm", [str(tmp_path / "logs")])["stored"] == len(lines)
    assert ingest(ctx, OPERATOR, "litellm", [str(folder / "*.gz")])["duplicates"] == 10
    with pytest.raises(NotFound, match=r"nothing\.jsonl"):
        ingest(ctx, OPERATOR, "litellm", [str(folder / "nothing.jsonl")])
    with pytest.raises(NotFound, match="fluentd"):
        ingest(ctx, OPERATOR, "fluentd", [str(folder)])


def test_auto_names_the_file_it_does_not_know(ctx: Context, tmp_path: Path) -> None:
    odd = tmp_path / "odd.bin"
    odd.write_bytes(b"\x00\x01\x02 nothing of ours")
    with pytest.raises(Invalid, match="odd"):
        ingest(ctx, OPERATOR, "auto", [str(odd)])


def test_objects_are_read_from_a_store(ctx: Context, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    moto = pytest.importorskip("moto.server")
    boto3 = pytest.importorskip("boto3")
    server = moto.ThreadedMotoServer(port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for name, value in {
            "ENDPOINT_URL": f"http://{host}:{port}",
            "ACCESS_KEY_ID": "t",
            "SECRET_ACCESS_KEY": "t",
            "REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        client = boto3.client("s3", endpoint_url=f"http://{host}:{port}")
        client.create_bucket(Bucket="logs")
        client.put_object(Bucket="logs", Key="litellm/2026-11-20/a.jsonl", Body=GENERIC.read_bytes())
        url = f"s3://AKIA1:secret-1@logs/litellm?endpoint_override={host}:{port}&scheme=http"
        assert ingest(ctx, OPERATOR, "litellm", [url])["stored"] == len(GENERIC.read_text().splitlines())
        [row] = ctx.lake.query("SELECT DISTINCT ingest_uri FROM {calls}").to_pylist()
        assert row["ingest_uri"] == "s3://logs/litellm/2026-11-20/a.jsonl"
        assert [json.loads(batch["uris"]) for batch in ctx.lake.batches()] == [["s3://logs/litellm"]]  # they are kept, and shown to many
        client.put_object(Bucket="logs", Key="litellm/2026-11-20/b.jsonl", Body=GENERIC.read_bytes())
        listed = payloads_of([url], tmp_path)
        assert next(listed).uri.endswith("a.jsonl")
        client.delete_object(Bucket="logs", Key="litellm/2026-11-20/b.jsonl")
        [gone] = listed
        refused: list[Invalid] = []
        batches = connector_named("litellm").read([gone], ReadOptions("s", refused=refused.append))
        assert ([*batches], [error.message for error in refused]) == (
            [],
            ["s3://logs/litellm/2026-11-20/b.jsonl: No such file or directory"],
        )

        for key in ("odd//1.jsonl", "odd/2 ü#100%.jsonl"):  # a prefix that ended with a slash; a name that is no URI
            client.put_object(Bucket="logs", Key=key, Body=b"{}\n")
        for word in ("s3://logs/odd", "s3://logs/odd/2 ü#100%.jsonl", "s3://logs/odd/2%20%C3%BC%23100%25.jsonl"):
            found = [(payload.uri, payload.fault) for payload in payloads_of([word], tmp_path)]
            assert found[-1] == ("s3://logs/odd/2 ü#100%.jsonl", "")
        [slashes] = [payload for payload in payloads_of(["s3://logs/odd"], tmp_path) if payload.fault]
        assert [*connector_named("litellm").read([slashes], ReadOptions("s", refused=refused.append))] == []
        assert refused[-1].message == "s3://logs/odd//1.jsonl: Empty path component in path logs/odd//1.jsonl"
    finally:
        server.stop()


@pytest.mark.parametrize(
    "said", ["AWS Error ACCESS_DENIED during GetObject operation: ", "AWS Error SERVICE_UNAVAILABLE during GetObject operation: "]
)
def test_an_object_that_is_closed_to_us_stops_no_other_and_a_store_that_is_away_stops_all(
    said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In cold storage, or of another owner: the rest of the prefix was never read."""
    from pyarrow import fs

    class Store:
        def get_file_info(self, asked: Any) -> Any:
            if isinstance(asked, str):
                return fs.FileInfo(asked, fs.FileType.Directory)
            return [fs.FileInfo(f"{asked.base_dir}/{name}", fs.FileType.File) for name in "ab"]

        def open_input_stream(self, path: str, **_: object) -> Any:
            if path.endswith("a"):
                raise OSError(said)
            return io.BytesIO(b"{}\n")

    monkeypatch.setattr(fs, "FileSystem", SimpleNamespace(from_uri=lambda _: (Store(), "logs")))
    read = payloads_of(["s3://logs"], tmp_path)
    if "DENIED" in said:
        assert [(payload.uri, payload.fault) for payload in read] == [("s3://logs/a", said), ("s3://logs/b", "")]
    else:
        with pytest.raises(Invalid, match="cannot read s3://logs/a"):
            list(read)


@pytest.mark.parametrize("connector", ["litellm", "auto"])
@pytest.mark.parametrize("url", ["s3://AKIA1:secret-1@logs/x?color=secret-2", "az://AKIA1:sec/secret-1@logs/x?sig=secret-2"])
def test_a_url_that_cannot_be_read_is_named_without_its_keys(ctx: Context, url: str, connector: str) -> None:
    with pytest.raises(Invalid, match="//logs/x") as found:
        ingest(ctx, OPERATOR, connector, [url])
    assert "secret" not in found.value.message


def test_a_crash_between_the_two_commits_is_completed(ctx: Context, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_args: Any, **_more: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ingest_module, "record_batch", crash)
        with pytest.raises(KeyboardInterrupt):
            ingest(ctx, OPERATOR, "litellm", [str(GENERIC)])
    assert world.entries("source:ingest") == []
    assert complete_batches(ctx) == 1
    with monkeypatch.context() as patched:  # where all are recorded, they are counted and not read: there may be millions
        patched.delattr(ctx.lake.__class__, "batches")
        assert complete_batches(ctx) == 0
    [entry] = world.entries("source:ingest")
    with ctx.rows.session() as session:
        batch = session.exec(select(IngestBatch)).one()
    assert json.loads(batch.uris) == [str(GENERIC)]
    assert (batch.stored, entry["payload"]["stored"]) == (len(GENERIC.read_text().splitlines()),) * 2


@pytest.mark.parametrize("source", ["my gateway", "a/b", "Zürich", "-x", "x" * 101])
def test_a_source_name_that_is_none_is_refused_before_anything_is_stored(ctx: Context, source: str) -> None:
    with pytest.raises(Invalid, match=r"source: .* is no name: letters, digits"):
        ingest(ctx, OPERATOR, "litellm", [str(GENERIC)], source=source)
    assert ctx.lake.batches() == []


def test_batches_whose_source_has_an_odd_name_are_completed_and_stop_no_others(
    ctx: Context, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home where such calls were stored before their names were refused."""
    connector = ingest_module.connector_named("litellm")
    with monkeypatch.context() as patched:
        patched.setattr(ingest_module, "record_batch", lambda *_args, **_more: None)
        for source in ("my gateway", "two", "Zürich/1"):
            ingest_module.ingest_payloads(ctx, OPERATOR, connector, [Payload(uri="g", path=GENERIC)], source=source)
    real = ingest_module.record_batch

    def stumbling(tx: Any, actor: Any, batch: str, info: Any, *args: Any, **more: Any) -> None:
        if info.source == "two":
            raise Invalid("a batch that cannot be recorded")
        real(tx, actor, batch, info, *args, **more)

    with monkeypatch.context() as patched:
        patched.setattr(ingest_module, "record_batch", stumbling)
        assert complete_batches(ctx) == 2
    assert ingest(ctx, OPERATOR, "litellm", [str(GENERIC)])["read"] > 0
    entries = world.entries("source:ingest")
    assert {entry["payload"]["source"] for entry in entries} == {"my gateway", "two", "Zürich/1", "litellm"}
    assert {entry["stream"] for entry in entries} == {"source/my_gateway", "source/two", "source/Z_rich_1", "source/litellm"}


def test_a_token_of_another_source_may_not_ingest(ctx: Context) -> None:
    stranger = Actor(id="x", scopes=frozenset({"ingest:otlp"}))
    with pytest.raises(Forbidden, match="litellm"):
        ingest(ctx, stranger, "litellm", [str(GENERIC)])
    assert ingest(ctx, stranger, "otlp", [str(OTLP)])["stored"] > 0


def test_quarantined_records_are_tried_again(ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jsonl"
    good = GENERIC.read_bytes().splitlines(keepends=True)[0]
    path.write_bytes(good + b"{cut\n")
    for _ in range(2):
        counts = ingest(ctx, OPERATOR, "litellm", [str(path)])
        assert (counts["read"], counts["quarantined"]) == (2, 1)
    [bad] = ctx.lake.quarantine()
    assert ctx.content.unseal(bad["raw"]).startswith(b"{cut")
    with pytest.raises(Invalid, match="name the records"):
        retry(ctx, OPERATOR, [])
    with pytest.raises(NotFound, match="not in quarantine: zzzz"):
        retry(ctx, OPERATOR, [bad["id"], "zzzz"])
    assert retry(ctx, OPERATOR, [bad["id"][:10]])["quarantined"] == 1
    assert len(ctx.lake.quarantine(state=None)) == 1

    repaired = GENERIC.read_bytes().splitlines(keepends=True)[1]
    from connectors.litellm import connector

    real = connector.read

    def mended(_self: Any, _payloads: Any, options: ReadOptions) -> Iterator[Batch]:
        return real([Payload(uri="a.jsonl", body=repaired)], options)

    monkeypatch.setattr(type(connector), "read", mended)
    assert retry(ctx, OPERATOR, [], every=True)["stored"] == 1
    assert ctx.lake.quarantine() == []
    assert [row["state"] for row in ctx.lake.quarantine(state=None)] == ["retried"]


def test_a_record_in_quarantine_is_readable_with_the_key_alone(ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No mode of capture can speak for a record that nobody could read. What earlier versions kept as it came is read and kept once all the same."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"messages": "a sentence of a patient", cut\n')
    with monkeypatch.context() as before:
        before.setattr(ctx.content, "seal", lambda record: record)
        ingest(ctx, OPERATOR, "litellm", [str(path)])
    for name in ("a.jsonl", "b.jsonl", "b.jsonl"):
        (tmp_path / name).write_text(f'{{"messages": "{name[0]} sentence of a patient", cut\n')
        ingest(ctx, OPERATOR, "litellm", [str(tmp_path / name)])
    sealed, plain = sorted(ctx.lake.quarantine(), key=lambda row: str(row["ingest_uri"]), reverse=True)
    assert b"patient" in plain["raw"]
    assert b"patient" not in sealed["raw"]
    assert ctx.content.unseal(sealed["raw"]) == plain["raw"].replace(b'"a ', b'"b ')
    assert [b"patient" in row["raw"].encode() for row in quarantined(ctx)] == [True, True]
    assert retry(ctx, OPERATOR, [], every=True)["quarantined"] == 2
    other = ContentStore(tmp_path / "other", bytes(32))
    with pytest.raises(IntegrityError, match="does not open with this organization's key"):
        other.unseal(sealed["raw"])
    monkeypatch.setattr(ctx.content, "_records", other._records)
    assert "does not open" in quarantined(ctx)[0]["raw"] + quarantined(ctx)[1]["raw"]


def test_sync_moves_the_cursor_with_its_batch(ctx: Context, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world.apply("kind: source\nid: prod\nconnector: litellm\nconfig: {}\n")
    from connectors.litellm import connector

    parts = [GENERIC.read_bytes().splitlines(keepends=True)[part::2] for part in (0, 1)]
    asked: list[str | None] = []

    def fetch(_self: Any, cursor: str | None, options: ReadOptions) -> Iterator[tuple[Batch, str]]:
        asked.append(cursor)
        for number, lines in enumerate(parts):
            if cursor is None or number >= int(cursor):
                [batch] = connector.read([Payload(uri=f"pull:{number}", body=b"".join(lines))], options)
                yield batch, str(number + 1)

    monkeypatch.setattr(type(connector), "fetch", fetch)
    done = sync(ctx, OPERATOR, "prod")
    assert done["prod"]["stored"] == sum(len(lines) for lines in parts)
    with ctx.rows.session() as session:
        assert session.get(SourceCursor, (ctx.org, "prod")).cursor == "2"  # type: ignore[union-attr]
    assert sync(ctx, OPERATOR)["prod"]["read"] == 0
    assert asked == [None, "2"]
    with pytest.raises(NotFound, match="nowhere"):
        sync(ctx, OPERATOR, "nowhere")


def test_content_is_kept_as_the_workflow_allows(ctx: Context, world: Any, tmp_path: Path) -> None:
    """Nothing, the redacted bytes or all of it; calls of no known workflow are treated as confidential and keep a hash."""
    record = json.loads(GENERIC.read_text().splitlines()[0])
    record["messages"] = [{"role": "user", "content": "write to ana@acme.example, card 4111 1111 1111 1111"}]
    path = tmp_path / "one.jsonl"
    modes = {"fnol-off": "off", "fnol-full": "full", "fnol-redacted": "redacted", "unknown": None}
    records = []
    for number, (workflow, mode) in enumerate(modes.items()):
        one = json.loads(
            json.dumps(record).replace(record["id"], f"{record['id']}{number}").replace(record["litellm_call_id"], f"call-{number}")
        )
        one["metadata"]["spend_logs_metadata"] = {"workflow": workflow}
        one["messages"][0]["content"] += f" for {workflow}"
        records.append(one)
        if mode:
            world.apply(
                f"kind: workflow\nid: {workflow}\nowner: dana@acme.example\ncontent_capture: {mode}\nmatch: [{{metadata.workflow: {workflow}}}]\n"
            )
    path.write_text("\n".join(json.dumps(one) for one in records) + "\n")
    assert ingest(ctx, OPERATOR, "litellm", [str(path)])["stored"] == 4
    rows = {dict(row["metadata"])["workflow"]: row for row in ctx.lake.calls().to_pylist()}
    assert (rows["fnol-off"]["content_state"], rows["fnol-off"]["input_sha256"], rows["fnol-off"]["replayable"]) == ("absent", None, False)
    assert b"ana@acme.example" in ctx.content.get(rows["fnol-full"]["input_sha256"])
    body = ctx.content.get(rows["fnol-redacted"]["input_sha256"])
    assert b"ana@" not in body
    assert b"4111" not in body
    assert rows["fnol-redacted"]["content_state"] == "redacted"
    assert (rows["unknown"]["content_state"], rows["unknown"]["replayable"]) == ("hashed", False)
    assert not ctx.content.exists(rows["unknown"]["input_sha256"])
    everything = b"".join(path.read_bytes() for path in (ctx.settings.home / "content").rglob("*") if path.is_file())
    assert b"acme.example" not in everything


def test_bodies_are_asked_for_only_where_something_of_them_may_be_kept(ctx: Context, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    connector = ingest_module.connector_named("litellm")

    def read(payloads: Any, options: ReadOptions) -> Iterator[Batch]:
        asked.append(options.with_content)
        yield from connector.read(payloads, options)

    watched = type("Watched", (), {"name": "litellm", "read": staticmethod(read)})()
    monkeypatch.setattr(ingest_module, "connector_named", lambda _name: watched)
    world.apply("kind: organization\ncontent_capture: {public: off, internal: off, confidential: off, restricted: off}\n")
    counts = ingest(ctx, OPERATOR, "litellm", [str(GENERIC)])
    assert asked == [False]
    assert ctx.lake.query("SELECT count(*) AS calls FROM {calls} WHERE content_state <> 'absent'").to_pylist() == [{"calls": 0}]
    world.apply("kind: workflow\nid: fnol\nowner: dana@acme.example\ncontent_capture: hashed\nmatch: [{metadata.workflow: fnol}]\n")
    assert ingest(ctx, OPERATOR, "litellm", [str(GENERIC)])["duplicates"] == counts["read"]
    assert asked == [False, True]


def test_the_captures_are_all_read(ctx: Context) -> None:
    captures = Path(__file__).parents[2] / "../shared/data/captures/litellm"
    if not captures.is_dir():
        pytest.skip("the captures are not here (../shared/data/captures)")
    assert ingest(ctx, OPERATOR, "litellm", [str(captures / "generic_api/raw")])["stored"] == 261
    assert ingest(ctx, OPERATOR, "auto", [str(captures / "SpendLogs.jsonl")])["stored"] == 256
    assert ingest(ctx, OPERATOR, "otlp", [str(captures / "litellm_otel/raw")])["quarantined"] == 0
    [row] = ctx.lake.query(
        "SELECT count(*) FILTER (status = 'ok') AS ok, sum(input_tokens) FILTER (status = 'ok') AS input FROM {calls} WHERE cost_bearing"
    ).to_pylist()
    assert (row["ok"], row["input"]) == (247, 676179)


@pytest.fixture
def opening(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Any]:
    from contextlib import closing

    from governor.actions.context import open_context
    from governor.settings import load_settings

    def run(home: Path) -> Any:
        shutil.rmtree(home, ignore_errors=True)
        made = open_context(load_settings(home=home), create=True)
        made.now = lambda: datetime(2026, 11, 22, tzinfo=UTC)
        return closing(made)

    return run


def test_two_organizations_share_a_postgres_and_see_nothing_of_each_other(postgres: str, tmp_path: Path) -> None:
    """Rows, ledger, lake catalog and data prefix on shared servers, as a role that row-level security binds."""
    from governor.actions.context import open_context
    from governor.settings import load_settings

    worlds = {}
    for org in ("north", "south"):
        settings = load_settings(
            home=tmp_path / org, org=org, database_url=postgres, lake_catalog=postgres, lake_data=str(tmp_path / "data")
        )
        worlds[org] = open_context(settings, create=True)
        worlds[org].now = lambda: datetime(2026, 11, 22, tzinfo=UTC)
    north, south = worlds["north"], worlds["south"]
    north.rows.check_isolation()
    lines = len(GENERIC.read_text().splitlines())
    assert ingest(north, OPERATOR, "litellm", [str(GENERIC)])["stored"] == lines
    assert (south.lake.totals()["calls"], south.lake.batches(), complete_batches(south)) == (0, [], 0)
    with south.rows.session() as session:
        assert session.exec(select(IngestBatch)).all() == []
    assert ingest(south, OPERATOR, "litellm", [str(GENERIC)])["stored"] == lines
    assert ingest(north, OPERATOR, "litellm", [str(GENERIC)])["duplicates"] == lines
    files = {path.relative_to(tmp_path / "data").parts[0] for path in (tmp_path / "data").rglob("*.parquet")}
    assert len(files) == 2
    for ctx in worlds.values():
        ctx.close()


@pytest.fixture
def bad(ctx: Context, tmp_path: Path) -> list[str]:
    """Ids of two records in quarantine."""
    path = tmp_path / "bad.jsonl"
    path.write_bytes(b"{cut\n{short\n")
    ingest(ctx, OPERATOR, "litellm", [str(path)])
    return sorted(str(row["id"]) for row in ctx.lake.quarantine())


def test_an_auditor_decides_on_no_quarantined_record(ctx: Context, world: Any, bad: list[str]) -> None:
    for act in (lambda: retry(ctx, world.person("ada"), bad), lambda: discard(ctx, world.person("ada"), bad, reason="noise")):
        with pytest.raises(Forbidden, match="you hold auditor"):
            act()
    stranger = Actor(id="x", kind="service", scopes=frozenset({"ingest:otlp"}))
    with pytest.raises(Forbidden, match="litellm"):
        discard(ctx, stranger, bad, reason="noise")
    assert len(ctx.lake.quarantine()) == 2
    assert world.entries("quarantine:discard") == []


def test_a_record_that_can_never_be_read_is_discarded_with_its_reason(ctx: Context, world: Any, bad: list[str]) -> None:
    with pytest.raises(Invalid, match="why"):
        discard(ctx, OPERATOR, bad, reason=" ")
    with pytest.raises(Invalid, match="names 2 records"):
        discard(ctx, OPERATOR, [""], reason="noise")
    with pytest.raises(NotFound, match="zzzz"):
        discard(ctx, OPERATOR, [bad[0], "zzzz"], reason="noise")
    assert discard(ctx, world.person("rae"), [bad[0][:20]], reason=" half a line ") == {"discarded": 1, "already": 0}
    [entry] = world.entries("quarantine:discard")
    assert (entry["payload"]["reason"], entry["payload"]["ids"], entry["payload"]["sources"]) == ("half a line", [bad[0]], ["litellm"])
    assert entry["actor"]["kind"] == "person"
    assert discard(ctx, OPERATOR, [bad[0]], reason="again") == {"discarded": 0, "already": 1}
    assert len(world.entries("quarantine:discard")) == 1
    assert [row["id"] for row in ctx.lake.quarantine()] == [bad[1]]
    [gone] = ctx.lake.quarantine(state="discarded")
    assert ctx.content.unseal(bytes(gone["raw"])).startswith(b"{"), "its bytes stay"
    assert retry(ctx, OPERATOR, [], every=True)["read"] == 1, "what was discarded is not tried again"


def test_a_crash_between_entry_and_state_is_finished_by_doing_it_again(
    ctx: Context, world: Any, bad: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(type(ctx.lake), "decide_quarantine", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            discard(ctx, OPERATOR, bad, reason="noise")
    assert discard(ctx, OPERATOR, bad, reason="noise") == {"discarded": 2, "already": 0}
    assert (len(world.entries("quarantine:discard")), ctx.lake.quarantine()) == (1, [])


def test_all_records_of_a_source_and_a_reason_are_discarded_at_once(
    ctx: Context, world: Any, bad: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "eu.jsonl").write_bytes(b"{cut\n{short\n{again\n")
    ingest(ctx, OPERATOR, "litellm", [str(tmp_path / "eu.jsonl")], source="litellm-eu")
    [code] = {str(row["reason"]).split(":")[0] for row in ctx.lake.quarantine()}
    assert tally_quarantined(ctx, source="litellm-eu", code=code)["records"] == 3
    with pytest.raises(Invalid, match="why"):
        discard_all(ctx, OPERATOR, source="litellm-eu", reason=" ")
    with pytest.raises(Forbidden, match="you hold auditor"):
        discard_all(ctx, world.person("ada"), reason="noise")
    seen = tally_quarantined(ctx, source="litellm-eu", code=code)["mark"]
    discard(ctx, OPERATOR, [str(ctx.lake.quarantine(source="litellm-eu")[0]["id"])], reason="noise")
    with pytest.raises(WrongState, match="2 of them now"):
        discard_all(ctx, OPERATOR, source="litellm-eu", code=code, reason="noise", mark=seen)
    assert discard_all(ctx, OPERATOR, code="no_such_reason", reason="noise") == {"discarded": 0, "left": 0}
    monkeypatch.setattr("governor.actions.quarantine.MOST", 1)
    assert discard_all(ctx, world.person("rae"), source="litellm-eu", code=code, reason="noise") == {"discarded": 1, "left": 1}
    entry = world.entries("quarantine:discard")[-1]["payload"]
    assert (entry["records"], entry["sources"], entry["reason"]) == (1, ["litellm-eu"], "noise")
    assert discard_all(ctx, OPERATOR, source="litellm-eu", reason="noise") == {"discarded": 1, "left": 0}
    assert sorted(str(row["id"]) for row in ctx.lake.quarantine()) == bad, "another source's records stay open"


def test_a_record_that_was_read_is_not_discarded(ctx: Context, world: Any, bad: list[str]) -> None:
    ctx.lake.decide_quarantine([bad[0]], "retried", world.now)
    with pytest.raises(WrongState, match="was read"):
        discard(ctx, OPERATOR, bad, reason="noise")
    assert [row["id"] for row in ctx.lake.quarantine()] == [bad[1]]


def test_a_source_that_fails_keeps_no_other_from_being_pulled(ctx: Context, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as installed:
        installed.setattr("governor.actions.apply.installed", lambda: {"gone": None, "litellm": None})
        world.apply("kind: source\nid: a-gone\nconnector: gone\n---\nkind: source\nid: prod\nconnector: litellm\nconfig: {}\n")
    from connectors.litellm import connector

    def fetch(_self: Any, _cursor: str | None, options: ReadOptions) -> Iterator[tuple[Batch, str]]:
        [batch] = connector.read([Payload(uri="pull:0", body=GENERIC.read_bytes())], options)
        yield batch, "1"

    monkeypatch.setattr(type(connector), "fetch", fetch)
    with pytest.raises(NotFound, match=r"a-gone: no connector 'gone' \(the others were pulled: prod stored [1-9]"):
        sync(ctx, OPERATOR)
    with ctx.rows.session() as session:
        assert session.get(SourceCursor, (ctx.org, "prod")) is not None


def test_a_large_file_is_committed_in_parts(ctx: Context, world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.payloads.FLUSH_BYTES", 1)
    monkeypatch.setattr("connectors.archives.CHUNK", 16 << 10)
    monkeypatch.setattr("connectors.payloads.CHUNK", 16 << 10)
    monkeypatch.setattr(ingest_module, "PART_BYTES", 1)
    lines = GENERIC.read_text().splitlines()
    changed = json.loads(lines[0]) | {"response_cost": 123.0}
    path = tmp_path / "traffic.jsonl"
    path.write_text("\n".join([*lines, lines[3], json.dumps(changed), "{broken", *lines[:5]]))
    seen: list[int] = []
    counts = ingest(ctx, OPERATOR, "litellm", [str(path)], progress=seen.append)
    assert {name: counts[name] for name in ("read", "stored", "duplicates", "conflicts", "quarantined")} == {
        "read": len(lines) + 8,
        "stored": len(lines),
        "duplicates": 6,
        "conflicts": 1,
        "quarantined": 1,
    }
    assert seen == sorted(seen)
    assert seen[-1] == len(lines) + 8
    batches = ctx.lake.batches()
    assert len(batches) > 2
    assert sum(batch["stored"] for batch in batches) == len(lines)
    assert len(world.entries("source:ingest")) == len(batches)
    whole = totals(ctx)
    monkeypatch.undo()
    again = ingest(ctx, OPERATOR, "litellm", [str(path)])
    assert (again["stored"], again["duplicates"], again["conflicts"]) == (0, len(lines) + 6, 1)
    assert totals(ctx) == whole


def test_no_part_is_committed_after_one_that_failed(ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_module, "PART_BYTES", 1)
    monkeypatch.setattr("connectors.payloads.FLUSH_BYTES", 1)
    monkeypatch.setattr("connectors.payloads.CHUNK", 16 << 10)
    store, stored = ctx.lake.store, []

    def failing(batch_id: str, *given: Any, **more: Any) -> Any:
        if len(stored) == 1:
            raise Unavailable("the disk is full")
        stored.append(batch_id)
        return store(batch_id, *given, **more)

    monkeypatch.setattr(ctx.lake, "store", failing)
    with pytest.raises(Unavailable, match="disk is full"):
        ingest(ctx, OPERATOR, "litellm", [str(GENERIC)])
    assert [batch["batch_id"] for batch in ctx.lake.batches()] == stored
    monkeypatch.undo()
    lines = len(GENERIC.read_text().splitlines())
    assert ingest(ctx, OPERATOR, "litellm", [str(GENERIC)])["read"] == lines
    assert ctx.lake.totals()["calls"] == lines


def test_a_large_file_that_ends_badly_leaves_whole_parts(ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_module, "PART_BYTES", 1)
    connector = ingest_module.connector_named("litellm")

    def read(payloads: Any, options: ReadOptions) -> Iterator[Batch]:
        yield from connector.read(payloads, options)
        raise Invalid("the second file cannot be read")

    broken = type("Broken", (), {"name": "litellm", "read": staticmethod(read)})()
    monkeypatch.setattr(ingest_module, "connector_named", lambda _name: broken)
    with pytest.raises(Invalid, match="second file"):
        ingest(ctx, OPERATOR, "litellm", [str(GENERIC)])
    lines = len(GENERIC.read_text().splitlines())
    assert sum(batch["stored"] for batch in ctx.lake.batches()) == lines
    monkeypatch.undo()
    assert ingest(ctx, OPERATOR, "litellm", [str(GENERIC)])["duplicates"] == lines


def test_what_sources_brought_is_added_up_by_the_database(ctx: Context) -> None:
    """A busy gateway has a batch a second: none of them is read to tell how many there are."""
    for _ in range(2):
        ingest(ctx, OPERATOR, "litellm", [str(GENERIC)])
    ingest(ctx, OPERATOR, "litellm", [str(SPEND)], source="database")
    read = []
    event.listen(IngestBatch, "load", lambda target, _context: read.append(target))
    found = {one["id"]: one for one in sources(ctx)}
    assert read == []
    lines = len(GENERIC.read_text().splitlines())
    assert {name: found["litellm"][name] for name in ("batches", "read", "duplicates")} == {
        "batches": 2,
        "read": 2 * lines,
        "duplicates": lines,
    }
    assert (found["database"]["batches"], found["database"]["connector"], found["database"]["last"]) == (
        1,
        "litellm",
        ctx.now().isoformat(),
    )


def test_a_pipe_is_no_file_that_could_not_be_found(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Invalid, match="pipe is no file"):
        files_of([str(tmp_path / "pipe")])


def test_a_call_that_lies_ahead_is_kept_as_it_came_and_read_when_its_time_has_come(ctx: Context, world: Any, tmp_path: Path) -> None:
    line = next(one for one in GENERIC.read_text().splitlines() if json.loads(one)["status"] == "success")
    start = (world.now + timedelta(days=3)).timestamp()
    ahead = json.dumps(json.loads(line) | {"startTime": start, "endTime": start + 1})
    (tmp_path / "ahead.jsonl").write_text(ahead + "\n")
    assert ingest(ctx, OPERATOR, "litellm", [str(tmp_path / "ahead.jsonl")])["quarantined"] == 1
    [held] = ctx.lake.quarantine()
    assert held["reason"].startswith("bad_time: ")
    assert ctx.content.unseal(bytes(held["raw"])).decode() == ahead
    assert retry(ctx, OPERATOR, [], every=True)["quarantined"] == 1
    assert [one["id"] for one in ctx.lake.quarantine(state=None)] == [held["id"]]
    world.later(days=3)
    assert retry(ctx, OPERATOR, [], every=True)["stored"] == 1
    assert ctx.lake.quarantine() == []


def test_a_name_in_another_encoding_is_read(ctx: Context, tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jsonl"))
    shutil.copy(GENERIC, odd)
    assert ingest(ctx, OPERATOR, "auto", [str(odd)])["stored"] > 0
    [row] = ctx.lake.query("SELECT DISTINCT ingest_uri FROM {calls}").to_pylist()
    assert row["ingest_uri"] == f"{tmp_path}/caf\\xe9.jsonl"


def test_a_folder_that_may_not_be_opened_is_no_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open/a.jsonl").write_text("{}\n")
    (tmp_path / "closed").mkdir()
    assert files_of([str(tmp_path)]) == [str(tmp_path / "open/a.jsonl")]
    look = os.scandir

    def refuse(place: Any) -> Any:
        if Path(place).name == "closed":
            raise PermissionError(13, "Permission denied", str(place))
        return look(place)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(Invalid, match="closed: Permission denied"):
        files_of([str(tmp_path)])


def test_an_object_url_that_matches_nothing_says_what_one_is(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("{}\n")
    assert [one.uri for one in payloads_of([f"file://{tmp_path}"], tmp_path)] == [f"file://{tmp_path}/a.jsonl"]
    with pytest.raises(NotFound) as caught:
        list(payloads_of([f"file://{tmp_path}/*.jsonl"], tmp_path))
    assert "no wildcards" in caught.value.hint
