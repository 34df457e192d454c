"""What monitoring scrapes: the numbers behind it, who may read it, and that it answers while the lake does not."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from governor.errors import StoreAway
from governor.store.rows.base import uuid7
from governor.store.rows.jobs import Job

FIXTURE = Path(__file__).parents[1] / "connectors/fixtures/litellm_generic_api.jsonl"


def scraped(door: Any) -> dict[tuple[str, tuple[str, ...]], float]:
    """(name, label values) -> value."""
    answer = door.get("/api/v1/metrics", scope="read")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = text_string_to_metric_families(answer.text)
    return {(sample.name, tuple(sample.labels.values())): sample.value for family in families for sample in family.samples}


def test_records_are_counted_by_source_and_by_what_became_of_them(door: Any) -> None:
    lines = FIXTURE.read_text().splitlines()
    body = "\n".join([*lines, "{broken"])
    for _ in range(2):
        sent = door.post("/ingest/litellm", content=body, headers={"content-type": "application/x-ndjson"})
        assert sent.status_code == 200, sent.text
    found = scraped(door)
    counts = {bucket: found["governor_source_records_total", (bucket, "litellm")] for bucket in ("stored", "duplicates", "quarantined")}
    assert counts == {"stored": len(lines), "duplicates": len(lines), "quarantined": 2}  # each reading counts all that it read
    assert abs(found["governor_source_last_batch_timestamp_seconds", ("litellm",)] - door.ctx.now().timestamp()) < 600
    assert found["governor_spool_bodies", ()] == 0


def test_jobs_that_nobody_does_grow_old_and_what_was_given_up_is_counted(door: Any) -> None:
    now = door.ctx.now()

    def job(state: str, due: timedelta, lease: timedelta | None = None) -> Job:
        until = now + lease if lease else None
        return Job(
            org_id=door.ctx.org, actor="replay", args="{}", dedupe=uuid7(), state=state, available_at=now + due, lease_until=until,
            created_at=now,
        )  # fmt: skip

    with door.ctx.rows.session(write=True) as session:
        session.add(job("waiting", -timedelta(minutes=5)))
        session.add(job("waiting", timedelta(hours=1)))
        session.add(job("running", -timedelta(hours=2), timedelta(minutes=1)))
        session.add(job("failed", -timedelta(days=1)))
    found = scraped(door)
    assert [found["governor_jobs", (state,)] for state in ("waiting", "running", "failed")] == [2, 1, 1]
    assert 300 <= found["governor_jobs_oldest_due_age_seconds", ()] < 900


def test_the_ledger_says_what_no_checkpoint_covers(door: Any) -> None:
    found = scraped(door)
    assert found["governor_ledger_entries", ()] > 0
    assert found["governor_ledger_unsealed_entries", ()] == 0
    assert found["governor_ledger_checkpoint_timestamp_seconds", ()] <= door.ctx.now().timestamp()


def test_requests_are_counted_by_route_and_not_by_address(door: Any) -> None:
    """An address would be a series of its own for each call that somebody looks at."""

    def missed(found: dict[tuple[str, tuple[str, ...]], float]) -> float:
        return found.get(("governor_http_requests_total", ("governor", "GET", "/api/v1/changes/{change_id}", "404")), 0)

    before = missed(scraped(door))
    for name in ("RC-1", "RC-2"):
        assert door.get(f"/api/v1/changes/{name}").status_code == 404
    assert door.client.get("/no/such/page").status_code == 404
    after = scraped(door)
    assert missed(after) - before == 2
    assert not any("RC-1" in value or "such" in value for _, labels in after for value in labels)


def test_it_answers_while_the_lake_does_not(door: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise StoreAway("no answer")

    monkeypatch.setattr(type(door.ctx.lake), "_read", away)
    assert door.get("/api/v1/conflicts").status_code == 503
    assert scraped(door)["governor_ledger_entries", ()] > 0


def test_who_may_read_it(door: Any) -> None:
    assert door.client.get("/api/v1/metrics").status_code == 401
    assert door.get("/api/v1/metrics", scope="ingest:litellm").status_code == 403
