"""A command starts without what other commands need: every press of TAB starts the program."""

from __future__ import annotations

import subprocess
import sys

from governor.catalog import KINDS
from governor.cli.apply import KIND_NAMES

HEAVY = {
    "jsonschema",
    "pydantic",
    "yaml",
    "cryptography",
    "governor.catalog",
    "governor.policy",
    "pyarrow",
    "duckdb",
    "numpy",
    "sqlalchemy",
    "psycopg",
}


def test_the_commands_are_known_without_what_they_do() -> None:
    program = f"import sys, governor.cli; print(sorted({HEAVY!r} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_the_kinds_of_documents_that_apply_names_are_those_of_the_catalog() -> None:
    assert tuple(KINDS) == KIND_NAMES
