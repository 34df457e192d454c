"""People of the organization as others read them: e-mail, roles, whether they can sign in. Never a digest of a secret."""

from __future__ import annotations

from typing import Any

from sqlmodel import col, select

from governor.actions.context import Context
from governor.store.rows.people import Person


def list_people(ctx: Context) -> list[dict[str, Any]]:
    """{"id","email","name","roles","signs_in","disabled","created_at"} in order of e-mail."""
    with ctx.rows.session() as session:
        return [
            {
                "id": row.id,
                "email": row.email,
                "name": row.name,
                "roles": [role for role in row.roles.split(",") if role],
                "signs_in": bool(row.password_hash),
                "disabled": row.disabled,
                "created_at": row.created_at.isoformat(),
            }
            for row in session.exec(select(Person).where(Person.org_id == ctx.org).order_by(col(Person.email)))
        ]
