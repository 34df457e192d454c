"""The comparison with the providers' bills on a statement: net and gross error, and a bridge for each provider.

Owns: the charts and the form of a share. Does not own: any number (the statement document brings those of the reconciliation on record), how a bridge is drawn
(chargeback/reconciliation). Invariants: no chart without its table; without a bill there is no number.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from governor.chargeback.reconciliation.drawn import bridge_spec
from reports.charts import FONT, svg

WIDTH: Final = 660
STEP: Final = 34


def bridge_view(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """The comparison, with a chart for each provider whose numbers differ; None where no bill was compared."""
    found = document.get("reconciliation")
    if found is None:
        return None
    return dict(found) | {"issuers": [one | {"chart": chart(one) if one["steps"] else None} for one in found["issuers"]]}


def chart(one: Mapping[str, Any]) -> str:
    steps = [(words, amount) for words, amount in one["steps"]]
    return svg(bridge_spec(one["ours"], steps, one["invoice"], width=WIDTH, height=STEP * (len(steps) + 2) + 40, font=FONT))


def share(percent: str | None) -> str:
    """Of nothing there is no share."""
    return "–" if percent is None else f"{Decimal(percent):.2f} %"
