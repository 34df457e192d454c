"""How a month is given to the API: in a path, or as `?period=`.

Owns: the parameters and their pattern. Does not own: whether such a month exists (chargeback/period says so, in words).
"""

from __future__ import annotations

from typing import Annotated, Final

from litestar.params import Parameter

MONTH: Final = r"^[0-9]{4}-[0-9]{2}$"
MONTH_OR_NONE: Final = r"^([0-9]{4}-[0-9]{2})?$"
Month = Annotated[str, Parameter(pattern=MONTH, description="Calendar month of the billing zone, YYYY-MM.")]
NewestMonth = Annotated[
    str, Parameter(query="period", pattern=MONTH_OR_NONE, description="YYYY-MM of the billing zone; default: the newest month with calls.")
]
