"""Who pays for which part of an assembled prompt: the cost of calls that say how many input tokens each part has, divided by those parts.

Owns: the division, the document. Does not own: what counts as said and each part's share of a call's tokens (store/lake_segments), prices (govern.py).
Invariants: parts, what they leave of the input, output and what is charged apart from tokens sum to the contracted cost of these calls to the pico-USD; each class of
input tokens (uncached, cache read, cache write ...) is divided by the shares of the calls that had such tokens; calls that do not say it are counted, never guessed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, cast

from governor.actions.context import Context
from governor.actions.govern import GovernedMonth, Group, govern_month
from governor.actions.month_view import matches
from governor.actions.remembered import remembered
from governor.actions.usage import DIMENSION_READERS, PROMPT_KEYS, add_known, usd
from governor.chargeback.shares import split
from governor.errors import Invalid
from governor.prices.rate import INPUT_CLASSES
from governor.store.lake_segments import MOST_NAMES, SPOKEN, SUMS, WAY, WEIGHTS, merged_query

SEGMENT, SMALLER, UNSAID, OUTPUT, APART = "segment", "smaller", "unsaid", "output", "apart"
PARTS: Final = {
    SEGMENT: "a part of the prompt, by the name the calls give it",
    SMALLER: f"parts beyond the {MOST_NAMES} largest names",
    UNSAID: "input that no part accounts for",
    OUTPUT: "the answer",
    APART: "what is charged apart from tokens: per request, per image, or the provider's own total",
}
BY: Final = ("workflow", "owner", "cost_center", "prompt", "prompt_version", "provider", "model")
FILTERS: Final = tuple(name for name in DIMENSION_READERS if name != "day")
_OUTPUT_METERS: Final = frozenset({"output", "reasoning", "audio_output", "image_output", "video_output"})
Part = tuple[str, str | None]  # kind, name of a segment


@dataclass(frozen=True, slots=True)
class Line:
    """One part of the calls of one group."""

    group: Group
    part: Part
    calls: int
    tokens: int | None
    pico: int


@dataclass(frozen=True)
class SpokenMonth:
    """lines: of the calls that say it; quiet: the groups of those that do not."""

    lines: list[Line]
    said: list[Group]
    quiet: list[Group]
    scaled: dict[int, int]  # place in `said` -> calls whose parts said more than their input
    month: GovernedMonth


def show_segments(ctx: Context, period: str, *, by: Sequence[str] = ("workflow",), only: Mapping[str, str] | None = None) -> dict[str, Any]:
    """{"period","by","snapshot","calls","cost","quiet_calls","scaled_calls","unpriced_calls","parts","rows"}; only: dimension -> value, `-` for none.

    rows: every part under each value of `by`, dearest first; share: of the row's `by`. parts: the same over all of them; share: of the whole.
    """
    only = only or {}
    for name, known in (*((name, BY) for name in by), *((name, FILTERS) for name in only)):
        if name not in known:
            raise Invalid(f"parts of prompts cannot be cut by {name[:40]!r}", hint=f"choose from {', '.join(known)}")
    spoken = spoken_month(ctx, period)
    lines = [line for line in spoken.lines if matches(line.group, only)]
    said = [(place, group) for place, group in enumerate(spoken.said) if matches(group, only)]
    return {
        "period": period,
        "by": list(by),
        "snapshot": spoken.month.snapshot,
        "calls": sum(group.calls for _, group in said),
        "cost": usd(sum(group.contracted_pico for _, group in said)),
        "quiet_calls": sum(group.calls for group in spoken.quiet if matches(group, only)),
        "scaled_calls": sum(spoken.scaled.get(place, 0) for place, _ in said),
        "unpriced_calls": sum(group.unpriced_calls for _, group in said),
        "parts": rows_of(lines, ()),
        "rows": rows_of(lines, by),
    }


def rows_of(lines: Iterable[Line], by: Sequence[str]) -> list[dict[str, Any]]:
    bins: dict[tuple[str | None, ...], dict[Part, list[Line]]] = defaultdict(lambda: defaultdict(list))
    for line in lines:
        bins[tuple(DIMENSION_READERS[name](line.group) for name in by)][line.part].append(line)
    found = []
    for key, parts in bins.items():
        whole = sum(line.pico for members in parts.values() for line in members)
        for (kind, name), members in parts.items():
            pico = sum(line.pico for line in members)
            row = {
                **dict(zip(by, key, strict=True)),
                "part": kind,
                "segment": name,
                "calls": sum(line.calls for line in members),
                "tokens": add_known(line.tokens for line in members),
                "cost": usd(pico),
                "share": str((Decimal(pico) / whole).quantize(Decimal("0.000001"))) if whole else "0.000000",
            }
            found.append(((-whole, *map(str, key), -pico, kind, name or ""), row))
    return [row for _, row in sorted(found, key=lambda one: one[0])]


def spoken_month(ctx: Context, period: str) -> SpokenMonth:
    """The month's calls cut by whether they say it, divided; computed once per state of the records. Raises Invalid for a malformed period."""
    return cast(SpokenMonth, remembered(ctx, f"segments/{period}", lambda: _spoken_month(ctx, period)))


def _spoken_month(ctx: Context, period: str) -> SpokenMonth:
    month = govern_month(ctx, period, cut=(*PROMPT_KEYS, SPOKEN, WAY, "epoch"))
    said = [group for group in month.groups if group.keys[SPOKEN]]
    quiet = [group for group in month.groups if not group.keys[SPOKEN]]
    shares = _shares(ctx, month) if said else {}
    lines: list[Line] = []
    scaled = {}
    for place, group in enumerate(said):
        rows = shares.get((group.keys[WAY], group.keys["epoch"]), [])
        scaled[place] = sum(row["scaled_calls"] for row in rows)
        lines += divide(group, rows)
    return SpokenMonth(lines, said, quiet, scaled, month)


def _shares(ctx: Context, month: GovernedMonth) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    """The days' rows added up, by the sums they belong to."""
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in ctx.lake.query(merged_query("days"), days=month.asked.segments(ctx)).to_pylist():
        row |= {name: int(row[name]) for name in SUMS}
        found[(row[WAY], row["epoch"])].append(row)
    return found


def divide(group: Group, rows: Sequence[Mapping[str, Any]]) -> list[Line]:
    """The group's contracted cost by part. rows: `segment`, `beyond`, `calls`, `tokens`, WEIGHTS: shares times tokens, of every class."""
    known: dict[str, dict[str, int]] = {}
    for row in rows:
        of = known.setdefault(_key(row), dict.fromkeys((*WEIGHTS, "calls", "tokens"), 0))
        for name in of:
            of[name] += row[name]
    known.setdefault(_place((UNSAID, None)), dict.fromkeys((*WEIGHTS, "calls", "tokens"), 0))
    costs = dict.fromkeys(known, 0)
    output = 0
    meters = {part.meter for part in group.rated.parts}
    for part in group.rated.parts:
        if part.meter in INPUT_CLASSES:
            weights = {place: weight(of, part.meter, meters) for place, of in known.items()}
            weights = weights if any(weights.values()) else {_place((UNSAID, None)): 1}
            for place, pico in split(part.contracted_pico, weights).items():
                costs[place] += pico
        elif part.meter in _OUTPUT_METERS:
            output += part.contracted_pico
    lines = [
        Line(group, _part(place), of["calls"], of["tokens"], costs[place]) for place, of in known.items() if of["calls"] or costs[place]
    ]
    lines.append(Line(group, (OUTPUT, None), group.calls, group.output_tokens, output))
    rest = group.contracted_pico - sum(costs.values()) - output
    return [*lines, Line(group, (APART, None), group.calls, None, rest)] if rest else lines


def weight(of: Mapping[str, int], meter: str, meters: set[str]) -> int:
    """A part's share of the tokens that a meter counted, as prices/rate derives the meters from the classes."""
    match meter:
        case "cache_write":
            found = of["cache_write"] - of["cache_write_1h"]
        case "input":
            found = of["uncached"] - sum(of[name] for name in ("audio_input", "image_input") if name in meters)
        case _:
            found = of.get(meter, 0)
    return max(found, 0)


def _key(row: Mapping[str, Any]) -> str:
    if row["segment"] is None and not row["beyond"]:
        return _place((UNSAID, None))
    return _place((SMALLER, None) if row["beyond"] else (SEGMENT, row["segment"]))


def _place(part: Part) -> str:
    """A part as a name that sorts: `split` gives a tie to the smaller one."""
    return f"{part[0]}\x1f{part[1] or ''}"


def _part(place: str) -> Part:
    kind, _, name = place.partition("\x1f")
    return kind, name or None
