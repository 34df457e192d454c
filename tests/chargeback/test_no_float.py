"""No binary fraction on the way of money: fields of prices, lines, statements and stored rows, and the money columns of a call."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import typing

import pyarrow as pa
import pytest

import governor.chargeback
import governor.prices
from governor.calls import CALL_SCHEMA
from governor.store.rows import periods

ESTIMATES = {"governor.chargeback.forecast"}  # expectations; nothing is charged from them
MODULES = [
    name
    for package in (governor.prices, governor.chargeback)
    for _, name, _ in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if name not in ESTIMATES
]


@pytest.mark.parametrize("module", [*MODULES, "governor.actions.govern", periods.__name__])
def test_no_field_is_a_float(module: str) -> None:
    for name, found in vars(importlib.import_module(module)).items():
        if isinstance(found, type) and found.__module__ == module and (dataclasses.is_dataclass(found) or hasattr(found, "model_fields")):
            floats = [field for field, kind in typing.get_type_hints(found).items() if "float" in str(kind)]
            assert not floats, (name, floats)


def test_costs_of_a_call_are_decimals() -> None:
    costs = [field for field in CALL_SCHEMA if field.name.startswith("cost_") or field.name.endswith("_amount")]
    assert [field.name for field in costs if pa.types.is_floating(field.type)] == []
    assert sum(pa.types.is_decimal(field.type) for field in costs) >= 8
