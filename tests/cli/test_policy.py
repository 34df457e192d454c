"""`governor policy` through its command line: exit codes, one clear line, JSON."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from governor.cli import main
from governor.policy.bundle import load_bundle

ROOT = Path(__file__).parents[2]


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "policies", tmp_path / "policies", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "policies"


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(list(words))
    said = capsys.readouterr()
    return int(stopped.value.code or 0), said.out, said.err


def run_json(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    code, out, _ = run(capsys, *words, "--json")
    return code, json.loads(out)


def test_the_shipped_rules_pass_with_full_coverage(capsys: pytest.CaptureFixture[str]) -> None:
    code, report = run_json(capsys, "policy", "test", "--threshold", "100")
    assert code == 0
    assert (report["fail"], report["error"], report["coverage_percent"]) == (0, 0, 100.0)
    assert report["pass"] > 100


def test_a_broken_rule_fails_its_tests(capsys: pytest.CaptureFixture[str], policies: Path) -> None:
    rule = policies / "rules" / "latency.rego"
    rule.write_text(rule.read_text().replace("input.p95_ms > target", "input.p95_ms >= target"))
    code, out, _ = run(capsys, "policy", "test", "--bundle", str(policies))
    assert code == 1
    assert "FAIL  rules/latency_test.rego test_within" in out
    assert "1 fail" in out


def test_one_selected_test(capsys: pytest.CaptureFixture[str]) -> None:
    code, report = run_json(capsys, "policy", "test", "--run", "latency_test.test_above")
    assert (code, report["pass"]) == (0, 1)


def test_no_matching_test_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "policy", "test", "--run", "no such test")[0] == 1


def test_check_of_the_shipped_rules(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_json(capsys, "policy", "check") == (0, [])


def test_check_of_one_file_names_the_line(capsys: pytest.CaptureFixture[str], policies: Path) -> None:
    rule = policies / "rules" / "latency.rego"
    rule.write_text(rule.read_text().replace("input.p95_ms > target", "time.now_ns() > target"))
    code, out, _ = run(capsys, "policy", "check", str(rule))
    assert code == 1
    line = next(number for number, text in enumerate(rule.read_text().splitlines(), 1) if "now_ns" in text)
    assert f"latency.rego:{line}: time.now_ns: no clock" in out


def test_check_of_a_directory_wants_tests_beside_rules(capsys: pytest.CaptureFixture[str], policies: Path) -> None:
    (policies / "rules" / "latency_test.rego").unlink()
    code, out, _ = run(capsys, "policy", "check", str(policies))
    assert code == 1
    assert "rules/latency.rego:0: no test file beside the rule" in out


def test_a_missing_file_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = run(capsys, "policy", "check", str(tmp_path / "nothing.rego"))
    assert code == 1
    assert err.startswith("error[invalid]: ")
    assert len(err.strip().splitlines()) == 1


def test_a_directory_without_rules_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = run(capsys, "policy", "test", "--bundle", str(tmp_path))
    assert code == 1
    assert "empty rule set" in err


def test_the_bundle_is_deterministic(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, first = run_json(capsys, "policy", "bundle", "-o", str(tmp_path / "a.tar.gz"))
    assert code == 0
    run(capsys, "policy", "bundle", "-o", str(tmp_path / "b.tar.gz"))
    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()
    assert first["bytes"] == (tmp_path / "a.tar.gz").stat().st_size


def test_backtest_without_a_home_says_what_to_do(capsys: pytest.CaptureFixture[str], tmp_path: Path, policies: Path) -> None:
    words = ("--home", str(tmp_path / "none"), "policy", "backtest", "--period", "2026-10", "--bundle", str(policies))
    code, _, err = run(capsys, *words)
    assert code == 1
    assert "governor init" in err


def test_rules_of_ones_own_begin_as_a_copy_and_come_into_force_by_a_setting(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, home = tmp_path / "own", tmp_path / "home"
    assert run(capsys, "policy", "copy", str(own))[0] == 0
    code, _, said = run(capsys, "policy", "copy", str(own))
    assert (code, "is there already" in said) == (1, True)
    assert load_bundle(own) == load_bundle()
    monkeypatch.setenv("GOVERNOR_HOME", str(home))
    assert run(capsys, "init", "--admin", "ada@acme.example")[0] == 0
    rule = own / "rules" / "latency.rego"
    rule.write_text(rule.read_text().replace("severity: medium", "severity: low").replace("severity: high", "severity: low"))
    monkeypatch.setenv("GOVERNOR_POLICIES", str(own))
    checks = run_json(capsys, "doctor")[1]["checks"]
    [told] = [one["detail"] for one in checks if one["name"] == "policy"]
    assert told.startswith(f"bundle {load_bundle(own).revision[:12]} of {own}, ")
    assert load_bundle(own).revision != load_bundle().revision
    assert run(capsys, "policy", "check") == run(capsys, "policy", "check", str(own))
    monkeypatch.setenv("GOVERNOR_POLICIES", str(tmp_path / "nowhere"))
    checks = run_json(capsys, "doctor")[1]["checks"]
    [failed] = [one for one in checks if one["name"] == "policy"]
    assert (failed["ok"], "nowhere is not a directory of policies" in failed["detail"]) == (False, True)


def test_a_rule_that_is_asked_and_not_listed_is_a_problem(capsys: pytest.CaptureFixture[str], policies: Path) -> None:
    asks = policies / "collections" / "window.rego"
    asks.write_text(asks.read_text().replace('"cost.ceiling", "latency', '"latency', 1))
    code, found = run_json(capsys, "policy", "check", str(policies))
    assert code == 1
    assert [(one["file"], one["code"]) for one in found] == [("collections/window.rego", "not-named")]
    assert "cost.ceiling" in found[0]["message"]
