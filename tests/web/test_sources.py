"""Sources: a file by hand, what was refused and tried again, what contradicts itself, and who may."""

from __future__ import annotations

import gzip
import html
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from page_text import plain

from governor.actions.apply import apply
from governor.actions.completeness import completeness
from governor.actions.context import OPERATOR
from governor.actions.ingest import ingest
from governor.actions.ingest_upload import offered
from governor.actions.people import create_person
from governor.actions.sync import keep
from governor.api.v1_sources import list_quarantine
from governor.catalog import SourceDocument, parse_documents
from governor.ports import SeenWindow

RECORD = {
    "id": "call-1",
    "litellm_call_id": "call-1",
    "call_type": "acompletion",
    "status": "success",
    "model": "gpt-4o",
    "custom_llm_provider": "openai",
    "startTime": 1793000000.0,
    "endTime": 1793000001.0,
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "total_tokens": 15,
    "metadata": {"user_api_key_alias": "k"},
}


@pytest.fixture(scope="module")
def own(open_site: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with open_site(tmp_path_factory.mktemp("sources"), max_body_bytes=64 * 1024) as made:
        for email, roles in (("rae@acme.example", ["requester"]), ("ada@acme.example", ["auditor"])):
            create_person(made.ctx, made.admin, email=email, roles=roles)
            made.give_password(email)
        yield made


def lines(*records: Any) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def upload(person: Any, name: str, body: bytes, **fields: str) -> Any:
    data = {"csrf": person.csrf("/settings"), "connector": "auto", "do": "ingest", **fields}
    return person.client.post("/sources/upload", data=data, files={"file": (name, body)}, follow_redirects=False)


def test_an_empty_home_teaches_the_three_ways_in(own: Any) -> None:
    if own.ctx.lake.totals()["batches"]:
        pytest.fail("runs first")
    with own.at("rae@acme.example") as rae:
        page = rae.get("/sources").text
    for command in (
        "governor ingest auto",
        "/v1/traces",
        "/ingest/litellm",
        "governor sync litellm-prod",
        "--scope ingest:otlp --scope ingest:litellm",
    ):
        assert command in page, command
    assert '<option value="mapping">' not in page, "the page cannot name the file"


def test_asking_for_the_connector_stores_nothing(own: Any) -> None:
    with own.at("rae@acme.example") as rae:
        answer = upload(rae, "month.ndjson", lines(RECORD), do="detect")
        assert answer.status_code == 303
        assert "litellm reads month.ndjson" in rae.get("/sources").text
    assert own.ctx.lake.totals()["batches"] == 0


def test_an_uploaded_file_is_stored_once_and_its_folders_are_forgotten(own: Any) -> None:
    with own.at("rae@acme.example") as rae:
        for stored, known, body, name in (
            (1, 0, lines(RECORD), "../../etc/month one.ndjson"),
            (0, 1, gzip.compress(lines(RECORD)), "month.ndjson.gz"),
        ):
            assert upload(rae, name, body).headers["location"] == "/sources"
            page = rae.get("/sources").text
            assert "was read by litellm" in page
            assert f"1 record read: {stored} stored, {known} known already" in page
    assert [json.loads(batch["uris"]) for batch in own.ctx.lake.batches()] == [["upload:month one.ndjson"], ["upload:month.ndjson.gz"]]
    assert list((own.ctx.settings.home / "scratch").iterdir()) == []


def test_a_file_nobody_reads_is_refused_and_says_what_could(own: Any) -> None:
    with own.at("rae@acme.example") as rae:
        answer = upload(rae, "holiday.bin", b"\x00\x01 nothing we know")
        assert answer.status_code == 422
        assert "No connector recognises holiday.bin" in answer.text
        assert str(own.ctx.settings.home) not in answer.text
        assert upload(rae, "empty.ndjson", b"").status_code == 422
        missing = rae.post("/sources/upload", {"do": "ingest"}, page="/settings")
        assert missing.status_code == 422


def test_a_source_name_that_is_none_is_refused_and_stores_nothing(own: Any) -> None:
    before = own.ctx.lake.totals()["batches"]
    with own.at("rae@acme.example") as rae:
        for do in ("ingest", "detect"):
            answer = upload(rae, "month.ndjson", lines(RECORD), source="LiteLLM Prod EU", do=do)
            assert answer.status_code == 422
            assert "LiteLLM Prod EU" in answer.text
            assert "letters, digits, dot, dash" in answer.text
    assert own.ctx.lake.totals()["batches"] == before


def test_a_mapping_is_chosen_from_the_list_and_no_other_file_of_the_server_is_opened(own: Any, tmp_path: Any) -> None:
    mapping = tmp_path / "m.yaml"
    mapping.write_text("DB=postgres://u:pa ss@h/x: : [")
    named = f"mapping:{mapping}"
    with own.at("rae@acme.example") as rae:
        answer = upload(rae, "month.ndjson", lines(RECORD), do="detect", connector=named)
        assert answer.status_code == 404
        assert "postgres" not in answer.text
        apply(own.ctx, own.admin, [SourceDocument(id="mapped", connector=named)])
        assert f'<option value="{named}">' in rae.get("/sources").text
        answer = upload(rae, "month.ndjson", lines(RECORD), do="detect", connector=named)
        assert answer.status_code == 422
        assert "is not a mapping that can be used" in answer.text
        assert "postgres" not in answer.text


def test_a_file_above_the_limit_is_refused(own: Any) -> None:
    before = own.ctx.lake.totals()["batches"]
    with own.at("rae@acme.example") as rae:
        answer = upload(rae, "big.ndjson", lines(RECORD) * 400)
        assert answer.status_code == 413
        assert "Too much at once" in answer.text
        assert "governor ingest auto FILE" in answer.text
    assert own.ctx.lake.totals()["batches"] == before


def test_an_auditor_reads_and_does_not_ingest(own: Any) -> None:
    before = own.ctx.lake.totals()["batches"]
    with own.at("ada@acme.example") as ada:
        assert "/sources/upload" not in ada.get("/sources").text
        assert upload(ada, "month.ndjson", lines({**RECORD, "id": "call-9", "litellm_call_id": "call-9"})).status_code == 403
    assert own.ctx.lake.totals()["batches"] == before


def test_a_refused_record_is_shown_with_its_reason_and_tried_again(own: Any, tmp_path: Any) -> None:
    bad = tmp_path / "bad.ndjson"
    bad.write_bytes(lines({"model": "gpt-4o", "messages": "the secret prompt"}, {"model": "gpt-4o", "x": 2}))
    ingest(own.ctx, OPERATOR, "litellm", [str(bad)])
    [first, _] = own.ctx.lake.quarantine()
    with own.at("ada@acme.example") as ada, own.at("admin@acme.example") as admin:
        theirs, mine = ada.get("/sources/quarantine").text, admin.get("/sources/quarantine").text
        for page in (theirs, mine):
            assert first["reason"].split("'")[0][:20] in page
            assert "bad.ndjson" in page
        assert "the secret prompt" not in theirs
        assert "the secret prompt" in mine
        assert '<div class="big">2</div>' in ada.get("/sources").text
        one = admin.post("/sources/quarantine/retry", {"id": first["id"]}, page="/sources/quarantine")
        assert one.status_code == 303
        assert "1 record tried again" in admin.get("/sources/quarantine").text
        every = admin.post("/sources/quarantine/retry", {"every": "yes"}, page="/sources/quarantine")
        assert every.status_code == 303
        assert "2 records tried again" in admin.get("/sources/quarantine").text
        assert admin.post("/sources/quarantine/retry", page="/sources/quarantine").status_code == 422
    assert len(own.ctx.lake.quarantine()) == 2


def test_the_same_key_with_other_content_is_listed(own: Any) -> None:
    with own.at("rae@acme.example") as rae:
        upload(rae, "changed.ndjson", lines({**RECORD, "completion_tokens": 6, "total_tokens": 16}))
        assert "1 in conflict" in rae.get("/sources").text
        page = rae.get("/sources/conflicts").text
    assert "call-1" in page
    assert "changed.ndjson" in page


def test_a_wrong_state_is_answered_as_such(own: Any) -> None:
    with own.at("rae@acme.example") as rae:
        assert rae.get("/sources/quarantine?state=lost").status_code == 422
        assert rae.get("/sources/quarantine?state=retried").status_code == 200


def test_an_auditor_decides_on_no_record_by_a_direct_post(own: Any) -> None:
    before = [row["id"] for row in own.ctx.lake.quarantine()]
    with own.at("ada@acme.example") as ada:
        assert "/sources/quarantine/retry" not in ada.get("/sources/quarantine").text
        fields = {"id": before[0], "reason": "noise", "confirm": "yes"}
        for path in ("/sources/quarantine/retry", "/sources/quarantine/discard"):
            assert ada.post(path, fields, page="/settings").status_code == 403, path
        assert ada.post("/sources/quarantine/retry", {"every": "yes"}, page="/settings").status_code == 403
    assert [row["id"] for row in own.ctx.lake.quarantine()] == before


def test_a_record_is_discarded_with_a_reason_and_a_tick(own: Any) -> None:
    page = "/sources/quarantine"
    first, second = (str(row["id"]) for row in own.ctx.lake.quarantine())
    with own.at("rae@acme.example") as rae:
        assert f'name="id" value="{first}"' in rae.get(page).text
        assert rae.post(f"{page}/discard", {"id": first, "confirm": "yes"}, page=page).status_code == 422
        unticked = rae.post(f"{page}/discard", {"id": first, "reason": "half a line", "page": page}, page=page)
        assert unticked.status_code == 422
        assert "Tick the box" in unticked.text
        assert unticked.text.count('value="half a line"') == 1
        assert rae.post(f"{page}/discard", {"id": first, "reason": "half a line", "confirm": "yes"}, page=page).status_code == 303
        assert "Record discarded" in rae.get(page).text
        assert first[:12] in rae.get(f"{page}?state=discarded").text
    assert [str(row["id"]) for row in own.ctx.lake.quarantine()] == [second]


def test_all_records_of_a_filter_are_discarded_as_they_were_shown(own: Any, tmp_path: Any) -> None:
    bad = tmp_path / "eu.ndjson"
    bad.write_bytes(lines({"model": "gpt-4o", "x": 3}, {"model": "gpt-4o", "x": 4}))
    ingest(own.ctx, OPERATOR, "litellm", [str(bad)], source="litellm-eu")
    kept = [str(row["id"]) for row in own.ctx.lake.quarantine(source="litellm")]
    code = str(own.ctx.lake.quarantine()[0]["reason"]).split(":")[0]
    page = f"/sources/quarantine?source=litellm-eu&code={code}"
    with own.at("ada@acme.example") as ada:
        assert "discard-all" not in ada.get(page).text
        assert (
            ada.post("/sources/quarantine/discard-all", {"reason": "x", "confirm": "yes", "mark": "1"}, page="/settings").status_code == 403
        )
    with own.at("rae@acme.example") as rae:
        shown = rae.get(page).text
        assert "Discard all 2 of this filter" in shown
        mark = re.findall(r'name="mark" value="(\d+)"', shown)[0]
        fields = {"source": "litellm-eu", "code": code, "mark": mark, "reason": "no clock", "page": page}
        unticked = rae.post("/sources/quarantine/discard-all", fields, page=page)
        assert unticked.status_code == 422
        assert unticked.text.count('value="no clock"') == 1
        stale = rae.post("/sources/quarantine/discard-all", {**fields, "mark": "7", "confirm": "yes"}, page=page)
        assert stale.status_code == 409
        assert "nothing was discarded" in stale.text
        done = rae.post("/sources/quarantine/discard-all", {**fields, "confirm": "yes"}, page=page)
        assert done.status_code == 303
        assert "2 records discarded" in rae.get("/sources/quarantine").text
        assert "No record matches the filter" in rae.get(page).text
    assert [str(row["id"]) for row in own.ctx.lake.quarantine()] == kept


def test_the_strip_says_what_arrived_and_what_is_missing(own: Any) -> None:
    """Hours of a pull that came short, and the page of it; the same by REST."""
    hour = own.ctx.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=5)
    keep(
        own.ctx,
        OPERATOR,
        "proxy-eu",
        [SeenWindow(hour, hour + timedelta(hours=1), 7, 19), SeenWindow(hour - timedelta(hours=1), hour, 3, None, "it stops at <b>3</b>")],
    )
    at = (hour + timedelta(minutes=1)).timestamp()
    record = RECORD | {"id": "strip-1", "litellm_call_id": "strip-1", "startTime": at, "endTime": at + 1}
    with own.at("rae@acme.example") as rae:
        assert upload(rae, "calls.jsonl", lines(record), source="proxy-eu").status_code == 303
        page = rae.get("/sources").text
    assert "Did everything arrive?" in page
    assert 'class="heat-short"' in page
    assert 'class="heat-hole"' in page
    assert "the source counts 19, 7 came" in page
    assert "1 call stored" in page
    assert "<b>3</b>" not in page
    [found] = completeness(own.ctx, source="proxy-eu")
    assert [(one["missing"], one["hole"]) for one in found["windows"]] == [(None, "it stops at <b>3</b>"), (12, "")]


def test_a_long_quarantine_is_counted_whole_and_no_page_past_its_end_says_that_it_is_empty(own: Any, tmp_path: Any) -> None:
    """A file given to the wrong connector leaves thousands; the page knew of the newest thousand, the API of ten thousand."""
    wrong = tmp_path / "wrong.ndjson"
    wrong.write_bytes(b"x\n" * 10_001)
    ingest(own.ctx, OPERATOR, "litellm", [str(wrong)], source="wrong")
    there = own.ctx.lake.query("SELECT count(*) AS n FROM lake.quarantine WHERE state = 'open'").to_pylist()[0]["n"]
    with own.at("rae@acme.example") as rae:
        first, last = rae.get("/sources/quarantine").text, rae.get("/sources/quarantine?page=99999").text
    assert f"Retry all {there:,} open" in first
    assert f"1–50 of {there:,}" in first
    assert f"–{there:,} of {there:,}" in last
    assert "Nothing is in quarantine" not in last
    rows = list_quarantine.fn(own.ctx, limit=500, cursor="", source="wrong")
    seen = {row["id"] for row in rows["items"]}
    while rows["next"]:
        rows = list_quarantine.fn(own.ctx, limit=500, cursor=rows["next"], source="wrong")
        seen |= {row["id"] for row in rows["items"]}
    assert len(seen) == 10_001


def test_hundreds_of_sources_come_in_pages(open_site: Any, tmp_path: Path) -> None:
    """The list of batches stood ninety phone screens below them."""
    documents = [f"kind: source\nid: gateway-{number:03}\nconnector: litellm\nconfig: {{database: env:DB}}\n" for number in range(120)]
    with open_site(tmp_path / "many") as many:
        apply(many.ctx, many.admin, parse_documents("---\n".join(documents)))
        with many.at("admin@acme.example") as admin:
            for path, named in (("/sources", "list"), ("/settings", "sources")):
                first = admin.get(path).text
                assert ">gateway-000</a>" in first
                assert ">gateway-119</a>" not in first
                assert f"{path}?{named}=2" in first
                assert ">gateway-119</a>" in admin.get(f"{path}?{named}=99").text


OWN = b"""call,when_ms,service,llm,vendor,tok_in,tok_out,result
m-1,1790848801500,claims-inbox,gpt-4o-mini,openai,1200,45,OK
m-2,1790848802250,claims-inbox,gpt-4o-mini,openai,300,120,OK
m-3,1790848804000,search,gpt-4o-mini,openai,80,12,OK,one too many
"""


def fields_of(answer: Any) -> dict[str, str]:
    """The form of the mapping as a browser sends it again."""
    areas = {
        name: html.unescape(text) for name, text in re.findall(r'<textarea[^>]* name="(\w+)"[^>]*>(.*?)</textarea>', answer.text, re.DOTALL)
    }
    return {**areas, "name": re.findall(r'name="name" value="([^"]*)"', answer.text)[0]}


def test_a_log_that_nobody_reads_gets_a_mapping_that_is_corrected_tried_and_used(own: Any) -> None:
    with own.at("rae@acme.example") as rae:
        before = own.ctx.lake.totals()

        def send(fields: dict[str, str], **more: Any) -> Any:
            data = {"csrf": rae.csrf("/settings"), **fields}
            return rae.client.post("/sources/mapping", data=data, follow_redirects=False, **more)

        drafted = upload(rae, "own.csv", OWN)
        assert (drafted.status_code, "No connector reads own.csv" in drafted.text) == (200, True)
        fields = fields_of(drafted)
        assert "source_record_id: call" in fields["mapping"]
        tried = send({**fields, "do": "try"})
        assert "Of the first 2 records: 2 calls" in plain(tried.text)
        assert "2026-10-01 10:00 UTC gpt-4o-mini" in plain(tried.text)
        whole = send({**fields, "do": "try"}, files={"file": ("own.csv", OWN)})
        assert "Of 3 records: 2 calls" in plain(whole.text)
        assert "1 would be refused" in plain(whole.text)
        wrong = send({**fields, "mapping": fields["mapping"].replace("when_ms", "CHANGE_ME"), "do": "try"})
        assert (wrong.status_code, "columns: start_time is still CHANGE_ME" in html.unescape(wrong.text)) == (422, True)
        assert fields_of(wrong)["mapping"].count("CHANGE_ME") == 2, "a refusal leaves the text in the form"
        saved = send({**fields, "do": "download"})
        assert (saved.text, saved.headers["content-disposition"]) == (fields["mapping"], 'attachment; filename="own.yaml"')
        assert send({**fields, "do": "ingest"}).status_code == 422, "only its first records are there"
        assert own.ctx.lake.totals() == before, "nothing was stored yet"

        used = send({**fields, "do": "ingest"}, files={"file": ("own.csv", OWN)})
        assert (used.status_code, used.headers["location"]) == (303, "/sources"), used.text
        again = plain(rae.get("/sources").text)
        assert "own.csv was read by mapping:" in again
        assert "3 records read: 2 stored, 0 known already, 0 in conflict, 1 quarantined." in again
        assert str(own.ctx.settings.home) not in again
        kept = next(one for one in offered(own.ctx) if one.startswith("mapping:"))
        answer = upload(rae, "own.csv", OWN, connector=kept)
        assert answer.status_code == 303
        assert "0 stored, 2 known already" in plain(rae.get("/sources").text), "the same source, so the same calls"
        open_records = list_quarantine.fn(own.ctx, limit=500, cursor="", source="own.calls")["items"]
        assert {one["connector"] for one in open_records} == {kept}
        assert rae.post("/sources/quarantine/retry", {"id": open_records[0]["id"]}, page="/settings").status_code == 303, (
            "its mapping is there"
        )


@pytest.mark.parametrize(
    ("mapping", "status", "words"),
    [
        ("a: &a [1,1,1]\nb: *a\nname: [", 422, "not YAML"),
        ("x" * 70_000, 413, "larger than"),
        ("", 422, "no mapping yet"),
        ("name: a.b\nabout: x\nwitness: gateway\nfinds: ['<script>alert(1)</script>']\ncolumns: {nothing: x}\n", 422, "no column"),
    ],
)
def test_a_mapping_from_outside_is_refused_in_words_and_shown_as_text(own: Any, mapping: str, status: int, words: str) -> None:
    with own.at("rae@acme.example") as rae:
        answer = rae.post("/sources/mapping", {"mapping": mapping, "sample": "{}", "do": "try"}, page="/sources/mapping")
    assert (answer.status_code, words in html.unescape(answer.text)) == (status, True), answer.text[:2000]
    assert "<script>alert" not in answer.text


def test_an_auditor_has_no_form_for_a_mapping(own: Any) -> None:
    with own.at("ada@acme.example") as ada:
        assert ada.get("/sources/mapping").status_code == 403
        assert ada.post("/sources/mapping", {"mapping": "x", "do": "download"}, page="/sources").status_code == 403
