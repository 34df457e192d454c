"""The SQL that turns LiteLLM records into canonical calls: one pass over declared columns, no Python object per record.

Owns: the checks that refuse a record, token and cost rules, record ids, witness keys. Does not own: field names of the source
(shapes), reading bytes (payloads), running it (engine).
Invariants: a record ends either with a reason or as a call; unknown stays null; nothing is inferred from the order of records.

Rules worth knowing
* Usage comes from the record's counts, or from `usage_object` where those are zero; when LiteLLM says 0 in, 0 out, 0 total it is its
  default for "no usage came back", so it is null here. On a failed call only usage that the provider sent counts; the tokens LiteLLM
  guesses for a failed prompt stay in usage_raw.
* Cache read and write are inside prompt_tokens, reasoning inside completion_tokens. Where the parts exceed the whole (or the total says
  so) the provider counted them apart; they are added and usage_convention says `exclusive`. OpenAI never does. Before 1.77 Claude's prompt_tokens
  hold what was read of its cache but not what was written to it, and the details do not name the writes.
* Cost 0 with tokens, on a served call that was no cache hit, is LiteLLM's way to say "model not priced": null, cost_source `missing`.
* Witness keys. Served: `litellm:<call id>:ok:<response id>`; the call id alone would let a client that sends its own x-litellm-call-id
  fold many calls into one, the response id alone would fold a cache hit into the call it repeats (their ids differ per sink).
  A failed attempt in the payload log: `litellm:<call id>:failed:<start>-<end>`, and it names `litellm:<call id>:failed`, which is what the
  sinks that only say "this call failed" (SpendLogs, spans) use. A served call names `response:<id>`, the key of the client's own span.
  A batch is one call however often it is read: `litellm:batch:<batch id>`.
* A request that manages objects (files, batches, stored answers) is structure, also where the answer that it reads again repeats the usage of the
  call that made it; a finished batch and an answer made in the background are told by nothing else and are calls. So is the `null` that the
  payload loggers write for such a request: it says nothing of a call.
"""

from __future__ import annotations

from typing import Final

from connectors.engine import Plan, latest
from connectors.expressions import choose, kept, members, money, said, seconds, unique_map, whole, written_inside
from connectors.litellm.columns import BARE_COLUMNS, BODIES, COLUMNS, CONTENT_COLUMNS, KINDS, SPEND_PAYLOAD
from connectors.litellm.shapes import (
    CONTENT_FACTS,
    FACTS,
    PAYLOAD,
    PAYLOAD_CONTENT,
    PAYLOAD_RESPONSE,
    SPEND,
    SPEND_CONTENT,
    SPEND_METADATA,
    USAGE,
    unstring,
)
from connectors.parameters import spec
from connectors.providers import BATCH_READS, MANAGED, PROVIDERS, TOOL_CALLS
from connectors.units import units_sql
from governor.calls import CALL_SCHEMA, MOST_TOKENS
from governor.ports import ReadOptions

_BLANKS: Final = "' ' || chr(9) || chr(10) || chr(13)"
_OWN_ID: Final = """CASE WHEN contains(native_id, '_cache_hit') THEN regexp_replace(native_id, '_cache_hit[0-9.eE+-]*$', '')
    WHEN ends_with(native_id, '_cost') THEN regexp_replace(native_id, '_(batch|background)_cost$', '') ELSE native_id END"""
# the proxy's own name of a batch is base64 of `litellm_proxy;model_id:...;llm_batch_id:...`, and a read of it may say either
_BATCH_ID: Final = """coalesce(nullif(regexp_extract(TRY(decode(from_base64(translate(base_id, '-_', '+/') || repeat('=', (4 - len(base_id) % 4) % 4)))),
    'llm_batch_id:([^;,]+)', 1), ''), base_id)"""


def _parsed(form: str, content: bool) -> str:
    """A line -> record struct r, its metadata m, the response's frame p."""
    spend = form == "spend_logs"
    shape = dict(SPEND if spend else PAYLOAD)
    if content:
        shape |= SPEND_CONTENT if spend else PAYLOAD_CONTENT
    if not spend:
        shape["response"] = "JSON" if content else PAYLOAD_RESPONSE
    metadata = f"json_transform({unstring('r.metadata')}, {spec(SPEND_METADATA)})" if spend else "r.metadata"
    if spend:
        frame = "NULL"
    elif content:
        frame = f"json_transform(r.response, {spec(PAYLOAD_RESPONSE)})"
    else:
        frame = "r.response"
    # one parse does it all: what json_transform cannot read is null, and only then does it matter what the line is
    return f"""
    structs AS (SELECT uri, row, position, fault, payload_sha256, line,
        CASE WHEN fault IS NULL THEN TRY(json_transform(line, {spec(shape)})) END AS r FROM records),
    parsed AS (SELECT * EXCLUDE line, CASE WHEN r IS NOT NULL THEN true ELSE coalesce(json_valid(line), false) END AS valid,
        CASE WHEN starts_with(line, '{{') THEN true ELSE starts_with(ltrim(line, {_BLANKS}), '{{') END AS is_object,
        line = 'null' AS is_nothing, {metadata} AS m, {frame} AS p FROM structs)"""


def _facts(form: str, content: bool) -> str:
    column = 1 if form == "spend_logs" else 0
    names = FACTS | (CONTENT_FACTS if content else {})
    return ", ".join(f"{forms[column]} AS {name}" for name, forms in names.items())


_PREFIX: Final = "CASE WHEN contains(model, '/') THEN split_part(model, '/', 1) END"
_PROVIDER: Final = f"""coalesce({choose("lower(provider_text)", PROVIDERS, "nullif(lower(provider_text), '')")},
    {choose(_PREFIX, PROVIDERS, "NULL")})"""
# where each count stands in the record, its text and its number
_COUNTS: Final = (
    ("prompt_tokens", "prompt_text", "prompt_n"),
    ("completion_tokens", "completion_text", "completion_n"),
    ("usage_object.prompt_tokens", "u.prompt_tokens", "usage_prompt_n"),
    ("usage_object.completion_tokens", "u.completion_tokens", "usage_completion_n"),
    ("cache reads in usage_object", "read_text", "read_n"),
    ("cache writes in usage_object", "write_text", "write_n"),
    ("usage_object.completion_tokens_details.reasoning_tokens", "reasoning_text", "reasoning_n"),
)
_WRITTEN: Final = written_inside("input_n", "read_n", "told_write_n", when="provider_name IN ('openai', 'azure.ai.openai')")
_WRITTEN_BESIDE: Final = """provider_name IN ('anthropic', 'gcp.vertex_ai') AND write_n > 0 AND u.prompt_tokens_details.cached_tokens IS NOT NULL
            AND coalesce(u.prompt_tokens_details.cache_creation_tokens, u.prompt_tokens_details.cache_write_tokens) IS NULL"""
_COST: Final = (
    f"CASE getvariable('kind') WHEN 'litellm.spend_logs' THEN {said('spend', 'cost_text')} ELSE {said('response_cost', 'cost_text')} END"
)


_NUMBER: Final = "TRY_CAST({} AS DECIMAL(18, 3))"
_SIZED: Final = """CASE WHEN pictures > 0 AND picture_size IS NOT NULL THEN json_object('image@' || picture_size
    || CASE WHEN picture_quality IS NULL OR picture_quality IN ('standard', 'auto') THEN '' ELSE '-' || picture_quality END, pictures) END"""
_UNITS: Final = units_sql(
    "usage_json",
    {
        "image": "CASE WHEN picture_size IS NULL THEN pictures END",
        "web_search": "CASE WHEN provider_text <> 'perplexity' THEN searches END",
        "file_search": "file_searches",
        "session": "containers",
        "search_unit": _NUMBER.format("reranked"),
        "page": _NUMBER.format("pages_read"),
        "second": _NUMBER.format("heard"),
    },
    sized=_SIZED,
)


def _first_of(test: str) -> str:
    arms = " ".join(f"WHEN {test.format(text=text, number=number)} THEN {said(name, text)}" for name, text, number in _COUNTS)
    return f"CASE {arms} END"


# Few steps, each of many columns: a step costs the engine a microsecond for every column of every 2,048 rows that passes through it.
_STEPS: Final = f"""
    read AS (SELECT *, json_transform(usage_json, {spec(USAGE)}) AS u,
        CASE WHEN status_text = 'success' THEN {_UNITS} END AS units,
        lower(cache_text) = 'true' OR contains(native_id, '_cache_hit') AS is_hit,
        status_text = 'success' AS is_ok,
        status_text = 'success' AND (coalesce(prompt_text, '0') <> '0' OR coalesce(completion_text, '0') <> '0') AS is_counted,
        nullif(nullif({_OWN_ID}, ''), 'None') AS base_id,
        {whole("prompt_text")} AS prompt_n, {whole("completion_text")} AS completion_n,
        {seconds("start_text")} AS start_at, {seconds("end_text")} AS end_at, {seconds("first_text")} AS first_at, {money("cost_text")} AS cost_n,
        {members("key_meta")} AS key_members, {members("requester_meta")} AS requester_members, {members("spend_meta")} AS spend_members,
        list_filter(from_json(tags_json, '["VARCHAR"]'), lambda t: t IS NOT NULL AND NOT starts_with(t, 'User-Agent:')) AS tags,
        call_type IN {BATCH_READS} AS is_batch, {_PROVIDER} AS provider_name FROM facts),
    named AS (SELECT *, coalesce(nullif(call_id, ''), CASE WHEN regexp_full_match(base_id, '[0-9a-f-]{{36}}') THEN base_id END) AS call,
        CASE WHEN is_counted THEN total_text ELSE u.total_tokens END AS sum_text,
        coalesce(u.prompt_tokens_details.cached_tokens, u.cache_read_input_tokens) AS read_text,
        coalesce(u.cache_creation_input_tokens, u.prompt_tokens_details.cache_creation_tokens,
            u.prompt_tokens_details.cache_write_tokens) AS write_text,
        u.completion_tokens_details.reasoning_tokens AS reasoning_text,
        {whole("u.prompt_tokens")} AS usage_prompt_n, {whole("u.completion_tokens")} AS usage_completion_n,
        list_reverse(list_concat({kept("key_members", "key.")},
            {kept("list_concat(key_members, requester_members, spend_members)")})) AS entries FROM read),
    counted AS (SELECT *, CASE WHEN is_counted THEN prompt_n ELSE usage_prompt_n END AS input_n,
        CASE WHEN is_counted THEN completion_n ELSE usage_completion_n END AS output_n,
        {whole("sum_text")} AS total_n, {whole("read_text")} AS read_n, {whole("write_text")} AS told_write_n, {_WRITTEN} AS write_n,
        {whole("reasoning_text")} AS reasoning_n,
        CASE WHEN is_batch THEN {_BATCH_ID} WHEN base_id <> call THEN base_id WHEN call IS NULL THEN base_id END AS response_id,
        list_transform(entries, lambda e: e.k) AS entry_names FROM named),
    judged AS (SELECT *, CASE
        WHEN fault IS NOT NULL THEN fault
        WHEN NOT valid THEN 'invalid_json: the record is not valid JSON'
        WHEN is_nothing THEN NULL
        WHEN NOT is_object THEN 'not_an_object: the record is not a JSON object'
        WHEN base_id IS NULL AND call IS NULL THEN 'missing_id: neither an id nor a litellm_call_id'
        WHEN start_text IS NULL THEN 'bad_time: startTime is missing'
        WHEN start_at IS NULL THEN 'bad_time: ' || {said("startTime", "start_text")} || ' is no time'
        WHEN start_at < TIMESTAMPTZ '2022-01-01 00:00:00+00' OR epoch_us(start_at) >= getvariable('latest')
            THEN 'bad_time: ' || {said("startTime", "start_text")} || ' is before 2022 or in the future'
        WHEN {" OR ".join(f"({text} IS NOT NULL AND {number} IS NULL)" for _, text, number in _COUNTS)}
            THEN 'bad_tokens: ' || {_first_of("{text} IS NOT NULL AND {number} IS NULL")} || ' is no whole number up to {MOST_TOKENS:,}'
        WHEN least({", ".join(number for _, _, number in _COUNTS)}) < 0 THEN 'negative_tokens: ' || {_first_of("{number} < 0")} || ' is below zero'
        WHEN cost_text IS NOT NULL AND cost_n IS NULL THEN 'bad_cost: ' || {_COST} || ' is no number'
        WHEN cost_n < 0 THEN 'negative_cost: ' || {_COST} || ' is below zero'
        END AS reason,
        coalesce(input_n, 0) + coalesce(output_n, 0) + coalesce(total_n, 0) > 0 AS has_usage,
        coalesce({_WRITTEN_BESIDE}, false) AS written_beside, coalesce(read_n, 0) + coalesce(write_n, 0) > input_n OR written_beside AS cache_apart,
        reasoning_n > output_n OR (reasoning_n > 0 AND total_n = input_n + output_n + reasoning_n) AS reasoning_apart,
        {unique_map("entries", "entry_names")} AS metadata,
        epoch_us(start_at)::VARCHAR || CASE WHEN is_ok THEN '' ELSE '-' || coalesce(epoch_us(end_at)::VARCHAR, '') END AS span_us FROM counted),
    keyed AS (SELECT *,
        CASE WHEN has_usage THEN input_n
            + CASE WHEN written_beside THEN write_n WHEN cache_apart THEN coalesce(read_n, 0) + coalesce(write_n, 0) ELSE 0 END END AS input_total,
        CASE WHEN has_usage THEN output_n + CASE WHEN reasoning_apart THEN reasoning_n ELSE 0 END END AS output_total,
        cost_n = 0 AND is_ok AND NOT coalesce(is_hit, false) AND has_usage AS unpriced,
        list_contains(map_keys(metadata), 'governor-shadow-run') OR list_contains(map_keys(metadata), 'governor_shadow_run')
            OR len(list_filter(tags, lambda t: starts_with(t, 'governor-shadow-run'))) > 0 AS is_shadow,
        CASE WHEN response_id IS NULL AND getvariable('kind') <> 'litellm.spend_logs' THEN coalesce(native_id, call) || '@' || span_us
            ELSE native_id END AS source_record_id FROM judged)"""


_KIND: Final = f"""CASE WHEN reason IS NOT NULL THEN NULL
    WHEN is_nothing THEN 'other'
    WHEN call_type IN {TOOL_CALLS} THEN 'tool'
    WHEN NOT regexp_full_match(coalesce(call_type, ''), '{MANAGED}') THEN NULL
    WHEN is_batch THEN CASE WHEN NOT has_usage AND coalesce(cost_n, 0) = 0 THEN 'other' END
    WHEN contains(call_type, 'responses') AND NOT coalesce(in_background, false) OR coalesce(cost_n, 0) = 0 THEN 'other' END"""
_STRUCTURE: Final = f"""{_KIND} AS kind, coalesce(nullif(model, ''), call_type, '') AS name,
    CASE WHEN kind IS NOT NULL THEN json_object('call_type', call_type, 'cost', cost_text)::VARCHAR END AS attributes"""


def calls_query(form: str, columns: list[str], *, content: bool) -> str:
    """One statement over the relation `records(uri, row, position, fault, payload_sha256, line)`: the canonical columns, then reason and the two bodies.

    A refused record keeps its reason and its place; its other columns are not to be read.
    """
    expressions = dict(COLUMNS) | (CONTENT_COLUMNS if content else BARE_COLUMNS)
    # spend rows are hashed over their checked fields: drivers give JSON columns as text or as JSON, and times in two spellings
    expressions["raw_sha256"] = SPEND_PAYLOAD if form == "spend_logs" else "payload_sha256"
    expressions["record_id"] = "sha256(concat_ws(chr(10), getvariable('kind'), source_record_id, coalesce(call, ''), '0'))"
    selected = ", ".join(f"{expressions[name]} AS {name}" for name in columns if name in expressions)
    facts = (
        f"facts AS (SELECT uri, row, position, fault, valid, is_object, is_nothing, payload_sha256, {_facts(form, content)} FROM parsed)"
    )
    steps = [_parsed(form, content), facts, _STEPS] + ([BODIES] if content else [])
    bodies = "input_body, output_body" if content else "NULL AS input_body, NULL AS output_body"
    return f"WITH {', '.join(steps)} SELECT {selected}, {_STRUCTURE}, uri, row, position, reason, {bodies} FROM {'written' if content else 'keyed'}"


def plan_of(form: str, options: ReadOptions) -> Plan:
    values = {"kind": KINDS[form], "instance": options.source_instance, "latest": latest(options)}
    return Plan(calls_query(form, CALL_SCHEMA.names, content=options.with_content), values, hashed=form != "spend_logs", rowwise=True)
