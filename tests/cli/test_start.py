"""A command starts without what other commands need: every press of TAB starts the program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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


def test_a_command_on_an_embedded_home_needs_neither_the_driver_of_postgres_nor_schemas_of_contracts(tmp_path: Path) -> None:
    program = """
import sys
from governor.actions.context import open_context
from governor.actions.usage import usage_report
from governor.settings import load_settings
ctx = open_context(load_settings(home=sys.argv[1]), create=True)
assert usage_report(ctx, "2026-10", ["workflow"])["rows"] == []
ctx.close()
print(sorted({"psycopg", "jsonschema"} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (run.stdout.strip(), run.stderr) == ("[]", "")
