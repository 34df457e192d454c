"""A lake whose files are in an object store, and one that keeps silent."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from governor.errors import Misconfigured, StoreAway
from governor.store import lake_attach, lake_pause
from governor.store.lake import Lake

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An S3 server with the bucket `lake`."""
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "ENDPOINT_URL": f"http://{host}:{port}",
        "ACCESS_KEY_ID": "test",
        "SECRET_ACCESS_KEY": "test",
        "REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    pytest.importorskip("boto3").client("s3", endpoint_url=f"http://{host}:{port}").create_bucket(Bucket="lake")
    yield server
    server.stop()


def test_calls_live_on_an_object_store(
    tmp_path: Path, postgres: str, objects: Any, make_call: Callable[..., Any], make_batch: Callable[..., Any]
) -> None:
    lake = Lake(postgres, "s3://lake/governor", "on-s3", lock_dir=tmp_path)
    assert lake.ingest("b1", [make_batch(make_call("a"))], NOW).stored == 1
    assert lake.calls().num_rows == 1
    lake.close()
    with pytest.raises(Misconfigured, match="it began in s3://lake/governor/"):
        Lake(postgres, "s3://lake/other", "on-s3", lock_dir=tmp_path).totals()
    host, port = objects.get_host_and_port()
    found = pytest.importorskip("boto3").client("s3", endpoint_url=f"http://{host}:{port}").list_objects_v2(Bucket="lake")["Contents"]
    assert any(one["Key"].startswith(f"governor/{lake.place.schema.removeprefix('lake_')}/") for one in found)


def test_an_object_store_that_keeps_silent_is_left_alone(
    tmp_path: Path,
    postgres: str,
    objects: Any,
    monkeypatch: pytest.MonkeyPatch,
    make_call: Callable[..., Any],
    make_batch: Callable[..., Any],
) -> None:
    """Each reader would wait for it with a thread, and a server has some forty."""
    assert (lake_attach.SILENT_SECONDS, lake_attach.RETRIES) == (10, 1)
    for module, name, value in (
        (lake_attach, "SILENT_SECONDS", 1),
        (lake_attach, "RETRIES", 0),
        (lake_pause, "SILENT_SECONDS", 0.5),
        (lake_pause, "PAUSE_SECONDS", 1.0),
    ):
        monkeypatch.setattr(module, name, value)
    lake = Lake(postgres, "s3://lake/governor", "silent", lock_dir=tmp_path)
    lake.ingest("b1", [make_batch(make_call("a"))], NOW)
    address = objects.get_host_and_port()
    objects.stop()
    with socket.create_server(address):  # the kernel takes connections, and nobody answers
        with pytest.raises(StoreAway, match="Timeout"):
            lake.calls()
        for _ in range(50):  # one after the other: none waits
            with pytest.raises(StoreAway, match="kept silent"):
                lake.calls()
        time.sleep(1.1)
        began = time.monotonic()
        with pytest.raises(StoreAway, match="Timeout"):  # one looks again
            lake.calls()
        assert time.monotonic() - began < 5
    objects._port = address[1]
    objects.start()
    with pytest.raises(StoreAway, match="kept silent"):
        lake.calls()
    time.sleep(1.1)
    assert lake.calls().num_rows == 1
    lake.close()
