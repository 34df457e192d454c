"""`trust export`: the public keys a verifier must believe, as text; keys that were replaced or revoked stand there with their range of tree sizes."""

from __future__ import annotations

from governor.actions.context import Context
from governor.actions.key_history import SECOND, HeldKey, key_chain


def export_trust(ctx: Context, *, root: str = "") -> str:
    """Trust text of the organization: log and issuer public keys, witnesses, quorum (none: the auditor raises it). Holds no secret.

    `root`: verifier key of the root that will sign the text.
    """
    witnesses, groups = dict[str, str](), dict[str, list[str]]()
    for one in ctx.settings.anchors:
        if one.kind == "witness" and one.earlier:  # any of its keys speaks for it, each within its range
            groups[one.name] = [f"{one.name}.{number}" for number in range(1, len(one.earlier) + 2)]
            witnesses |= zip(groups[one.name], (*one.earlier, one.key), strict=True)
        elif one.kind == "witness":
            witnesses[one.name] = one.key
    with ctx.rows.session() as session:
        logs, issuers = (_lines(key_chain(session, ctx.org, ctx.keys, role)) for role in ("log", "issuer"))
        second = _lines(key_chain(session, ctx.org, ctx.keys, SECOND)) if ctx.keys.has(SECOND) else []
    return ctx.keys.trust_text(ctx.org, witnesses, logs=logs, issuers=issuers, second=second, groups=groups, root=root)


def _lines(chain: list[HeldKey]) -> list[str]:
    """A key that was never replaced needs no range."""
    whole = len(chain) == 1 and chain[0].sizes == "0.."
    return [f"{one.verifier.text}{'' if whole else f' {one.sizes}'}" for one in chain]
