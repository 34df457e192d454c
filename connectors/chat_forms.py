"""Facts that need more than a path: worked out in SQL beside the record, then mapped as `derived.*`.

Owns: the step before and after a mapping's statement; turning the providers' own message blocks into chat blocks.
Does not own: which facts (bedrock.py, vertex.py), the mapping language.
Invariants: the digest and the refused record stay those of the bytes received; a prompt that is not in chat form is never called replayable.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from connectors.mapping import MappedConnector
from connectors.side_by_side import Work
from governor.ports import Payload, ReadOptions

# how content that was moved out of the record is named: Converse, Gemini
_MOVED: Final = "s3Uri|s3Location|fileData|file_data"
_STATEMENT: Final = "WITH "


class DerivedConnector(MappedConnector):
    """A mapped connector whose records get an object `derived` before they are mapped.

    record: SQL over `whole`, the line, giving the record as JSON. opened: SQL over that record, called `r`, giving it with nothing packed inside.
    parts: name -> JSON pointer of a part of it. facts: name -> SQL over the parts and `r`, null where nothing is known. spoken: facts that
    only content needs.
    """

    record: str = "whole::JSON"
    opened: str = "r"
    parts: Mapping[str, str] = {}
    facts: Mapping[str, str] = {}
    spoken: Mapping[str, str] = {}

    def _works(self, payloads: Iterable[Payload], options: ReadOptions) -> Iterator[Work]:
        for plan, chunks in super()._works(payloads, options):
            yield replace(plan, sql=self._around(plan.sql, content=options.with_content)), chunks

    def _around(self, sql: str, *, content: bool) -> str:
        wanted = {**self.facts, **(self.spoken if content else {})}
        facts = ", ".join(f"'{name}', {fact}" for name, fact in wanted.items())
        paths = ", ".join(f"'{path}'" for path in self.parts.values())
        parts = ", ".join(f"p[{place}] AS {name}" for place, name in enumerate(self.parts, 1))
        before = f"""WITH sound AS (SELECT *, CASE WHEN fault IS NULL AND json_valid(line) THEN line END AS whole FROM records),
            received AS (SELECT *, CASE WHEN json_type(whole) = 'OBJECT' THEN {self.record} END AS r FROM sound),
            unpacked AS (SELECT * REPLACE ({self.opened} AS r) FROM received),
            parted AS (SELECT *, json_extract(r, [{paths}]) AS p FROM unpacked),
            parts AS (SELECT *, {parts} FROM parted),
            derived AS (SELECT uri, row, position, fault, payload_sha256, CASE WHEN r IS NULL THEN line
                ELSE json_merge_patch(r, json_object('derived', json_object({facts})))::VARCHAR END AS line FROM parts),
            records AS (SELECT * FROM derived), """
        # without `raw` the engine keeps a refused record as it was received
        return f"SELECT * EXCLUDE (raw) {_sendable() if content else ''} FROM ({before}{sql.removeprefix(_STATEMENT)})"


def _sendable() -> str:
    """A block without a type is still in the provider's own form (a tool call, a picture); no other model could be sent it."""
    blocks = "json_extract(input_body, '$.messages[*].content[*]')"
    foreign = f"coalesce(len(list_filter({blocks}, lambda b: json_type(b, '/type') IS NULL)) > 0, false)"
    return f"""REPLACE (replayable AND NOT {foreign} AS replayable, CASE WHEN {foreign} THEN list_distinct(list_append(replay_blockers,
        CASE WHEN regexp_matches({blocks}::VARCHAR, '"({_MOVED})"') THEN 'media_missing' ELSE 'not_chat' END)) ELSE replay_blockers END AS replay_blockers)"""


def listed(place: str) -> str:
    """The JSON list at a place of the record, null for anything else."""
    return f"""CASE WHEN json_type({place}) = 'ARRAY' THEN from_json({place}, '["JSON"]') END"""


def blocks(place: str) -> str:
    """Content or parts of one message: text blocks as chat has them, other blocks as they are."""
    return f"""CASE WHEN json_type({place}) = 'ARRAY' THEN to_json(list_transform(from_json({place}, '["JSON"]'),
        lambda b: CASE WHEN json_type(b, '/text') = 'VARCHAR' AND json_type(b, '/type') IS NULL
            THEN json_object('type', 'text', 'text', json_extract_string(b, '/text')) ELSE b END)) ELSE {place} END"""


def texts(place: str) -> str:
    """The text of a list of blocks, as one."""
    return f"""nullif(array_to_string(list_filter(list_transform({listed(place)}, lambda b: json_extract_string(b, '/text')), lambda t: t IS NOT NULL), chr(10)), '')"""
