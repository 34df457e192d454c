"""`trust export`: the public keys a verifier must believe, as text."""

from __future__ import annotations

from governor.actions.context import Context


def export_trust(ctx: Context) -> str:
    """Trust text of the organization: log and issuer public keys, witnesses, quorum (none: the auditor raises it). Holds no secret."""
    return ctx.keys.trust_text(ctx.org, {one.name: one.key for one in ctx.settings.anchors if one.kind == "witness"})
