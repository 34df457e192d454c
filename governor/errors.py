"""Every way Governor can refuse or fail, as one tree.

Owns: error code, HTTP status, hint. Does not own: how a door shows them (cli prints one line, api sends problem+json).
Invariants: a class has one `code`; the message never carries a secret; 422 means malformed input, 409 a business conflict.
"""

from __future__ import annotations


class GovernorError(Exception):
    """Base of all expected failures. `hint` tells the reader what to do next; `abroad` is the message for who asks over the network, where they differ."""

    code = "error"
    status = 500
    hint = ""

    def __init__(self, message: str, *, hint: str = "", abroad: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.abroad = abroad or message
        if hint:
            self.hint = hint


class Invalid(GovernorError):
    """The input itself is malformed; the message names the row or field."""

    code = "invalid"
    status = 422


class Unauthenticated(GovernorError):
    code = "unauthenticated"
    status = 401
    hint = "set GOVERNOR_TOKEN to a token made with `governor token create EMAIL`, or sign in"


class Forbidden(GovernorError):
    code = "forbidden"
    status = 403


class NotFound(GovernorError):
    code = "not_found"
    status = 404


class Unavailable(GovernorError):
    """A part this needs (broker, endpoint, OPA) does not answer; trying again later may work."""

    code = "unavailable"
    status = 503


class LakeBusy(Unavailable):
    """Another writer has the lake, and will let go of it."""

    hint = "try again; nothing was stored"


class StoreAway(Unavailable):
    """The files or the catalog of the lake cannot be reached: nothing that another writer would let go of."""

    hint = (
        "check the disk or object store of GOVERNOR_LAKE_DATA (address, credentials AWS_*, space) and the database of GOVERNOR_LAKE_CATALOG"
    )


class Misconfigured(GovernorError):
    """A knob of the installation itself is wrong; nothing was tried with it."""

    code = "settings"
    hint = "see docs/settings.md"


class TooLarge(Invalid):
    code = "too_large"
    status = 413


class BodyTooLarge(TooLarge):
    hint = "send it in smaller parts; GOVERNOR_MAX_BODY_BYTES of the server is the limit"


class Refused(GovernorError):
    """The request is well formed, but a rule of the business forbids it now."""

    code = "refused"
    status = 409


class SeparationOfDuties(Refused):
    code = "separation_of_duties"
    hint = "another person with the needed role must decide"


class StaleApproval(Refused):
    code = "stale_approval"
    hint = "show the change again and decide on the digest it has now"


class ExpiredApproval(Refused):
    code = "expired_approval"
    hint = "ask for the approval again; approvals are valid for a limited time"


class MissingEvidence(Refused):
    code = "missing_evidence"
    hint = "run `governor change shadow ID` first"


class RoleNotNeeded(Refused):
    code = "role_not_needed"
    hint = "`governor change show ID` lists the roles this change needs and why"


class PasskeyNeeded(Refused):
    """Policy asks for the person's own device; a password or token stands behind this approval."""

    code = "passkey_needed"
    hint = "approve on the change's page with your passkey (register one under Settings; docs/passkeys.md)"


class WrongState(Refused):
    code = "wrong_state"


class CoverageTooLow(Refused):
    code = "coverage_too_low"
    hint = "map the spend that `governor usage` shows as unattributed, unpriced or unapproved, or record a signed exception"


class PeriodClosed(Refused):
    code = "period_closed"
    hint = "closed months never change; corrections appear in the open period"


class BudgetExceeded(Refused):
    code = "budget_exceeded"


class PolicyRefused(Refused):
    code = "policy_refused"


class IntegrityError(GovernorError):
    """Stored bytes do not hash or verify to what was recorded."""

    code = "integrity"
    status = 500
    hint = "run `governor ledger verify`; do not write until the cause is known"


class AnchorConflict(IntegrityError):
    """A place that keeps our checkpoints holds a history that the database no longer tells."""

    code = "anchor_conflict"
    hint = "do not write; run `governor ledger verify --evidence DIR` and see docs/anchors.md"
