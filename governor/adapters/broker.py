"""Telling a Dramatiq broker on Redis that a job waits in the outbox.

Owns: the message. Does not own: the job (it lives in the outbox and survives any loss here), the workers (spoke `workers`).
Invariants: a message carries ids only; queue and actor have the job's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from governor.errors import Invalid

NAMESPACE = "governor"


@lru_cache(maxsize=4)
def broker_of(url: str) -> RedisBroker:
    """One broker per URL and process. Raises Invalid for another scheme."""
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise Invalid("the broker URL must start with redis:// or rediss://", hint="GOVERNOR_BROKER_URL=redis://host:6379/0")
    return RedisBroker(url=url, namespace=NAMESPACE, middleware=[])  # type: ignore[no-untyped-call]  # the library leaves **parameters untyped


def offer(url: str, org: str, jobs: Sequence[tuple[str, str]]) -> None:
    """Announce jobs (id, actor). Losing or doubling a message is harmless."""
    broker = broker_of(url)
    for job_id, actor in jobs:
        broker.enqueue(dramatiq.Message(queue_name=queue_of(org), actor_name=actor, args=(job_id,), kwargs={}, options={}))


def backlog(url: str, org: str) -> int:
    """Messages that no worker of this organization has fetched. Those that a killed one had fetched lie with the broker for minutes before it gives them
    to another, so the library's own count, which holds them, says nothing of who is told.
    """
    waiting: int = broker_of(url).client.llen(f"{NAMESPACE}:{queue_of(org)}")
    return waiting


def queue_of(org: str) -> str:
    """A queue per organization: a worker process serves one."""
    return f"jobs-{org}"
