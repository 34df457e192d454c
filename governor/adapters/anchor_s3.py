"""An anchor in S3 with Object Lock: one object per checkpoint, in compliance mode, which nobody can delete before its date, not even the account's root.

Owns: storing, proving that the lock is really on, reading back. Does not own: the bucket (its owner turns Object Lock on when making it).
Invariants: an object without a compliance lock does not count as kept; an object that is there already is compared, never replaced.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from governor.adapters.anchor_wire import Answer, exchange
from governor.adapters.aws_signature import s3_url, signed_headers
from governor.adapters.secrets import read_secret
from governor.errors import AnchorConflict, Refused, Unavailable
from governor.ledger.anchor import AnchorConfig
from governor.ledger.checkpoint import parse_checkpoint
from governor.ledger.note import parse_note
from governor.ports import AnchorReceipt

OK: Final = 200
ABSENT: Final = 404
TYPE: Final = "text/plain; charset=utf-8"
READ_BACK: Final = 50  # the newest; each vouches for all before it
PAGES: Final = 2000


class S3Anchor:
    def __init__(self, config: AnchorConfig, origin: str, *, allow_private: bool, now: Callable[[], datetime]) -> None:
        parts = urlsplit(config.target)
        self._config, self._bucket, self._private, self._now = config, parts.netloc, allow_private, now
        folder = parts.path.strip("/")
        self._folder = "/".join(part for part in (folder, origin) if part) + "/"

    def publish(self, note: str, prove: Callable[[int], Sequence[bytes]]) -> AnchorReceipt:  # noqa: ARG002 - a store asks for no proof
        size = parse_checkpoint(parse_note(note).text).size
        key, body = f"{self._folder}{size:020d}.checkpoint", note.encode()
        known = self._ask("GET", key)
        if known.status == ABSENT:
            until = (self._now() + timedelta(days=self._config.retain_days)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            headers = {
                "content-type": TYPE,
                "content-md5": base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode(),
                "x-amz-object-lock-mode": "COMPLIANCE",
                "x-amz-object-lock-retain-until-date": until,
            }
            self._good(self._ask("PUT", key, body=body, headers=headers), "store")
        elif parse_note(self._good(known, "read").body.decode("utf-8", "replace")).text != parse_note(note).text:
            raise AnchorConflict(f"anchor {self._config.name} holds another tree of {size} entries")
        found = self._good(self._ask("HEAD", key), "examine").headers
        until = found.get("x-amz-object-lock-retain-until-date", "")
        if found.get("x-amz-object-lock-mode") != "COMPLIANCE":
            raise Refused(
                f"anchor {self._config.name}: the bucket stored the checkpoint without a compliance lock",
                hint="make the bucket with Object Lock",
            )
        return AnchorReceipt(f"size {size}, locked until {until}", f"{key} {found.get('x-amz-version-id', '')} {until}".encode())

    def kept(self, newest: str) -> list[str]:  # noqa: ARG002 - the store shows all of them
        keys = self._list()
        return [self._good(self._ask("GET", key), "read").body.decode("utf-8", "replace") for key in keys[-READ_BACK:]]

    def _list(self) -> list[str]:
        keys: list[str] = []
        token = ""
        for _ in range(PAGES):
            query = {"list-type": "2", "prefix": self._folder, **({"continuation-token": token} if token else {})}
            body = self._good(self._ask("GET", "", query=query), "list").body
            if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
                raise Unavailable(f"anchor {self._config.name} answers with a document type")
            try:
                tree = ET.fromstring(body)  # noqa: S314 - no document type, so no entity can be declared
            except ET.ParseError:
                raise Unavailable(f"anchor {self._config.name} answers no list") from None
            keys += [found.text or "" for found in tree.iter() if found.tag.endswith("}Key") or found.tag == "Key"]
            token = next((found.text or "" for found in tree.iter() if found.tag.endswith("NextContinuationToken")), "")
            if not token:
                break
        return sorted(key for key in keys if key.endswith(".checkpoint"))

    def _ask(
        self, method: str, key: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None, query: Mapping[str, str] | None = None
    ) -> Answer:
        config = self._config
        url = s3_url(config.endpoint, config.region, self._bucket, key, query)
        access, secret = read_secret(config.access_key), read_secret(config.secret_key)
        sent = signed_headers(
            method,
            url,
            body=body,
            headers=headers or {},
            region=config.region,
            access_key=access,
            secret_key=secret,
            now=self._now().astimezone(UTC),
        )
        return exchange(method, url, anchor=config.name, allow_private=self._private, body=body, headers=sent)

    def _good(self, answer: Answer, verb: str) -> Answer:
        if answer.status != OK:
            code = next(
                (
                    text
                    for text in ("NoSuchBucket", "AccessDenied", "SignatureDoesNotMatch", "InvalidRequest")
                    if text.encode() in answer.body
                ),
                "",
            )
            raise Unavailable(f"anchor {self._config.name} did not {verb}: {answer.status} {code}".rstrip())
        return answer
