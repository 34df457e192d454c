"""Column types and ids that every table shares: UTC instants, exact integers beyond 64 bits, time-ordered ids."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, Text
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel


class UtcInstant(TypeDecorator[datetime]):
    """An aware UTC datetime with microseconds; SQLite keeps it as sortable text, Postgres as timestamptz."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime: every instant is stored in UTC")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class BigDecimalInt(TypeDecorator[int]):
    """An exact integer of any size (pico-USD), kept as decimal text so that no engine rounds it."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else int(value)


def uuid7(now_ms: int | None = None) -> str:
    """RFC 9562 UUIDv7 text: 48 bits of Unix milliseconds, then random bits."""
    millis = int(time.time() * 1000) if now_ms is None else now_ms
    raw = bytearray(millis.to_bytes(6, "big") + os.urandom(10))
    raw[6] = 0x70 | (raw[6] & 0x0F)
    raw[8] = 0x80 | (raw[8] & 0x3F)
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class OrgRow(SQLModel):
    """Base of every table that row-level security guards."""

    org_id: str = Field(index=True)


def instant(**options: Any) -> Any:
    """A UTC instant column; nullable=True allows absence."""
    nullable = bool(options.pop("nullable", False))
    if nullable:
        return Field(default=None, sa_type=UtcInstant, nullable=True, **options)
    return Field(sa_type=UtcInstant, nullable=False, **options)
