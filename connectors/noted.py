"""A mapped connector that first works out, from each record, what its mapping cannot express, and hands it to the mapping as one member.

Owns: the member `governor` in front of a record, its removal from what is refused. Does not own: what is worked out (each connector's SQL).
Invariants: a record is hashed and refused as it was received; a record that is no JSON object passes as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Mapping as Names
from dataclasses import replace
from typing import Final

from connectors.addresses import kept_text
from connectors.mapping import MappedConnector
from connectors.mapping.compile import listed_records
from connectors.mapping.document import Mapping, pointer
from connectors.side_by_side import Work
from governor.ports import Payload, ReadOptions

_MARK: Final = '{"governor":'
_END: Final = ',"/governor":0,'
_NUMBER: Final = "TRY_CAST(e.value ->> '$' AS DOUBLE) IS NOT NULL"


class NotedConnector(MappedConnector):
    """`note` gives CTEs from `given` (records, lists opened) to `noted` (the same columns and `note`, a JSON object or null)."""

    def __init__(self, name: str, mappings: Sequence[Mapping], note: Callable[[bool], str]) -> None:
        super().__init__(name, mappings)
        self._note = note
        self._lists = tuple(dict.fromkeys(pointer(path) for mapping in mappings for path in mapping.records))

    def _works(self, payloads: Iterable[Payload], options: ReadOptions) -> Iterator[Work]:
        for plan, chunks in super()._works(payloads, options):
            statement = self._statement(plan.sql, content=options.with_content)
            yield replace(plan, sql=statement, rowwise=plan.rowwise and not self._lists), chunks

    def _statement(self, mapped: str, *, content: bool) -> str:
        # `records` is the engine's registered table (in the schema temp) and, for the mapped statement, the CTE of that name
        return f"""WITH
            {listed_records(self._lists, "temp.records", "parted")},
            given AS (SELECT *, fault IS NULL AND coalesce(TRY(json_type(line)) = 'OBJECT', false)
                AND NOT regexp_full_match(line, '\\s*\\{{\\s*\\}}\\s*') AS sound FROM parted),
            {self._note(content)},
            records AS (SELECT uri, row, position, fault, payload_sha256, CASE WHEN sound AND note IS NOT NULL
                THEN '{_MARK}' || note || '{_END}' || line[instr(line, '{{') + 1:] ELSE line END AS line FROM noted)
            SELECT * REPLACE (CASE WHEN starts_with(decode(raw), '{_MARK}')
                THEN encode('{{' || decode(raw)[instr(decode(raw), '{_END}') + {len(_END)}:]) ELSE raw END AS raw)
            FROM ({mapped})"""


def members(texts: Names[str, str]) -> Callable[[bool], str]:
    """A note of flat members: name -> SQL over the record `r` that gives JSON text."""
    pairs = " || ',' || ".join(f"'\"{name}\":' || coalesce({text}, 'null')" for name, text in texts.items())
    found = "SELECT *, CASE WHEN sound THEN line::JSON END AS r FROM given"
    return lambda _content: f"noted AS (SELECT * EXCLUDE r, CASE WHEN sound THEN '{{' || {pairs} || '}}' END AS note FROM ({found}))"


def numbers(source: str) -> str:
    """The members of an object that are numbers: token counts, units, prices, also those that no column has yet. No secret is one."""
    return _some(source, _NUMBER)


def others(source: str, mappings: Sequence[Mapping]) -> str:
    """The plain members that are neither numbers nor read into a column. An address among them may hold a key in its query."""
    known = {path.rsplit(".", 1)[-1] for mapping in mappings for take in mapping.columns.values() for path in take.paths}
    columns = ", ".join(f"'{name}'" for name in sorted(known))
    keep = f"json_type(e.value) IN ('VARCHAR', 'BOOLEAN') AND NOT ({_NUMBER}) AND e.key NOT IN ({columns})"
    text = kept_text("(e.value ->> '$')")
    return _some(source, keep, f"CASE json_type(e.value) WHEN 'VARCHAR' THEN to_json({text}) ELSE e.value END")


def _some(source: str, keep: str, value: str = "e.value") -> str:
    """Text of an object with some of the members of another. It may repeat a name, as its source does."""
    entries = f"map_entries(json_transform({source}, '\"MAP(VARCHAR, JSON)\"'))"
    pairs = f"list_transform(list_filter({entries}, lambda e: {keep}), lambda e: to_json(e.key)::VARCHAR || ':' || ({value})::VARCHAR)"
    return f"'{{' || array_to_string({pairs}, ',') || '}}'"


def stage(source: str, target: str, column: str, names: dict[str, str | tuple[str, ...]]) -> str:
    """CTEs `source` -> `target`, which has a text column more for each name: the first of its paths in `column`, read in one parse."""
    places: list[str] = []
    fields = []
    for name, given in names.items():
        paths = (given,) if isinstance(given, str) else given
        places += [f"'{pointer(path)}'" for path in paths]
        found = ", ".join(f"nullif(v[{len(places) - len(paths) + place}], '')" for place in range(1, len(paths) + 1))
        fields.append(f"coalesce({found}, NULL) AS {name}")
    return f"""{target}_read AS (SELECT *, TRY(json_extract_string({column}, [{", ".join(places)}])) AS v FROM {source}),
        {target} AS (SELECT * EXCLUDE (v), {", ".join(fields)} FROM {target}_read)"""


def listed(text: str) -> str:
    """Text as a list of JSON; null where it is none."""
    return f"CASE WHEN TRY(json_type({text})) = 'ARRAY' THEN from_json({text}, '[\"JSON\"]') END"


def chat(messages: str) -> str:
    """A list of messages as a conversation: null unless each of them has a role."""
    found = f"list_transform({messages}, lambda m: {message('m')})"
    return f"CASE WHEN len({messages}) > 0 AND len(list_filter({found}, lambda m: m IS NULL)) = 0 THEN to_json({found}) END"


def message(m: str) -> str:
    """One message as role and content: OpenAI's form stays, LangChain's (constructor, data, type) is renamed; else null."""
    kinds = ", ".join(f"json_extract_string({m}, '{path}')" for path in ("/kwargs/type", "/type", "/id/3"))
    role = f"""CASE regexp_replace(lower(coalesce({kinds}, '')), 'message(chunk)?$', '')
        WHEN 'human' THEN 'user' WHEN 'user' THEN 'user' WHEN 'ai' THEN 'assistant' WHEN 'system' THEN 'system' WHEN 'tool' THEN 'tool' END"""
    inner = f"coalesce(json_extract({m}, '/kwargs'), json_extract({m}, '/data'), {m})"
    return f"""CASE WHEN json_type({m}) <> 'OBJECT' THEN NULL WHEN json_extract_string({m}, '/role') IS NOT NULL THEN {m}
        WHEN {role} IS NOT NULL THEN json_merge_patch('{{}}', json_object('role', {role}, 'content', json_extract({inner}, '/content'),
            'tool_calls', nullif(json_extract({inner}, '/additional_kwargs/tool_calls'), '[]'),
            'tool_call_id', json_extract({inner}, '/tool_call_id'))) END"""


def operation_at(path: str) -> str:
    """SQL of the operation that a path or an address of an API is; null where it is none that is known."""
    kinds = {
        "/embeddings": "embeddings",
        "/(chat/completions|messages)|/converse(-stream)?$": "chat",
        "/responses": "responses",
        "/completions": "text_completion",
        "/images?/|/images$": "image_generation",
        "/audio/(transcriptions|translations)": "transcription",
        "/audio/speech": "speech",
        "/rerank": "rerank",
        "/moderations": "moderation",
    }
    arms = " ".join(f"WHEN regexp_matches({path}, '{pattern}') THEN '{kind}'" for pattern, kind in kinds.items())
    return f"CASE {arms} END"
