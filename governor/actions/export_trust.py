"""`trust export`: the public keys a verifier must believe, as text."""

from __future__ import annotations

from governor.actions.context import Context


def export_trust(ctx: Context) -> str:
    """Trust text of the organization: log and issuer public keys, quorum. Holds no secret; anybody may have it."""
    return ctx.keys.trust_text(ctx.org)
