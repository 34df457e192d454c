"""`governor calls export`: a month's canonical calls as Parquet, for any outside check."""

from __future__ import annotations

from pathlib import Path

from governor.actions.context import Actor, Context
from governor.actions.load_catalog import catalog_as_of
from governor.actions.show_call import kept_from
from governor.chargeback.period import month_bounds


def export_calls(ctx: Context, actor: Actor, period: str, out: Path) -> int:
    """Writes every column of CALL_SCHEMA for calls that belong to `period`. Returns the rows written. Raises Invalid for a malformed month.

    Columns that may quote a prompt are empty for whoever may not read them (show_call.py).
    """
    start, end = month_bounds(period, catalog_as_of(ctx).organization.billing_zone)
    out.parent.mkdir(parents=True, exist_ok=True)
    return ctx.lake.export_calls(out, start, end, blank=kept_from(actor))
