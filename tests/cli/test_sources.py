"""`governor sources preview` through its command line: words for people, JSON, one clear line when it fails."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from governor.cli import main

EVENTS = Path(__file__).parents[1] / "connectors/fixtures/mapping_llm_usage_events.csv"


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(list(words))
    said = capsys.readouterr()
    return int(stopped.value.code or 0), said.out, said.err


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOVERNOR_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_preview_needs_no_home_and_makes_none(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    code, out, _ = run(capsys, "sources", "preview", str(EVENTS), "--connector", "mapping:llm_usage_events")
    assert code == 0
    assert "llm_usage_events.row 4" in out
    assert "gpt-4o-mini" in out
    assert "claims fnol-triage" in out
    assert "Of 4 records: 4 calls (1 without tokens, 1 without a cost), 0 structure, 0 would be refused. Nothing was stored." in out
    assert not home.exists()


def test_refused_records_are_shown_with_their_reason(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    torn = tmp_path / "torn.csv"
    torn.write_text(EVENTS.read_text() + "evt-9,not a time,acme,u,f,,t,\x1b[31mred,openai,1,0,1,,,ok,,\n")
    code, out, _ = run(capsys, "sources", "preview", str(torn), "--connector", "mapping:llm_usage_events")
    assert code == 0
    assert "1 would be refused" in out
    assert '1 x bad_time: start_time "not a time" is no time (first: record 4 of' in out
    assert "\x1b" not in out


def test_as_json_with_a_home(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "init", "--admin", "admin@acme.example")[0] == 0
    code, out, _ = run(capsys, "sources", "preview", str(EVENTS), "--connector", "mapping:llm_usage_events", "--json")
    said = json.loads(out)
    assert (code, said["calls"], said["attribution"]) == (0, 4, "rules of the catalog")
    assert said["first"][0]["reason"] == "no attribution rules are declared"
    code, out, _ = run(capsys, "usage", "--period", "2026-10", "--json")
    assert json.loads(out)["rows"] == []


def test_one_clear_line_when_it_fails(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "sources", "preview", str(EVENTS), "--connector", "mapping:gone")
    assert code == 1
    assert err.startswith("error[invalid]: gone: no such mapping file. hint: shipped: ")


def test_a_mapping_is_drafted_kept_and_leads_to_the_preview(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("our log.jsonl").write_text(
        '{"rid": "a-1", "at": "2026-10-01T10:00:00Z", "llm": "gpt-4o", "tok_in": 3, "tok_out": 4, "who": "\\u001b[31m"}\n'
    )
    code, _, err = run(capsys, "sources", "preview", "our log.jsonl")
    assert code != 0
    assert "governor sources draft FILE" in err
    code, out, _ = run(capsys, "sources", "draft", "our log.jsonl", "-o", "ours.yaml")
    assert (code, out.splitlines()[-1]) == (0, "  governor sources preview 'our log.jsonl' --connector mapping:ours.yaml")
    code, out, _ = run(capsys, "sources", "preview", "our log.jsonl", "--connector", "mapping:ours.yaml")
    assert "Of 1 records: 1 calls (0 without tokens" in out
    code, out, _ = run(capsys, "--json", "sources", "draft", "our log.jsonl", "--name", "Our Gateway")
    said = json.loads(out)
    assert said["mapping"].startswith("name: our_gateway.calls\n")
    assert said["file"] is None
    for place, why in (("ours.yaml", "is there already"), ("no/such/folder.yaml", "No such file or directory")):
        code, _, err = run(capsys, "sources", "draft", "our log.jsonl", "-o", place)
        assert code != 0
        assert why in err
        assert "Traceback" not in err
    assert not home.exists()


def test_completeness_and_scorecard_as_text_and_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(capsys, "init", "--admin", "admin@acme.example")[0] == 0
    assert "No source brought anything" in run(capsys, "sources", "completeness")[1]
    row = {"id": "c-1", "litellm_call_id": "c-1", "call_type": "acompletion", "status": "success", "model": "gpt-4o", "prompt_tokens": 3}
    now = datetime.now(UTC).timestamp() - 3 * 3600
    file = tmp_path / "calls.jsonl"
    file.write_text(json.dumps(row | {"startTime": now, "endTime": now + 1, "completion_tokens": 1, "total_tokens": 4, "metadata": {}}))
    code, _, said = run(capsys, "ingest", "litellm", str(file), "--source", "proxy")
    assert (code, "only hashes are kept" in said) == (0, True)  # prompts cannot be had later, and nobody is registered
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text("kind: person\nemail: dana@acme.example\nroles: [owner]\n---\nkind: workflow\nid: w1\nowner: dana@acme.example\n")
    assert run(capsys, "apply", "-f", str(catalog))[0] == 0
    assert "only hashes" not in run(capsys, "ingest", "litellm", str(file), "--source", "proxy")[2]
    code, out, _ = run(capsys, "sources", "completeness", "proxy", "--days", "3", "--json")
    [one] = json.loads(out)["sources"]
    assert (code, one["source"], one["stored"], one["states"]["unchecked"]) == (0, "proxy", 1, 1)
    code, out, _ = run(capsys, "sources", "completeness", "--days", "3")
    assert "proxy: 1 calls stored" in out
    assert "+" in out.splitlines()[1] + out.splitlines()[2] + out.splitlines()[3]
    month = f"{datetime.fromtimestamp(now, UTC):%Y-%m}"
    code, out, _ = run(capsys, "sources", "scorecard", "--period", month, "--json")
    [card] = json.loads(out)["workflows"]
    assert (card["workflow"], card["calls"]) == (None, 1)
    assert "token counts" in run(capsys, "sources", "scorecard", "--period", month)[1].replace("\n", " ")


def test_an_ingest_that_is_stopped_says_what_became_of_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    assert run(capsys, "init", "--admin", "admin@acme.example")[0] == 0
    monkeypatch.setattr("governor.actions.ingest.ingest", stopped)
    code, _, err = run(capsys, "ingest", "litellm", str(tmp_path))
    assert code == 130
    assert "the same command stores the rest, each call once" in err


def test_a_catalog_is_drafted_once_and_refused_by_line_until_it_is_filled_in(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(capsys, "init", "--admin", "admin@acme.example")[0] == 0
    assert run(capsys, "ingest", "mapping:llm_usage_events", str(EVENTS))[0] == 0
    file = tmp_path / "catalog.yaml"
    code, out, _ = run(capsys, "catalog", "draft", "--period", "2026-10", "-o", str(file))
    assert (code, "Fill in every CHANGE_ME" in out) == (0, True)
    assert run(capsys, "--json", "catalog", "draft", "--period", "2026-10")[1].count("kind: workflow") == file.read_text().count(
        "kind: workflow"
    )
    code, _, err = run(capsys, "catalog", "draft", "--period", "2026-10", "-o", str(file))
    assert (code, "is there already" in err) == (1, True), "what somebody filled in is not written over"
    code, _, err = run(capsys, "apply", "-f", str(file))
    assert code == 1
    assert err.count("\ncatalog.yaml:") + err.startswith("catalog.yaml:") == file.read_text().count("CHANGE_ME") - 1
    assert len([line for line in err.splitlines() if line.startswith("error[")]) == 1
