"""How our column types are written in a migration file: as the plain type they are stored as, so old files need no old code."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy.types import TypeDecorator
from sqlmodel.sql.sqltypes import AutoString

from governor.store.rows.base import BigDecimalInt, UtcInstant


def item_for_autogenerate(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Alembic's render_item."""
    if kind != "type":
        return False
    if isinstance(item, UtcInstant):
        return "sa.DateTime(timezone=True)"
    if isinstance(item, BigDecimalInt):
        return "sa.Text()"
    if isinstance(item, AutoString):
        return "sa.String()"
    return False if not isinstance(item, TypeDecorator) else f"sa.{item.impl.__class__.__name__}()"
