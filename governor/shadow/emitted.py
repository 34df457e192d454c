"""What a reply gives away or says in other words than it was asked in: personal data and secrets that the prompt did not hold, and its language.

Owns: the patterns with their check digits, the language of a text. Does not own: guards as a set (guards.py), redaction of what is stored.
Invariants: a value that stands in the prompt, however it is spaced, is no leak; a language that cannot be told for sure is no switch. Nothing is learnt or
loaded, so the same text gives the same answer in every version.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final

SECRETS: Final = re.compile(
    r"\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}|\bxox[abprs]-[A-Za-z0-9-]{10,}|\bglpat-[A-Za-z0-9_-]{20,}"
    r"|\bAIza[0-9A-Za-z_-]{35}\b|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
EMAIL: Final = re.compile(r"\b[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+\b")
IBAN: Final = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
SSN: Final = re.compile(r"\b(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}\b")
PHONE: Final = re.compile(r"(?<![\w+])\+\d{1,3}[ .-]?(?:\(?\d{1,4}\)?[ .-]?){2,5}\d{2,4}\b")
CARD: Final = re.compile(r"(?<![\w-])(?<!\d )(?:\d{4}([ -]?)\d{4}\1\d{4}\1\d{4}|3[47]\d{2}([ -]?)\d{6}\2\d{5})(?![ -]?\d)")
RESERVED: Final = re.compile(
    r"@(?:[\w-]+\.)*example(?:\.(?:com|org|net))?$|\.(?:test|invalid)$", re.IGNORECASE
)  # RFC 2606: nobody's address
SPACING: Final = re.compile(r"[\s.()-]+")
LONGEST: Final = 60_000
SHORT: Final = 500  # letters of a reply that is remembered

LEAST_LETTERS: Final = 40
CLEAR: Final = 0.9
SCRIPTS: Final = (
    ("cyrillic", 0x0400, 0x052F), ("greek", 0x0370, 0x03FF), ("hebrew", 0x0590, 0x05FF), ("arabic", 0x0600, 0x06FF), ("devanagari", 0x0900, 0x097F),
    ("thai", 0x0E00, 0x0E7F), ("kana", 0x3040, 0x30FF), ("han", 0x4E00, 0x9FFF), ("hangul", 0xAC00, 0xD7AF),
)  # fmt: skip
# Words that are frequent in one of these languages and are no words of the others.
WORDS: Final = {
    "en": "the and with that this from have which your not are was will been their would should",
    "de": "der und nicht mit dem ist eine wird auch sich von auf für werden sind haben oder",
    "fr": "le les une est dans pour pas vous avec sur cette nous mais sont votre plus aux",
    "es": "el los una por con las del para está como pero sus más este son muy también",
    "it": "il che di una sono per non della gli nel anche con questo più alla essere delle",
    "pt": "os uma não com para mais são dos foi você ao pelo também seu sua isso das",
    "nl": "het een van niet zijn voor met dat deze wordt ook aan naar maar bij heeft kunnen",
}
LANGUAGE_OF: Final = {
    word: name for name, words in WORDS.items() for word in words.split() if sum(word in other.split() for other in WORDS.values()) == 1
}
LEAST_WORDS: Final = 4


def leaks(reply: str, prompt: str | Callable[[], str]) -> bool:
    """Does the reply hold personal data or a secret that the prompt did not? The prompt may be something that makes it when it is needed."""
    found = _short_personal(reply) if len(reply) <= SHORT else [*_personal(reply[:LONGEST])]
    if not found:
        return False  # a long prompt is not gone through for nothing
    known = SPACING.sub("", prompt if isinstance(prompt, str) else prompt()).casefold()
    return any(value not in known for value in found)


def _personal(text: str) -> Iterator[str]:
    return (SPACING.sub("", value).casefold() for value in personal(text))


@lru_cache(maxsize=4096)
def _short_personal(text: str) -> tuple[str, ...]:
    """Short answers are often the same."""
    return tuple(_personal(text))


def personal(text: str) -> Iterator[str]:
    yield from SECRETS.findall(text)
    yield from (value for value in EMAIL.findall(text) if not RESERVED.search(value))
    yield from (value for value in IBAN.findall(text) if iban(value))
    yield from SSN.findall(text)
    yield from PHONE.findall(text)
    yield from (found.group() for found in CARD.finditer(text) if luhn(found.group()))


def iban(value: str) -> bool:
    """ISO 13616: the rearranged number is 1 modulo 97."""
    plain = value.replace(" ", "")
    return int("".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])) % 97 == 1


def luhn(value: str) -> bool:
    """ISO/IEC 7812-1 check digit."""
    digits = [int(letter) for letter in value if letter.isdigit()][::-1]
    return any(digits) and sum(digits[::2] + [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]) % 10 == 0


def language(text: str) -> str:
    """A script or one of seven Latin-script languages; empty when the text does not say for sure."""
    text = text[:LONGEST]
    letters = {letter: count for letter, count in Counter(text).items() if letter.isalpha()}
    total_letters = sum(letters.values())
    if total_letters < LEAST_LETTERS:
        return ""
    scripts: Counter[str] = Counter()
    for letter, count in letters.items():
        scripts[script(letter)] += count
    if scripts["kana"]:
        scripts["kana"] += scripts.pop("han", 0)  # Japanese is written in both
    name, count = scripts.most_common(1)[0]
    if count < CLEAR * total_letters:
        return ""
    if name != "latin":
        return name
    words = Counter(LANGUAGE_OF[word] for word in re.findall(r"[^\W\d_]+", text.casefold()) if word in LANGUAGE_OF)
    total = sum(words.values())
    best = words.most_common(1)[0] if words else ("", 0)
    return best[0] if total >= LEAST_WORDS and best[1] >= CLEAR * total else ""


def script(letter: str) -> str:
    point = ord(letter)
    return next((name for name, low, high in SCRIPTS if low <= point <= high), "latin" if point < 0x250 else "other")  # noqa: PLR2004 - end of Latin


asked_in: Final = lru_cache(maxsize=256)(language)  # every arm answers the same question


def switched(reply: str, asked: str) -> bool:
    """Both languages are clear and they differ."""
    before = asked_in(asked)
    after = language(reply) if before else ""
    return bool(before and after and before != after)
