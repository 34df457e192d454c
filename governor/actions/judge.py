"""Ask policy about distinct questions, each once.

Owns: asking, the revision that names bundle and catalog together. Does not own: which questions exist (actions/govern.py groups the calls), remembering answers
(actions/governed_rows.py), the engine (a port). Invariants: an engine that fails refuses: nothing is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from governor.policy.bundle import Bundle, digest
from governor.policy.catalog_data import catalog_data
from governor.policy.decision import Decision, read_decision
from governor.policy.question import Question
from governor.ports import PolicyEngine


def prepare(engine: PolicyEngine, bundle: Bundle, catalog: Any) -> str:
    """Load the engine with the bundle and this catalog; the returned revision covers both."""
    data = bundle.data_with(catalog_data(catalog))
    engine.load(bundle.modules, data)
    return f"{bundle.revision}.{digest(data)}"


def revisions(engine: PolicyEngine, bundle: Bundle, catalogs: Iterable[Any]) -> list[str]:
    """Of each catalog, with the engine's kind. An engine that cannot take one of them refuses here, even where every answer is known."""
    return [type(engine).__qualname__, *(prepare(engine, bundle, catalog) for catalog in catalogs)]


def judge(engine: PolicyEngine, questions: Sequence[Question]) -> list[Decision]:
    """One Decision per question, in their order; equal questions are asked once.

    Raises governor.errors.PolicyRefused when the engine fails: then none of them is decided.
    """
    if not questions:
        return []
    distinct = list(dict.fromkeys(questions))
    documents = engine.decide_many(questions[0].path, [one.document() for one in distinct])
    known = {one: read_decision(document) for one, document in zip(distinct, documents, strict=True)}
    return [known[one] for one in questions]
