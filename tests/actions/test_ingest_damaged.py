"""Logs of every source with damaged lines, packed and not: the counts add up, each bad record is named, nothing crashes, memory stays bounded.

GOVERNOR_DAMAGE_LINES makes the files longer (default 300 lines a source; one line in a hundred and every kind of damage at least once).
"""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from governor.actions.context import OPERATOR, Context
from governor.actions.ingest import ingest

sys.path.insert(0, str(Path(__file__).parents[1] / "connectors"))
from connector_samples.sample import all_samples

# sources of which a mapping file must be named are read through the mapping connector's own tests
SAMPLES = {name: sample for name, sample in all_samples().items() if sample.connector != "mapping"}
LINES = int(os.environ.get("GOVERNOR_DAMAGE_LINES", "200"))
ENV = {name: value for name, value in os.environ.items() if not name.startswith("GOVERNOR_")}


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where the scalars of a record stand."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [one for key, part in inside for one in leaves(part, (*path, key))] or ([path] if not isinstance(value, (dict, list)) else [])


def put(unit: bytes, chance: random.Random, new: str, wanted: Callable[[Any, Any], bool]) -> bytes:
    """The record with `new`, raw JSON text, in the place of one scalar that is wanted (any scalar where none is)."""
    record = json.loads(unit)
    places = leaves(record)
    chosen = [place for place in places if wanted(place[-1], at(record, place))] or places
    place = chance.choice(chosen)
    at(record, place[:-1])[place[-1]] = "\x01here\x01"
    return json.dumps(record).replace('"\\u0001here\\u0001"', new).encode()


def at(record: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        record = record[key]
    return record


def text(_: Any, value: Any) -> bool:
    return isinstance(value, str)


def number(_: Any, value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def named(key: Any, _: Any) -> bool:
    return "id" in str(key).lower()


def anything(_: Any, __: Any) -> bool:
    return True


DEEP = "[" * 5000 + "]" * 5000
DAMAGE: dict[str, Callable[[bytes, random.Random], list[bytes]]] = {
    "truncated": lambda unit, chance: [unit[: chance.randrange(1, len(unit) - 1)]],
    "beheaded": lambda unit, chance: [unit[chance.randrange(2, len(unit) - 1) :]],
    "two as one": lambda unit, _: [unit + unit],
    "duplicated": lambda unit, _: [unit, unit],
    "no json": lambda _, __: [b"java.lang.OutOfMemoryError: Java heap space"],
    "utf-16": lambda unit, _: [unit.decode().encode("utf-16").replace(b"\n", b" ")],
    "latin-1": lambda unit, chance: [put(unit, chance, '"caf\\u0007"', text).replace(b"\\u0007", b"\xe9")],
    "NUL bytes": lambda unit, chance: [put(unit, chance, '"a\\u0007b"', text).replace(b"\\u0007", b"\x00")],
    "a block of NULs": lambda unit, _: [unit[:50] + b"\x00" * 4096 + unit[50:]],
    "escaped NUL": lambda unit, chance: [put(unit, chance, '"a\\u0000b"', text)],
    "lone surrogate": lambda unit, chance: [put(unit, chance, chance.choice(['"\\ud83d"', '"\\udc00x"', '"x\\ud800"']), text)],
    "long string": lambda unit, chance: [put(unit, chance, '"' + "x" * 65536 + '"', text)],
    "empty id": lambda unit, chance: [put(unit, chance, chance.choice(['""', "null", '" "']), named)],
    "deep nesting": lambda unit, chance: [put(unit, chance, DEEP, anything)],
    "just too deep": lambda unit, chance: [put(unit, chance, DEEP[4100:-4100], anything)],
    "deep objects": lambda unit, chance: [put(unit, chance, '{"a":' * 3000 + "1" + "}" * 3000, anything)],
    "huge integer": lambda unit, chance: [
        put(unit, chance, chance.choice(["9" * 400, "-" + "9" * 30, str(2**63), str(2**64), str(2**127)]), number)
    ],
    "odd number": lambda unit, chance: [put(unit, chance, chance.choice(["1e400", "-1", "-0.0", "1e-400", "NaN", "Infinity", "1.5"]), number)],
    "other type": lambda unit, chance: [put(unit, chance, chance.choice(["[]", "{}", "true", "null", '"12"', "[1,{}]"]), anything)],
    "old clock": lambda unit, _: [skewed(unit, b"1969", b"1")],
    "fast clock": lambda unit, _: [skewed(unit, b"2999", b"9876543210")],
}  # fmt: skip
ENVELOPES = {"bedrock.cloudwatch"}  # what is left of a broken line may hold several records
REFUSED = {"no json", "utf-16", "latin-1", "truncated"}  # whatever the source, these are no records


def skewed(unit: bytes, year: bytes, epoch: bytes) -> bytes:
    return re.sub(rb"\b2026(?=-)", year, re.sub(rb"\b17[0-9]{8}(?=[^0-9]|[0-9]{3}\b)", epoch, unit))


def damaged(units: list[bytes], size: int, chance: random.Random) -> tuple[list[bytes], int]:
    """`size` lines of which one in a hundred, and each kind at least once, is damaged; some change places. And how many cannot be records."""
    lines, refused = [units[number % len(units)] for number in range(size)], 0
    kinds = [*DAMAGE, *chance.choices([*DAMAGE], k=max(0, size // 100 - len(DAMAGE)))]
    for kind, place in zip(kinds, chance.sample(range(size), len(kinds)), strict=True):
        broken = DAMAGE[kind](lines[place], chance)
        assert not any(b"\n" in one for one in broken)
        lines[place] = b"\n".join(broken)
        refused += kind in REFUSED
    for _ in range(size // 100):
        one, other = chance.sample(range(size), 2)
        lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines).split(b"\n"), refused


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_the_counts_of_a_damaged_log_add_up(ctx: Context, tmp_path: Path, name: str) -> None:
    sample = SAMPLES[name]
    units = [unit for unit in sample.units() if b"\n" not in unit]
    lines, refused = damaged(units, LINES, random.Random(name))
    body = b"\n".join(lines) + b"\n"
    (tmp_path / "plain.jsonl").write_bytes(body)
    (tmp_path / "packed.jsonl.gz").write_bytes(gzip.compress(body))
    (tmp_path / "packed.jsonl.zst").write_bytes(zstandard.compress(body))
    first = ingest(ctx, OPERATOR, sample.connector, [str(tmp_path / "plain.jsonl")])
    assert first["read"] == first["stored"] + first["duplicates"] + first["conflicts"] + first["quarantined"]
    assert first["read"] + first["other_spans"] >= len(lines)
    if sample.count == len(units) and name not in ENVELOPES:
        assert first["read"] + first["other_spans"] == len(lines)
    assert first["stored"] >= 1
    bad = ctx.lake.quarantine(limit=10_000)
    assert len(bad) == first["quarantined"] >= refused
    assert all(row["reason"] and row["ingest_uri"] and row["ingest_row"] is not None for row in bad)
    assert {row["ingest_row"] for row in bad if row["reason"].startswith(("invalid", "not_an_object", "bad_request"))} <= set(
        range(len(lines))
    )
    again = ingest(ctx, OPERATOR, sample.connector, [str(tmp_path / f"packed.jsonl.{('gz', 'zst')[len(name) % 2]}")])
    assert (again["read"], again["quarantined"], again["stored"]) == (first["read"], first["quarantined"], 0)


def run(home: Path, *words: str) -> tuple[subprocess.CompletedProcess[str], int]:
    """A command of its own process, and its peak memory in MiB."""
    script = (
        "import re, runpy, sys, atexit\n"  # VmHWM: ru_maxrss of a child begins at what its parent held
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) // 1024\n"
        "atexit.register(lambda: print('PEAK', peak(), file=sys.stderr))\n"
        "sys.argv = ['governor', *sys.argv[1:]]\n"
        "runpy.run_module('governor.cli', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "--home", str(home), *words], check=False, env=ENV, capture_output=True, text=True, timeout=300
    )
    peak = re.search(r"PEAK (\d+)", done.stderr)
    assert peak, done.stderr
    return done, int(peak[1])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bombs") / "home"
    assert run(folder, "init")[0].returncode == 0
    return folder


def bomb(pack: str, path: Path) -> None:
    """2 GiB of one byte in a few kilobytes, behind a good line."""
    good = SAMPLES["litellm.generic_api"].units()[0] + b"\n"
    block = b" " * (1 << 20)
    with (
        path.open("wb") as file,
        gzip.GzipFile(fileobj=file, mode="wb") if pack == "gz" else zstandard.ZstdCompressor().stream_writer(file) as out,
    ):
        out.write(good)
        for _ in range(2048):
            out.write(block)


@pytest.mark.parametrize("pack", ["gz", "zst"])
@pytest.mark.parametrize("how", ["litellm", "auto"])
def test_a_bomb_is_refused_in_little_memory(home: Path, tmp_path: Path, pack: str, how: str) -> None:
    bomb(pack, path := tmp_path / f"log.jsonl.{pack}")
    done, peak = run(home, "ingest", how, str(path), "--json")
    assert done.returncode == 1
    assert re.search(r"unpacks to more than|a record of more than", done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert peak < 1024, f"{peak} MiB"
