"""The lake stores each call once, keeps what it cannot store, and can be re-read as of any snapshot."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from governor.calls import CALL_SCHEMA
from governor.errors import Invalid, Misconfigured, StoreAway, Unavailable
from governor.ports import Batch
from governor.store import lake_tables
from governor.store.database import libpq
from governor.store.lake import BatchInfo, Counts, Lake
from governor.store.lake_attach import Place, reaching
from governor.store.lake_lock import ingest_lock

NOW = datetime(2026, 11, 21, tzinfo=UTC)
OCTOBER = (datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
Make = Callable[..., Any]


def contents(lake: Lake) -> list[dict[str, Any]]:
    found = lake.calls()
    return found.sort_by("record_id").to_pylist() if found.num_rows else []


def test_the_same_input_three_times_is_stored_once(lake: Lake, make_call: Make, make_batch: Make) -> None:
    calls = [make_call(f"c{number}") for number in range(50)]
    first = lake.ingest("b1", [make_batch(*calls[:30]), make_batch(*calls[30:])], NOW)
    assert first == Counts(read=50, stored=50)
    kept = contents(lake)
    for again in ("b2", "b3"):
        assert lake.ingest(again, [make_batch(*calls)], NOW + timedelta(hours=1)) == Counts(read=50, duplicates=50)
    assert contents(lake) == kept
    assert {row["ingest_batch_id"] for row in kept} == {"b1"}
    assert {row["ingested_at"] for row in kept} == {NOW}


def test_repeats_inside_one_input_are_duplicates(lake: Lake, make_call: Make, make_batch: Make) -> None:
    assert lake.ingest("b1", [make_batch(make_call("a"), make_call("a")), make_batch(make_call("a"))], NOW) == Counts(3, 1, 2)


def test_another_payload_is_a_conflict_and_never_overwrites(lake: Lake, make_call: Make, make_batch: Make) -> None:
    lake.ingest("b1", [make_batch(make_call("a", input_tokens=1))], NOW)
    other = make_call("a", input_tokens=999, raw_sha256="other")
    inside = [make_call("b"), make_call("b", output_tokens=7, raw_sha256="other-b"), make_call("b")]
    assert lake.ingest("b2", [make_batch(other, *inside)], NOW) == Counts(read=4, stored=1, duplicates=1, conflicts=2)
    assert [row["input_tokens"] for row in contents(lake)] == [1, 100]
    kept = [(row["record_id"], row["raw_sha256"], row["stored_raw_sha256"]) for row in lake.conflicts()]
    assert sorted(kept) == [("a", "other", "raw-a"), ("b", "other-b", "raw-b")]
    assert lake.ingest("b3", [make_batch(other)], NOW).conflicts == 1
    assert len(lake.conflicts()) == 2


def test_a_key_is_known_in_whatever_month_it_comes_back(lake: Lake, make_call: Make, make_batch: Make) -> None:
    """A clock that jumped half a year makes a conflict, not a second call."""
    first = make_call("a")
    lake.ingest("b1", [make_batch(first, make_call("b"))], NOW)
    late = first | {"start_time": first["start_time"] - timedelta(days=180), "raw_sha256": "late"}
    assert lake.ingest("b2", [make_batch(late, make_call("c"))], NOW) == Counts(read=2, stored=1, conflicts=1)
    assert lake.ingest("b3", [make_batch(late | {"record_id": "d"})], NOW).stored == 1
    assert [row["record_id"] for row in contents(lake)] == ["a", "b", "c", "d"]


def test_the_same_facts_in_other_bytes_are_a_duplicate(lake: Lake, make_call: Make, make_batch: Make) -> None:
    """Pretty-printed, by another driver, from another file: no conflict, whether stored or in the same input."""
    first = make_call("a", metadata=[("workflow", "fnol")], tags=["x"])
    again = first | {"raw_sha256": "rewritten", "ingest_uri": "other.jsonl", "ingest_row": 9, "source_instance": "elsewhere"}
    assert lake.ingest("b1", [make_batch(first, again)], NOW) == Counts(read=2, stored=1, duplicates=1)
    assert lake.ingest("b2", [make_batch(again)], NOW) == Counts(read=1, duplicates=1)
    assert lake.ingest("b3", [make_batch(again | {"tags": ["y"]})], NOW) == Counts(read=1, conflicts=1)
    assert [row["raw_sha256"] for row in contents(lake)] == ["raw-a"]


def test_every_column_comes_back_as_it_went_in(lake: Lake, make_call: Make, make_batch: Make, tmp_path: Path) -> None:
    odd = make_call(
        "odd",
        cost_amount="0.000000000001",
        tags=["a", "b,c", ""],
        metadata=[("workflow", "fnol"), ("naïve", "ü\n\"'"), ("empty", "")],
        error_message="nul \x00 inside, emoji 🦉",
        finish_reasons=[],
        input_tokens=None,
        http_status=200,
        usage_raw='{"a": 1}',
    )
    from decimal import Decimal

    odd["cost_amount"] = Decimal(odd["cost_amount"])
    lake.ingest("b1", [make_batch(odd)], NOW)
    [row] = contents(lake)
    assert {name: row[name] for name in odd} == odd
    assert {name for name in CALL_SCHEMA.names if row[name] is not None} - odd.keys() == {"ingest_batch_id", "ingested_at"}
    assert lake.export_calls(tmp_path / "out" / "calls.parquet", *OCTOBER) == 1
    exported = pq.read_table(tmp_path / "out" / "calls.parquet")
    assert exported.schema.names == CALL_SCHEMA.names
    assert exported.to_pylist() == [row]
    assert [field.type for field in exported.schema] == [field.type for field in CALL_SCHEMA]


def test_an_export_that_fails_leaves_nothing(lake: Lake, make_call: Make, make_batch: Make, tmp_path: Path) -> None:
    lake.ingest("first", [make_batch(make_call("a"))], NOW)
    for file in (tmp_path / "lake" / "data").rglob("calls/**/*.parquet"):
        file.unlink()
    with pytest.raises(StoreAway):
        lake.export_calls(tmp_path / "out" / "calls.parquet", *OCTOBER)
    assert list((tmp_path / "out").iterdir()) == []


def test_bad_records_are_kept_once_with_their_reason(lake: Lake, make_call: Make, make_batch: Make) -> None:
    bad = {"ingest_uri": "a.jsonl", "ingest_row": 7, "reason": "startTime: missing", "raw": b"{\xff"}
    info = BatchInfo(source="prod", connector="litellm")
    for number in range(3):
        assert lake.ingest(f"b{number}", [make_batch(rejected=[bad])], NOW, info=info) == Counts(read=1, quarantined=1)
    [kept] = lake.quarantine()
    assert {name: kept[name] for name in bad} == bad
    assert (kept["state"], kept["connector"], kept["source"], kept["batch_id"]) == ("open", "litellm", "prod", "b0")
    assert lake.quarantine(ids=[kept["id"][:8]]) == [kept]
    assert lake.ingest("b9", [make_batch(make_call("fixed"))], NOW, resolved=[kept["id"]]).stored == 1
    assert lake.quarantine() == []
    assert [row["state"] for row in lake.quarantine(state=None)] == ["retried"]
    assert lake.decide_quarantine([kept["id"]], "discarded", NOW) == 0


def test_a_bad_record_of_a_file_that_was_renamed_is_kept_once(lake: Lake, make_batch: Make) -> None:
    """A log that is rotated and packed. Lines that look the same in one file are several; of an archive that ends early each file is one."""
    twice = [{"ingest_row": row, "reason": "missing_id: none", "raw": b"{}"} for row in (3, 9)]
    nothing = {"ingest_row": 5, "reason": "truncated: the archive ends early", "raw": b""}
    for number, name in enumerate(("app.log", "app.log.1", "old/app.log.1.gz", "app.log")):
        rejected = [{"ingest_uri": name} | one for one in (*twice, nothing)]
        assert lake.ingest(f"b{number}", [make_batch(rejected=rejected)], NOW, info=BatchInfo(source="prod")).quarantined == 3
    kept = lake.quarantine()
    assert sorted((row["ingest_uri"], row["ingest_row"]) for row in kept) == [
        ("app.log", 3), ("app.log", 5), ("app.log", 9), ("app.log.1", 5), ("old/app.log.1.gz", 5),
    ]  # fmt: skip
    lake.ingest("other", [make_batch(rejected=[{"ingest_uri": "app.log"} | twice[0]])], NOW, info=BatchInfo(source="test"))
    assert sorted(row["source"] for row in lake.quarantine()) == ["prod"] * 5 + ["test"]


def test_a_bad_record_that_was_kept_under_the_name_of_its_file_is_known_again(lake: Lake, make_batch: Make) -> None:
    """As homes of earlier versions hold it."""
    bad = {"ingest_uri": "app.log", "ingest_row": 3, "reason": "missing_id: none", "raw": b"{}"}
    lake.ingest("b0", [make_batch(rejected=[bad])], NOW, info=BatchInfo(source="prod"))
    named = hashlib.sha256(f"{hashlib.sha256(b'{}').hexdigest()}|app.log|3".encode()).hexdigest()
    lake._write(lambda connection: connection.execute("UPDATE lake.quarantine SET id = ?", [named]))
    lake.ingest("b1", [make_batch(rejected=[bad])], NOW, info=BatchInfo(source="prod"))
    assert [row["id"] for row in lake.quarantine()] == [named]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"record_id": None}, "record_id: missing"),
        ({"raw_sha256": None}, "raw_sha256: missing"),
        ({"start_time": None}, "start_time: missing"),
        ({"start_time": datetime(1970, 1, 21, tzinfo=UTC)}, "start_time: 1970-01-21"),
        ({"start_time": NOW + timedelta(days=2)}, "start_time: 2026-11-23"),
        ({"output_tokens": 2**63 - 1}, "tokens: a count that no call can have"),
    ],
)
def test_a_call_that_cannot_be_counted_is_quarantined(
    lake: Lake, make_call: Make, make_batch: Make, change: dict[str, Any], reason: str
) -> None:
    assert lake.ingest("b1", [make_batch(make_call("ok"), make_call("bad") | change)], NOW) == Counts(read=2, stored=1, quarantined=1)
    [kept] = lake.quarantine()
    assert kept["reason"].startswith(reason)
    assert b"litellm.generic_api" in kept["raw"]


def test_structure_spans_are_kept_once_and_not_counted_as_read(lake: Lake, make_batch: Make) -> None:
    span = {"trace_id": "t", "span_id": "s", "name": "workflow", "kind": "workflow", "raw_sha256": "x"}
    assert lake.ingest("b1", [make_batch(spans=[span, span])], NOW) == Counts(other_spans=2)
    assert lake.ingest("b2", [make_batch(spans=[span])], NOW) == Counts(other_spans=1)
    assert lake.totals()["spans"] == 1
    lake.ingest("b3", [make_batch(spans=[span | {"raw_sha256": "y"}])], NOW)
    assert lake.totals()["spans"] == 2, "what its sender says anew is another record"


def test_a_batch_id_answers_the_same_again(lake: Lake, make_call: Make, make_batch: Make) -> None:
    info = BatchInfo(source="prod", connector="litellm", uris=["a"], actor="operator", cursor="42")
    first = lake.ingest("b1", [make_batch(make_call("a"))], NOW, info=info)
    assert lake.ingest("b1", [make_batch(make_call("a"))], NOW, info=info) == first == Counts(1, 1)
    [kept] = lake.batches()
    assert (kept["batch_id"], kept["cursor"], kept["read"], kept["stored"], kept["committed_at"]) == ("b1", "42", 1, 1, NOW)


def test_a_connector_that_fails_midway_leaves_nothing(lake: Lake, make_call: Make, make_batch: Make) -> None:
    def broken() -> Any:
        yield make_batch(make_call("a"))
        raise Invalid("line 2 is cut")

    before = lake.snapshot_id()
    with pytest.raises(Invalid):
        lake.ingest("b1", broken(), NOW)
    assert lake.snapshot_id() == before
    assert lake.ingest("b1", [make_batch(make_call("a"))], NOW).stored == 1


def test_inputs_larger_than_memory_spill_and_leave_no_file(
    lake: Lake, make_call: Make, make_batch: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from governor.store import lake_stage

    monkeypatch.setattr(lake_stage, "SPILL_BYTES", 1000)
    calls = [make_call(f"c{number:02}", tags=[str(number)], metadata=[("n", str(number))]) for number in range(30)]
    assert lake.ingest("b1", [make_batch(*calls[start : start + 7]) for start in range(0, 30, 7)], NOW) == Counts(30, 30)
    assert [row["tags"] for row in contents(lake)] == [[str(number)] for number in range(30)]
    assert list(tmp_path.rglob("*.arrow")) == []


def test_many_small_batches_are_read_as_a_few_long_ones(make_call: Make, make_batch: Make, tmp_path: Path) -> None:
    from governor.store.lake_stage import Stage

    stage = Stage(tmp_path)
    stage.fill([make_batch(*(make_call(f"c{number:02}") for number in range(start, start + 7))) for start in range(0, 70, 7)], NOW)
    found = stage.calls.whole()
    assert found["seq"].to_pylist() == list(range(70))
    assert found["record_id"].to_pylist() == [f"c{number:02}" for number in range(70)]
    assert [len(batch) for batch in found.to_batches()] == [70]
    assert stage.spans.whole().num_rows == 0


def test_a_lake_looks_through_its_columns_once_as_it_opens(lake: Lake) -> None:
    class Counting:
        asked = 0

        def execute(self, *words: Any) -> Any:
            Counting.asked += 1
            return root.execute(*words)

    lake.snapshot_id()
    root = lake._open()
    assert not lake_tables.missing(Counting())  # type: ignore[arg-type]
    assert Counting.asked == 1
    root.execute("ALTER TABLE lake.spans DROP COLUMN span_id")
    assert lake_tables.missing(root)


def test_columns_of_another_shape_are_refused(lake: Lake, make_call: Make, make_batch: Make) -> None:
    good = make_batch(make_call("a"))
    with pytest.raises(Invalid, match="record_id"):
        lake.ingest("b1", [Batch(good.calls.drop(["record_id"]), good.rejected, good.spans, good.content)], NOW)


def test_a_snapshot_can_be_read_for_ever(lake: Lake, make_call: Make, make_batch: Make) -> None:
    lake.ingest("b1", [make_batch(make_call("a", dup_group_key="k", source_kind="otlp.gen_ai"))], NOW)
    then = lake.snapshot_id()
    lake.ingest("b2", [make_batch(make_call("b", dup_group_key="k"), make_call("c"))], NOW)
    lake.compact()
    assert lake.calls(snapshot=then).to_pylist() == lake.calls(["a"], snapshot=then).to_pylist()
    [before] = lake.month_facts(*OCTOBER, snapshot=then).to_pylist()
    assert (before["calls"], before["source_kind"]) == (1, "otlp.gen_ai")
    assert sum(lake.month_facts(*OCTOBER).column("calls").to_pylist()) == 2


def test_compaction_merges_files_and_removes_only_what_no_snapshot_uses(
    lake: Lake, make_call: Make, make_batch: Make, tmp_path: Path
) -> None:
    seen = {}
    for number in range(6):
        kind = ["otlp.gen_ai", "litellm.s3"][number % 2]
        calls = [make_call(f"{number}-{place}", dup_group_key=f"k{place}", source_kind=kind) for place in range(4)]
        lake.ingest(f"b{number}", [make_batch(*calls)], NOW)
        seen[lake.snapshot_id()] = contents(lake)
    files = sorted(tmp_path.rglob("calls/**/*.parquet"))
    orphan = files[0].with_name("left-by-a-killed-ingest.parquet")
    orphan.write_bytes(files[0].read_bytes())
    recent = files[0].with_name("being-written.parquet")
    recent.write_bytes(files[0].read_bytes())
    os.utime(orphan, (0, 0))
    lake.compact()
    assert not orphan.exists()
    assert recent.exists()
    for snapshot, rows in seen.items():
        assert lake.calls(snapshot=snapshot).sort_by("record_id").to_pylist() == rows
    lake._write(lambda connection: connection.execute("CALL ducklake_cleanup_old_files('lake', cleanup_all => true)").fetchall())
    assert len(list(tmp_path.rglob("calls/**/*.parquet"))) < len(files)
    for snapshot, rows in seen.items():
        assert lake.calls(snapshot=snapshot).sort_by("record_id").to_pylist() == rows


def test_listing_pages_through_everything_once(lake: Lake, make_call: Make, make_batch: Make) -> None:
    start = datetime(2026, 10, 5, tzinfo=UTC)
    calls = [
        make_call(f"c{number:02}", start_time=start + timedelta(seconds=number // 3), team_id=f"t{number % 2}") for number in range(20)
    ]
    lake.ingest("b1", [make_batch(*calls)], NOW)
    seen: list[str] = []
    after = None
    while page := lake.calls(limit=6, after=after, newest_first=True, columns=["record_id", "start_time"]).to_pylist():
        seen += [row["record_id"] for row in page]
        after = (page[-1]["start_time"], page[-1]["record_id"])
    assert seen == [f"c{number:02}" for number in reversed(range(20))]
    assert lake.calls(equal={"team_id": "t1"}, start=start, end=start + timedelta(seconds=2)).num_rows == 3
    with pytest.raises(Invalid, match="no column"):
        lake.calls(equal={"1=1; --": "x"})


def test_a_taken_lock_is_reported_in_time(lake: Lake, make_call: Make, make_batch: Make, tmp_path: Path) -> None:
    lake.snapshot_id()
    with ingest_lock(lake.place, tmp_path / "lake"), pytest.raises(Unavailable, match="another process"):
        lake.ingest("b1", [make_batch(make_call("a"))], NOW, patience=0.1)
    assert lake.ingest("b1", [make_batch(make_call("a"))], NOW).stored == 1


def test_a_moved_home_is_still_read(lake: Lake, make_call: Make, make_batch: Make, tmp_path: Path) -> None:
    lake.ingest("b1", [make_batch(make_call("a"))], NOW)
    lake.close()
    moved = tmp_path / "elsewhere"
    (tmp_path / "lake").rename(moved)
    again = Lake(str(moved / "catalog.sqlite"), str(moved / "data"), "default", lock_dir=moved)
    assert again.calls().num_rows == 1
    again.close()


def test_files_that_cannot_be_reached_are_no_defect(lake: Lake, make_call: Make, make_batch: Make, tmp_path: Path) -> None:
    lake.ingest("b1", [make_batch(make_call("a"))], NOW)
    (tmp_path / "lake" / "data").rename(tmp_path / "elsewhere")
    for asked in (lake.calls, lambda: lake.ingest("b2", [make_batch(make_call("b"))], NOW)):
        with pytest.raises(StoreAway, match="cannot be read or written") as caught:
            asked()
        assert "GOVERNOR_LAKE_DATA" in caught.value.hint
        assert str(tmp_path) not in caught.value.abroad
    (tmp_path / "elsewhere").rename(tmp_path / "lake" / "data")
    assert lake.ingest("b2", [make_batch(make_call("b"))], NOW).stored == 1


@pytest.mark.parametrize("password", ["plain-1", "it%27s%20a%23b%5C", "a'b"])
@pytest.mark.parametrize("kind", [duckdb.IOException, duckdb.TransactionException])
def test_no_error_of_a_lake_holds_the_password_of_its_catalog(password: str, kind: type[duckdb.Error]) -> None:
    place = Place(f"postgresql://app:{password}@db.internal/lake", "s3://b/l", "default")
    said = libpq(place.catalog)
    with pytest.raises((StoreAway, kind)) as caught, reaching(place):
        raise kind(f'Unable to connect to Postgres at "{said}": password {unquote(password)} is wrong')
    assert "host=db.internal" in str(caught.value)
    assert "password=***" in str(caught.value)
    assert unquote(password) not in str(caught.value)
    assert said not in str(caught.value)


def test_a_new_lake_does_not_begin_over_the_files_of_another(lake: Lake, make_call: Make, make_batch: Make, tmp_path: Path) -> None:
    """Its housekeeping would delete them."""
    lake.ingest("b1", [make_batch(make_call("a"))], NOW)
    for _ in range(2):
        other = Lake(str(tmp_path / "other" / "catalog.sqlite"), str(tmp_path / "lake" / "data"), "default")
        with pytest.raises(Misconfigured, match="files that this catalog does not know") as caught:
            other.totals()
        assert "prefix of its own" in caught.value.hint
    assert lake.totals()["calls"] == 1
    beside = Lake(str(tmp_path / "other" / "catalog.sqlite"), str(tmp_path / "lake" / "data"), "another")
    assert beside.totals()["calls"] == 0
    beside.close()


def test_an_empty_lake_does_not_move_over_the_files_of_another(lake: Lake, make_call: Make, make_batch: Make, tmp_path: Path) -> None:
    """Its housekeeping would delete them too."""
    lake.ingest("b1", [make_batch(make_call("a"))], NOW)
    catalog = str(tmp_path / "other" / "catalog.sqlite")
    empty = Lake(catalog, str(tmp_path / "other" / "data"), "default")
    assert empty.totals()["calls"] == 0
    empty.close()
    with pytest.raises(Misconfigured, match="files that this catalog does not know"):
        Lake(catalog, str(tmp_path / "lake" / "data"), "default").totals()
    elsewhere = Lake(catalog, str(tmp_path / "elsewhere"), "default")
    assert elsewhere.ingest("b1", [make_batch(make_call("b"))], NOW).stored == 1
    elsewhere.close()
    with pytest.raises(
        Misconfigured, match="the files of this lake are not in"
    ) as caught:  # a process that was not told: it would write beside them
        Lake(catalog, str(tmp_path / "third"), "default").ingest("b2", [make_batch(make_call("c"))], NOW)
    assert "GOVERNOR_LAKE_DATA" in caught.value.hint


def test_new_columns_reach_an_old_lake(lake: Lake, make_call: Make, make_batch: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from governor.store import lake_tables

    lake.ingest("b1", [make_batch(make_call("a"))], NOW)
    lake.close()
    grown = {**lake_tables.TABLES, "batches": lake_tables.BATCH_SCHEMA.append(pa.field("machine", pa.string()))}
    monkeypatch.setattr(lake_tables, "TABLES", grown)
    assert [row["machine"] for row in lake.batches()] == [None]


@pytest.mark.parametrize(("name", "other"), [("[ab]", "a"), ("a?", "ab"), ("a", "b")])
def test_housekeeping_deletes_nothing_of_a_home_whose_path_its_own_would_match(tmp_path: Path, name: str, other: str) -> None:
    def home(called: str) -> Lake:
        return Lake(str(tmp_path / called / "catalog.sqlite"), str(tmp_path / called / "data"), "default")

    with closing(home(name)) as lake:
        strange, own = (Path(lake.place.data_path.replace(f"/{name}/", f"/{called}/")) / "main/calls/x.parquet" for called in (other, name))
        lake.totals()
        for file in (strange, own):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"calls")
            os.utime(file, (0, 0))
        lake.compact()
    assert (strange.exists(), own.exists()) == (True, name != "a")


@pytest.mark.parametrize("signs", ["a*b", "a?b", "a[x]b"])
def test_a_lake_begins_beside_one_that_its_path_would_match(tmp_path: Path, make_call: Make, make_batch: Make, signs: str) -> None:
    for name in ("axb", signs):
        folder = tmp_path / name
        lake = Lake(str(folder / "catalog.sqlite"), str(folder / "data"), "default", lock_dir=folder)
        assert lake.ingest("b1", [make_batch(make_call("a"))], NOW) == Counts(read=1, stored=1)
        assert lake.totals()["calls"] == 1
        lake.close()
