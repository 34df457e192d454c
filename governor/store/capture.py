"""How much of a prompt or an output may be kept: off, hashed, redacted or full, and the deterministic redaction.

Owns: the meaning of the modes and the patterns. Does not own: which mode holds (catalog: the workflow's, else its data class's default).
Invariants: the same body and mode give the same result, so that both arms of a replay see the same text; redaction never lengthens a secret's trace:
each kind becomes one fixed word. Patterns: e-mail (RFC 5322 subset), card numbers with a valid Luhn digit, IBAN (ISO 13616), US SSN, phone numbers
in international form, API keys, JSON Web Tokens.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

SECRETS = (
    (
        "SECRET",
        re.compile(rb"\b(?:sk|pk|rk)-[A-Za-z0-9_-]{16,}|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}|\bxox[abprs]-[A-Za-z0-9-]{10,}"),
    ),
    ("TOKEN", re.compile(rb"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}")),
)
PERSONAL = (
    ("EMAIL", re.compile(rb"\b[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+\b")),
    ("IBAN", re.compile(rb"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")),
    ("SSN", re.compile(rb"\b\d{3}-\d{2}-\d{4}\b")),
    ("PHONE", re.compile(rb"(?<![\w+])\+\d{1,3}[ .-]?(?:\(?\d{1,4}\)?[ .-]?){2,5}\d{2,4}\b")),
)
# base64 of a picture or file: nobody writes so, and one changed sign makes it unreadable
ENCODED = re.compile(rb"([A-Za-z0-9+/]{1024,}={0,2})")
CARD = re.compile(rb"\b\d(?:[ -]?\d){12,18}\b")


@dataclass(frozen=True)
class Captured:
    """What of a body is kept. state: full | redacted | hashed | absent; sha256 is null when nothing may be kept; body is null unless it is stored."""

    state: str
    sha256: str | None
    body: bytes | None


def capture(mode: str, body: bytes) -> Captured:
    """Apply a capture mode to canonical body bytes. An unknown mode keeps nothing."""
    if mode == "full":
        return Captured("full", hashlib.sha256(body).hexdigest(), body)
    if mode == "redacted":
        kept = redact(body)
        return Captured("full" if kept == body else "redacted", hashlib.sha256(kept).hexdigest(), kept)
    if mode == "hashed":
        return Captured("hashed", hashlib.sha256(body).hexdigest(), None)
    return Captured("absent", None, None)


def redact(body: bytes) -> bytes:
    """Replace personal data and secrets by the name of their kind, such as [EMAIL]. Pictures and files in base64 stay as they are."""
    for name, pattern in SECRETS:  # before: the claims of a token are encoded, too
        body = pattern.sub(f"[{name}]".encode(), body)
    parts = ENCODED.split(body)  # text and what is encoded in turn
    parts[::2] = [_redact_text(part) for part in parts[::2]]
    return b"".join(parts)


def _redact_text(text: bytes) -> bytes:
    for name, pattern in PERSONAL:
        text = pattern.sub(f"[{name}]".encode(), text)
    return CARD.sub(lambda found: b"[CARD]" if _luhn(found.group()) else found.group(), text)


def _luhn(digits: bytes) -> bool:
    """ISO/IEC 7812-1 check digit."""
    numbers = [byte - 48 for byte in digits if 48 <= byte <= 57]  # noqa: PLR2004 - ASCII 0 to 9
    odd = numbers[-1::-2]
    even = [sum(divmod(number * 2, 10)) for number in numbers[-2::-2]]
    return (sum(odd) + sum(even)) % 10 == 0
