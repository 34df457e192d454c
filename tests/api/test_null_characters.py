"""U+0000 is text in JSON and in URLs, and none in Postgres: it is refused or found nowhere, never a failure of the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, open_door: Any, new_postgres: Callable[[], str]) -> Iterator[Any]:
    folder: Path = tmp_path_factory.mktemp("nulls")
    with open_door(folder / "home", database_url=new_postgres()) as door:
        yield door


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/v1/changes/a%00b", None),
        ("GET", "/api/v1/changes?workflow=a%00b", None),
        ("GET", "/api/v1/ledger/entries?stream=a%00b", None),
        ("GET", "/api/v1/ledger/entries/a%00b", None),
        ("GET", "/api/v1/golden?workflow=a%00b", None),
        ("GET", "/api/v1/bills/a%00b", None),
        ("GET", "/api/v1/prices?model=a%00b", None),
        ("GET", "/api/v1/tokens?email=a%00b", None),
        ("POST", "/api/v1/people", {"email": "a\x00b@acme.example"}),
        ("POST", "/api/v1/tokens", {"name": "a\x00b"}),
        ("POST", "/api/v1/periods/2026-10/exceptions", {"reason": "a\x00b", "compensating_control": "c"}),
        ("POST", "/api/v1/tokens/a%00b/revoke", None),
        ("POST", "/api/v1/catalog/apply", {"kind": "person", "email": "zoe@acme.example", "name": "a\x00b"}),
    ],
    ids=lambda value: value.replace("%00", "0").rsplit("/", 1)[-1] if isinstance(value, str) else "",
)
def test_a_null_character_is_no_failure(shared: Any, method: str, path: str, body: Any) -> None:
    answer = shared.call(method, path, json=body) if body is not None else shared.call(method, path)
    assert answer.status_code in {404, 422}, answer.text
    assert answer.json()["code"] in {"not_found", "invalid"}
