"""Ledger tables: entries (leaf bytes are the truth), Merkle nodes, checkpoints: append only, triggers refuse update and delete.

Two tables here lose rows. An entry that waits moves to the entries when it is given its index. Deleting a disclosure erases a personal value
and breaks no proof.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from governor.store.rows.base import OrgRow, instant


class LedgerEntry(OrgRow, table=True):
    __table_args__ = (
        UniqueConstraint("org_id", "idx"),
        UniqueConstraint("org_id", "stream", "stream_seq"),
        UniqueConstraint("org_id", "idem"),
        Index("ix_ledgerentry_type", "org_id", "type", "idx"),
    )
    id: str = Field(primary_key=True)  # UUIDv7, also inside the leaf
    idx: int  # 0-based leaf index in the organization's tree
    type: str
    stream: str
    stream_seq: int  # 1-based, gap-free per stream
    idem: str  # the same wish twice is one entry, for ever
    leaf: bytes  # canonical JSON, at most 16 KiB
    leaf_hash: bytes  # RFC 6962: sha256(0x00 || leaf)
    recorded_at: datetime = instant()


class LedgerWaiting(OrgRow, table=True):
    """A committed entry that has no leaf index yet; the sequencer moves it."""

    __table_args__ = (
        UniqueConstraint("org_id", "stream", "stream_seq"),
        UniqueConstraint("org_id", "idem"),
        Index("ix_ledgerwaiting_order", "org_id", "recorded_at", "seq"),
    )
    org_id: str
    seq: int | None = Field(default=None, primary_key=True)
    id: str
    type: str
    stream: str
    stream_seq: int
    idem: str
    leaf: bytes
    leaf_hash: bytes
    recorded_at: datetime = instant()


class LedgerNode(OrgRow, table=True):
    """Complete subtree hashes: level 0 is the leaves; (level, pos) covers leaves [pos << level, (pos + 1) << level)."""

    org_id: str = Field(primary_key=True)
    level: int = Field(primary_key=True)
    pos: int = Field(primary_key=True)
    hash: bytes


class LedgerCheckpoint(OrgRow, table=True):
    org_id: str = Field(primary_key=True)
    size: int = Field(primary_key=True)
    root: bytes
    note: str  # C2SP signed note
    created_at: datetime = instant()


class LedgerDisclosure(OrgRow, table=True):
    """Salted personal field of an entry; the leaf holds its digest only."""

    org_id: str = Field(primary_key=True)
    digest: str = Field(primary_key=True)  # as in the leaf's `_sd`
    entry_id: str = Field(index=True)
    name: str
    disclosure: str  # base64url of [salt, name, value] (RFC 9901)
