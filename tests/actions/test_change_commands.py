"""The commands around catalog, tokens and changes: exit codes, one clear line, JSON on stdout."""

import json
from pathlib import Path
from typing import Any

import pytest

from governor.cli import main

CATALOG = """
kind: person
email: dana@acme.example
roles: [owner]
---
kind: workflow
id: w1
owner: dana@acme.example
routes: [{id: current, provider: openai, model: gpt-4o, approved_until: 2999-03-31}]
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Calls a command on one home: words and a token in; exit code, stdout and stderr out."""
    monkeypatch.delenv("GOVERNOR_TOKEN", raising=False)

    def command(*words: str, token: str = "") -> tuple[int, str, str]:
        if token:
            monkeypatch.setenv("GOVERNOR_TOKEN", token)
        else:
            monkeypatch.delenv("GOVERNOR_TOKEN", raising=False)
        with pytest.raises(SystemExit) as ended:
            main(["--home", str(tmp_path / "home"), *words])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return command


def test_from_init_to_a_persons_token(run: Any, tmp_path: Path) -> None:
    code, out, _ = run("init", "--json")
    admin = json.loads(out)["token"]
    assert code == 0
    file = tmp_path / "catalog.yaml"
    file.write_text(CATALOG)
    assert run("apply", "-f", str(file), "--dry-run")[1].startswith("+ person dana@acme.example")
    code, out, _ = run("apply", "-f", str(file), "--json")
    assert (code, json.loads(out)["counts"]["create"]) == (0, 2)
    assert json.loads(run("apply", "-f", str(file), "--json", token=admin)[1])["changes"] == []
    file.write_text(CATALOG + "match: [{app: new}]\n")
    plans = [run("apply", "-f", str(file), "--dry-run")[1]]
    file.write_text(file.read_text().replace("kind: workflow", "kind: workflow\nvalid_from: 2026-10-01"))
    plans.append(run("apply", "-f", str(file), "--dry-run")[1])
    assert ["keep the rules of before" in plan for plan in plans] == [True, False]
    file.write_text(CATALOG)
    code, out, err = run("token", "create", "dana@acme.example")
    assert (code, out) == (1, "")
    assert err.startswith("error[unauthenticated]")
    code, out, _ = run("token", "create", "dana@acme.example", token=admin)
    dana = out.strip()
    assert dana.startswith("gov_")
    code, out, _ = run("token", "list", "--json", token=dana)
    assert [row["email"] for row in json.loads(out)["tokens"]] == ["dana@acme.example"]
    assert run("apply", "-f", str(file), token="gov_wrong")[0] == 1
    password = tmp_path / "password"
    password.write_text("a long enough password\n")
    assert run("token", "password", "dana@acme.example", "--file", str(password), token=dana)[0] == 0


def test_wrong_use_and_refusals_have_their_codes(run: Any, tmp_path: Path) -> None:
    assert run("change", "list")[2].startswith("error[not_found]: no Governor home")
    run("init")
    assert run("apply")[0] == 2
    assert run("change", "propose", "--workflow", "w", "--candidate", "a/b", "--endpoint", "e", "--reason", "r", "--margin", "x")[0] == 2
    file = tmp_path / "bad.yaml"
    file.write_text("kind: workflow\nid: w2\n")
    code, out, err = run("apply", "-f", str(file))
    assert (code, out) == (1, "")
    assert "bad.yaml document 1 (workflow w2): owner: a workflow without an owner is refused" in err
    assert len(err.strip().splitlines()) == 1
    for words in (("change", "show", "RC-9"), ("apply", "-f", str(tmp_path / "none.yaml"))):
        code, _, err = run(*words)
        assert code == 1
        assert err.startswith("error[not_found]")
    assert json.loads(run("apply", "--schema", "workflow")[1])["required"] == ["kind", "id", "owner"]
    code, _, err = run("apply", "--schema", "nope")
    assert code == 1
    assert err.startswith("error[invalid]")
