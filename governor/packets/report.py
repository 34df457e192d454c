"""What verification found, one check a line; each can fail alone."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from typing import Final, TypedDict

VERIFIED: Final = 0
FAILED: Final = 1
UNDECIDED: Final = 2
USAGE: Final = 64
_MARKS: Final = {"ok": " ok ", "fail": "FAIL", "warn": "warn", "none": " -- ", "undecided": " ?? "}


def plain(text: str) -> str:
    """What a packet says, on one line of its own: a forged one must not write another answer over ours."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


@dataclass(frozen=True)
class Check:
    """status: ok | fail | warn | none (nothing to check, nothing required) | undecided (cannot be told with what is given)."""

    name: str
    status: str
    detail: str


class CheckDocument(TypedDict):
    name: str
    status: str
    detail: str


class ReportDocument(TypedDict):
    """trust_sha256, trust_root: of the trust file; empty without one, or without a root in it."""

    result: str
    exit_code: int
    title: str
    sha256: str
    trust_sha256: str
    trust_root: str
    checks: list[CheckDocument]


@dataclass
class Report:
    title: str
    sha256: str
    trust: str
    root: str = ""
    checks: list[Check] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """One failed check fails the packet; otherwise one undecided check leaves it undecided. No checks is not a pass."""
        found = {check.status for check in self.checks}
        if "fail" in found or not found:
            return FAILED
        return UNDECIDED if "undecided" in found else VERIFIED

    @property
    def verdict(self) -> str:
        return {VERIFIED: "VERIFIED", FAILED: "FAILED", UNDECIDED: "UNDECIDED"}[self.exit_code]

    def as_dict(self) -> ReportDocument:
        return {
            "result": self.verdict,
            "exit_code": self.exit_code,
            "title": self.title,
            "sha256": self.sha256,
            "trust_sha256": self.trust,
            "trust_root": self.root,
            "checks": [{"name": check.name, "status": check.status, "detail": check.detail} for check in self.checks],
        }

    def text(self, trust_name: str = "") -> str:
        lines = [f"PACKET   {plain(self.title)}      sha256 {self.sha256}"]
        lines += [f"[{_MARKS[check.status]}] {check.name:<13} {plain(check.detail)}" for check in self.checks]
        against = f"against trust policy {plain(trust_name)} (sha256 {self.trust[:16]}..)" if self.trust else "without a trust policy"
        if self.root:
            name, _, key = self.root.partition(" ")
            against += f" signed by root {name} (key {key[:16]}..)"
        lines.append(f"{self.verdict} {against}   checked offline, no network used")
        return "\n".join(lines)


def tell(said: str, code: int) -> int:
    """Write what was found to standard output; -> the exit code. A verdict that cannot be written is none: 1 would say that the packet is false."""
    if sys.stdout is None:
        sys.stderr.write("standard output is closed\n")
        return UNDECIDED
    try:
        sys.stdout.buffer.write(f"{said}\n".encode())
        sys.stdout.buffer.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python tries again when it ends
        if not isinstance(error, BrokenPipeError):  # whose reader had enough: what was found stands
            sys.stderr.write(f"standard output: {error.strerror}\n")
            return UNDECIDED
    return code
