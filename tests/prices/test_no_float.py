"""No float stands where money does: every column, every field of a noun, every type of the canonical call."""

import ast
import dataclasses
import importlib
import pkgutil
import typing
from pathlib import Path

import pyarrow as pa
import pytest
from sqlalchemy import Float, Numeric
from sqlmodel import SQLModel

import governor.chargeback
import governor.prices
import reports
from governor.calls import CALL_SCHEMA, COST, MONEY
from governor.errors import Invalid
from governor.prices.price import price_of
from governor.store import rows

PACKAGES = (governor.prices, governor.chargeback, reports)
# fields that are no money: a statistic or a drawing
STATISTICS = {"governor.chargeback.forecast"}


def modules() -> list[typing.Any]:
    return [
        importlib.import_module(found.name)
        for package in PACKAGES
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    ]


def test_no_column_of_the_rows_database_is_a_float() -> None:
    assert rows.__all__
    columns = [column for table in SQLModel.metadata.sorted_tables for column in table.columns]
    assert len(columns) > 100
    found = [
        str(column)
        for column in columns
        if isinstance(column.type, Float) or (isinstance(column.type, Numeric) and column.type.asdecimal is False)
    ]
    money = [name for name in found if any(word in name for word in ("cost", "pico", "amount", "price", "budget", "total", "usd", "spend"))]
    assert money == []


def test_every_money_field_of_a_call_is_exact() -> None:
    kinds = {field.name: field.type for field in COST}
    assert {name for name, kind in kinds.items() if "amount" in name or (name.startswith("cost_") and kind == MONEY)} >= {
        "cost_amount",
        "upstream_cost_amount",
    }
    assert not [
        field.name for field in CALL_SCHEMA if pa.types.is_floating(field.type) and ("cost" in field.name or "amount" in field.name)
    ]
    assert not [name for name, kind in kinds.items() if pa.types.is_floating(kind)]


def test_no_noun_that_holds_money_has_a_float_field() -> None:
    looked = 0
    for module in modules():
        for name, kind in vars(module).items():
            if not (isinstance(kind, type) and dataclasses.is_dataclass(kind) and kind.__module__ == module.__name__):
                continue
            for field in dataclasses.fields(kind):
                looked += 1
                assert module.__name__ in STATISTICS or "float" not in str(field.type), f"{module.__name__}.{name}.{field.name}"
    assert looked > 100


@pytest.mark.parametrize("package", [governor.prices], ids=["prices"])
def test_prices_never_name_float_except_to_refuse_it(package: typing.Any) -> None:
    for file in sorted(Path(package.__path__[0]).rglob("*.py")):
        tree = ast.parse(file.read_text())
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "float"]
        divisions = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, float)]
        assert (calls, divisions) == ([], []), file.name


def test_a_float_amount_is_refused() -> None:
    with pytest.raises(Invalid, match="decimal text"):
        price_of({"kind": "list", "provider": "p", "model": "m", "meter": "input", "amount": 0.1, "per": 1})
