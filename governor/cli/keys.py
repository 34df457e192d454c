"""`governor keys`: which keys sign, replacing one, saying that one is no longer to be believed."""

from __future__ import annotations

from typing import Annotated, Any

import typer

app = typer.Typer(help="The keys that sign the log, packets and entries.", no_args_is_help=True)


@app.callback()
def keys() -> None:
    """The keys that sign the log, packets and entries."""


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """Every key that signs or signed: role, state, range of tree sizes. Public facts only."""
    from governor.actions.rotate_keys import list_keys
    from governor.cli.session import session_of

    session = session_of(ctx)
    found = list_keys(session.context())
    lines = [f"{one['role']:<9} {one['state']:<9} {one['sizes']:<14} {one['key_id']}  {_more(one)}".rstrip() for one in found]
    session.print({"keys": found}, "\n".join(["role      state     tree sizes     key (SHA-256 of the public key)", *lines]))


@app.command("rotate")
def rotate(
    ctx: typer.Context,
    role: Annotated[str, typer.Argument(help="log, log-mldsa, issuer or producer.")],
    to: Annotated[
        str, typer.Option("--to", help="Address of the new key, such as hv:NAME/VERSION or file:PATH; without it a new key file is made.")
    ] = "",
) -> None:
    """Replace a key. What the old one signed stays valid within its range; hand out the trust file again afterwards.

    Example: `governor keys rotate issuer`
    """
    from governor.actions.rotate_keys import rotate_key
    from governor.cli.session import session_of

    session = session_of(ctx)
    done = rotate_key(session.context(), session.actor(), role, address=to)
    old, new = done["previous"], done["key"]
    said = (
        f"{role} key {new['key_id'][:16]}.. signs from tree size {new['sizes']}; {old['key_id'][:16]}.. stays valid for {old['sizes']}\n"
        "Now hand out the trust file again: governor trust export -o FILE.trust"
    )
    session.print(done, said)


@app.command("revoke")
def revoke(
    ctx: typer.Context,
    key: Annotated[str, typer.Argument(help="Id of a replaced key, or its first 8 digits or more.")],
    reason: Annotated[str, typer.Option("--reason", help="compromised, lost, superseded or ceased.")],
    at_size: Annotated[
        int | None, typer.Option("--at-size", help="Largest tree the key is still believed for. Default: its whole range.")
    ] = None,
    note: Annotated[str, typer.Option("--note", help="In your words; erasable, only its commitment enters the log.")] = "",
) -> None:
    """Say on record that a replaced key is not to be believed any more; the trust file then ends its range.

    Example: `governor keys revoke 5a1e93c0 --reason compromised --at-size 180`
    """
    from governor.actions.rotate_keys import revoke_key
    from governor.cli.session import session_of

    session = session_of(ctx)
    done = revoke_key(session.context(), session.actor(), key, reason=reason, at_size=at_size, note=note)
    session.print(
        done, f"{done['role']} key {done['key_id'][:16]}.. is revoked ({done['reason']}); believed for tree sizes {done['sizes']}"
    )


def _more(one: dict[str, Any]) -> str:
    words = [
        one["store"] if one["store"] not in {"", "file"} else "",
        f"revoked {one['revoked_at']}: {one['reason']}" if one["reason"] else "",
    ]
    return ", ".join(word for word in words if word)
