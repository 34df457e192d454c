"""The answer of policy as a frozen value.

Owns: how a decision document is read. Does not own: how it is made. Invariants: anything that is not a complete decision document
(undefined, a wrong type, an allow without rules) reads as undecided, never as allow.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, TypeVar


@dataclass(frozen=True)
class EngineInfo:
    """Which engine decided. name: regorus | opa."""

    name: str
    version: str


@dataclass(frozen=True, order=True)
class Violation:
    """One rule that says no. severity: critical | high | medium | low."""

    rule: str
    severity: str
    message: str
    solution: str = ""


@dataclass(frozen=True, order=True)
class Waived:
    """A violation set aside by a waiver in force."""

    rule: str
    severity: str
    message: str
    solution: str
    waiver: str
    expires: str
    compensating_control: str


@dataclass(frozen=True, order=True)
class Undecided:
    """A rule that lacks a fact."""

    rule: str
    reason: str


@dataclass(frozen=True)
class Need:
    """A role that must approve, and why. `reason` is `reasons` in one sentence. strength: passkey where no weaker sign-in counts."""

    role: str
    reason: str
    reasons: tuple[str, ...] = ()
    strength: str = ""

    @property
    def asked(self) -> dict[str, str]:
        """What is asked beyond the role; nothing where any sign-in counts."""
        return {"strength": self.strength} if self.strength else {}


@dataclass(frozen=True)
class Decision:
    """`status` sums it up: violation, undecided, waived or allowed, in that order of weight.

    `route_status` (calls only): approved | waived | unapproved | undecided.
    """

    allow: bool
    rules: tuple[str, ...] = ()
    violations: tuple[Violation, ...] = ()
    warnings: tuple[Violation, ...] = ()
    waived: tuple[Waived, ...] = ()
    undecided: tuple[Undecided, ...] = ()
    needs: tuple[Need, ...] = ()
    route: str | None = None
    route_status: str = "undecided"
    data_class: str | None = None

    @property
    def status(self) -> str:
        if self.violations:
            return "violation"
        if self.undecided or not self.allow:
            return "undecided"
        return "waived" if self.waived else "allowed"

    def document(self) -> dict[str, Any]:
        """As JSON; `read_decision` of it gives an equal Decision."""
        return asdict(self)


Finding = TypeVar("Finding", Violation, Waived, Undecided)


def no_decision(reason: str) -> Decision:
    return Decision(allow=False, undecided=(Undecided("policy", reason),))


def read_decision(document: Any) -> Decision:
    """A decision document of any entrypoint -> Decision; everything else -> undecided with the reason."""
    if not isinstance(document, Mapping):
        return no_decision("the policy gave no decision")
    try:
        decision = _read(document)
    except (KeyError, TypeError) as error:
        return no_decision(f"the policy gave a malformed decision: {type(error).__name__} {error}")
    except ValueError as error:
        return no_decision(f"the policy gave a malformed decision: {error}")
    if not decision.rules:
        return no_decision("no rule was evaluated: an empty rule set decides nothing")
    if decision.allow and (decision.violations or decision.undecided):
        return no_decision("the policy allows and objects at once")
    return decision


def _need(need: Mapping[str, Any]) -> Need:
    strength = need.get("strength", "")
    if strength not in {"", "passkey"}:
        raise ValueError(f"unknown strength {strength!r}")
    return Need(need["role"], need["reason"], tuple(need.get("reasons", ())), strength)


def _found(kind: type[Finding], found: Any) -> Finding:
    if isinstance(found, Mapping) and all(isinstance(value, str) for value in found.values()):
        with suppress(TypeError):
            return kind(**found)
    raise ValueError(f"{found!r} is no finding of a rule, which is an object of texts with `rule` and `message` (or `reason`)")


def _read(document: Mapping[str, Any]) -> Decision:
    allow = document["allow"]
    if not isinstance(allow, bool):
        raise TypeError("allow is not a boolean")
    return Decision(
        allow=allow,
        rules=tuple(sorted(document["rules"])),
        violations=tuple(sorted(_found(Violation, found) for found in document["violations"])),
        warnings=tuple(sorted(_found(Violation, found) for found in document.get("warnings", ()))),
        waived=tuple(sorted(_found(Waived, found) for found in document.get("waived", ()))),
        undecided=tuple(sorted(_found(Undecided, found) for found in document.get("undecided", ()))),
        needs=tuple(_need(need) for need in document.get("needs", ())),
        route=document.get("route"),
        route_status=str(document.get("route_status", "undecided")),
        data_class=document.get("data_class"),
    )
