"""The replay plan: everything that is decided before the first reply is seen, in one document with one digest.

Owns: fields, canonical form, digest, the arithmetic that refuses a plan nothing could decide. Does not own: finding the population
(actions/plan_shadow.py), running it (actions/replay.py).
Invariants: frozen; changing anything is another plan; floats do not occur (margins, probabilities and shares are decimal text, money is pico-USD text).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from governor.errors import Invalid, Refused
from governor.ledger.canonical import canonical_json, digest
from governor.shadow.golden import GoldenSet
from governor.shadow.guards import Contract
from governor.shadow.rubrics import Criterion
from governor.shadow.sampling import BLOCK, Draw
from governor.shadow.statistics import least_pairs, pairs_needed

VERSION: Final = 1
QUALITY: Final = "quality"
GUARD_MARGIN: Final = Decimal("0.02")
LARGEST_SAMPLE: Final = 20_000
LABELS: Final = 100
JUDGE_CORE: Final = ("endpoint", "model", "provider", "prompt_sha256", "calibration")
MARGIN: Final = re.compile(r"0\.\d{1,6}")
KINDS: Final = {
    "error": "guard",
    "timeout": "guard",
    "refusal": "guard",
    "truncation": "guard",
    "empty": "guard",
    "contract": "guard",
    "tool_calls": "guard",
    "leak": "guard",
    "language": "guard",
    "latency": "limit",
    "cost_ceiling": "limit",
    QUALITY: "quality",
}


@dataclass(frozen=True)
class Metric:
    """A promise: the candidate loses at most `margin` of the traces on it. A metric that is not critical is reported and decides nothing."""

    name: str
    margin: str
    critical: bool = True
    direction: str = "no_worse"

    @property
    def kind(self) -> str:
        return KINDS[self.name]


@dataclass(frozen=True)
class Judge:
    """calibration: digest of the human labels it was calibrated on; empty: its opinion is shown and decides nothing alone."""

    endpoint: str
    model: str
    provider: str
    prompt_sha256: str
    calibration: str = ""
    family: str = ""  # who trained it, after aliases; empty in plans fixed before this was asked
    budget_pico: str = ""  # most that opinions may cost, out of the run's budget; empty: only the run's
    canaries: int = 0  # known-bad answers planted among its questions
    rubric: tuple[Criterion, ...] = ()  # what it is to weigh; prompt_sha256 covers it
    endpoint_model: str = ""  # the name its endpoint knows it by, where that is another

    @property
    def calibrated(self) -> bool:
        return bool(self.calibration)

    @property
    def arm(self) -> Arm:
        return Arm(self.provider, self.model, endpoint_model=self.endpoint_model)


@dataclass(frozen=True)
class Arm:
    """A route and the name the endpoint knows its model by. region and retention are what policy is asked about."""

    provider: str
    model: str
    region: str = ""
    endpoint_model: str = ""

    @property
    def asked_model(self) -> str:
        return self.endpoint_model or self.model


@dataclass(frozen=True)
class Population:
    """The calls the sample was drawn from, and how many others were left out, by reason. Money in pico-USD."""

    calls: int
    clusters: int
    digest: str
    cost_pico: int
    unpriced_calls: int
    excluded: Mapping[str, int]
    since: str
    until: str
    days: int
    filters: tuple[str, ...]
    lake_snapshot: int
    coverage: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # eligible and each reason -> calls, tokens, cost_pico


@dataclass(frozen=True)
class ReplayPlan:
    workflow_id: str
    population: Population
    seed: str
    sample: tuple[Draw, ...]
    weight_cap: str
    metrics: tuple[Metric, ...]
    baseline: Arm
    candidate: Arm
    endpoint: str
    protocol: str
    baseline_arm: str  # replayed | recorded
    aa_size: int
    budget_pico: int
    max_output_tokens: int
    timeout_ms: int
    concurrency: int
    price_book: str
    params: Mapping[str, Any] = field(default_factory=dict)  # override the recorded parameters of both arms
    data_class: str = ""
    expected_spend_pico: int = 0  # from recorded usage; a forecast, not a limit
    contract: Mapping[str, Any] | None = None
    latency_slo_us: int | None = None
    cost_ceiling_pico: int | None = None
    judge: Judge | None = None
    alpha_anytime: str = "0.01"
    alpha_final: str = "0.04"
    alpha_harm: str = "0.05"
    least_anytime_pairs: int = 30
    max_excluded_share: str = "0.5"
    block: int = BLOCK
    version: int = VERSION
    labels: int = LABELS  # differing answers that people label, drawn by the seed: with them the final test reads quality once
    aa_replays: int = 0  # first positions at which the baseline is asked a second time, interleaved with the other arms
    stream: bool = False  # both arms are streamed, so that the time to the first token is measured
    redact: bool = False  # both arms are sent the same redacted prompt
    translation: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)  # parameters changed, dropped or blocked, by arm
    golden: GoldenSet | None = None  # cases with a known answer, asked beside the sample and never counted in it

    @property
    def n(self) -> int:
        return len(self.sample)

    @property
    def harm_level(self) -> float:
        """What a harm e-process must reach: alpha is shared by all critical metrics."""
        critical = sum(metric.critical for metric in self.metrics) + (self.golden is not None and self.golden.critical)
        return max(critical, 1) / float(self.alpha_harm)

    @property
    def output_contract(self) -> Contract:
        return Contract.of(self.contract)

    def document(self) -> dict[str, Any]:
        """Canonical JSON value; money as text."""
        found = asdict(self)
        found["budget_pico"] = str(self.budget_pico)
        found["expected_spend_pico"] = str(self.expected_spend_pico)
        found["cost_ceiling_pico"] = None if self.cost_ceiling_pico is None else str(self.cost_ceiling_pico)
        found["population"]["cost_pico"] = str(self.population.cost_pico)
        found["sample"] = [{**row, "cost_pico": str(row["cost_pico"])} for row in found["sample"]]
        later = ("stream", "redact", "translation", "golden")
        for part, name in (*((found, name) for name in later), (found["population"], "coverage")):
            if not part[name]:
                del part[name]  # a plan fixed before a field existed keeps its digest
        for row in found["sample"]:
            if not row["tokens"]:
                del row["tokens"]
            if row["steps"] == 1:
                del row["steps"]
        if not self.aa_replays:
            del found["aa_replays"]  # plans fixed before this field existed keep their digest
        if self.labels == LABELS:
            del found["labels"]
        if self.judge is not None:
            found["judge"] = {name: value for name, value in found["judge"].items() if value or name in JUDGE_CORE}
        return plain(found)  # type: ignore[no-any-return]

    @property
    def canonical(self) -> bytes:
        return canonical_json(self.document())

    @property
    def digest(self) -> str:
        return digest(self.document())

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> ReplayPlan:
        """The plan of a stored document. Raises Invalid for another version."""
        if document.get("version") != VERSION:
            raise Invalid(f"replay plan of version {document.get('version')}; this program reads version {VERSION}")
        values = dict(document)
        population = {**values["population"], "cost_pico": int(values["population"]["cost_pico"])}
        values["population"] = Population(**{**population, "filters": tuple(population["filters"])})
        values["sample"] = tuple(Draw(**{**row, "cost_pico": int(row["cost_pico"])}) for row in values["sample"])
        values["metrics"] = tuple(Metric(**row) for row in values["metrics"])
        values["baseline"], values["candidate"] = Arm(**values["baseline"]), Arm(**values["candidate"])
        if judge := values["judge"]:
            values["judge"] = Judge(**{**judge, "rubric": tuple(Criterion(**one) for one in judge.get("rubric", ()))})
        if values.get("golden"):
            values["golden"] = GoldenSet.parse(values["golden"])
        values["budget_pico"] = int(values["budget_pico"])
        values["expected_spend_pico"] = int(values["expected_spend_pico"])
        ceiling = values["cost_ceiling_pico"]
        values["cost_ceiling_pico"] = None if ceiling is None else int(ceiling)
        return cls(**values)


def plain(value: Any) -> Any:
    """Mappings and tuples as dict and list; a float (a recorded parameter) becomes its shortest decimal text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return {"decimal": repr(value)} if isinstance(value, float) else value


def unplain(value: Any) -> Any:
    """Back to what an endpoint understands."""
    if isinstance(value, Mapping):
        return float(value["decimal"]) if set(value) == {"decimal"} else {key: unplain(item) for key, item in value.items()}
    return [unplain(item) for item in value] if isinstance(value, list | tuple) else value


def choose_metrics(names: Sequence[str], margins: Mapping[str, str], size: int, *, weigh: float | None = None) -> tuple[Metric, ...]:
    """The registered promises. Guards default to two points, or to the quality margin where the sample is too small for two points.
    weigh: as how many equal draws the sample counts, once it is drawn.
    Raises Invalid for an unknown metric or a margin that is none, Refused when the sample could not decide one of them.
    """
    unknown = sorted(set(margins) - set(names))
    if unknown:
        raise Invalid(f"no metric {unknown[0]!r} here", hint=f"metrics of this plan: {', '.join(names)}")
    quality = margin_of(QUALITY, margins.get(QUALITY, "0.03"))
    counted = size if weigh is None else weigh
    fallback = GUARD_MARGIN if counted >= least_pairs(float(GUARD_MARGIN)) else max(GUARD_MARGIN, quality)
    chosen, short = [], []
    for name in names:
        margin = margin_of(name, margins[name]) if name in margins else quality if name == QUALITY else fallback
        needed = least_pairs(float(margin))
        short += [(needed, margin, name)] if counted < needed else []
        chosen.append(Metric(name, format(margin, "f")))
    if short:
        needed, margin, name = max(short, key=lambda one: one[0])  # the largest: what is asked for next time is then enough for all
        others = f", as {len(short) - 1} other promises" if len(short) > 2 else ", as another promise" if len(short) > 1 else ""  # noqa: PLR2004
        raise Refused(
            f"{drawn(size, counted)} cannot decide {name} at a margin of {margin}{others}: even perfect agreement needs {needed}",
            hint=f"replay {to_draw(needed, size, counted)} or more (--sample), or let {name} lose more (--margin {name}=...)",
        )
    return tuple(chosen)


def drawn(size: int, counted: float) -> str:
    """What is drawn by its cost weighs less than equal draws, and so do several calls of one trace."""
    return f"{size} traces" if counted >= size else f"{size} traces as they were drawn count as {int(counted)} equal ones and"


def to_draw(needed: int, size: int, counted: float) -> int:
    """How many draws are likely enough: another sample weighs a little differently."""
    return needed if counted >= size else math.ceil(needed * size / counted * 1.05)


def margin_of(name: str, text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(-1)
    if not MARGIN.fullmatch(text) or not Decimal(0) < value <= Decimal("0.5"):
        raise Invalid(f"margin {name}={text}: a share of traces between 0 and 0.5, such as 0.03")
    return value


def refuse_underpowered(metrics: Sequence[Metric], size: int, discordance: Decimal, *, weigh: float | None = None) -> None:
    """Raises Refused when equally good routes that differ on this share of traces would stay undecided in more than one of five runs."""
    counted = size if weigh is None else weigh
    for metric in metrics:
        needed = pairs_needed(float(metric.margin), float(discordance))
        if metric.name == QUALITY and counted < needed:
            raise Refused(
                f"{drawn(size, counted)} would leave {metric.name} open too often at a margin of {metric.margin}: routes that are equally good and differ on"
                f" {float(discordance) * 100:g} % of the traces need {needed} for 4 of 5 runs to pass",
                hint=f"replay {to_draw(needed, size, counted)} (--sample), or let {metric.name} lose more (--margin {metric.name}=...)",
            )
