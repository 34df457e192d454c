"""Passkeys of people (public keys only) and the challenges a device has been asked to sign."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from governor.store.rows.base import OrgRow, instant, uuid7


class Passkey(OrgRow, table=True):
    __table_args__ = (UniqueConstraint("org_id", "credential"),)
    id: str = Field(default_factory=uuid7, primary_key=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    name: str = ""
    credential: str  # base64url, as the device calls it
    algorithm: str  # ES256 | EdDSA
    public_key: str  # hex: an uncompressed point, or 32 bytes
    cose: str  # base64url, as the device sent it
    sign_count: int = 0
    created_at: datetime = instant()
    last_used_at: datetime | None = instant(nullable=True)
    revoked_at: datetime | None = instant(nullable=True)


class PasskeyChallenge(OrgRow, table=True):
    """Asked once, answered at most once."""

    id: str = Field(default_factory=uuid7, primary_key=True)
    person_id: str
    purpose: str  # register | decide
    challenge: str  # hex
    record: str = ""  # canonical JSON of the decision that is asked for
    expires_at: datetime = instant()
