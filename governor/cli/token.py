"""`governor token`: who may act, and how they prove it."""

from __future__ import annotations

from typing import Annotated

import typer

from governor.cli.session import session_of

app = typer.Typer(help="API tokens and passwords of people.", no_args_is_help=True)


@app.command("create")
def create(
    ctx: typer.Context,
    email: Annotated[str, typer.Argument(help="E-mail of a known person.")],
    scope: Annotated[list[str] | None, typer.Option("--scope", help="api (default), read, or ingest:SOURCE; may be repeated.")] = None,
    name: Annotated[str, typer.Option("--name", help="What it is for.")] = "",
    days: Annotated[int | None, typer.Option("--days", help="Lifetime; without it the token lives until revoked.")] = None,
) -> None:
    """Make a token and print it once. For yourself, or for anybody when you are an admin.

    `GOVERNOR_TOKEN=... governor token create dana@acme.example --scope api`
    """
    from governor.actions.people import create_token

    session = session_of(ctx)
    context = session.context()
    made = create_token(context, session.actor(), email=email, scopes=scope or ["api"], name=name, days=days)
    session.print(made, made["token"])
    session.note(f"Token of {made['email']} with scope {' '.join(made['scopes'])}; it is shown once.")


@app.command("list")
def list_(
    ctx: typer.Context,
    email: Annotated[str, typer.Option("--email", help="Only of this person.")] = "",
) -> None:
    """Tokens with their scopes and last use, never their secret. Your own; everybody's for an admin."""
    from governor.actions.people import list_tokens

    session = session_of(ctx)
    context = session.context()
    actor = session.actor()
    mine = actor.email if actor.kind == "person" and "admin" not in actor.roles else ""
    rows = list_tokens(context, actor, email=email or mine)
    lines = [
        f"{row['id']}  {row['email']}  {' '.join(row['scopes'])}  {'revoked' if row['revoked_at'] else 'in force'}  {row['name']}"
        for row in rows
    ]
    session.print({"tokens": rows}, "\n".join(lines) or "no tokens")


@app.command("revoke")
def revoke(ctx: typer.Context, token_id: Annotated[str, typer.Argument(help="Id from `governor token list`.")]) -> None:
    """End a token now. Your own, or anybody's when you are an admin.

    Example: `governor token revoke ID`
    """
    from governor.actions.people import made_since, revoke_token

    session = session_of(ctx)
    revoke_token(session.context(), session.actor(), token_id)
    others = made_since(session.context(), token_id)
    told = f"; its person made others since that still hold, and whoever had it may have: {' '.join(others)}" if others else ""
    session.print({"id": token_id, "revoked": True, "made_since": others}, f"token {token_id} is revoked{told}")


@app.command("password")
def password(
    ctx: typer.Context,
    email: Annotated[str, typer.Argument(help="E-mail of a known person.")],
    from_file: Annotated[
        typer.FileText | None, typer.Option("--file", encoding="utf-8", help="Read the first line of this file (- for standard input).")
    ] = None,
) -> None:
    """Set the password for signing in on the pages; asked for on the terminal unless read from a file. Ends open sessions.

    Example: `governor token password dana@acme.example`
    """
    from governor.actions.sign_in import set_password

    session = session_of(ctx)
    secret = (
        from_file.readline().rstrip("\r\n")
        if from_file
        else typer.prompt("New password", hide_input=True, confirmation_prompt=True, err=True)
    )
    set_password(session.context(), session.actor(), email=email, password=secret)
    session.print({"email": email, "password": "set"}, f"password of {email} is set")


@app.command("unlink")
def unlink(ctx: typer.Context, email: Annotated[str, typer.Argument(help="E-mail of a known person.")]) -> None:
    """Forget which account of the identity provider is this person's: their next single sign-on links anew. For admins.

    Example: `governor token unlink dana@acme.example`
    """
    from governor.actions.single_sign_on import unlink as forget

    session = session_of(ctx)
    count = forget(session.context(), session.actor(), email=email)
    session.print({"email": email, "unlinked": count}, f"{email} is linked with no account any more")
