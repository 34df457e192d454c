"""Ask policy about distinct questions, each once, and remember the answers.

Owns: the decision cache and its key. Does not own: which questions exist (actions/govern.py groups the calls), the engine (a port).
Invariants: the key covers policy revision, data revision, entrypoint and the whole question, so a cached answer is the answer;
an engine that fails refuses (nothing is cached, nothing is allowed).
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from governor.policy.bundle import Bundle, canonical, digest
from governor.policy.catalog_data import catalog_data
from governor.policy.decision import Decision, read_decision
from governor.policy.question import Question
from governor.ports import PolicyEngine

CHUNK = 500  # parameters per SQLite statement


class DecisionCache:
    """Decision documents by key: in memory, and in an SQLite file where a path is given (it may be deleted at any time)."""

    def __init__(self, path: Path | None = None) -> None:
        self._memory: dict[str, Decision] = {}
        self._file = sqlite3.connect(path, timeout=30, isolation_level=None) if path is not None else None
        if self._file is not None:
            self._file.execute("PRAGMA journal_mode=WAL")
            self._file.execute("CREATE TABLE IF NOT EXISTS decision (key TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID")

    def get(self, keys: Iterable[str]) -> dict[str, Decision]:
        """Those that are known."""
        wanted = set(keys)
        if self._file is not None:
            missing = sorted(wanted - self._memory.keys())
            for start in range(0, len(missing), CHUNK):
                part = missing[start : start + CHUNK]
                marks = ",".join("?" * len(part))
                rows = self._file.execute(f"SELECT key, document FROM decision WHERE key IN ({marks})", part)  # noqa: S608 - question marks only
                self._memory.update((key, read_decision(json.loads(document))) for key, document in rows)
        return {key: self._memory[key] for key in wanted if key in self._memory}

    def put(self, found: dict[str, Decision], documents: dict[str, Any]) -> None:
        self._memory.update(found)
        if self._file is not None:
            self._file.execute("BEGIN IMMEDIATE")
            self._file.executemany("INSERT OR REPLACE INTO decision VALUES (?, ?)", [(key, json.dumps(documents[key])) for key in found])
            self._file.execute("COMMIT")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def prepare(engine: PolicyEngine, bundle: Bundle, catalog: Any) -> str:
    """Load the engine with the bundle and this catalog; the returned revision covers both and keys the cache."""
    data = bundle.data_with(catalog_data(catalog))
    engine.load(bundle.modules, data)
    return f"{bundle.revision}.{digest(data)}"


def revisions(engine: PolicyEngine, bundle: Bundle, catalogs: Iterable[Any]) -> list[str]:
    """Of each catalog, with the engine's kind. An engine that cannot take one of them refuses here, even where every answer is known."""
    return [type(engine).__qualname__, *(prepare(engine, bundle, catalog) for catalog in catalogs)]


def judge(
    engine: PolicyEngine, questions: Sequence[Question], path: str = "", *, revision: str = "", cache: DecisionCache | None = None
) -> list[Decision]:
    """One Decision per question, in their order. Questions are asked once each; with `revision` and `cache` only those not yet known.

    Raises governor.errors.PolicyRefused when the engine fails: then none of them is decided.
    """
    if not questions:
        return []
    path = path or questions[0].path
    distinct = list(dict.fromkeys(questions))
    keys = {one: _key(revision, path, one) for one in distinct} if cache is not None and revision else {}
    kept = cache.get(keys.values()) if cache is not None and keys else {}
    known = {one: kept[key] for one, key in keys.items() if key in kept}
    missing = [one for one in distinct if one not in known]
    if missing:
        documents = dict(zip(missing, engine.decide_many(path, [one.document() for one in missing]), strict=True))
        fresh = {one: read_decision(document) for one, document in documents.items()}
        known |= fresh
        if cache is not None and revision:
            # undecided because undefined is not remembered: it is a defect of the policy, not an answer
            lasting = {keys[one]: decision for one, decision in fresh.items() if decision.rules}
            cache.put(lasting, {keys[one]: document for one, document in documents.items()})
    return [known[one] for one in questions]


def _key(revision: str, path: str, question: Question) -> str:
    return hashlib.sha256(canonical([revision, path, question.document()])).hexdigest()
