"""A whole `ingest` of LiteLLM JSONL with nothing of the content kept, with prompts and answers in full, and with raw records archived as well.

The file is that of test_ingest_bench.py (GOVERNOR_BENCH_MB, default 400; every record with a text of its own, so that nothing is the same body twice).
Against DuckDB's read_json of the same declared columns, bodies and the whole line included, written as Parquet with zstd in the same run. Everything is
counted from the file to the last commit: encryption, synced packs, index, lake and ledger. The best of GOVERNOR_BENCH_RUNS (3). Nothing is asserted about time;
seconds of processor are printed too, which a machine that others use as well changes less.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow.parquet as pq
import pytest
from test_ingest_bench import make, sql_type

from connectors.litellm.shapes import PAYLOAD
from governor.actions.apply import apply
from governor.actions.context import OPERATOR, open_context
from governor.actions.ingest import ingest
from governor.actions.people import authenticate, create_first_admin
from governor.catalog import parse_documents
from governor.settings import load_settings
from governor.store.rows.people import Organization

MODES = {
    "nothing kept": "kind: organization\ncontent_capture: {confidential: off}\n",
    "hashed (the default)": "",
    "content in full": "kind: organization\ncontent_capture: {confidential: full}\n",
    "content in full and raw archive": "kind: organization\ncontent_capture: {confidential: full}\narchive: full\n",
}


def own_texts(path: Path, size: int) -> tuple[Path, int]:
    """The bench's file with a different prompt in each record: words of a small vocabulary, which compress as prose does."""
    make(path, size)
    words = [
        "claim",
        "notice",
        "water",
        "damage",
        "the",
        "of",
        "in",
        "kitchen",
        "policy",
        "holder",
        "says",
        "that",
        "pipe",
        "burst",
        "on",
        "Monday",
    ]
    target, count = path.with_suffix(".own"), 0
    with path.open() as lines, target.open("w") as out:
        for line in lines:
            record, seed = json.loads(line), hashlib.shake_128(str(count).encode()).digest(800)
            record["messages"] = [
                {"role": "user", "content": " ".join(f"{words[byte & 15]}{byte >> 4 if byte > 200 else ''}" for byte in seed)}
            ]
            out.write(json.dumps(record) + "\n")
            count += 1
    path.unlink()
    return target, count


@pytest.mark.bench
def test_content_and_raw_archive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, records = own_texts(tmp_path / "generic_api.jsonl", int(os.environ.get("GOVERNOR_BENCH_MB", "400")) << 20)
    size, runs = path.stat().st_size / 1e6, int(os.environ.get("GOVERNOR_BENCH_RUNS", "3"))

    def governed(document: str) -> tuple[float, float, int]:
        with TemporaryDirectory(dir=tmp_path) as home:
            ctx = open_context(load_settings(home=Path(home)), create=True)
            try:
                with ctx.transaction(OPERATOR) as tx:
                    tx.session.add(Organization(id=ctx.org, name=ctx.org, created_at=tx.now))
                if document:
                    admin = authenticate(ctx, create_first_admin(ctx, email="admin@acme.example") or "")
                    apply(ctx, admin, parse_documents(document))
                ctx.lake.snapshot_id()
                start, busy = time.perf_counter(), time.process_time()
                counts = ingest(ctx, OPERATOR, "litellm", [str(path)])
                took, busy = time.perf_counter() - start, time.process_time() - busy
                assert counts["stored"] == records
                held = sum(file.stat().st_size for file in (Path(home) / "content").rglob("*") if file.is_file())
            finally:
                ctx.close()
        return took, busy, held

    def theirs(source: str) -> tuple[float, float]:
        with duckdb.connect() as engine:
            target = tmp_path / "theirs.parquet"
            engine.execute("SET enable_progress_bar = false")
            start, busy = time.perf_counter(), time.process_time()
            engine.execute(f"COPY (SELECT * FROM {source}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
            took, busy = time.perf_counter() - start, time.process_time() - busy
            assert pq.read_metadata(target).num_rows == records
        return took, busy

    declared = PAYLOAD | {"messages": "JSON", "response": "JSON"}
    whole = "{" + ", ".join(f"\"{name}\": '{sql_type(part)}'" for name, part in declared.items()) + "}"
    baselines = {
        "auto schema": f"read_json('{path}')",
        "same shape declared": f"read_json('{path}', columns = {whole})",
        "same shape and the raw line": f"read_json('{path}', columns = {whole}) POSITIONAL JOIN read_csv('{path}', columns = {{'line': 'VARCHAR'}}, "
        "delim = '\\0', quote = '', escape = '', header = false, max_line_size = 16777216)",
    }
    bases, found = dict[str, list[tuple[float, float]]](), dict[str, list[tuple[float, float, int]]]()
    for _ in range(runs):  # side by side, so that a busy minute of the machine is everybody's
        for name, source in baselines.items():
            bases.setdefault(name, []).append(theirs(source))
        for name, document in MODES.items():
            found.setdefault(name, []).append(governed(document))
    least = {name: (min(one[0] for one in several), min(one[1] for one in several)) for name, several in bases.items()}
    with capsys.disabled():
        said = ", ".join(f"{name} {took:.2f} s ({busy:.2f} s of processor)" for name, (took, busy) in least.items())
        print(f"\n{size:.0f} MB, {records} records. DuckDB: {said}")  # noqa: T201
        for name, several in found.items():
            took, busy, held = min(one[0] for one in several), min(one[1] for one in several), several[0][2]
            ratios = ", ".join(f"{base[0] / took:.2f} ({base[1] / busy:.2f} by processor) of {what}" for what, base in least.items())
            print(  # noqa: T201
                f"  {name}: {took:.2f} s ({busy:.2f} s of processor), {size / took:.0f} MB/s, {records / took:.0f} records/s, "
                f"{held / 1e6:.0f} MB of content; ratio {ratios}"
            )
