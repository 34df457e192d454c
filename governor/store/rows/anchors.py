"""What anchors answered: one row per anchor and checkpoint. A copy for pages and packets; the anchor itself is the truth."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field

from governor.store.rows.base import OrgRow, instant


class LedgerAnchor(OrgRow, table=True):
    org_id: str = Field(primary_key=True)
    anchor: str = Field(primary_key=True)  # name in the settings
    size: int = Field(primary_key=True)
    root: bytes
    kind: str
    detail: str  # for people
    receipt: bytes  # cosignature lines, token, commit id
    published_at: datetime = instant()
