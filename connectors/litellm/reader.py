"""Reads LiteLLM's payload log and its spend table into canonical calls, in columns.

Owns: telling the forms apart, cutting work into bounded pieces. Does not own: the mapping (shapes, calls_sql), running it (engine),
the database pull (database). Invariants: every record is in exactly one of calls and rejected; nothing is written anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from connectors.archives import head_of
from connectors.litellm.calls_sql import plan_of
from connectors.litellm.columns import KINDS
from connectors.payloads import gather, head_text
from connectors.side_by_side import convert_all
from governor.errors import Invalid
from governor.ports import Batch, Payload, ReadOptions

_SPEND: Final = re.compile(rb'"(request_id|spend)"\s*:')
_PAYLOAD: Final = re.compile(rb'"(litellm_call_id|response_cost|startTime|call_type|model_group)"\s*:')
_MARKS: Final = 3  # this many of the payload's names make it LiteLLM's, of proxies up to 1.76, which told no call id, all of them
_FIRST: Final = {b"response_cost", b"startTime", b"call_type", b"model_group"}
_OURS: Final = re.compile(rb'"(model_map_information|hidden_params|model_parameters)"\s*:')
# s3_v2 writes time-..._<id>.json, the GCS logger batch-<ms>-<hex>.ndjson
_OBJECT_NAME: Final = re.compile(r"(^|/)(time-[0-9T-]+_[^/]*\.jsonl?|batch-\d+-[0-9a-f]{8}\.(nd)?jsonl?)(\.(gz|zst))?$")


def form_of(head: bytes, uri: str) -> str | None:
    """generic_api, s3, spend_logs, or None when nothing in the first 64 KiB looks like LiteLLM."""
    text = head_of(head)
    spend = {match.group(1) for match in _SPEND.finditer(text)}
    payload = {match.group(1) for match in _PAYLOAD.finditer(text)}
    if spend == {b"request_id", b"spend"} and b"startTime" in payload:
        return "spend_logs"
    if (b"litellm_call_id" in payload and len(payload) >= _MARKS) or (payload >= _FIRST and _OURS.search(text)):
        return "s3" if _OBJECT_NAME.search(uri) or uri.startswith(("s3://", "gs://")) else "generic_api"
    return None


class LiteLLM:
    """Connector of the LiteLLM proxy: generic_api bodies, S3 and GCS objects, LiteLLM_SpendLogs rows and its database."""

    name = "litellm"

    def detect(self, head: bytes, uri: str) -> float:
        return 0.95 if form_of(head, uri) else 0.0

    def read(self, payloads: Iterable[Payload], options: ReadOptions) -> Iterator[Batch]:
        fixed = options.config.get("form")
        if fixed is not None and fixed not in KINDS:
            raise Invalid(f"form {fixed!r} is none of {', '.join(KINDS)}")
        works = gather(payloads, lambda chunk: fixed or form_of(head_text(chunk.values), chunk.uri) or "generic_api", options)
        return convert_all(((plan_of(form, options), chunks) for form, chunks in works), options)

    def fetch(self, cursor: str | None, options: ReadOptions) -> Iterator[tuple[Batch, str]]:
        from connectors.litellm.database import pull

        return pull(cursor, options)
