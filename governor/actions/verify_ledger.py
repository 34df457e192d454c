"""`ledger verify`, `ledger checkpoint`, `ledger proof`: look at the log without changing what it says."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from governor.actions.anchors import Compared, caveat, compare_all, cosigned
from governor.actions.browse_ledger import find
from governor.actions.context import Context
from governor.actions.key_history import key_chain, log_key
from governor.actions.second_signature import second_problems
from governor.actions.state_rows import state_problems
from governor.errors import NotFound
from governor.ledger.merkle import verify_inclusion
from governor.store import ledger
from governor.store.fsck import Findings, fsck, verify_tail

TAIL: Final = 1_000  # entries that are looked at again every few minutes
log = logging.getLogger(__name__)


def verify_ledger(ctx: Context, *, tail: int | None = None) -> Findings:
    """Recompute hashes, streams and signatures of the whole log and hold state rows to it; or the log's newest `tail` entries alone."""
    with ctx.rows.session() as session:
        key = log_key(session, ctx.org, ctx.keys)
        producers = {one.key_id: one.public_key for one in key_chain(session, ctx.org, ctx.keys, "producer")}
        if tail is None:
            found = fsck(session, ctx.org, key, producers)
            for problem in (*second_problems(session, ctx), *state_problems(session, ctx.org)):
                found.add(problem)
            return found
        return verify_tail(session, ctx.org, key, producers, entries=tail)


@dataclass(frozen=True)
class Verified:
    """What the database says of itself, what is kept outside, and what could not be seen (`blind`, the first line of a report)."""

    findings: Findings
    anchors: list[Compared]
    blind: str

    @property
    def problems(self) -> list[str]:
        return [*self.findings.problems, *(one.problem for one in self.anchors if one.problem)]

    @property
    def ok(self) -> bool:
        return not self.problems

    @property
    def audit_grade(self) -> bool:
        return self.ok and not self.blind

    def document(self) -> dict[str, Any]:
        found = self.findings
        return {
            "ok": self.ok,
            "audit_grade": self.audit_grade,
            "blind": self.blind,
            "size": found.size,
            "checked": found.checked,
            "checkpoints": found.checkpoints,
            "unsealed": found.unsealed,
            "root": found.root,
            "problems": self.problems,
            "anchors": [one.document() for one in self.anchors],
        }


def verify_with_anchors(ctx: Context, *, tail: int | None = None) -> Verified:
    """The log against itself and against every anchor."""
    findings, compared = verify_ledger(ctx, tail=tail), compare_all(ctx)
    return Verified(findings, compared, caveat(compared))


def watch_tail(ctx: Context) -> int:
    """The chore of every few minutes: the newest entries. Returns how many problems it raised the alarm about."""
    return _alarm(verify_ledger(ctx, tail=TAIL).problems)


def watch_whole(ctx: Context) -> int:
    """The chore of every night: all of the log, the rows that name its leaves, and the anchors."""
    return _alarm(verify_with_anchors(ctx).problems)


def _alarm(problems: list[str]) -> int:
    for problem in problems:
        log.error("the ledger does not verify: %s (`governor ledger verify` has it all)", problem)
    return len(problems)


def write_evidence(found: Verified, folder: Path) -> list[Path]:
    """Each contradiction as a file that anybody can check without us (`governor ledger evidence FILE --trust FILE`)."""
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for one in found.anchors:
        for number, evidence in enumerate(one.evidence, 1):
            path = folder / f"{evidence.kind}-{one.name}-{number}.json"
            path.write_text(evidence.text, encoding="utf-8")
            written.append(path)
    return written


def current_checkpoint(ctx: Context) -> str:
    """The newest checkpoint, after sealing whatever is not sealed yet. Raises NotFound while the log is empty."""
    ctx.seal()
    with ctx.rows.session() as session:
        found = ledger.latest_checkpoint(session, ctx.org)
    if found is None:
        raise NotFound("the log is empty", hint="run `governor init`")
    return cosigned(ctx, found.note, found.size)


def prove_entry(ctx: Context, entry: str) -> tuple[bytes, str]:
    """(leaf bytes, tlog-proof text) of an entry named by index or id, under the newest checkpoint.

    Raises IntegrityError rather than hand out a proof that does not lead from those bytes to that checkpoint.
    """
    current_checkpoint(ctx)
    with ctx.rows.session() as session:
        row = find(session, ctx.org, entry)
        newest = ledger.latest_checkpoint(session, ctx.org)
        if newest is None:
            raise NotFound(f"no ledger entry {entry}")
        leaf, proof = ledger.leaf_of(row), ledger.tlog_proof(session, ctx.org, row.idx, newest)
        verify_inclusion(row.idx, newest.size, row.leaf_hash, proof.hashes, newest.root)
    return leaf, replace(proof, checkpoint=cosigned(ctx, newest.note, newest.size)).text
