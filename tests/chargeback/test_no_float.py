"""No binary fraction on the way of money: fields of prices, lines, statements, the catalog's documents, every stored table, and the money columns of a call."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import typing

import pyarrow as pa
import pytest
from sqlalchemy import Float
from sqlmodel import SQLModel

import governor.catalog
import governor.chargeback
import governor.prices
from governor.calls import CALL_SCHEMA
from governor.store import rows

ESTIMATES = {"governor.chargeback.forecast"}  # expectations; nothing is charged from them
MODULES = [
    name
    for package in (governor.prices, governor.chargeback, governor.catalog)
    for _, name, _ in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if name not in ESTIMATES
]
ROWS = [f"{rows.__name__}.{name}" for name in rows.__all__]


@pytest.mark.parametrize("module", [*MODULES, "governor.actions.govern", "governor.actions.charge_month", *ROWS])
def test_no_field_is_a_float(module: str) -> None:
    for name, found in vars(importlib.import_module(module)).items():
        if isinstance(found, type) and found.__module__ == module and (dataclasses.is_dataclass(found) or hasattr(found, "model_fields")):
            floats = [field for field, kind in typing.get_type_hints(found).items() if "float" in str(kind)]
            assert not floats, (name, floats)


def test_costs_of_a_call_are_decimals() -> None:
    costs = [field for field in CALL_SCHEMA if field.name.startswith("cost_") or field.name.endswith("_amount")]
    assert [field.name for field in costs if pa.types.is_floating(field.type)] == []
    assert sum(pa.types.is_decimal(field.type) for field in costs) >= 8


def test_no_table_has_a_column_for_a_binary_fraction() -> None:
    """Nothing stored needs one, so that no later column of money can become one unseen."""
    tables = SQLModel.metadata.sorted_tables
    assert len(tables) > 30
    assert [f"{table.name}.{column.name}" for table in tables for column in table.columns if isinstance(column.type, Float)] == []


def test_amounts_of_the_catalog_are_text_and_a_number_is_refused() -> None:
    from governor.catalog.commitment import CommitmentDocument, FxRateDocument

    bought = {"id": "c", "provider": "openai", "starts": "2026-10-01", "ends": "2026-11-01", "unused": {"cost_center": "CC"}}
    rate = {"currency": "EUR", "period": "2026-10", "source": "ECB", "date": "2026-10-30"}
    assert CommitmentDocument.model_validate(bought | {"monthly_amount": "0.1"}).monthly_amount == "0.1"
    for document, fields in (
        (CommitmentDocument, bought | {"monthly_amount": 0.1}),
        (CommitmentDocument, bought | {"provisioned": {"units": 1, "hourly_rate": 0.1}}),
        (FxRateDocument, rate | {"rate": 0.92}),
    ):
        with pytest.raises(ValueError, match=r"rate|amount"):
            document.model_validate(fields)
