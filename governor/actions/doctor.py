"""`governor doctor`: examine this installation without changing it."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text
from sqlmodel import Session

from governor.actions.anchor_states import anchor_states, audit_grade
from governor.actions.context import Context, open_context, refuse_lost_keys
from governor.actions.single_sign_on import identity_provider
from governor.actions.spool import waiting_since
from governor.adapters.keys import MLDSA, ROLES
from governor.errors import GovernorError, Misconfigured, Unavailable
from governor.settings import Settings, not_settings
from governor.store.sequencer import as_sequencer, tree_size

DISTRIBUTION = "workflow-model-governor"
LATE_SECONDS = 60.0
TOP_LEVEL = ("governor", "connectors", "workers", "reports", "policies")
WRITTEN = ("anchors", "content", "lake", "scratch", "spool")  # folders of the home
UNCHANGED = {".parquet", ".pack"}  # files that are written once
NAMED = 3  # of many that are wrong
LOG_RIGHTS = (
    *((table, right) for table in ("ledgerentry", "ledgernode", "ledgercheckpoint") for right in ("SELECT", "INSERT")),
    *(("ledgerwaiting", right) for right in ("SELECT", "DELETE")),
)


@dataclass(frozen=True)
class Check:
    """needed: a failure makes the installation unusable; otherwise it only limits it."""

    name: str
    ok: bool
    detail: str
    needed: bool = True

    def as_dict(self) -> dict[str, object]:
        return asdict(self)

    def line(self) -> str:
        mark = "ok" if self.ok else ("FAIL" if self.needed else "--")
        return f"[{mark:^4}] {self.name:<18} {self.detail}"


def examine(settings: Settings) -> list[Check]:
    """Every check, in the order a person would ask."""
    return list(_checks(settings))


def _checks(settings: Settings) -> Iterator[Check]:
    yield Check("python", sys.version_info >= (3, 11), sys.version.split()[0])
    yield _names()
    yield _variables()
    yield _guard("pdf", _pdf, needed=False)
    yield _guard("opa", lambda: _opa(settings), needed=bool(settings.opa_url))
    yield _guard("broker", lambda: _broker(settings), needed=bool(settings.broker_url))
    yield _guard("single sign-on", lambda: _single_sign_on(settings), needed=bool(settings.oidc_issuer))
    home = settings.home.absolute()
    free = shutil.disk_usage(home if home.exists() else home.anchor).free
    yield Check("disk", free > 1 << 30, f"{free / (1 << 30):.1f} GiB free at {settings.home}")
    yield _guard("files", lambda: _files(settings.home))
    try:
        context = open_context(settings)
    except GovernorError as error:
        yield Check("home", ok=False, detail=f"{error.message}. {error.hint}")
        return
    try:
        yield _guard("database", lambda: _database(context))
        yield _guard("keys", lambda: _keys(context))
        yield _guard("content", lambda: _content(context))
        yield _guard("isolation", lambda: _isolation(context))
        yield _guard("ledger", lambda: _ledger(context))
        yield _guard("ledger role", lambda: _ledger_role(context))
        yield _guard("lake", lambda: _lake(context))
        yield _guard("spool", lambda: _spool(context), needed=False)
        yield _guard("policy", lambda: _policy(context))
        yield _guard("anchors", lambda: _anchors(context), needed=False)
    finally:
        context.close()


def _guard(name: str, probe: Callable[[], str], *, needed: bool = True) -> Check:
    try:
        return Check(name, ok=True, detail=probe(), needed=needed)
    except Exception as error:  # noqa: BLE001 - a probe may fail in any way; the line says which
        hint = getattr(error, "hint", "")
        return Check(name, ok=False, detail=f"{type(error).__name__}: {error} {hint}".strip(), needed=needed)


def _files(home: Path) -> str:
    """Raises Misconfigured for what another user made in this home, such as root by a command beside the server."""
    if not os.access(home, os.W_OK):
        return "the home may only be read, or is not there"
    found = [*home.glob("governor.db*"), *(path for name in WRITTEN for path in [home / name, *(home / name).rglob("*")])]
    owner, root = home.stat().st_uid, os.geteuid() == 0
    wrong = [path for path in found if _is_strange(path, owner, root=root)]
    if wrong:
        named = ", ".join(str(path.relative_to(home)) for path in sorted(wrong)[:NAMED])
        whose = f"of another user than the home ({owner})" if root else f"not for this user ({os.geteuid()}) to write"
        raise Misconfigured(
            f"{len(wrong)} of its files and folders are {whose}: {named}{', ...' * (len(wrong) > NAMED)}",
            hint="give the whole home to the user of the server (chown -R), and run every command as that user",
        )
    return f"all {len(found)} of the home may be used"


def _is_strange(path: Path, owner: int, *, root: bool) -> bool:
    try:
        if root:
            return path.stat().st_uid != owner
        needs = os.R_OK if path.suffix in UNCHANGED else os.R_OK | os.W_OK | (os.X_OK if path.is_dir() else 0)
        return not os.access(path, needs) and path.exists()
    except PermissionError:
        return True
    except FileNotFoundError:  # gone meanwhile, or never made
        return False


def _variables() -> Check:
    """Names only, never values: a variable that is no setting may be a secret's."""
    strange = [name + (f" (did you mean {meant}?)" if meant else "") for name, meant in not_settings(os.environ).items()]
    said = (
        f"no settings, so they do nothing unless a secret refers to them: {', '.join(strange)}"
        if strange
        else "every GOVERNOR_ name is a setting"
    )
    return Check("variables", not strange, said, needed=False)


def _names() -> Check:
    """Fails if another distribution owns one of our import names: both would then be half installed."""
    owners = importlib.metadata.packages_distributions()
    clashes = {name: owned for name in TOP_LEVEL if (owned := [dist for dist in owners.get(name, []) if dist != DISTRIBUTION])}
    return Check(
        "import names", not clashes, "ours alone" if not clashes else f"also owned by {clashes}: install Governor in its own environment"
    )


def _pdf() -> str:
    import weasyprint

    return f"WeasyPrint {weasyprint.__version__}"


def _policy(context: Context) -> str:
    own = context.settings.own_policies
    return f"bundle {context.bundle.revision[:12]}{f' of {own}' if own else ''}, {context.engine().info.name}"


def _opa(settings: Settings) -> str:
    if not settings.opa_url:
        return "embedded engine (no GOVERNOR_OPA_URL)"
    from governor.adapters.opa import OpaEngine

    engine = OpaEngine(settings.opa_url, token=settings.opa_token)
    return f"OPA {engine.probe().version} at {engine.address}"


def _single_sign_on(settings: Settings) -> str:
    provider = identity_provider(settings)
    if provider is None:
        return "none (no GOVERNOR_OIDC_ISSUER)"
    provider.metadata()
    return f"{provider.issuer} answers; it must send browsers back to {provider.callback}"


def _broker(settings: Settings) -> str:
    if not settings.broker_url:
        return "worker threads in this process (no GOVERNOR_BROKER_URL)"
    import redis

    redis.Redis.from_url(settings.broker_url, socket_timeout=3).ping()
    return "Redis answers"


def _database(context: Context) -> str:
    with context.rows.session() as session:
        session.connection()
    return "embedded SQLite" if context.settings.embedded else "Postgres"


def _keys(context: Context) -> str:
    """Raises what signing would meet: a file that others may read, one that is no key, a key store that does not answer."""
    refuse_lost_keys(context.rows, context.keys)
    signers = [context.keys.signer(role) for role in (*ROLES, MLDSA) if context.keys.has(role)]
    return f"all {len(signers)} of {context.keys.folder} can sign"


def _content(context: Context) -> str:
    """Raises IntegrityError where bodies and records would be kept with another key than those before them."""
    with suppress(Unavailable):  # the check of the lake says that
        newest = context.lake.query("SELECT raw FROM lake.quarantine WHERE raw IS NOT NULL ORDER BY created_at DESC LIMIT 1").to_pylist()
        for row in newest:
            context.content.unseal(bytes(row["raw"]))
    return context.content.check_key()


def _ledger(context: Context) -> str:
    """Raises IntegrityError where every action would be refused."""
    with context.rows.session() as session:
        context.check_unbroken(session)
        return f"{tree_size(session, context.org)} entries continue what was signed (`governor ledger verify` looks at each)"


def _anchors(context: Context) -> str:
    """Raises Unavailable for a stale one: the check line then shows `--`."""
    states = anchor_states(context)
    stale = [str(one["name"]) for one in states if one["state"] == "stale"]
    if stale:
        raise Unavailable(f"stale: {', '.join(stale)}", hint="run `governor ledger anchor`")
    return f"{len(states)} configured, {'audit-grade' if audit_grade(states) else 'NOT audit-grade: none outside the reach of the database owner is up to date'}"


def _lake(context: Context) -> str:
    """Raises what reading a file of it meets: the catalog may answer where the object store does not."""
    context.lake.query("SELECT record_id FROM {calls} LIMIT 1")
    return f"snapshot {context.lake.snapshot_id()}"


def _spool(context: Context) -> str:
    """Raises Unavailable for bodies that should have been stored long ago."""
    bodies, size, since = waiting_since(context)
    if not bodies:
        return "no pushed body waits"
    oldest = datetime.fromtimestamp(since, UTC)
    said = f"{bodies} pushed {'body waits' if bodies == 1 else 'bodies wait'} ({size / (1 << 20):.1f} MiB), the oldest since {oldest:%Y-%m-%d %H:%M:%S} UTC"
    if time.time() - since > LATE_SECONDS:
        raise Unavailable(said, hint="they are safe; is `governor serve` running? its log says why they are not stored")
    return said


def _ledger_role(context: Context) -> str:
    """Raises what sealing would meet: a role that cannot be taken, or one that may not write the log."""
    role = context.settings.ledger_role
    if context.settings.embedded:
        return "embedded SQLite has no roles"
    with context.rows.session() as session, as_sequencer(session):
        lacking = [f"{right} on {table}" for table, right in LOG_RIGHTS if not _may(session, table, right)]
    if lacking:
        who = f"GOVERNOR_LEDGER_ROLE {role}" if role else "without GOVERNOR_LEDGER_ROLE the role of GOVERNOR_DATABASE_URL"
        raise Misconfigured(f"{who} lacks {', '.join(lacking)}", hint="docs/operations.md has the commands")
    return f"{role or 'the role of GOVERNOR_DATABASE_URL'} may write the log"


def _may(session: Session, table: str, right: str) -> bool:
    return bool(session.connection().execute(text("SELECT has_table_privilege(:table, :right)"), {"table": table, "right": right}).scalar())


def _isolation(context: Context) -> str:
    if context.settings.embedded:
        return "one organization per home (several need Postgres)"
    context.rows.check_isolation()
    return "row-level security binds this role"
