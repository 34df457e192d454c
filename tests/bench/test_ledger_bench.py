"""The ledger under load, on Postgres and SQLite: receipts, appends of eight clients, sealing, proofs of a large tree, packets. Beside the disk's own fsync."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import statistics
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from governor.actions.context import OPERATOR, Context, open_context
from governor.ledger import merkle
from governor.ledger.entry import EntryDraft
from governor.packets.period import RangeProof
from governor.settings import load_settings
from governor.store import ledger, sequencer
from governor.store.rows.base import uuid7
from governor.store.sequencer import tree_size

pytestmark = pytest.mark.bench
CLIENTS = 8
SECONDS = 6.0
RECEIPTS = 120
WAITING = int(os.environ.get("GOVERNOR_BENCH_WAITING", "100000"))
CHUNK = 4_096
LEAVES = int(os.environ.get("GOVERNOR_BENCH_LEAVES", "1000000"))


@pytest.fixture(params=["postgres", "sqlite"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    url = request.getfixturevalue("postgres") if request.param == "postgres" else None
    found = load_settings(home=tmp_path / "home", database_url=url)
    open_context(found, create=True).close()
    return found


def fsync_ms(folder: Path) -> tuple[float, float]:
    """(p50, p99) of an 8 kB write and fsync, on the disk of the test."""
    times, path = [], folder / "fsync"
    with path.open("wb") as file:
        for _ in range(200):
            start = time.perf_counter()
            file.write(os.urandom(8192))
            file.flush()
            os.fsync(file.fileno())
            times.append((time.perf_counter() - start) * 1000)
    path.unlink()
    return quantiles(times)


def quantiles(times: list[float]) -> tuple[float, float]:
    return statistics.median(times), sorted(times)[int(len(times) * 0.99)]


def draft(ctx: Context, name: str) -> EntryDraft:
    return EntryDraft("source:ingest", f"source/{name.partition('-')[0]}", {"batch": name}, OPERATOR.ledger_ref(), name, ctx.now())


def test_append_to_signed_receipt(settings: Any, tmp_path: Path) -> None:
    ctx, times = open_context(settings), []
    for number in range(RECEIPTS):
        start = time.perf_counter()
        with ctx.transaction(OPERATOR) as tx:
            row = tx.append(draft(ctx, f"a-{number}"))
        idx = row.idx
        with ctx.rows.session() as session:  # the receipt: a proof under a signed checkpoint, verified by whoever asked
            checkpoint = ledger.checkpoint_covering(session, ctx.org, idx)
            proof = ledger.tlog_proof(session, ctx.org, idx, checkpoint)
            [held] = ledger.entries(session, ctx.org, after=idx - 1, limit=1)
            merkle.verify_inclusion(idx, checkpoint.size, held.leaf_hash, proof.hashes, checkpoint.root)
        times.append((time.perf_counter() - start) * 1000)
    p50, p99 = quantiles(times)
    say(settings, tmp_path, f"append -> signed, verified receipt: p50 {p50:.1f} ms, p99 {p99:.1f} ms (targets 50 and 250)")
    ctx.close()
    assert p50 <= 500


def test_durable_appends_of_eight_clients(settings: Any, tmp_path: Path) -> None:
    """Each client is a process; each append is a transaction of its own, committed to disk, sealed like every action."""
    spawn = multiprocessing.get_context("spawn")
    counts = spawn.Queue()
    gate = spawn.Barrier(CLIENTS)
    clients = [spawn.Process(target=client, args=(settings.home, settings.database_url, number, gate, counts)) for number in range(CLIENTS)]
    for one in clients:
        one.start()
    told = [counts.get(timeout=300) for _ in clients]
    for one in clients:
        one.join(60)
    total, p99 = sum(count for count, _ in told), quantiles([took for _, times in told for took in times])
    say(
        settings,
        tmp_path,
        f"{CLIENTS} clients: {total / SECONDS:.0f} durable appends/s, p50 {p99[0]:.1f} ms, p99 {p99[1]:.1f} ms (target 1,000/s)",
    )
    ctx = open_context(settings)
    ctx.seal()
    with ctx.rows.session() as session:
        assert tree_size(session, ctx.org) == total + CLIENTS
    ctx.close()


def client(home: Path, url: str | None, number: int, gate: Any, counts: Any) -> None:
    """Every entry commits in its own transaction; sealing is left to one of them, as a sequencer."""
    ctx = open_context(load_settings(home=home, database_url=url))

    def append(name: str) -> None:
        with ctx.rows.session(write=True) as session:
            ctx.writing(session).append(draft(ctx, name))

    append(f"c{number}-warm")  # what a process loads once is not the rate
    gate.wait(120)
    times, end = [], time.perf_counter() + SECONDS
    while (start := time.perf_counter()) < end:
        append(f"c{number}-{len(times)}")
        times.append((time.perf_counter() - start) * 1000)
        if number == 0:
            ctx.seal()
    counts.put((len(times), times))
    ctx.close()


def test_sealing_many_waiting_entries(settings: Any, tmp_path: Path) -> None:
    """The sequencer's own batch: committed entries of 900 bytes wait; they get leaves, tree nodes and a signed checkpoint.

    On SQLite an append places its entry itself; there the same rows are placed in one transaction, as it would place what it found.
    """
    ctx = open_context(settings)
    make_wait(ctx, WAITING)
    start = time.perf_counter()
    if ctx.rows.embedded:
        with ctx.rows.session(write=True) as session:
            sequencer.place(session, ctx.org)
        ctx.seal()
    else:
        assert len(ctx.seal()) == WAITING
    took = time.perf_counter() - start
    with ctx.rows.session() as session:
        newest = ledger.latest_checkpoint(session, ctx.org)
        assert newest is not None
        assert (newest.size, sequencer.count_waiting(session, ctx.org)) == (WAITING, 0)
        merkle.verify_inclusion(77, WAITING, leaf(77), ledger.inclusion(session, ctx.org, 77, WAITING), newest.root)
    say(settings, tmp_path, f"{WAITING:,} waiting entries placed and signed in {took:.2f} s, {WAITING / took:,.0f}/s (target 10,000)")
    ctx.close()


def make_wait(ctx: Context, count: int) -> None:
    """Waiting rows whose leaf hashes are those of `leaf`; what an entry says is nothing to the sequencer."""
    said = "INSERT INTO ledgerwaiting (org_id, id, type, stream, stream_seq, idem, leaf, leaf_hash, recorded_at)"
    said += " VALUES (:org, :id, 'source:ingest', :stream, :seq, :id, :leaf, :hash, :at)"
    now, body = ctx.now(), b"x" * 900
    with ctx.rows.session(write=True) as session:
        for begin in range(0, count, 5_000):
            numbers = range(begin, min(begin + 5_000, count))
            rows = [
                {"org": ctx.org, "id": uuid7(), "stream": f"source/s{n % 8}", "seq": n // 8 + 1, "leaf": body, "hash": leaf(n), "at": now}
                for n in numbers
            ]
            session.execute(sa.text(said), rows)


def test_proofs_of_a_large_tree(settings: Any, tmp_path: Path) -> None:
    ctx, size = open_context(settings), LEAVES
    begun = time.perf_counter()
    plant(ctx, size)
    built = time.perf_counter() - begun
    ctx.seal()
    singles, ranges = [], []
    with ctx.rows.session() as session:
        newest = ledger.latest_checkpoint(session, ctx.org)
        assert newest is not None
        for number in range(200):
            idx = int.from_bytes(hashlib.sha256(str(number).encode()).digest()[:8], "big") % size
            start = time.perf_counter()
            path = ledger.inclusion(session, ctx.org, idx, size)
            singles.append((time.perf_counter() - start) * 1000)
            session.expunge_all()
            merkle.verify_inclusion(idx, size, leaf(idx), path, newest.root)
        begin = size // 2 - 3_333
        for _ in range(20):
            start = time.perf_counter()
            hashes = ledger.range_proof(session, ctx.org, begin, begin + 10_000, size)
            ranges.append((time.perf_counter() - start) * 1000)
            session.expunge_all()
    weight = len(RangeProof(begin, begin + 10_000, tuple(hashes)).text.encode())
    p50, p99 = quantiles(singles)
    told = f"{size:,} leaves (built in {built:.0f} s): inclusion proof from the database p50 {p50:.2f} ms, p99 {p99:.2f} ms (target 2); "
    say(settings, tmp_path, told + f"range proof of 10,000: {weight:,} bytes (target 2,000), {quantiles(ranges)[0]:.1f} ms")
    ctx.close()
    assert weight <= 2_000


def leaf(idx: int) -> bytes:
    return hashlib.sha256(b"\x00" + idx.to_bytes(8, "big")).digest()


def plant(ctx: Context, size: int) -> None:
    """The tree nodes of `size` made-up leaves behind an empty log, and one entry row at its end: proofs read nothing else.

    Ten million in minutes: on Postgres the table is neither logged nor indexed while it is filled, and whole again before it is read.
    """
    with ctx.rows.session(write=True) as session:
        bind, insert = session.connection(), "INSERT INTO ledgernode (org_id, level, pos, hash) "
        raw = bind.connection.driver_connection
        assert raw is not None
        if not ctx.rows.embedded:
            raw.execute("ALTER TABLE ledgernode SET UNLOGGED")
            raw.execute("ALTER TABLE ledgernode DROP CONSTRAINT ledgernode_pkey")
        for level, first, hashes in complete_nodes(size):
            if ctx.rows.embedded:
                rows = ((ctx.org, level, pos, value) for pos, value in enumerate(hashes, first))
                raw.executemany(insert + "VALUES (?, ?, ?, ?)", rows)
            else:  # COPY is refused under row-level security; one text that Postgres cuts is much cheaper than many parameters
                cut = "SELECT %s, %s, %s + n, substring(%s::bytea FROM n * 32 + 1 FOR 32) FROM generate_series(0, %s) AS n"
                raw.execute(insert + cut, (ctx.org, level, first, b"".join(hashes), len(hashes) - 1), binary=True)
        if not ctx.rows.embedded:
            raw.execute("ALTER TABLE ledgernode ADD PRIMARY KEY (org_id, level, pos)")
        values = {"org": ctx.org, "id": str(uuid.uuid4()), "idx": size - 1, "leaf": b"{}", "hash": leaf(size - 1), "at": ctx.now()}
        said = "INSERT INTO ledgerentry (org_id, id, idx, type, stream, stream_seq, idem, leaf, leaf_hash, recorded_at)"
        said += " VALUES (:org, :id, :idx, 'source:ingest', 'source/z', 1, 'z', :leaf, :hash, :at)"
        session.execute(sa.text(said), values)


def complete_nodes(size: int) -> Iterator[tuple[int, int, list[bytes]]]:
    """(level, first position, hashes) of every complete subtree of `size` made-up leaves, a chunk of leaves at a time."""
    tops: list[bytes] = []
    for start in range(0, size, CHUNK):
        hashes, level = [leaf(idx) for idx in range(start, min(start + CHUNK, size))], 0
        while hashes:
            yield level, start >> level, hashes
            tops += hashes if 1 << level == CHUNK else []
            hashes = [merkle.node_hash(hashes[at], hashes[at + 1]) for at in range(0, len(hashes) - 1, 2)]
            level += 1
    level = CHUNK.bit_length()
    while tops := [merkle.node_hash(tops[at], tops[at + 1]) for at in range(0, len(tops) - 1, 2)]:
        yield level, 0, tops
        level += 1


def say(settings: Any, folder: Path, text: str) -> None:
    p50, p99 = fsync_ms(folder)
    kind = "Postgres" if settings.database_url else "SQLite"
    load = os.getloadavg()[0]
    print(f"\n{kind}: {text}; fsync of this disk p50 {p50:.1f} ms, p99 {p99:.1f} ms, load {load:.1f} on {os.cpu_count()} cores")  # noqa: T201
