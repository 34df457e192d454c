"""A call's canonical columns as the OpenAPI document tells them: of the Arrow schema itself, so that a new column is in both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from litestar.openapi.spec import OpenAPIFormat, OpenAPIMediaType, OpenAPIResponse, OpenAPIType, Operation, Schema

from governor.calls import COLUMN_GROUPS


def call_answer() -> type[Operation]:
    """An OpenAPI operation that answers one call."""

    @dataclass
    class CallAnswer(Operation):
        def __post_init__(self) -> None:
            success = (self.responses or {}).get("200")
            if isinstance(success, OpenAPIResponse):
                success.content = {"application/json": OpenAPIMediaType(schema=call_schema())}

    return CallAnswer


def call_schema() -> Schema:
    columns = [field for fields in COLUMN_GROUPS.values() for field in fields]
    return Schema(
        type=OpenAPIType.OBJECT, title="Call", properties={one.name: column(one) for one in columns}, required=[one.name for one in columns]
    )


def column(field: Any) -> Schema:
    """Every column may be null: of what may quote a prompt it is where the reader may not see it."""
    return Schema(one_of=[value(field.type), Schema(type=OpenAPIType.NULL)], description=field.metadata[b"doc"].decode())


def value(kind: Any) -> Schema:
    """As JSON: decimals are text, a map is a list of pairs."""
    if pa.types.is_map(kind):
        return Schema(type=OpenAPIType.ARRAY, items=Schema(type=OpenAPIType.ARRAY, items=Schema(type=OpenAPIType.STRING)))
    if pa.types.is_list(kind):
        return Schema(type=OpenAPIType.ARRAY, items=value(kind.value_type))
    if pa.types.is_timestamp(kind):
        return Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.DATE_TIME)
    if pa.types.is_boolean(kind):
        return Schema(type=OpenAPIType.BOOLEAN)
    if pa.types.is_integer(kind):
        return Schema(type=OpenAPIType.INTEGER)
    return Schema(type=OpenAPIType.NUMBER if pa.types.is_floating(kind) else OpenAPIType.STRING)
