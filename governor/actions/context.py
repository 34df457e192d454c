"""What every verb is given: the organization's stores, keys and policy engine, and who acts.

Owns: opening an organization's home, the transaction around an action and what follows its commit (checkpoint, job dispatch).
Does not own: any verb. Invariants: the checkpoint is signed in a second transaction, over committed entries only; jobs are dispatched after commit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from sqlmodel import Session

from governor.actions.key_history import LOG_STREAMS, SECOND, log_key, strangers
from governor.adapters.keys import LOST, FileKeys
from governor.errors import Forbidden, IntegrityError, Misconfigured, NotFound, Unauthenticated, Unavailable
from governor.ledger.cosign import is_cosigned
from governor.policy.bundle import Bundle, load_bundle
from governor.ports import PolicyEngine
from governor.settings import Settings
from governor.store import ledger, sequencer
from governor.store.content import ContentStore
from governor.store.database import Database
from governor.store.kept import check_kept, keep_note, kept_note, note_file
from governor.store.lake import Lake
from governor.store.log_head import hold_head
from governor.store.transaction import Transaction

log = logging.getLogger(__name__)


BRINGERS: Final = ("requester", "owner", "security", "finance", "admin")  # who may bring traffic in: auditors read
ISSUERS: Final = (*BRINGERS, "auditor")  # who may export packets, which is on record: whoever holds a role


@dataclass(frozen=True)
class Actor:
    """Who acts. `id` is opaque (it enters the ledger); `email` never does. kind: person | operator | system.

    `ends`: when the token that proves them expires; None for one without an end and for who signed in otherwise.
    """

    id: str
    email: str = ""
    kind: str = "person"
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset({"api"})
    auth: str = "token"
    ends: datetime | None = None

    def ledger_ref(self) -> dict[str, Any]:
        """The actor block of a ledger entry (no personal data)."""
        return {"kind": self.kind, "ref": self.id, "roles": sorted(self.roles), "auth": {"amr": self.auth}}

    def require(self, *roles: str) -> None:
        """Raise unless this is a person who holds one of `roles`. The operator holds none."""
        if self.kind != "person":
            raise Unauthenticated(f"this needs a person with role {' or '.join(roles)}")
        if "api" not in self.scopes:
            raise Forbidden("this token lacks scope api", hint="make one with `governor token create EMAIL --scope api`")
        if not self.roles & set(roles):
            raise Forbidden(f"this needs role {' or '.join(roles)}; you hold {', '.join(sorted(self.roles)) or 'none'}")

    def require_lasting(self, what: str) -> None:
        """Raise where `what` would outlive the token that proves this person: whoever finds a token must not make it last."""
        if self.ends is not None:
            hint = "sign in with a password or the identity provider, or use a token without an end"
            raise Forbidden(f"{what} would outlive your token, which ends {self.ends:%Y-%m-%d %H:%M} UTC", hint=hint)


OPERATOR = Actor(id="operator", kind="operator", scopes=frozenset({"api", "ingest:*"}), auth="local")
SYSTEM = Actor(id="system", kind="system", auth="system")


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Context:
    """One organization, opened. Build it with `open_context`; close it when done."""

    settings: Settings
    rows: Database
    lake: Lake
    content: ContentStore
    keys: FileKeys
    now: Callable[[], datetime] = utc_now
    after_commit: list[Callable[[list[str]], None]] = field(default_factory=list)
    _own_keys: tuple[bytes, ...] = field(default=(), repr=False)  # those that were found to belong to the log

    @property
    def org(self) -> str:
        return self.settings.org

    @cached_property
    def _note_file(self) -> Path:
        return note_file(self.settings.home, self.org)

    @cached_property
    def bundle(self) -> Bundle:
        """The rules in force, read once: who changes them starts the processes again."""
        return load_bundle(self.settings.own_policies)

    def engine(self) -> PolicyEngine:
        """A fresh policy engine: the OPA server where one is configured, else the embedded one; rules of one's own where they can be stopped."""
        if self.settings.opa_url:
            from governor.adapters.opa import OpaEngine

            return OpaEngine(self.settings.opa_url, token=self.settings.opa_token)
        if self.settings.own_policies:
            from governor.policy.confined import ConfinedEngine

            return ConfinedEngine()
        from governor.policy.embedded import RegorusEngine

        return RegorusEngine()

    @contextmanager
    def transaction(self, actor: Actor) -> Iterator[Transaction]:
        """One action's transaction; on success the tree is sealed and its jobs are offered to the broker."""
        with self.rows.session(write=True) as session:
            tx = self.writing(session)
            yield tx
        if tx.entry is not None:
            self._tell_place(tx.entry, self.seal_what_is_done())
        self._dispatch(tx.jobs, actor.kind)

    def writing(self, session: Session) -> Transaction:
        """What an action may do inside an open transaction of its own; `transaction` opens, commits and seals it."""
        signer = self.keys.producer_signer()
        with suppress(Unavailable, NotFound):  # a log key that is away only delays sealing
            held = tuple(self.keys.signer(role).public_key for role in ("log", SECOND, "producer") if self.keys.has(role))
            if held != self._own_keys:
                refuse_strange_keys(session, self.org, self.keys)
                self._own_keys = held
        return Transaction(session, org=self.org, now=self.now(), producer=signer, kept=self.kept, unbroken=self.check_unbroken)

    def _tell_place(self, entry: ledger.Appended, placed: Mapping[str, int]) -> None:
        if entry.id in placed:
            entry.idx = placed[entry.id]
        elif entry.idx is None:  # somebody else placed it
            with suppress(NotFound), self.rows.session() as session:  # it waits where sealing failed
                entry.idx = ledger.entry_by_id(session, self.org, entry.id).idx

    def _dispatch(self, jobs: list[str], who: str) -> None:
        for dispatch in self.after_commit if jobs else []:
            try:
                dispatch(jobs)
            except Exception:  # the outbox row is safe; the sweep offers it again
                log.warning("job dispatch failed for %s; the sweep will retry (actor %s)", jobs, who, exc_info=True)

    def kept(self) -> str:
        """The newest checkpoint that this home signed or was shown."""
        return kept_note(self._note_file)

    def check_unbroken(self, session: Session) -> None:
        """Refuse to write behind a database that was restored or rewritten: what could not be signed would have no receipt."""
        note = self.kept()
        if note and not ledger.is_signed(session, self.org, note):
            check_kept(session, self.org, log_key(session, self.org, self.keys), note)

    def seal(self) -> Mapping[str, int]:
        """Place what waits, then sign a checkpoint over the committed tree, if it grew, and ask for its publication. What it placed.

        Never against the note kept in the home. The tree is committed before it is signed: these are two transactions.
        """
        placed = sequencer.settle(self.rows)
        path = self._note_file
        with self.rows.session(write=True) as session:
            head = hold_head(session, self.org, LOG_STREAMS)  # a key is replaced under the same lock, so it is read behind it
            origin, before, signer = self.keys.origin(self.org), kept_note(path), self.keys.log_signer()
            key = log_key(session, self.org, self.keys, changed=head.told)
            if before != head.note:
                check_kept(session, self.org, key, before)
            now, cosign, also = self.now(), self.keys.cosign(self.org, self.now()), self.keys.successor("log")
            made = ledger.sign_checkpoint(session, self.org, signer, origin, now, head=head, cosign=cosign, successor=also, key=key)
            tx = Transaction(session, org=self.org, now=now, producer=self.keys.producer_signer())
            if made is not None and made.note != before:
                keep_note(path, made.note)
                turn = int(now.timestamp()) // self.settings.anchor_seconds + 1
                for anchor in self.settings.anchors:
                    due = datetime.fromtimestamp(turn * self.settings.anchor_seconds, UTC)
                    tx.enqueue("anchor", {"anchor": anchor.name}, dedupe=f"anchor:{anchor.name}:{turn}", available_at=due)
        self._dispatch(tx.jobs, "system")
        return placed

    def seal_what_is_done(self) -> Mapping[str, int]:
        """`seal` behind a commit: where it fails for a technical reason the action is done all the same, and the next sealer seals it.

        A log that is not what was signed is no such reason. Whoever must have a sealed receipt calls `seal`.
        """
        try:
            return self.seal()
        except IntegrityError:
            raise
        except Exception as error:
            cause = str(getattr(error, "orig", None) or error).splitlines()[0]
            log.warning("what was done is committed but not sealed; the next action or `governor ledger checkpoint` seals it: %s", cause)
            log.debug("sealing failed", exc_info=True)
            return {}

    def close(self) -> None:
        self.lake.close()
        self.rows.close()


def make_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Misconfigured(f"{home} cannot be a home: {error.strerror}", hint="give a directory that may be written with --home") from None


def lost_keys(rows: Database, keys: FileKeys) -> list[str]:
    """Files of signing keys that this home lacks though its log has begun."""
    with rows.session() as session:
        newest = ledger.latest_checkpoint(session, rows.org)
        if newest is None and not sequencer.tree_size(session, rows.org):
            return []
    return keys.lacking(second=newest is not None and is_cosigned(newest.note))


def refuse_lost_keys(rows: Database, keys: FileKeys) -> None:
    """New keys would sign a second history under the name of the first: a log goes on with its own."""
    lost = lost_keys(rows, keys)
    if lost:
        raise Misconfigured(f"the ledger was begun with keys that are not in {keys.folder}: {', '.join(lost)}", hint=LOST)
    with rows.session() as session:
        refuse_strange_keys(session, rows.org, keys)


def refuse_strange_keys(session: Session, org: str, keys: FileKeys) -> None:
    """What keys of another home sign here verifies never again, also when the right ones are back."""
    strange = strangers(session, org, keys)
    if strange:
        raise Misconfigured(f"keys in {keys.folder} are not those that signed this ledger: {', '.join(strange)}", hint=LOST)


def refuse_lost_content_key(home: Path, keys: FileKeys, org: str) -> None:
    """A new key would open none of the bodies that are kept, and what it seals would lie among them."""
    kept = home / "content" / org
    if kept.exists() and any(kept.iterdir()) and org not in keys.organizations():
        raise Misconfigured(
            f"the content key of {org} is not in {keys.folder}, and no other opens what {kept} holds",
            hint="bring keys/ back from the backup of this home; if there is none, move that folder away: nobody can read it any more",
        )


def open_context(settings: Settings, *, create: bool = False) -> Context:
    """Open the organization of `settings`; `create` makes home, keys, tables and lake where missing.

    Raises governor.errors.NotFound when the home was never initialised and `create` is false.
    """
    home = settings.home
    if not create and settings.embedded and not (home / "governor.db").exists():  # to open it would make it
        raise NotFound(f"no Governor home at {home}", hint="run `governor init` (or give --home DIR)")
    if create:
        make_home(home)
    keys = FileKeys(home, passphrase=settings.key_passphrase, domain=settings.log_domain)
    rows = Database(settings.database, settings.org, settings.ledger_role)
    older = False
    with suppress(Unavailable):  # who has no token hears that first; whatever needs the database says that it is away
        older = rows.is_older()
    if create or (rows.embedded and older):  # an embedded home has nobody else to upgrade it
        rows.migrate()
    elif older:
        raise Misconfigured("the rows database is of an earlier version of Governor", hint="run governor init once: it migrates the schema")
    if create:
        refuse_lost_keys(rows, keys)
        refuse_lost_content_key(home, keys, settings.org)
        keys.create(settings.org)
    catalog = settings.lake_catalog or str(home / "lake" / "catalog.sqlite")
    data = settings.lake_data or str(home / "lake" / "data")
    lake = Lake(catalog, data, settings.org, lock_dir=home / "lake")
    content = ContentStore(home / "content" / settings.org, keys.content_key(settings.org))
    context = Context(settings=settings, rows=rows, lake=lake, content=content, keys=keys)
    if settings.broker_url:
        from governor.actions.jobs import announce

        context.after_commit.append(lambda job_ids: announce(context, job_ids))
    return context
