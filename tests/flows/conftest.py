"""The same flows on two kinds of installation: embedded (SQLite, worker thread) and shared (real Postgres and a Redis-compatible server)."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from rich.console import Console

from governor.demo.guide import Guide
from governor.demo.simulated_endpoint import SimulatedEndpoint

ADMIN = "admin@acme.example"


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
            url = request.getfixturevalue("new_postgres")()
            patch.setenv("GOVERNOR_DATABASE_URL", url)
            patch.setenv("GOVERNOR_LAKE_CATALOG", url)
            patch.setenv("GOVERNOR_BROKER_URL", request.getfixturevalue("broker_url"))
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
