"""What an ingest of a file would do, before anything is stored: the form, the first calls with their workflow, what would be refused and why.

Owns: the preview as a document. Does not own: formats (connectors), attribution (governor.attribution), detection (payloads.py).
Invariants: reads only; at most MOST records are read, and the answer says when that was not all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from governor.actions.context import Context
from governor.actions.load_catalog import load_timeline
from governor.actions.payloads import DESCRIBE, connector_named, connectors, files_of, payloads_of, recognised
from governor.attribution import SEPARATOR, TAG, attribute, rule_fields, rules_of
from governor.errors import Invalid
from governor.ports import Batch, ReadOptions

SHOWN: Final = 20
MOST: Final = 200_000
_BATCH: Final = 20_000
_COLUMNS: Final = (
    "start_time", "source_kind", "source_instance", "source_record_id", "requested_model", "response_model", "provider", "status", "error_message",
    "input_tokens", "cache_read_tokens", "output_tokens", "usage_source", "cost_amount", "cost_currency", "cost_source", "workflow_id",
)  # fmt: skip


@dataclass
class _Seen:
    calls: int = 0
    spans: int = 0
    rejected: int = 0
    without_usage: int = 0
    without_cost: int = 0
    forms: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, dict[str, Any]] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)
    first: list[dict[str, Any]] = field(default_factory=list)

    @property
    def read(self) -> int:
        return self.calls + self.spans + self.rejected

    def add(self, batch: Batch) -> None:
        self.calls += batch.calls.num_rows
        self.spans += batch.spans.num_rows
        self.rejected += batch.rejected.num_rows
        self.forms.update(batch.calls["source_kind"].to_pylist())
        self.ids.update(batch.calls["record_id"].to_pylist())
        self.without_usage += batch.calls["input_tokens"].null_count
        self.without_cost += batch.calls["cost_amount"].null_count
        self.first += batch.calls.slice(0, SHOWN - len(self.first)).to_pylist()
        for row in batch.rejected.select(["reason", "ingest_row", "ingest_uri"]).to_pylist():
            code = row["reason"].split(":", 1)[0]
            self.reasons[code] += 1
            self.examples.setdefault(code, {"reason": row["reason"], "row": row["ingest_row"], "uri": row["ingest_uri"]})


def preview_source(ctx: Context | None, word: str, connector: str = "auto", *, source: str = "") -> dict[str, Any]:
    """Read `word` (a file, folder, glob or URL) as an ingest would. Without a home (`ctx` None) the workflow is only what the caller claims.

    Raises NotFound for a word that matches nothing, Invalid for a file no connector recognises and for a mapping that is wrong.
    """
    names = files_of([word])
    plan = recognised(names, connectors())[0] if connector == "auto" else {connector: names}
    if not plan:
        raise Invalid(f"no connector recognises {names[0]}", hint=f"name one with --connector, or {DESCRIBE}")
    with TemporaryDirectory() as scratch:
        found = previewed(ctx, _batches(plan, source, Path(scratch)))
    return {
        "file": word,
        "connectors": {name: len(files) for name, files in plan.items()},
        "not_recognised": [name for name in names if not any(name in files for files in plan.values())],
        **found,
    }


def previewed(ctx: Context | None, batches: Iterable[Batch]) -> dict[str, Any]:
    """What these batches of a connector hold, up to MOST records."""
    seen, complete = _Seen(), True
    for batch in batches:
        if seen.read >= MOST:
            complete = False
            break
        seen.add(batch)
    return {
        "forms": dict(seen.forms.most_common()),
        "complete": complete,
        "records": seen.read,
        "calls": seen.calls,
        "repeated_ids": seen.calls - len(seen.ids),
        "without_usage": seen.without_usage,
        "without_cost": seen.without_cost,
        "other_spans": seen.spans,
        "rejected": seen.rejected,
        "reasons": [{"code": code, "records": count, "example": seen.examples[code]} for code, count in seen.reasons.most_common()],
        "attribution": "rules of the catalog" if ctx else "no home: only what the caller claims",
        "first": _placed(ctx, seen.first),
    }


def _batches(plan: Mapping[str, list[str]], source: str, scratch: Path) -> Iterator[Batch]:
    for name, files in plan.items():
        options = ReadOptions(source_instance=source or name, with_content=False, batch_rows=_BATCH)
        yield from connector_named(name).read(payloads_of(files, scratch), options)


def _placed(ctx: Context | None, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each call with the workflow and owner that the rules in force when it started give it, and which rule said so."""
    if not rows:
        return []
    times = [row["start_time"] for row in rows]
    timeline = load_timeline(ctx, min(times), max(times) + timedelta(microseconds=1)) if ctx else None
    found = []
    for row in rows:
        one = {name: row[name] for name in _COLUMNS}
        one |= {
            "start_time": row["start_time"].isoformat(),
            "cost_amount": None if row["cost_amount"] is None else f"{row['cost_amount'].normalize():f}",
        }
        one |= {
            "claimed_workflow": one.pop("workflow_id"),
            "workflow": None,
            "owner": None,
            "rule": None,
            "trust": None,
            "reason": "no home: no rules",
        }
        if timeline:
            catalog = timeline.at(row["start_time"])
            rules = rules_of(catalog)
            said = attribute(rules, [{name: _value(row, name) for name in rule_fields(rules)}])[0]
            workflow = catalog.workflows.get(said.workflow_id or "")
            one |= {"workflow": said.workflow_id, "rule": said.rule_id, "trust": said.trust, "reason": said.reason}
            one["owner"] = workflow.owner if workflow else None
        found.append(one)
    return found


def _value(row: Mapping[str, Any], name: str) -> str | None:
    """What an attribution rule's field is in a call."""
    if name.startswith("metadata."):
        value = dict(row["metadata"] or ()).get(name.removeprefix("metadata."))
    else:
        value = row.get({TAG: "tags", "source": "source_instance"}.get(name, name))
    if isinstance(value, list):
        return SEPARATOR.join(value)
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)
