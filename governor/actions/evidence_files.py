"""Evidence files of a change: kept once, found again as the ledger names them.

Owns: writing a file whose bytes are not there yet, which files are the evidence now. Does not own: what is in them (replay_evidence.py, review_labels.py).
Invariants: files belong to a run: what its last `change:shadow` entry names by digest, never the file that is newest under a name, because a later run may
find the same bytes again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from sqlmodel import Session, col, select

from governor.evidence import EvidenceItem
from governor.store.rows.changes import EvidenceFile, ShadowRun
from governor.store.rows.ledger import LedgerEntry, LedgerWaiting

LABELS: Final = "labels.jsonl"


def keep_files(session: Session, org: str, change_id: str, items: Iterable[EvidenceItem], now: datetime) -> None:
    """The same bytes under the same name are one row."""
    wanted = list(items)
    query = select(EvidenceFile.name, EvidenceFile.sha256).where(
        EvidenceFile.org_id == org,
        EvidenceFile.change_id == change_id,
        col(EvidenceFile.name).in_([item.name for item in wanted]),
    )
    known = set(session.exec(query))
    for item in wanted:
        if (item.name, item.sha256) not in known:
            session.add(
                EvidenceFile(
                    org_id=org,
                    change_id=change_id,
                    name=item.name,
                    media_type=item.media_type,
                    sha256=item.sha256,
                    body=item.body,
                    created_at=now,
                )
            )


def evidence_files(session: Session, org: str, change_id: str) -> list[EvidenceItem]:
    """The files of the newest run that is done; a file's digest is computed from its bytes."""
    runs = select(ShadowRun).where(ShadowRun.org_id == org, ShadowRun.change_id == change_id, ShadowRun.status == "done")
    run = session.exec(runs.order_by(col(ShadowRun.id).desc())).first()
    named = [] if run is None else named_by_ledger(session, org, run)
    rows = session.exec(
        select(EvidenceFile).where(
            EvidenceFile.org_id == org,
            EvidenceFile.change_id == change_id,
            col(EvidenceFile.sha256).in_([item["sha256"] for item in named]),
        )
    )
    stored = {(row.name, row.sha256): EvidenceItem(row.name, row.media_type, row.body) for row in rows}
    found = [stored[key] for item in named if (key := (item["name"], item["sha256"])) in stored]
    return sorted(found, key=lambda item: item.name)


def named_by_ledger(session: Session, org: str, run: ShadowRun) -> list[dict[str, Any]]:
    """What the run's last `change:shadow` entry names, whether it has its place in the log already or waits for it."""
    for idem in (labelled_idem(run), ended_idem(run)):
        for kind in (LedgerEntry, LedgerWaiting):
            leaf = session.exec(select(kind.leaf).where(kind.org_id == org, kind.idem == idem)).first()
            if leaf is not None:
                return list(json.loads(leaf)["evidence"])
    return []


def ended_idem(run: ShadowRun) -> str:
    return f"change:shadow:{run.id}:{run.status}"


def labelled_idem(run: ShadowRun) -> str:
    """Of the labels that are in the run's evidence now."""
    return f"change:shadow:{run.id}:labelled:{run.evidence_digest}"
