"""Organizations, people, their tokens and sessions. Secrets are stored as digests only."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from governor.store.rows.base import OrgRow, instant, uuid7


class Organization(SQLModel, table=True):
    id: str = Field(primary_key=True)
    name: str
    billing_zone: str = "UTC"
    created_at: datetime = instant()


class Person(OrgRow, table=True):
    __table_args__ = (UniqueConstraint("org_id", "email"),)
    id: str = Field(default_factory=uuid7, primary_key=True)
    email: str
    name: str = ""
    roles: str = ""  # comma separated: requester, owner, security, finance, auditor, admin
    password_hash: str = ""  # argon2id; empty means no local sign-in yet
    disabled: bool = False
    created_at: datetime = instant()


class Token(OrgRow, table=True):
    id: str = Field(default_factory=uuid7, primary_key=True)
    person_id: str = Field(foreign_key="person.id")
    name: str = ""
    secret_sha256: str = Field(unique=True)
    scopes: str = ""  # space separated, such as `api` or `ingest:litellm`
    created_at: datetime = instant()
    expires_at: datetime | None = instant(nullable=True)
    revoked_at: datetime | None = instant(nullable=True)
    last_used_at: datetime | None = instant(nullable=True)


class WebSession(OrgRow, table=True):
    id: str = Field(default_factory=uuid7, primary_key=True)
    secret_sha256: str = Field(unique=True)
    person_id: str = Field(foreign_key="person.id")
    csrf: str
    created_at: datetime = instant()
    expires_at: datetime = instant()


class Account(OrgRow, table=True):
    """Who a person is at an identity provider: its issuer and the subject that it never gives to another."""

    __table_args__ = (UniqueConstraint("org_id", "issuer", "subject"), UniqueConstraint("org_id", "issuer", "person_id"))
    id: str = Field(default_factory=uuid7, primary_key=True)
    person_id: str = Field(foreign_key="person.id")
    issuer: str
    subject: str
    linked_at: datetime = instant()


class IdempotencyKey(OrgRow, table=True):
    """A POST repeated with the same key and body answers what it answered the first time."""

    __table_args__ = (UniqueConstraint("org_id", "person_id", "key"),)
    id: str = Field(default_factory=uuid7, primary_key=True)
    person_id: str
    key: str
    request_sha256: str
    status: int
    body: str
    created_at: datetime = instant()
