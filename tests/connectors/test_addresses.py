"""What is looked for before a pattern is tried spares no address: SQL finds and cuts what the patterns alone do."""

from __future__ import annotations

import duckdb
import pytest

from connectors.addresses import _QUERY, _USER, kept_address, region_at, region_in

ADDRESSES = {
    "plain": "https://api.openai.com/v1",
    "query": "https://generativelanguage.googleapis.com/v1?key=AIza",
    "fragment": "https://api.openai.com/v1#key=sk-1",
    "user": "https://me:sk-1@api.openai.com/v1",
    "user_without_scheme": "me:sk-1@api.openai.com",
    "lines": "https://a.example/\n?key=sk-1\nmore",
    "bedrock": "https://bedrock-runtime.eu-west-1.amazonaws.com/model/m/converse",
    "bedrock_fips": "https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com",
    "vertex_place": "/v1/projects/p/locations/europe-west4/publishers/google",
    "vertex_host": "https://europe-west4-aiplatform.googleapis.com/v1",
    "vertex_global": "https://aiplatform.googleapis.com/v1",
    "empty": "",
    "absent": None,
}


@pytest.mark.parametrize("name", ADDRESSES)
def test_a_look_before_a_pattern_changes_nothing(name: str) -> None:
    address = ADDRESSES[name]
    with duckdb.connect() as engine:
        sql = f"""SELECT {kept_address("a")}, regexp_replace(regexp_replace(a, '{_QUERY}', ''), '{_USER}', '\\1'), {region_in("a")}
            FROM (SELECT $a::VARCHAR AS a)"""
        found = engine.execute(sql, {"a": address}).fetchone()
    assert found is not None
    kept, cut, region = found
    assert kept == cut
    assert region == (region_at(address) if address is not None else None)
