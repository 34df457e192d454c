"""Which of several witnesses of one call carries its cost: the rule of governor/calls.py, applied to what is new and what it touches.

Owns: finding the stored rows that new rows can change, and deciding all of them; spans of structure between a call and the roll-up it is inside.
Does not own: keys (connectors), ranks and the rule (calls.py).
Invariants: the outcome depends only on the set of rows, never on the order in which they arrived; a row its source excluded never wins and names
nobody; rows of a group that one witness calls shadow carry no production cost.
"""

from __future__ import annotations

from typing import Final

import duckdb

from governor.calls import WITNESS_RANK
from governor.store import lake_claims
from governor.store.lake_attach import literal

# Kinds without a rank of their own: who was charged comes first, a gateway's log before a tracing tool.
_UNRANKED: Final = f"""CASE cost_source WHEN 'provider_billed' THEN {WITNESS_RANK["provider_bill"]} WHEN 'gateway_billed' THEN {WITNESS_RANK["gateway_bill"]}
    ELSE CASE WHEN gateway_kind IS NOT NULL THEN 30 ELSE 12 END END"""

_RANK: Final = (
    "CASE source_kind " + " ".join(f"WHEN {literal(kind)} THEN {rank}" for kind, rank in WITNESS_RANK.items()) + f" ELSE ({_UNRANKED}) END"
)
_USAGE: Final = " + ".join(
    f"({name} IS NOT NULL)::INTEGER"
    for name in (
        "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "reasoning_tokens", "audio_input_tokens",
        "audio_output_tokens",
    )
)  # fmt: skip
# Why the source itself keeps a row out of the count; null for a row that takes part. Kept beside the call, because exclusion_reason also
# holds what we decide here, and that is decided afresh when another witness arrives.
SOURCE_EXCLUSION: Final = """CASE WHEN exclusion_reason IS NOT NULL THEN exclusion_reason WHEN traffic_class = 'shadow' THEN 'shadow'
    WHEN NOT cost_bearing THEN 'source_excluded' END"""
_SPAN_KEY: Final = "'span:' || trace_id || ':' || span_id"  # the key of connectors/otlp/links.py
_IS_SPAN: Final = "starts_with(source_kind, 'otlp.') AND span_id IS NOT NULL"
_COLUMNS: Final = f"""record_id, start_time, dup_group_key, dup_alias_key, source_kind, split_part(source_kind, '.', 1) AS family, grain,
    {_RANK} AS rank, coalesce(revision, 0) AS revision, {_USAGE} AS known, coalesce(traffic_class = 'shadow', false) AS shadow,
    {_USAGE} > 0 OR cost_amount IS NOT NULL AS tells, provider_response_id IS NOT NULL AS answered, CASE WHEN {_IS_SPAN} THEN {_SPAN_KEY} END AS span_key"""
_LOG: Final = "split_part(dup_group_key, ':', 1)"  # whose record: litellm, kong-row; an answer's own group is `response`, a span's `span`
_LOGGED: Final = f"starts_with(dup_alias_key, 'response:') AND {_LOG} NOT IN ('response', 'span') AND (source_exclusion IS NULL OR shadow)"
_NAMING: Final = "dup_alias_key IS NOT NULL AND dup_alias_key IS DISTINCT FROM dup_group_key"


_NO_CALLS: Final = "(SELECT * FROM in_calls LIMIT 0)"
_MOST_STEPS: Final = 256  # spans between a call and what it is inside; a ring of them ends here
_MOST_NESTED: Final = 32  # calls inside one another


def settle(connection: duckdb.DuckDBPyConnection) -> bool:
    """decide() for stored rows alone, after the spans of structure in `in_spans` were stored: they may tie a call to the roll-up around it."""
    return decide(connection, _NO_CALLS, "in_spans")


def decide(connection: duckdb.DuckDBPyConnection, fresh: str, spans: str = "") -> bool:
    """Fill temp table `decisions` (record_id, start_time, is_new, cost_bearing, exclusion_reason, filled) for the rows that `fresh` rows can change.

    `fresh` names a relation of the new calls, `spans` one of new structure. False when none of them meets another witness: then each decides for
    itself alone.
    """
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE members AS
            SELECT {_COLUMNS}, {SOURCE_EXCLUSION} AS source_exclusion, true AS is_new, false AS was_bearing, '' AS was_reason
            FROM {fresh} WHERE dup_group_key IS NOT NULL"""
    )
    _add_stored(connection, spans)
    _climb(connection)
    _name_answers(connection)
    if not _meet(connection):
        return False
    _name_calls(connection)
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE said AS
        WITH named AS (SELECT key, list(family) AS families, bool_or(shadow) AS by_shadow FROM named_by GROUP BY 1),
        placed AS (
            SELECT *, row_number() OVER best AS place, first_value(family) OVER best AS winner,
                bool_or(shadow) OVER (PARTITION BY dup_group_key) AS shadowed
            FROM members
            WINDOW best AS (PARTITION BY dup_group_key ORDER BY source_exclusion IS NULL DESC, tells DESC, rank DESC, revision DESC, known DESC, record_id)
        )
        SELECT p.*, CASE
            WHEN source_exclusion IS NOT NULL THEN source_exclusion
            WHEN shadowed OR coalesce(by_shadow, false) THEN 'shadow'
            WHEN place > 1 THEN CASE WHEN family = winner THEN 'duplicate_instrumentation' ELSE 'superseded' END
            WHEN n.key IS NULL THEN CASE WHEN p.dup_group_key IN (FROM unknown_inside) THEN 'duplicate_instrumentation' END
            WHEN NOT list_contains(families, family) THEN 'superseded'
            WHEN grain = 'span_rollup' THEN 'parent_rollup' ELSE 'wrapper_span' END AS reason
        FROM placed p LEFT JOIN named n ON n.key = p.dup_group_key
    """)
    lake_claims.fill(connection, fresh, _NAMING)
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE decisions AS
        SELECT record_id, start_time, is_new, reason IS NULL AS cost_bearing, reason AS exclusion_reason, filled
        FROM said LEFT JOIN filling USING (record_id)
        WHERE is_new OR was_reason IS DISTINCT FROM reason OR was_bearing IS DISTINCT FROM (reason IS NULL) OR filled IS DISTINCT FROM was_filled
    """)
    return True


def _add_stored(connection: duckdb.DuckDBPyConnection, spans: str) -> None:
    """All stored rows that are tied to the new ones, by group or by naming, directly or through one another, join `members`.

    Witnesses of one call are close in time: each look stays within two days of what is at hand.
    """
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE touched AS
        SELECT dup_group_key AS key FROM members UNION SELECT dup_alias_key FROM members WHERE {_NAMING}
        UNION SELECT span_key FROM members WHERE span_key IS NOT NULL
    """)
    at_hand = "members"
    if spans:
        connection.execute(f"INSERT INTO touched SELECT DISTINCT {_SPAN_KEY} FROM {spans}")
        at_hand = f"(SELECT start_time FROM members UNION ALL SELECT start_time FROM {spans})"
    stored = f"{_COLUMNS}, source_exclusion, false AS is_new, cost_bearing AS was_bearing, exclusion_reason AS was_reason"
    while True:
        bounds = connection.execute(
            f"SELECT (min(start_time) - INTERVAL 2 DAY)::VARCHAR, (max(start_time) + INTERVAL 2 DAY)::VARCHAR FROM {at_hand}"
        ).fetchone()
        low, high = bounds or (None, None)
        _find_structure(connection, low, high)
        if low is None:
            return
        connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE found AS
                SELECT {stored} FROM lake.calls WHERE start_time BETWEEN $low::TIMESTAMPTZ AND $high::TIMESTAMPTZ
                    AND (dup_group_key IN (FROM touched) OR ({_NAMING} AND dup_alias_key IN (FROM touched))
                        OR (trace_id IN (FROM traces) AND {_IS_SPAN} AND {_SPAN_KEY} IN (FROM touched)))""",
            {"low": low, "high": high},
        )
        connection.execute("INSERT INTO members FROM found ANTI JOIN members USING (record_id)")
        connection.execute(f"""
            CREATE OR REPLACE TEMP TABLE further AS
            (SELECT dup_group_key AS key FROM found UNION SELECT dup_alias_key FROM found WHERE {_NAMING}
                UNION SELECT span_key FROM found WHERE span_key IS NOT NULL) EXCEPT FROM touched
        """)
        row = connection.execute("SELECT count(*) FROM further").fetchone()
        if row is None or not row[0]:
            return
        connection.execute("INSERT INTO touched FROM further")


def _find_structure(connection: duckdb.DuckDBPyConnection, low: str | None, high: str | None) -> None:
    """Temp table `between_spans` (key, outer_key): the spans of structure of every trace at hand, by their keys. Those keys count as touched."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE traces AS SELECT DISTINCT split_part(key, ':', 2) AS trace FROM touched WHERE starts_with(key, 'span:')"
    )
    traces = connection.execute("SELECT count(*) FROM traces").fetchone()
    spans = "lake.spans" if traces and traces[0] else "(SELECT * FROM lake.spans LIMIT 0)"
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE between_spans AS
            SELECT DISTINCT {_SPAN_KEY} AS key, 'span:' || trace_id || ':' || parent_span_id AS outer_key
            FROM {spans} SEMI JOIN traces ON trace_id = trace
            WHERE parent_span_id IS NOT NULL AND start_time BETWEEN $low::TIMESTAMPTZ AND $high::TIMESTAMPTZ""",
        {"low": low, "high": high},
    )
    connection.execute("INSERT INTO touched (SELECT key FROM between_spans UNION SELECT outer_key FROM between_spans) EXCEPT FROM touched")


def _climb(connection: duckdb.DuckDBPyConnection) -> None:
    """Members that name a span of structure name what is around it: a call and the roll-up of its agent seldom are parent and child."""
    connection.execute(f"""
        UPDATE members SET dup_alias_key = climbed.key FROM (
            WITH RECURSIVE steps AS (
                SELECT key AS named, outer_key AS key, 1 AS step FROM between_spans WHERE key IN (SELECT dup_alias_key FROM members)
                UNION ALL
                SELECT named, outer_key, step + 1 FROM steps JOIN between_spans b ON b.key = steps.key WHERE step < {_MOST_STEPS}
            )
            SELECT named, arg_max(key, step) AS key FROM steps GROUP BY named
        ) climbed WHERE members.dup_alias_key = climbed.named
    """)


def _name_answers(connection: duckdb.DuckDBPyConnection) -> None:
    """A span that names a call by its span names its answer, where that is what the call goes by. With an answer of its own it is another call."""
    connection.execute("""
        UPDATE members SET dup_alias_key = outside.dup_group_key FROM (
            SELECT span_key, dup_group_key FROM members WHERE span_key <> dup_group_key
        ) outside WHERE members.dup_alias_key = outside.span_key AND NOT members.answered
    """)


def _name_calls(connection: duckdb.DuckDBPyConnection) -> None:
    """Temp tables `named_by` (key, family, shadow), the groups that give way and to whom, and `unknown_inside` (key), those that do not count beside
    the group around them.

    A span that counts no tokens, nor any inside it, takes the place of none that does: it is a view of that one. Where groups name each other in
    a ring (two views of an answer with a third between them) all are one call, of which one view stays.
    """
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE naming AS
        SELECT DISTINCT dup_group_key AS key, dup_alias_key AS target, family, shadow, family = 'otlp' AS by_place
        FROM members WHERE {_NAMING} AND (source_exclusion IS NULL OR shadow) AND dup_alias_key IN (SELECT dup_group_key FROM members)
    """)
    _reach(connection)
    _meet_logs(connection)
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE telling AS
        SELECT dup_group_key AS key FROM members WHERE known > 0 AND source_exclusion IS NULL GROUP BY 1;
        CREATE OR REPLACE TEMP TABLE carrying AS SELECT key FROM telling UNION SELECT target FROM reach SEMI JOIN telling USING (key);
        CREATE OR REPLACE TEMP TABLE ringed AS
        SELECT a.key, a.target FROM reach a JOIN reach b ON a.key = b.target AND a.target = b.key WHERE a.key <> a.target;
        CREATE OR REPLACE TEMP TABLE named_by AS
        SELECT target AS key, family, shadow FROM naming ANTI JOIN ringed USING (key, target)
        WHERE NOT by_place OR key IN (FROM carrying) OR target NOT IN (FROM telling)
        UNION ALL
        SELECT r.target, m.family, m.shadow FROM ringed r JOIN members m ON m.dup_group_key = r.key
        WHERE {_weight("r.key")} > {_weight("r.target")}
        UNION ALL
        SELECT key, first, shadow FROM logged WHERE log <> first OR shadow;
        CREATE OR REPLACE TEMP TABLE unknown_inside AS
        SELECT DISTINCT key FROM reach
        WHERE key NOT IN (FROM carrying) AND target IN (FROM telling) AND target NOT IN (SELECT key FROM named_by)
    """)


def _meet_logs(connection: duckdb.DuckDBPyConnection) -> None:
    """Temp table `logged` (key, answer, log, first, shadow): answers that the logs of several gateways name, one behind the other or one that
    replaced the other. The log with the highest witness goes first, and all calls of it stay: a gateway may serve one answer more than once.
    """
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE logged AS
        WITH groups AS (
            SELECT dup_group_key AS key, dup_alias_key AS answer, any_value({_LOG}) AS log, bool_or(shadow) AS shadow, max(row(tells, rank, known)) AS weight
            FROM members WHERE {_LOGGED} GROUP BY 1, 2
        ),
        first AS (
            SELECT answer, arg_max(log, row(weight, log)) AS first, bool_or(shadow) AS shadow FROM groups GROUP BY 1 HAVING count(DISTINCT log) > 1
        )
        SELECT key, answer, log, first, first.shadow FROM groups JOIN first USING (answer)
    """)


def _reach(connection: duckdb.DuckDBPyConnection) -> None:
    """Temp table `reach` (key, target): what a group names, directly or through others. It grows with the depth, which is bounded."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE reach AS SELECT DISTINCT key, target FROM naming; CREATE OR REPLACE TEMP TABLE ends AS FROM reach"
    )
    for _ in range(_MOST_NESTED):
        connection.execute("""
            CREATE OR REPLACE TEMP TABLE further AS SELECT e.key, n.target FROM ends e JOIN naming n ON n.key = e.target EXCEPT FROM reach;
            CREATE OR REPLACE TEMP TABLE ends AS FROM further;
            INSERT INTO reach FROM ends
        """)
        row = connection.execute("SELECT count(*) FROM ends").fetchone()
        if row is None or not row[0]:
            return


def _weight(key: str) -> str:
    """Which group of a ring stays: one with tokens, then one that goes by its answer."""
    return f"row({key} IN (FROM telling), NOT starts_with({key}, 'span:'), {key})"


def _meet(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether any two rows at hand witness the same call."""
    row = connection.execute(f"""
        SELECT EXISTS (SELECT 1 FROM members WHERE NOT is_new)
            OR (SELECT count(DISTINCT dup_group_key) < count(*) FROM members)
            OR EXISTS (SELECT 1 FROM members WHERE {_NAMING} AND dup_alias_key IN (SELECT dup_group_key FROM members))
            OR EXISTS (SELECT 1 FROM members WHERE {_LOGGED} GROUP BY dup_alias_key HAVING count(DISTINCT {_LOG}) > 1)
    """).fetchone()
    return bool(row and row[0])
