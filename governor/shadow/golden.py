"""Golden cases of a workflow: prompts whose right answer is known, asked of both routes beside the sample.

Owns: a case as people write it, checks, the part of the plan that names a set, a line of golden.jsonl. Does not own: content (actions/golden_sets.py),
asking (actions/replay_golden.py), what the lines decide (golden_measured.py).
Invariants: a check reads text and decides, no model does; expected answers are content and stand in no plan and no line; a case without a check is read by
the judge under its rubric and decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import regex  # type: ignore[import-untyped]

from governor.errors import Invalid
from governor.ledger.canonical import digest
from governor.shadow.guards import FENCE, call_parts, normalised, settle
from governor.shadow.parsed import parsed
from governor.shadow.patterns import matches
from governor.shadow.rubrics import Criterion, read_rubric

CHECKS: Final = ("exact", "normalised", "json", "contains", "regex", "number")
MOST_CASES: Final = 2000
LONGEST_PATTERN: Final = 500
LONGEST_READ: Final = 50_000
MAGNITUDE: Final = 400  # digits; what looks like a larger number is an id, such as 12e34567890
NAME: Final = regex.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}")
NUMBER: Final = regex.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:[eE][-+]?\d+)?")
FIELDS: Final = frozenset({"id", "prompt", "messages", "params", "tools", "check", "expected", "fields", "tolerance", "rubric"})


@dataclass(frozen=True)
class Case:
    """One case as imported. check is empty where only a rubric reads the answer."""

    id: str
    messages: tuple[Mapping[str, Any], ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    tools: tuple[Mapping[str, Any], ...] = ()
    check: str = ""
    expected: Any = None
    fields: tuple[str, ...] = ()
    tolerance: str = "0"
    rubric: tuple[Criterion, ...] = ()

    def document(self) -> dict[str, Any]:
        """What is kept as content: a request as captured calls have it, and what is expected of its answer."""
        asked = {"messages": [dict(one) for one in self.messages], "params": dict(self.params), "tools": [dict(one) for one in self.tools]}
        wish = {"id": self.id, "check": self.check, "expected": self.expected, "fields": list(self.fields), "tolerance": self.tolerance}
        return asked | {"golden": wish | {"rubric": [asdict(one) for one in self.rubric]}}

    @classmethod
    def stored(cls, document: Mapping[str, Any]) -> Case:
        wish = document["golden"]
        return cls(
            wish["id"],
            tuple(document["messages"]),
            document["params"],
            tuple(document["tools"]),
            wish["check"],
            wish["expected"],
            tuple(wish["fields"]),
            wish["tolerance"],
            tuple(Criterion(**one) for one in wish["rubric"]),
        )

    def right(self, text: str, tool_calls: Sequence[Mapping[str, Any]]) -> bool:
        """Is this answer what the case expects?"""
        return checks(self, text[:LONGEST_READ], tool_calls)


@dataclass(frozen=True)
class GoldenCase:
    """A case in a plan: its content is named by its hash."""

    id: str
    sha256: str
    check: str


@dataclass(frozen=True)
class GoldenSet:
    """The golden part of a plan: which version of which set, and the share of its checked cases the candidate may lose."""

    name: str
    version: int
    digest: str
    cases: tuple[GoldenCase, ...]
    margin: str
    critical: bool = True

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> GoldenSet:
        return cls(**{**document, "cases": tuple(GoldenCase(**one) for one in document["cases"])})


@dataclass(frozen=True)
class GoldenLine:
    """Both routes on one case. baseline, candidate: was the answer right; judge and criteria: the candidate's difference where only a rubric reads it."""

    case: str
    sha256: str
    state: str
    baseline: bool | None = None
    candidate: bool | None = None
    judge: int | None = None
    criteria: Mapping[str, int] = field(default_factory=dict)
    spend_pico: int = 0

    def document(self) -> dict[str, Any]:
        return {**self.__dict__, "criteria": dict(self.criteria), "spend_pico": str(self.spend_pico)}

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> GoldenLine:
        return cls(**{**document, "spend_pico": int(document["spend_pico"])})


def set_digest(name: str, cases: Sequence[GoldenCase]) -> str:
    return digest({"set": name, "cases": [asdict(case) for case in cases]})


def read_cases(rows: Any) -> list[Case]:
    """Cases as people write them. Raises Invalid naming the case and the field; nothing is taken of a list with an error."""
    if isinstance(rows, Mapping):
        rows = rows.get("cases")
    if not isinstance(rows, list) or not rows:
        raise Invalid("a golden set is a list of cases", hint="see docs/shadow.md, Golden sets")
    if len(rows) > MOST_CASES:
        raise Invalid(f"{len(rows)} cases; a golden set has at most {MOST_CASES}")
    found = [read_case(row, f"case {number}") for number, row in enumerate(rows, start=1)]
    ids = [case.id for case in found]
    twice = next((one for one in ids if ids.count(one) > 1), None)
    if twice is not None:
        raise Invalid(f"case id {twice!r} is used twice")
    return found


def read_case(row: Any, where: str) -> Case:
    if not isinstance(row, Mapping):
        raise Invalid(f"{where}: expected fields, found {type(row).__name__}")
    name = row.get("id")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise Invalid(f"{where}: id: letters, digits, dot, dash, colon, underscore; at most 100")
    where = f"{where} ({name})"
    if unknown := sorted(set(row) - FIELDS):
        raise Invalid(f"{where}: unknown field {unknown[0]!r}", hint=f"fields: {', '.join(sorted(FIELDS))}")
    if "messages" in row and "prompt" in row:
        raise Invalid(f"{where}: prompt and messages: write one of the two")
    messages = row.get("messages", [{"role": "user", "content": row["prompt"]}] if isinstance(row.get("prompt"), str) else None)
    if not isinstance(messages, list) or not messages or not all(isinstance(one, Mapping) and one.get("role") for one in messages):
        raise Invalid(f"{where}: messages: a list of {{role, content}}, or prompt: one text")
    case = Case(
        name,
        tuple(messages),
        mapping(row, "params", where),
        tuple(list_of(row, "tools", Mapping, where)),
        str(row.get("check") or ("normalised" if "expected" in row else "")),
        row.get("expected"),
        tuple(list_of(row, "fields", str, where)),
        str(row.get("tolerance", "0")),
        read_rubric(row.get("rubric"), where),
    )
    refuse_unreadable(case, where)
    return case


def refuse_unreadable(case: Case, where: str) -> None:
    """Raises Invalid for a case whose check could never be told from a mistake."""
    if not case.check and not case.rubric:
        raise Invalid(f"{where}: needs expected (with a check) or a rubric")
    if case.check and case.check not in CHECKS:
        raise Invalid(f"{where}: check {case.check!r}", hint=f"checks: {', '.join(CHECKS)}")
    if case.check and case.expected is None:
        raise Invalid(f"{where}: check {case.check} needs expected")
    if case.check in {"exact", "normalised", "contains", "regex"}:
        refuse_no_text(case, where)
    if case.check == "regex":
        try:
            if len(case.expected) > LONGEST_PATTERN:
                raise Invalid(f"{where}: expected: a pattern of at most {LONGEST_PATTERN} characters")
            regex.compile(case.expected)
        except regex.error as error:
            raise Invalid(f"{where}: expected: no regular expression: {error}") from None
    if case.check == "number" and (number(str(case.expected)) is None or tolerance_of(case, Decimal(1)) is None):
        raise Invalid(f"{where}: a number needs expected (a number) and tolerance (such as 0.01, or 1% of it)")
    if case.fields:
        refuse_no_field(case, where)


def refuse_no_text(case: Case, where: str) -> None:
    texts = case.expected if case.check == "contains" and isinstance(case.expected, list) else [case.expected]
    if not texts or not all(isinstance(one, str) and one for one in texts):
        raise Invalid(f"{where}: expected: text that is not empty")
    if case.check in {"normalised", "contains"} and not all(map(normalised, texts)):
        raise Invalid(f"{where}: expected: more than blanks and outer punctuation, which check {case.check} sets aside")


def refuse_no_field(case: Case, where: str) -> None:
    if case.check != "json" or not isinstance(case.expected, Mapping):
        raise Invalid(f"{where}: fields belong to check json with an object as expected")
    absent = object()
    lost = next((one for one in case.fields if at(case.expected, one, absent) is absent), None)
    if lost is not None:
        raise Invalid(f"{where}: fields: {lost!r} is not in expected", hint="a.b is field b within field a; write null where null is right")


def checks(case: Case, text: str, tool_calls: Sequence[Mapping[str, Any]]) -> bool:
    wanted = case.expected
    if case.check == "contains":
        said = normalised(text)
        return all(normalised(one) in said for one in (wanted if isinstance(wanted, list) else [wanted]))
    if case.check == "regex":
        return matches(wanted, text)
    if case.check == "number":
        return near(case, text)
    if case.check == "json":
        return json_equal(case, text, tool_calls)
    return text.strip() == wanted.strip() if case.check == "exact" else normalised(text) == normalised(wanted)


def near(case: Case, text: str) -> bool:
    said, wanted = number(text), number(str(case.expected))
    width = tolerance_of(case, wanted or Decimal(0))
    return said is not None and wanted is not None and width is not None and abs(said - wanted) <= width


def json_equal(case: Case, text: str, tool_calls: Sequence[Mapping[str, Any]]) -> bool:
    """The JSON value, or the named fields of it; tool calls count as a list of {name, arguments}."""
    if tool_calls:
        value: Any = [dict(zip(("name", "arguments"), call_parts(call), strict=True)) for call in tool_calls]
    else:
        fenced = FENCE.match(text)
        try:
            value = parsed(fenced.group(1) if fenced else text)
        except ValueError:
            return False
    if not case.fields:
        return bool(settle(value) == settle(case.expected))
    missing = object()
    parts = [(at(value, name, missing), at(case.expected, name, None)) for name in case.fields]
    return all(found is not missing and settle(found) == settle(wanted) for found, wanted in parts)


def at(value: Any, path: str, missing: Any) -> Any:
    """A field by dotted path."""
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return missing
        value = value[name]
    return value


def number(text: str) -> Decimal | None:
    """The last number in a text: an answer says how it got there first."""
    for found in reversed([one.group() for one in NUMBER.finditer(text) if any(sign.isdigit() for sign in one.group())]):
        try:
            value = Decimal(found.replace(",", ""))
        except InvalidOperation:
            continue
        if abs(value.adjusted()) <= MAGNITUDE:
            return value
    return None


def tolerance_of(case: Case, around: Decimal) -> Decimal | None:
    """Absolute, or a percentage of what is expected."""
    text = case.tolerance.strip()
    try:
        width = Decimal(text.removesuffix("%").strip())
    except InvalidOperation:
        return None
    if not width.is_finite() or width < 0 or width.adjusted() > MAGNITUDE:
        return None
    return abs(around) * width / 100 if text.endswith("%") else width


def mapping(row: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    value = row.get(name) or {}
    if not isinstance(value, Mapping):
        raise Invalid(f"{where}: {name}: expected fields")
    return value


def list_of(row: Mapping[str, Any], name: str, kind: type, where: str) -> list[Any]:
    value = row.get(name) or []
    if not isinstance(value, list) or not all(isinstance(one, kind) for one in value):
        raise Invalid(f"{where}: {name}: expected a list")
    return value
