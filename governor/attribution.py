"""Call -> workflow, and the rule that said so.

Owns: the order of rules, matching, what unattributed traffic suggests. Does not own: the documents (governor.catalog), the grouping of
calls by rule fields (store/lake). Invariants: pure; the first rule that matches wins; no match is a state with a reason, never a guess.

A rule's trust is `credential` when at least one of its fields is derived by the gateway from the caller's key (all fields must match, so the
caller cannot take such a rule by claim alone), else `claim`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from itertools import chain

import yaml

from governor.catalog import CREDENTIAL_FIELDS, Catalog
from governor.catalog.draft import suggested_id, wider_than
from governor.catalog.yaml_text import TO_FILL_IN

TAG = "tag"
SEPARATOR = "\x1f"  # joins the tags of one call into one key
TELLING = "telling"  # a grouping key: `field SEPARATOR value`, what calls could be told by that carry no field of a rule; null for others
SAID_OF_OWNERS = (
    "metadata.owner",
    "metadata.owner_email",
    "metadata.cost_center",
)  # what callers say of who answers and who pays; no rule by itself
SESSION = r"^(arn:aws[a-z-]*:sts::[0-9]*:assumed-role/.+/)[^/]+$"  # the name of a session differs from call to call, its role is who called


@dataclass(frozen=True, slots=True)
class Rule:
    """conditions: (field, exact value or glob with `*`); all must match. source: declared (in a workflow) | standalone."""

    id: str
    workflow_id: str
    conditions: tuple[tuple[str, str], ...]
    order: tuple[int, int, int] = (0, 0, 0)
    trust: str = "claim"
    source: str = "declared"


@dataclass(frozen=True, slots=True)
class Attribution:
    """workflow_id and rule_id are null when no rule matched; `reason` says why in words."""

    workflow_id: str | None
    rule_id: str | None
    trust: str
    reason: str


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A rule that would attribute traffic nobody owns. workflow_id: the known workflow it looks like, else null."""

    match: str
    workflow_id: str | None
    calls: int
    spend_pico: int
    yaml: str


def rules_of(catalog: Catalog) -> tuple[Rule, ...]:
    """All rules of a snapshot in the order in which they are asked: explicit `order`, then first application, then place in the list."""
    found: list[Rule] = []
    for workflow in catalog.workflows.values():
        place = catalog.sequence.get(("workflow", workflow.id), 0)
        for number, match in enumerate(workflow.match, start=1):
            conditions = tuple(sorted(match.items()))
            order = (workflow.order, place, number)
            found.append(Rule(f"{workflow.id}#{number}", workflow.id, conditions, order, trust_of(conditions)))
    for attribution in catalog.attributions.values():
        place = catalog.sequence.get(("attribution", attribution.id), 0)
        for number, rule in enumerate(attribution.rules, start=1):
            conditions = tuple(sorted(rule.match.items()))
            order = (attribution.order, place, number)
            rule_id = f"{attribution.id}#{number}"
            found.append(Rule(rule_id, rule.workflow, conditions, order, trust_of(conditions), "standalone"))
    return tuple(sorted(found, key=lambda rule: (rule.order, rule.id)))


def trust_of(conditions: Sequence[tuple[str, str]]) -> str:
    return "credential" if any(field in CREDENTIAL_FIELDS for field, _ in conditions) else "claim"


def rule_fields(rules: Sequence[Rule]) -> list[str]:
    """The fields calls must be grouped by before `attribute`, sorted: `metadata.<name>`, `tag` and names of call columns (`source`: source instance)."""
    return sorted({field for rule in rules for field, _ in rule.conditions})


def attribute(rules: Sequence[Rule], keys: Sequence[Mapping[str, str | None]]) -> list[Attribution]:
    """One answer per key, in order. A key holds the fields of `rule_fields`; `tag` holds the call's tags joined by SEPARATOR.

    Blanks around a value count as little as those around what a rule asks for, which were taken off when it was applied.
    """
    asked_of = _asked_of(rules)
    return [_one(rules, asked_of, {field: value and value.strip() for field, value in key.items()}) for key in keys]


def _asked_of(rules: Sequence[Rule]) -> dict[tuple[str, str] | None, list[int]]:
    """Places of rules by an exact value they ask for, under None those that ask for none: of thousands of rules only a few can match a key."""
    places: dict[tuple[str, str] | None, list[int]] = {}
    for place, rule in enumerate(rules):
        exact = next((one for one in rule.conditions if one[0] != TAG and "*" not in one[1]), None)
        places.setdefault(exact, []).append(place)
    return places


def _one(rules: Sequence[Rule], asked_of: Mapping[tuple[str, str] | None, list[int]], key: Mapping[str, str | None]) -> Attribution:
    named = (asked_of.get((field, value), ()) for field, value in key.items() if value)
    for place in sorted(chain(asked_of.get(None, ()), *named)):
        rule = rules[place]
        if all(_matches(field, pattern, key.get(field)) for field, pattern in rule.conditions):
            said = " and ".join(f"{field} is {pattern}" for field, pattern in rule.conditions)
            return Attribution(rule.workflow_id, rule.id, rule.trust, f"rule {rule.id}: {said}")
    if not rules:
        return Attribution(None, None, "none", "no attribution rules are declared")
    if not any(key.get(field) for field in key):
        return Attribution(None, None, "none", "the call carries none of the fields that rules ask for")
    return Attribution(None, None, "none", "no rule matches")


def _matches(field: str, pattern: str, value: str | None) -> bool:
    if not value:
        return False
    if field == TAG:
        return any(_same(pattern, tag.strip()) for tag in value.split(SEPARATOR))
    return _same(pattern, value)


def _same(pattern: str, value: str) -> bool:
    return pattern == value if "*" not in pattern else _glob(pattern).match(value) is not None


@lru_cache(maxsize=4096)
def _glob(pattern: str) -> re.Pattern[str]:
    """`*` stands for any text; nothing else is special."""
    return re.compile(translate(re.sub(r"([?\[])", r"[\1]", pattern)), re.DOTALL)


# Which field tells most about who called: what the gateway knows from the key first, then what the caller says. SQL asks in the same order (lake_facts).
SUGGESTION_FIELDS = (
    "api_key_alias",
    "metadata.workflow",
    "workflow_id",
    "team_name",
    "team_id",
    "app",
    "project_id",
    "api_key_id",
    "principal",
    TAG,
)


def suggestions(groups: Sequence[tuple[Mapping[str, str | None], int, int]], catalog: Catalog, *, limit: int = 20) -> list[Suggestion]:
    """Rules for unattributed traffic, dearest first. groups: (key, calls, spend in pico-USD) of groups without a workflow; a key may hold TELLING."""
    bins: dict[tuple[str, str], list[int]] = {}
    for key, calls, spend in groups:
        telling = telling_of(key)
        if telling is not None:
            sums = bins.setdefault(telling, [0, 0])
            sums[0] += calls
            sums[1] += spend
    made = []
    dearest = sorted(bins.items(), key=lambda one: (-one[1][1], -one[1][0], f"{one[0][0]}: {one[0][1]}"))[:limit]
    for (field, value), (calls, spend) in dearest:
        looks_like = resembling(value, catalog)
        rule = {"workflow": looks_like or TO_FILL_IN, "match": {field: value}}
        text = wider_than(value) + yaml.safe_dump(
            {"kind": "attribution", "id": suggested_id(field, value), "rules": [rule]},
            sort_keys=False,
            allow_unicode=True,
            default_flow_style=None,
        )
        made.append(Suggestion(f"{field}: {value}", looks_like, calls, spend, text))
    return made


def telling_of(key: Mapping[str, str | None]) -> tuple[str, str] | None:
    """(field, pattern) that a rule for these calls could ask for: a field that rules look at already, else what TELLING says. None: nothing."""
    names = [name for name in key if name != TELLING]
    for field in (*SUGGESTION_FIELDS, *sorted(name for name in names if name not in SUGGESTION_FIELDS)):
        value = key.get(field)
        if value:
            return field, re.sub(SESSION, r"\1*", value.split(SEPARATOR)[0] if field == TAG else value)
    field, _, value = (key.get(TELLING) or "").partition(SEPARATOR)
    return (field, value) if value else None


def resembling(value: str, catalog: Catalog) -> str | None:
    """The longest workflow id that the value contains as a whole word, such as `c-claims-fnol-triage`."""
    folded = value.casefold()  # looked for first: an expression for each of thousands of workflows takes seconds
    near = [name for name in catalog.workflows if name.casefold() in folded]
    held = [name for name in near if re.search(rf"(^|[^A-Za-z0-9]){re.escape(name)}($|[^A-Za-z0-9])", value, re.IGNORECASE)]
    return max(held, key=lambda name: (len(name), name)) if held else None
