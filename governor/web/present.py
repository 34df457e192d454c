"""How values are written for people: money, counts, times, digests. Template filters only.

Invariants: an unknown value is an em dash, never 0; the exact amount stays in the title of what was rounded for reading.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from markupsafe import Markup

from governor.chargeback.currency import in_words
from governor.web.states import state_label, state_tone, verb_words

DASH: Final = "—"
MINUS: Final = "−"
CENT: Final = Decimal("0.01")
LONG_WORD: Final = 36


def money_text(value: Any, places: int | None = None) -> str:
    """`$1,234.50`; small amounts keep enough digits to be told from zero."""
    if value is None or value == "":
        return DASH
    amount = Decimal(str(value))
    if places is None:
        places = 2 if amount == 0 or abs(amount) >= CENT else min(12, max(2, 1 - amount.adjusted()))
    rounded = amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)
    return f"{MINUS if rounded < 0 else ''}${abs(rounded):,f}"


def money(value: Any, places: int | None = None) -> Markup:
    """Money for reading; the exact amount is the title."""
    if value is None or value == "":
        return Markup(DASH)  # noqa: S704 - constant text
    return Markup('<span title="{} USD">{}</span>').format(str(value), money_text(value, places))


def exact_money(value: Any) -> str:
    """All digits: of one call, whose cost a cent hides."""
    return DASH if value is None or value == "" else money_text(value, max(2, -int(Decimal(str(value)).as_tuple().exponent)))


def pico(value: Any) -> Decimal | None:
    """Pico-USD as an amount in USD."""
    return None if value is None else Decimal(int(value)).scaleb(-12)


def count(value: Any) -> str:
    return DASH if value is None else f"{int(value):,}"


def percent(value: Any, places: int = 1) -> str:
    """A share between 0 and 1 as a percentage."""
    return DASH if value is None else f"{Decimal(str(value)) * 100:.{places}f}%".replace("-", MINUS)


def signed(value: Any, places: int = 3) -> str:
    """A difference with its sign."""
    return DASH if value is None else f"{Decimal(str(value)):+.{places}f}".replace("-", MINUS)


def instant(value: datetime | str | None) -> datetime | None:
    if not value:
        return None
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def when(value: datetime | str | None) -> Markup:
    """A moment, in UTC, as a <time> element."""
    found = instant(value)
    if found is None:
        return Markup(DASH)  # noqa: S704 - constant text
    return Markup('<time class="nowrap" datetime="{}">{} UTC</time>').format(found.isoformat(), f"{found:%Y-%m-%d %H:%M}")


def day(value: datetime | str | None, zone: str = "UTC") -> Markup:
    """zone: the organization's, for what begins with a day of its billing zone."""
    found = instant(value)
    if found is None:
        return Markup(DASH)  # noqa: S704 - constant text
    named = found.astimezone(ZoneInfo(zone)).date().isoformat()
    return Markup('<time class="nowrap" datetime="{}">{}</time>').format(named, named)


def last_day(value: datetime | str | None) -> Markup:
    """The last day of a span whose end is exclusive."""
    found = instant(value)
    return day(None if found is None else found - timedelta(microseconds=1))


def model_name(model: str | None, provider: str | None) -> str:
    """The model without the provider's name in front of it, which stands beside it."""
    return (model or "unknown model").removeprefix(f"{provider}/")


def plain_connector(name: str) -> str:
    """A connector without the folders of the server: of a mapping the file, of one that was kept with its digest."""
    kind, colon, place = name.partition(":")
    return f"{kind}:{'/'.join(place.split('/')[-2:])}" if colon else name


def breaks(text: str | None) -> Markup:
    """A name that somebody else chose: words longer than LONG_WORD may go on in the next line, where a table would widen the page. Others never break."""
    return Markup().join(long(word) if len(word) > LONG_WORD else word for word in re.split(r"(\s+)", text or ""))


def long(word: str) -> Markup:
    return Markup('<span class="long">{}</span>').format(Markup("<wbr>").join(word[at : at + 8] for at in range(0, len(word), 8)))


def digest(value: str | None, length: int = 12) -> Markup:
    """The first digits of a digest, with the whole of it in the title."""
    if not value:
        return Markup(DASH)  # noqa: S704 - constant text
    shown = value if len(value) <= length else value[:length] + "…"
    return Markup('<span class="digest" title="{}">{}</span>').format(value, shown)


def words(value: str | None) -> str:
    """`in_review` -> `in review`."""
    return (value or DASH).replace("_", " ")


def span(seconds: Any) -> str:
    """A length of time in its largest whole unit from two on: `90 seconds`, `28 days`."""
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if float(seconds) >= 2 * size:
            return f"{round(float(seconds) / size):,} {unit}"
    return plural(round(float(seconds)), "second")


def plural(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "money": money,
    "money_text": money_text,
    "exact_money": exact_money,
    "in_words": in_words,
    "pico": pico,
    "count": count,
    "percent": percent,
    "signed": signed,
    "when": when,
    "day": day,
    "last_day": last_day,
    "model_name": model_name,
    "breaks": breaks,
    "connector": plain_connector,
    "digest": digest,
    "words": words,
    "plural": plural,
    "span": span,
    "tone": state_tone,
    "state_label": state_label,
    "verb": verb_words,
}
