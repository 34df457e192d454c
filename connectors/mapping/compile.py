"""A mapping as one SQL statement: every path of a record is read in one parse, then checked, counted and keyed.

Owns: the SQL of a mapping. Does not own: the document (document.py), running it (connectors/engine.py).
Invariants: text of a mapping reaches SQL only as quoted literals; a record ends as a call, as structure or with a reason; unknown stays null.

Keys of one call seen by several sources (the rule is in governor/calls.py): a gateway's row stands for itself and names `response:<id>`, the key of
the client's own span; a tracer's or provider's row with a strong response id is `response:<id>`, else its span, and it names the span around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from connectors.engine import Plan, latest
from connectors.expressions import choose, instant, kept, members, milliseconds, money, said, unique_map, whole, written_inside
from connectors.keys import STRONG_ID
from connectors.mapping.bodies import content_facts, written
from connectors.mapping.columns import columns_of, plain
from connectors.mapping.document import Mapping, Take, kind_of, pointer
from connectors.mapping.text import Paths, quoted
from connectors.mapping.used import raw_usage, used
from connectors.providers import PROVIDERS
from governor.calls import CALL_SCHEMA, MOST_TOKENS
from governor.ports import ReadOptions

SCALE: Final = {"usd": "1", "usd_cents": "0.01", "micro_usd": "0.000001", "nano_usd": "0.000000001"}
_INSIDE: Final = """NOT exclusive AND regexp_matches(lower(coalesce(provider_text, provider_raw_text, '')), 'openai|^azure$')
                AND NOT coalesce(total_tokens_reported_n > input_tokens_n + coalesce(output_tokens_n, 0), false)"""
_WRITTEN: Final = written_inside("input_tokens_n", "cache_read_tokens_n", "told_write_n", when=_INSIDE)
MILLISECONDS: Final = {"s": "1000.0", "ms": "1.0", "us": "0.001", "ns": "0.000001", "auto": "1.0", "ticks": "0.0001"}
TOKENS: Final = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "reasoning_tokens",
    "audio_input_tokens", "audio_output_tokens", "image_input_tokens", "image_output_tokens", "total_tokens_reported",
)  # fmt: skip


def plan_of(mapping: Mapping, options: ReadOptions) -> Plan:
    values = {"kind": mapping.name, "instance": options.source_instance, "latest": latest(options)}
    return Plan(_statement(mapping.model_dump_json(), content=options.with_content), values, rowwise=not mapping.records)


@lru_cache(maxsize=64)
def _statement(document: str, *, content: bool) -> str:
    return statement(Mapping.model_validate_json(document), content=content)


def statement(mapping: Mapping, *, content: bool) -> str:
    paths = Paths()
    taken = {name: _text(take, paths) for name, take in mapping.columns.items()}
    facts = {f"{name}_text": text for name, text in taken.items()}
    facts["usage_given"] = raw_usage(mapping.usage, {name: taken[name] for name in TOKENS if name in taken}, paths)
    facts["exclusive"] = _exclusive(mapping, paths)
    facts["currency_text"] = _text(mapping.cost.currency, paths) if mapping.cost and mapping.cost.currency else "'USD'"
    facts["is_call"] = _is_call(mapping, paths)
    facts["metadata_entries"] = _metadata(mapping, paths)
    facts["tags_found"] = _tags(mapping, paths)
    if content:
        facts |= content_facts(mapping, paths)
    facts |= {f"{name}_text": "NULL::VARCHAR" for name in CALL_SCHEMA.names if name not in taken}
    chosen = ", ".join(f"{text} AS {name}" for name, text in facts.items())
    typed = ", ".join(f"{_typed(name, mapping)} AS {name}_n" for name in CALL_SCHEMA.names if kind_of(name) != "text")
    steps = [
        listed_records([pointer(path) for path in mapping.records], "records", "lines"),
        f"""opened AS (SELECT *, TRY(json_extract_string(line, {paths.listed()})) AS v FROM lines)""",
        f"facts AS (SELECT uri, row, position, fault, payload_sha256, line, v IS NOT NULL AND json_valid(line) AS valid, {chosen} FROM opened)",
        used(mapping.usage, "facts", "used"),
        f"typed AS (SELECT *, {typed}, list_transform(metadata_entries, lambda e: e.k) AS metadata_names FROM used)",
        _judged(mapping),
        _counted(mapping),
        _named(mapping),
        _keyed(mapping),
    ]
    if content:
        steps.append(written())
    columns = columns_of(mapping, content=content)
    selected = ", ".join(f"{columns.get(name, plain(name))} AS {name}" for name in CALL_SCHEMA.names if name in columns or name in taken)
    bodies = "input_body, output_body" if content else "NULL AS input_body, NULL AS output_body"
    span = "coalesce(workflow_step_text, operation_text, '') AS name, CASE WHEN reason IS NULL AND NOT is_call THEN 'other' END AS kind, '{}' AS attributes"
    return (
        f"WITH {', '.join(steps)} SELECT {selected}, uri, row, position, reason, {span}, "
        f"CASE WHEN reason IS NOT NULL THEN encode(line) END AS raw, {bodies} FROM {'written' if content else 'keyed'}"
    )


def listed_records(pointers: Sequence[str], source: str, target: str) -> str:
    """CTEs `source` -> `target`: the records out of documents that hold a list of them; each has a digest of its own, others stay as they are."""
    columns = "uri, row, position, fault, payload_sha256, line"
    if not pointers:
        return f"{target} AS (SELECT {columns} FROM {source})"
    lists = ", ".join(
        f"CASE WHEN json_type(line, {quoted(path)}) = 'ARRAY' THEN from_json(json_extract(line, {quoted(path)}), '[\"JSON\"]') END"
        for path in pointers
    )
    return f"""
        split AS (SELECT {columns}, CASE WHEN fault IS NULL AND json_valid(line) THEN coalesce({lists}) END AS parts FROM {source}),
        {target} AS (
            SELECT {columns} FROM split WHERE parts IS NULL
            UNION ALL
            SELECT uri, row, position, NULL, sha256(part), part FROM (
                SELECT uri, row, position, coalesce(CASE WHEN json_type(p) = 'VARCHAR' THEN p ->> '$' ELSE p::VARCHAR END, 'null') AS part
                FROM (SELECT uri, row, position, unnest(parts) AS p FROM split WHERE parts IS NOT NULL)))"""


def _text(take: Take, paths: Paths) -> str:
    found = paths.first(take.paths)
    if take.yields:
        told = [
            f"CASE WHEN {paths.text(path)} NOT IN ({', '.join(map(quoted, take.yields))}) THEN {paths.text(path)} END"
            for path in take.paths
        ]
        found = f"coalesce({', '.join(told)}, {found})"
    if take.value is not None:
        found = f"coalesce({found}, {quoted(take.value)})" if take.paths else quoted(take.value)
    if take.split is not None:
        found = f"nullif(split_part({found}, {quoted(take.split)}, {take.piece}), '')"
    if take.lower:
        found = f"lower({found})"
    if take.names or take.otherwise is not None:
        arms = " ".join(f"WHEN {quoted(said)} THEN {quoted(meant)}" for said, meant in take.names.items())
        other = quoted(take.otherwise) if take.otherwise is not None else found
        named = f"CASE {found} {arms} ELSE {other} END" if arms else other
        found = f"CASE WHEN {found} IS NOT NULL THEN {named} END"
    return found


def _typed(name: str, mapping: Mapping) -> str:
    take = mapping.columns.get(name)
    text, kind, unit = f"{name}_text", kind_of(name), take.unit if take else None
    if kind == "time":
        return instant(text, unit if unit in MILLISECONDS else "auto")
    if kind == "money":
        return (
            f"TRY_CAST({money(text)} * {SCALE[unit if unit in SCALE else mapping.cost.unit if mapping.cost else 'usd']} AS DECIMAL(24, 12))"
        )
    if kind == "whole":
        return whole(text, min(MOST_TOKENS, 2 ** (CALL_SCHEMA.field(name).type.bit_width - 1) - 1))
    if kind == "number":
        return milliseconds(text, MILLISECONDS.get(unit or "ms", "1.0"))
    if kind == "bool":
        return f"CASE WHEN lower({text}) IN ('true', '1', '1.0', 'yes') THEN true WHEN lower({text}) IN ('false', '0', '0.0', 'no') THEN false END"
    return f"""CASE WHEN json_valid({text}) AND json_type({text}) = 'ARRAY' THEN from_json({text}, '["VARCHAR"]')
        WHEN {text} IS NOT NULL THEN [{text}] END"""


def _exclusive(mapping: Mapping, paths: Paths) -> str:
    if mapping.usage.cache != "auto":
        return "true" if mapping.usage.cache == "exclusive" else "false"
    said = [f"{paths.text(path)} IN ({', '.join(map(quoted, values))})" for path, values in mapping.usage.exclusive_when.items()]
    return f"coalesce({' OR '.join(said)}, false)" if said else "false"


def _is_call(mapping: Mapping, paths: Paths) -> str:
    tests = [f"coalesce({paths.text(path)} IN ({', '.join(map(quoted, values))}), false)" for path, values in mapping.only.items()]
    if mapping.has:
        tests.append("(" + " OR ".join(f"{paths.text(path)} IS NOT NULL" for path in mapping.has) + ")")
    return " AND ".join(tests) or "true"


def _metadata(mapping: Mapping, paths: Paths) -> str:
    """Entries of the user's metadata, secrets left out; what comes later in the mapping or in the record comes first."""
    objects = ", ".join(members(_object(paths.text(path))) for path in mapping.metadata)
    found = f"list_concat({objects})" if objects else "NULL"
    if mapping.metadata_pairs:
        keys, values = (_list(paths.text(path)) for path in (mapping.metadata_pairs.keys, mapping.metadata_pairs.values))
        named = f"list_filter(list_zip({keys}, {values}), lambda e: e[1] IS NOT NULL)"
        pairs = f"list_transform({named}, lambda e: {{'key': e[1], 'value': e[2]}})"
        found = f"CASE WHEN {keys} IS NOT NULL THEN {pairs} ELSE {found} END"
    return f"list_reverse({kept(f'{found}::STRUCT(key VARCHAR, value VARCHAR)[]')})"


def _object(text: str) -> str:
    """Metadata arrives as an object or as a string of one."""
    return f"CASE WHEN json_valid({text}) AND json_type({text}) = 'OBJECT' THEN {text}::JSON END"


def _list(text: str) -> str:
    return f"CASE WHEN json_valid({text}) AND json_type({text}) = 'ARRAY' THEN from_json({text}, '[\"VARCHAR\"]') END"


def _tags(mapping: Mapping, paths: Paths) -> str:
    lists = [f"coalesce({_list(paths.text(path))}, [])" for path in mapping.tags]
    found = " || ".join(lists) if lists else "[]::VARCHAR[]"
    return f"list_filter({found}, lambda t: t IS NOT NULL)"


def _said(name: str) -> str:
    return said(name, f"{name}_text")


def _at(mapping: Mapping, column: str) -> str:
    """Where a column was looked for, inside a literal: a name that is misspelt is seen."""
    paths = ", ".join(mapping.columns[column].paths)
    return f" (nothing at {paths})".replace("'", "''") if paths else ""


def _judged(mapping: Mapping) -> str:
    """Reasons, in the words that every connector uses; a CASE makes them only where one is found."""
    tokens = [name for name in TOKENS if name in mapping.columns]
    odd = " OR ".join(f"({name}_text IS NOT NULL AND {name}_n IS NULL)" for name in tokens) or "false"
    named_odd = " ".join(f"WHEN {name}_text IS NOT NULL AND {name}_n IS NULL THEN {_said(name)}" for name in tokens)
    named_below = " ".join(f"WHEN {name}_n < 0 THEN {_said(name)}" for name in tokens)
    below = f"least({', '.join(f'{name}_n' for name in tokens)}) < 0" if len(tokens) > 1 else f"{tokens[0]}_n < 0" if tokens else "false"
    bad_cost = "cost_amount_text IS NOT NULL AND cost_amount_n IS NULL" if "cost_amount" in mapping.columns else "false"
    return f"""judged AS (SELECT *, CASE
        WHEN fault IS NOT NULL THEN fault
        WHEN NOT coalesce(valid, false) THEN 'invalid_json: the record is not valid JSON'
        WHEN json_type(line) <> 'OBJECT' THEN 'not_an_object: the record is not a JSON object'
        WHEN source_record_id_text IS NULL THEN 'missing_id: no source_record_id{_at(mapping, "source_record_id")}'
        WHEN start_time_text IS NULL THEN 'bad_time: start_time is missing{_at(mapping, "start_time")}'
        WHEN start_time_n IS NULL THEN 'bad_time: ' || {_said("start_time")} || ' is no time'
        WHEN start_time_n < TIMESTAMPTZ '2022-01-01 00:00:00+00' OR epoch_us(start_time_n) >= getvariable('latest')
            THEN 'bad_time: ' || {_said("start_time")} || ' is before 2022 or in the future'
        WHEN NOT is_call THEN NULL
        WHEN {odd} THEN 'bad_tokens: ' || CASE {named_odd or "WHEN false THEN NULL"} END || ' is no whole number up to {MOST_TOKENS:,}'
        WHEN {below} THEN 'negative_tokens: ' || CASE {named_below or "WHEN false THEN NULL"} END || ' is below zero'
        WHEN {bad_cost} THEN 'bad_cost: ' || {_said("cost_amount")} || ' is no number'
        WHEN cost_amount_n < 0 THEN 'negative_cost: ' || {_said("cost_amount")} || ' is below zero'
        END AS reason FROM typed)"""


def _counted(mapping: Mapping) -> str:
    usage = mapping.usage
    unknown = (
        "coalesce(input_tokens_n, 0) + coalesce(output_tokens_n, 0) = 0"
        if usage.zero_is_unknown
        else "coalesce(input_tokens_n, output_tokens_n) IS NULL"
    )
    apart = "coalesce(cache_read_tokens_n, 0) + coalesce(cache_write_n, 0)"
    # the total may leave out neither, one, or both of them
    plain, thinking = "total_tokens_reported_n - input_tokens_n - output_tokens_n", "coalesce(reasoning_tokens_n, 0)"
    # where both are alike and it leaves out one of them, it does not say which
    either = f"{apart} = {thinking} AND {plain} = {thinking}"
    told = f"({apart}) > 0 AND {plain} IN ({apart}, {apart} + {thinking})"
    told += "" if usage.reasoning == "inside" else f" AND NOT ({either})"
    proof = f"({apart}) > input_tokens_n OR ({told})"
    cache = f"exclusive OR coalesce({proof}, false)" if usage.cache == "auto" else "exclusive"
    thoughts = f"reasoning_tokens_n > 0 AND {plain} IN (reasoning_tokens_n, reasoning_tokens_n + {apart})"
    thoughts += "" if usage.cache == "inclusive" else f" AND NOT ({either})"
    thought = {
        "auto": f"coalesce(reasoning_tokens_n > output_tokens_n OR ({thoughts}), false)",
        "inside": "false",
        "outside": "true",
    }[usage.reasoning]
    free = "coalesce(cost_amount_n, 0) = 0" if mapping.cost and mapping.cost.zero_is_unknown else "cost_amount_n IS NULL"
    return f"""
        -- LangChain writes 0 for the whole where it tells the lifetimes
        written_cache AS (SELECT *, greatest(cache_write_tokens_n, cache_write_5m_tokens_n + cache_write_1h_tokens_n,
            cache_write_5m_tokens_n, cache_write_1h_tokens_n) AS told_write_n, {_WRITTEN} AS cache_write_n FROM judged),
        proven AS (SELECT *, NOT ({unknown}) AS has_usage, {cache} AS cache_apart, {thought} AS reasoning_apart, NOT ({free}) AS has_cost,
            {_status()} AS status_said FROM written_cache),
        counted AS (SELECT *,
            CASE WHEN has_usage THEN input_tokens_n + CASE WHEN cache_apart THEN {apart} ELSE 0 END END AS input_total,
            CASE WHEN has_usage THEN output_tokens_n + CASE WHEN reasoning_apart THEN coalesce(reasoning_tokens_n, 0) ELSE 0 END END AS output_total,
            coalesce(map_contains(metadata, 'governor-shadow-run') OR map_contains(metadata, 'governor_shadow_run'), false)
                OR len(list_filter(tags, lambda t: starts_with(t, 'governor-shadow-run'))) > 0 AS is_shadow
            FROM (SELECT *, {unique_map("metadata_entries", "metadata_names")} AS metadata, tags_found AS tags FROM proven))"""


def _status() -> str:
    """The status the mapping names; else from the HTTP status or the error; else ok."""
    return """CASE WHEN status_text IN ('ok', 'error', 'cancelled', 'blocked') THEN status_text
        WHEN http_status_n = 499 THEN 'cancelled' WHEN http_status_n >= 400 OR http_status_n = 0 THEN 'error'
        WHEN status_text IS NOT NULL THEN 'error'
        WHEN http_status_n BETWEEN 200 AND 399 THEN 'ok'
        WHEN coalesce(error_type_text, error_code_text, error_message_text) IS NOT NULL THEN 'error' ELSE 'ok' END"""


def _named(mapping: Mapping) -> str:
    prefix = "CASE WHEN contains(requested_model_text, '/') THEN split_part(requested_model_text, '/', 1) END"
    raw = choose("lower(provider_raw_text)", PROVIDERS, "nullif(lower(provider_raw_text), '')")
    provider = f"coalesce({choose('lower(provider_text)', PROVIDERS, 'provider_text')}, {raw}, {choose(prefix, PROVIDERS, 'NULL')})"
    family = mapping.name.split(".")[0]
    return f"""named AS (SELECT *, {provider} AS provider_name, coalesce(revision_n, 0) AS revision_said, lower(coalesce(trace_id_text, trace_id_raw_text)) AS hex_trace,
        status_said = 'ok' AND coalesce(gateway_cache_text, 'none') NOT LIKE 'hit%' AND regexp_full_match(provider_response_id_text, {quoted(STRONG_ID)}) AS strong,
        {quoted(family + "-row:")} || source_record_id_text AS own_key,
        'span:' || coalesce(trace_id_raw_text, trace_id_text) || ':' || span_id_text AS span_key,
        'span:' || coalesce(trace_id_raw_text, trace_id_text) || ':' || parent_span_id_text AS outer_key FROM counted)"""


def _keyed(mapping: Mapping) -> str:
    answer = "CASE WHEN strong THEN 'response:' || provider_response_id_text END"
    if mapping.witness == "gateway":
        group, alias = "own_key", answer
    else:
        # a call that says nothing of usage leaves the count to the span around it; a client's span may know the provider's own row
        outer = "CASE WHEN has_usage OR status_said <> 'ok' THEN outer_key END"
        group, alias = f"coalesce({answer}, span_key, own_key)", "own_key" if mapping.witness == "provider" else outer
    return f"""keyed AS (SELECT *, {group} AS group_key, {alias} AS alias_key,
        sha256(concat_ws(chr(10), getvariable('kind'), source_record_id_text, revision_said::VARCHAR)) AS record_key FROM named)"""
