"""The broker of worker processes.

Owns: middleware a worker needs. Does not own: messages (governor.adapters.broker). Invariants: the outbox retries, the broker does not; no time limit on a job
(its lease is what ends a silent one).
"""

from __future__ import annotations

from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Callbacks, ShutdownNotifications

from governor.adapters.broker import NAMESPACE


def worker_broker(url: str) -> RedisBroker:
    """A broker with only what our actors use."""
    return RedisBroker(url=url, namespace=NAMESPACE, middleware=[Callbacks(), ShutdownNotifications()])  # type: ignore[no-untyped-call]  # the library leaves **parameters untyped
