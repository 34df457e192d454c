"""What the static check finds, and that a rule which never ends is stopped."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from governor.errors import PolicyRefused
from governor.policy.bundle import Bundle
from governor.policy.check import BUILTINS, check
from governor.policy.embedded import RegorusEngine
from governor.policy.processes import answers_of
from governor.policy.runner import run_tests
from governor.policy.sandbox import check_confined, run_tests_confined

ENDLESS = "package a_test\n\nimport rego.v1\n\ntest_a if {\n\tsome i in numbers.range(1, 100000)\n\tsome j in numbers.range(1, 100000)\n\ti + j < 0\n}\n"
GOOD = """# METADATA
# title: No preview models
# description: A preview model has no support.
# custom:
#   rule_id: model.preview
#   severity: low
#   failure_msg: A preview model was used.
#   solution: Use a released model.
#   owner: platform
package governor.rules.preview

import rego.v1

deny contains {"rule": "model.preview", "message": "preview"} if contains(input.model, "preview")
"""


def codes(source: str, bundle: Bundle) -> set[str]:
    return {one.code for one in check({"rules/preview.rego": source}, known=bundle.modules)}


def test_a_good_rule(bundle: Bundle) -> None:
    assert check({"rules/preview.rego": GOOD}, known=bundle.modules) == []


@pytest.mark.parametrize(
    ("flaw", "old", "new"),
    [
        ("refused-builtin", 'contains(input.model, "preview")', "time.now_ns() > 0"),
        ("refused-builtin", 'contains(input.model, "preview")', 'http.send({"url": input.model}).status_code == 200'),
        ("refused-builtin", 'contains(input.model, "preview")', "time.add_date(time.parse_rfc3339_ns(input.at), 0, 1, 0) > 0"),
        ("refused-builtin", 'contains(input.model, "preview")', 'strings.count(input.model, "--") > 1'),
        ("unknown-function", 'contains(input.model, "preview")', "looks_new(input.model)"),
        ("unknown-function", 'contains(input.model, "preview")', 'crypto.sha256(input.model) == ""'),
        ("unknown-input", 'contains(input.model, "preview")', 'contains(input.prompt, "preview")'),
        ("unknown-input", 'contains(input.model, "preview")', 'input["trace_id"] == "x"'),
        ("undefined-in-not", 'contains(input.model, "preview")', "not is_number(data.governor.lib.exposure.retention(input.candidate))"),
        ("undefined-in-not", 'contains(input.model, "preview")', "not data.tables.ranks[input.model] == 2"),
        ("unknown-rule", 'contains(input.model, "preview")', "count(data.governor.rules.latency.denyy) > 0"),
        ("no-rego-v1", "import rego.v1", ""),
        ("metadata", "#   severity: low", "#   severity: grave"),
        ("metadata", "#   owner: platform\n", ""),
        ("metadata", "# METADATA\n", ""),
        ("rule-id", '"rule": "model.preview"', '"rule": "model.other"'),
        ("no-deny", "deny contains", "denies contains"),
        ("parse", "deny contains {", "deny contains {{"),
        ("parse", '"message": "preview"', '"message": $"{input.model}"'),
        ("package-import", "import rego.v1", "import rego.v1\nimport data.governor.lib.names"),
    ],
)
def test_flaws(bundle: Bundle, flaw: str, old: str, new: str) -> None:
    assert old in GOOD
    assert flaw in codes(GOOD.replace(old, new), bundle)


@pytest.mark.parametrize(
    ("rules", "circle"),
    [
        ("f(x) := f(x)", "p.f needs p.f"),
        ("f(0) := 1\nf(n) := n * f(n - 1) if n > 0", "p.f needs p.f"),
        ("a := b\nb := c\nc := a", "p.a needs p.b needs p.c needs p.a"),
        ("a contains x if some x in a", "p.a needs p.a"),
        ("default a := false\na if not b\nb if not a", "p.a needs p.b needs p.a"),
        ("a := data.p.b\nb := data[input.at].a", "p.a needs p.b needs p.a"),
        ("a := c.x\nc.x := 1 if a", "p.a needs p.c.x needs p.a"),
        ("a := c[input.at].y\nc.x := 1 if a", "p.a needs p.c.x needs p.a"),
        ("a := {y | y := data.p}", "p.a needs p.a"),
        ('b := 2\na := {"x": b} if b == 1\nelse := object.get(b, a, 1)', "p.a needs p.a"),
    ],
    ids=["function", "counting down", "three", "set", "denied", "all data", "below", "computed key", "own package", "else"],
)
def test_rules_that_ask_themselves_are_named_in_a_circle(rules: str, circle: str) -> None:
    found = [one for one in check({"p.rego": f"package p\n\nimport rego.v1\n\n{rules}\n"}) if one.code == "recursion"]
    assert [one.message.partition(":")[0] for one in found] == [circle]
    assert found[0].line >= 5


@pytest.mark.parametrize(
    "rules",
    [
        "a := input.b\nb := a",
        "a(b) := b\nb := a(1)",
        "f(x) := x\na := f(f(1))",
        "a := [b | some b in [1]]\nb := a",
        "a := 1 if {\n\tsome b\n\tinput.models[b] == 1\n}\nb := a",
        "a if every b in [1] { b > 0 }\nb := a",
        "# é\na := 1 if {\n\tsome b\n\tinput.models[b] == 1\n}\nb := a",
        "a := 1 if {\n\tb := 2\n\tb > 1\n}\nb := a",
        "a.x := 1\na.y := a.x",
    ],
)
def test_a_name_that_a_rule_has_for_itself_is_no_rule(rules: str) -> None:
    assert not [one for one in check({"p.rego": f"package p\n\nimport rego.v1\n\n{rules}\n"}) if one.code in {"recursion", "parse"}]


def test_a_circle_through_the_modules_that_ship_is_ours(bundle: Bundle) -> None:
    ours = {"lib/names.rego": bundle.modules["lib/names.rego"] + "\nagain := data.extra.a\n"}
    extra = {"extra.rego": "package extra\n\nimport rego.v1\nimport data.governor.lib.names\n\na := names.again\n"}
    found = [one for one in check(extra, known={**bundle.modules, **ours}) if one.code == "recursion"]
    assert [(one.file, one.line) for one in found] == [("extra.rego", 6)]
    assert found[0].message.startswith("extra.a needs governor.lib.names.again needs extra.a:")


def test_a_decision_needs_a_default(bundle: Bundle) -> None:
    source = 'package governor.extra\n\nimport rego.v1\n\ndecision := {"allow": true} if input.model == "m"\n'
    assert [one.code for one in check({"collections/extra.rego": source}, known=bundle.modules)] == ["no-default"]


def test_a_rule_needs_a_test_and_a_collection(bundle: Bundle) -> None:
    found = check({**bundle.modules, "rules/preview.rego": GOOD}, tests=bundle.tests)
    assert {one.code for one in found} == {"no-test", "not-collected"}


def test_what_a_rule_cannot_decide_must_reach_a_collection(bundle: Bundle) -> None:
    lost = GOOD + '\nundecided contains {"rule": "model.preview", "reason": "nobody knows"} if input.model == null\n'
    found = check({**bundle.modules, "rules/preview.rego": lost}, tests={*bundle.tests, "rules/preview_test.rego"})
    assert [(one.line > 0, one.code) for one in found] == [(False, "not-collected"), (True, "not-collected")]
    assert "a missing fact would count as allowed" in found[1].message


def test_every_listed_builtin_exists_in_the_embedded_engine() -> None:
    unknown = []
    for name in sorted(BUILTINS):
        for arity in range(5):
            engine = RegorusEngine()
            arguments = ", ".join(["input"] * arity)
            try:
                engine.load({"a.rego": f"package a\n\nimport rego.v1\n\nx := y if y := {name}({arguments})\n"}, {})
                engine.decide_many("a/x", [{}])
            except Exception as error:  # noqa: BLE001 - wrong arguments are fine, an unknown name is not
                if "could not find function" in str(error):
                    unknown.append(name)
                    break
    assert unknown == []


def test_an_endless_rule_is_stopped(bundle: Bundle) -> None:
    endless = Bundle(modules=bundle.modules, data=bundle.data, revision="r", tests={"a_test.rego": ENDLESS})
    with pytest.raises(PolicyRefused, match="did not finish within 2 seconds"):
        run_tests_confined(endless, seconds=2)


def test_the_child_ends_itself_where_nobody_is_left_to_stop_it() -> None:
    order = {"verb": "test", "bundle": {"modules": {}, "tests": {"a_test.rego": ENDLESS}, "data": {}, "revision": "r"}, "pattern": ""}
    child = [sys.executable, "-P", "-m", "governor.policy.sandbox", "2"]
    done = subprocess.run(child, input=json.dumps(order).encode(), capture_output=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGALRM


def test_deep_nesting_does_not_take_the_checker_down(bundle: Bundle) -> None:
    deep = "package a\n\nimport rego.v1\n\nx := " + "[" * 3000 + "]" * 3000 + "\n"
    try:
        found = check_confined({"a.rego": deep}, known=bundle.modules, seconds=5)
    except PolicyRefused:
        return
    assert [one.code for one in found] == ["parse"]


def test_outcomes_of_the_runner(bundle: Bundle) -> None:
    rules = ["test_yes if true", "test_no if false", "test_not_true := 1", "test_error if time.parse_rfc3339_ns(1)", "todo_later if false"]
    source = "\n\n".join(["package a_test", "import rego.v1", *rules, ""])
    report = run_tests(Bundle(modules=bundle.modules, data=bundle.data, revision="r", tests={"a_test.rego": source}))
    assert {one.name: one.outcome for one in report.results} == {
        "test_yes": "pass",
        "test_no": "fail",
        "test_not_true": "fail",
        "test_error": "error",
        "todo_later": "todo",
    }
    assert not report.passed


def test_no_tests_do_not_pass(bundle: Bundle) -> None:
    assert not run_tests(Bundle(modules=bundle.modules, data=bundle.data, revision="r", tests={})).passed


def test_a_file_of_the_working_directory_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "resource.py").write_text("open('ran', 'w')\n")
    (tmp_path / "json.py").write_text("open('ran', 'w')\n")
    monkeypatch.chdir(tmp_path)
    check_confined({"a.rego": "package a\n"})
    assert answers_of({"a.rego": "package a\n\nx := 1\n"}, "{}", "data.a.x", ["{}"]) == [1]
    assert not (tmp_path / "ran").exists()
