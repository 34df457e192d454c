"""What a call used in other units than tokens, as columns that a roll-up groups and sums by.

Owns: reading the member of usage_raw that connectors write. Does not own: what is charged (governor/prices/units.py), the roll-up (lake_facts.py).
Invariants: calls of one `units` have the same names in the same order; what cannot be read is no count.
"""

from __future__ import annotations

from typing import Final

# What a call used in other units than tokens: the member of usage_raw that connectors put first, as looking through all of it would cost every call;
# fal's rows of before have `output_units` alone.
_COUNTED: Final = """CASE WHEN starts_with(usage_raw, '{"governor_units":{')
        THEN TRY(json_transform(usage_raw, '{"governor_units":"MAP(VARCHAR, DECIMAL(24, 6))"}')).governor_units
    WHEN input_tokens IS NULL AND output_tokens IS NULL AND contains(usage_raw, '"output_units"')
        THEN MAP {'unit': TRY_CAST(TRY_CAST(usage_raw AS JSON) ->> '$.output_units' AS DECIMAL(24, 6))} END"""
MOST_UNITS: Final = 8  # kinds of them in one call
UNIT_SUMS: Final = tuple(f"unit_{place}" for place in range(1, MOST_UNITS + 1))
# names, with a mark on what was used without a count and on parts of a unit: calls of one key are counted alike
_UNIT_KEY: Final = f"""CASE WHEN counted IS NOT NULL THEN array_to_string(list_transform(map_entries(counted)[:{MOST_UNITS}], lambda one:
    one.key || CASE WHEN one.value IS NULL THEN '?' WHEN one.value % 1 <> 0 THEN '~' ELSE '' END), ',') END"""


def with_units(source: str, name: str = "calls") -> str:
    """The calls of `source` with `units` (how they count, as text) and `unit_sums` (the counts, in its order); both null where a call counts none."""
    return f"""(SELECT *, {_UNIT_KEY} AS units, map_values(counted) AS unit_sums FROM (SELECT *, {_COUNTED} AS counted FROM {source} AS calls) AS calls) AS {name}"""
