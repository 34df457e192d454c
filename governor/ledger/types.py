"""Entry types: one registry, one JSON Schema per payload, one digest per schema.

Owns: which `subject:verb` may be written and what its payload must say at least. Does not own: who may do it (changes.py, actions).
Invariants: a schema names the core a verifier relies on and allows more; a published schema is never edited, its digest is inside every entry.
`change` is the change id, `digest` the hex digest an approval binds; people are opaque refs; e-mails and names go to `EntryDraft.personal`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from governor.errors import Invalid
from governor.ledger.canonical import digest

_TEXT: Final = {"type": "string", "minLength": 1}
_SHA: Final = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_NEEDS: Final = {
    "type": "array",
    "items": {"type": "object", "required": ["role"], "properties": {"role": _TEXT, "reason": {"type": "string"}}},
}


@dataclass(frozen=True)
class EntryType:
    name: str
    meaning: str
    fields: dict[str, dict[str, Any]]
    optional: dict[str, dict[str, Any]]

    @cached_property
    def schema(self) -> dict[str, Any]:
        """JSON Schema of the payload: the named core is required, anything more is allowed."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"https://governor.example/ledger/{self.name.replace(':', '/')}/v1",
            "description": self.meaning,
            "type": "object",
            "required": sorted(self.fields),
            "properties": {**self.fields, **self.optional},
            "additionalProperties": True,
        }

    @cached_property
    def schema_sha256(self) -> str:
        return digest(self.schema)


def _type(name: str, meaning: str, *, optional: dict[str, dict[str, Any]] | None = None, **fields: dict[str, Any]) -> EntryType:
    return EntryType(name, meaning, fields, optional or {})


_ALL: Final = (
    _type("home:init", "An organization's home was made.", org=_TEXT),
    _type("catalog:apply", "Catalog documents took effect."),
    _type("source:ingest", "A batch of records was read from a source."),
    _type("prices:import", "A version of the price book was recorded."),
    _type("prices:propose", "A set of list prices waits for a person's approval; `digest` is over its rows.", proposal=_TEXT, digest=_SHA),
    _type(
        "prices:approve",
        "A person approved a proposal by the digest of its difference, and it became a version of the price book.",
        proposal=_TEXT,
        digest=_SHA,
        difference=_SHA,
    ),
    _type("prices:reject", "A person rejected a proposal.", proposal=_TEXT, digest=_SHA),
    _type(
        "change:propose",
        "A route change was requested, with its evaluation plan fixed.",
        change=_TEXT,
        optional={"digest": _SHA, "workflow": _TEXT},
    ),
    _type("change:submit", "A change was handed in for review.", change=_TEXT, optional={"digest": _SHA}),
    _type(
        "change:shadow",
        "A shadow run ended; `author` is the ref of whoever ran or edited the evidence.",
        change=_TEXT,
        status=_TEXT,
        optional={"run": _TEXT, "author": _TEXT, "verdict": {"type": "string"}},
    ),
    _type("change:review", "Policy was evaluated and the approval matrix computed.", change=_TEXT, digest=_SHA, needs=_NEEDS),
    _type("change:approve", "A person approved exactly this digest, answering one needed role.", change=_TEXT, digest=_SHA, role=_TEXT),
    _type("change:reject", "A person rejected exactly this digest.", change=_TEXT, digest=_SHA),
    _type("change:expire", "A change ran out of time before it was decided or cut over.", change=_TEXT),
    _type(
        "change:withdraw",
        "Whoever asked for a change, or an admin, withdrew it before it was cut over; of a shadow run that this stopped, what it had spent and reserved.",
        change=_TEXT,
        digest=_SHA,
        optional={"run": _TEXT, "spent_pico": _TEXT, "reserved_pico": _TEXT},
    ),
    _type("change:cutover", "The company says it moved its route; nothing was written to a gateway.", change=_TEXT, digest=_SHA),
    _type("change:verify", "Later traffic was compared with the approved route and agreed.", change=_TEXT),
    _type("change:drift", "Later traffic differs from the approved route.", change=_TEXT),
    _type(
        "route:revalidate",
        "An approved route was asked again with the prompts of its approved evidence; `verdict` says what was seen. No route was changed.",
        change=_TEXT,
        workflow=_TEXT,
        check=_TEXT,
        verdict=_TEXT,
    ),
    _type(
        "golden:import",
        "A version of a golden set was recorded; `digest` covers its cases, whose texts are content.",
        set=_TEXT,
        workflow=_TEXT,
        digest=_SHA,
    ),
    _type("golden:withdraw", "A golden set was withdrawn and the texts of its cases erased.", set=_TEXT, workflow=_TEXT, reason=_TEXT),
    _type("period:close", "A month was closed from a pinned snapshot.", month=_TEXT),
    _type(
        "period:issue",
        "A packet of all changes of a period was issued; `statement_sha256` is its DSSE envelope.",
        period=_TEXT,
        statement_sha256=_SHA,
    ),
    _type("period:soft_close", "A month was closed softly: what is captured and what is forecast was accrued.", month=_TEXT),
    _type(
        "period:sign",
        "The first of two people signed a close; `manifest_sha256` is what the second must arrive at.",
        month=_TEXT,
        manifest_sha256=_SHA,
    ),
    _type("period:withdraw", "A signed close was withdrawn before a second person closed.", month=_TEXT),
    _type("period:ask_reopen", "A person asked for a closed month to be reopened.", month=_TEXT, reason=_TEXT),
    _type(
        "period:reopen",
        "A second person agreed: the month is open again; its version is kept.",
        month=_TEXT,
        reason=_TEXT,
        manifest_sha256=_SHA,
    ),
    _type("period:dispute", "Somebody disagrees with a line of a statement.", month=_TEXT, dispute=_TEXT, line=_TEXT),
    _type("period:answer", "A dispute was answered: upheld or rejected.", month=_TEXT, dispute=_TEXT, verdict=_TEXT),
    _type("period:except", "A signed exception allowed a close below the coverage limit.", month=_TEXT),
    _type("bill:import", "A provider's bill was read; `digest` is over the digests of its files.", digest=_SHA, source=_TEXT),
    _type(
        "period:reconcile",
        "A month was compared with the providers' bills; `digest` is of the result.",
        month=_TEXT,
        digest=_SHA,
        status=_TEXT,
    ),
    _type("waiver:apply", "A waiver took effect until its expiry."),
    _type(
        "budget:cross",
        "Spend of a month reached a threshold of a budget (percent), or was forecast to reach the budget; amounts are decimal text in USD.",
        month=_TEXT,
        budget=_TEXT,
        limit=_TEXT,
        optional={"spent": _TEXT, "threshold": {"type": "integer"}, "forecast": _TEXT},
    ),
    _type("packet:issue", "An audit packet was issued; `statement_sha256` is its DSSE envelope.", change=_TEXT, statement_sha256=_SHA),
    _type("key:rotate", "A key was replaced.", key_id=_TEXT),
    _type("key:revoke", "A key is no longer trusted from a tree size on.", key_id=_TEXT),
    _type(
        "passkey:register",
        "A person's device may sign decisions from now on; `public_key` is what it signs under.",
        person=_TEXT,
        public_key=_TEXT,
    ),
    _type("passkey:revoke", "A person's device may sign no more decisions; what it signed stays signed.", person=_TEXT, public_key=_TEXT),
    _type("redaction:done", "Personal fields of an entry were erased; their commitments remain.", entry=_TEXT),
    _type("person:apply", "A person's account or roles changed."),
    _type("token:create", "An API token was made."),
    _type("token:revoke", "An API token was revoked."),
    _type("content:erase", "Stored prompts or outputs were erased; their digests remain."),
    _type("quarantine:retry", "Quarantined records were read again."),
    _type("quarantine:discard", "Quarantined records were given up as never readable; their bytes stay.", reason=_TEXT, ids_sha256=_SHA),
    _type("clock:anomaly", "The server clock stepped back; recorded_at was held.", clock=_TEXT, held_at=_TEXT),
    _type("ledger:restore", "The database was restored behind an anchor; a person decided to go on."),
)

REGISTRY: Final[dict[str, EntryType]] = {kind.name: kind for kind in _ALL}


def entry_type(name: str) -> EntryType:
    """Raises Invalid for a type that is not registered: an unknown verb has no meaning to an auditor."""
    try:
        return REGISTRY[name]
    except KeyError:
        raise Invalid(f"unknown ledger entry type {name!r}", hint="register it in governor/ledger/types.py") from None


def change_stream(change_id: str) -> str:
    """The stream that holds every entry about one change, packets included."""
    return f"change/{change_id}"
