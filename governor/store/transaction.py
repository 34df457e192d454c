"""One request or job is one transaction: business rows, at most one ledger entry, and the jobs it wants.

Owns: what may happen inside the transaction. Does not own: opening and committing it (actions/context.py), sealing (store/ledger.py).
Invariants: a second `append` is a programming error; jobs are rows, so they leave only if the transaction commits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session, select

from governor.ledger.canonical import canonical_json
from governor.ledger.entry import EntryDraft
from governor.ports import Signer
from governor.store import ledger, sequencer
from governor.store.ledger import Appended
from governor.store.rows.jobs import Job


class Transaction:
    """Handed to an action by `Context.transaction`; nobody commits in the middle."""

    def __init__(
        self,
        session: Session,
        *,
        org: str,
        now: datetime,
        producer: Signer,
        kept: Callable[[], str] = lambda: "",
        unbroken: Callable[[Session], None] = lambda _: None,
    ) -> None:
        self.session = session
        self.org = org
        self.now = now
        self.entry: Appended | None = None
        self.jobs: list[str] = []
        self._producer = producer
        self._kept = kept
        self._unbroken = unbroken

    def append(self, draft: EntryDraft) -> Appended:
        """Append one ledger entry; the same `idem` returns the entry that is already there. Its `idx` is known once the action is sealed.

        Raises IntegrityError on a ledger that cannot be signed.
        """
        if self.entry is not None:
            raise RuntimeError(f"one transaction appends at most one ledger entry; {self.entry.type} is already in it")
        self.entry = ledger.append(self.session, self.org, draft, self.now, self._producer, kept=self._kept(), unbroken=self._unbroken)
        return self.entry

    def alone(self) -> None:
        """For a verb that must know indices before it commits: nobody else appends until then, and its own entry is placed at once."""
        sequencer.alone(self.session, self.org)

    def enqueue(self, actor: str, args: Mapping[str, Any], *, dedupe: str, available_at: datetime | None = None) -> str:
        """Wish for a job; the same `dedupe` is the same job. Returns the job id."""
        known = self.session.exec(select(Job).where(Job.dedupe == f"{self.org}:{dedupe}")).first()
        if known is not None:
            return known.id
        job = Job(
            org_id=self.org,
            actor=actor,
            args=canonical_json(dict(args)).decode(),
            dedupe=f"{self.org}:{dedupe}",
            available_at=available_at or self.now,
            created_at=self.now,
        )
        self.session.add(job)
        self.session.flush()
        self.jobs.append(job.id)
        return job.id

    def enqueue_again(self, actor: str, args: Mapping[str, Any], *, dedupe: str) -> str:
        """The same wish, by somebody who asks anew: a job that was given up is tried again. What it did so far is kept, so nothing is done twice."""
        job = self.session.get(Job, self.enqueue(actor, args, dedupe=dedupe))
        if job is None:
            raise RuntimeError(f"no job {dedupe}")
        if job.state == "failed":
            job.state, job.attempts, job.failures, job.error, job.available_at, job.finished_at = "waiting", 0, 0, "", self.now, None
            self.session.add(job)
            self.jobs.append(job.id)
        return job.id
