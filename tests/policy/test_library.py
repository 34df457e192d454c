"""The shipped rules: their own tests pass, every line is reached, the static check is clean, the docs name them."""

import re
from pathlib import Path

from governor.policy.bundle import ENTRYPOINTS, Bundle
from governor.policy.check import check
from governor.policy.embedded import RegorusEngine
from governor.policy.runner import run_tests

ROOT = Path(__file__).parents[2]


def test_every_rego_test_passes_and_reaches_every_line(bundle: Bundle) -> None:
    report = run_tests(bundle)
    assert [one for one in report.results if one.outcome != "pass"] == []
    assert report.count("pass") > 100
    assert [(one.file, one.missed) for one in report.coverage if one.missed] == []


def test_the_static_check_has_nothing_to_say(bundle: Bundle) -> None:
    assert check({**bundle.modules, **bundle.tests}, tests=bundle.tests) == []


def test_every_rule_is_documented(bundle: Bundle) -> None:
    page = (ROOT / "docs" / "policy.md").read_text()
    assert [rule for rule in bundle.data["rulebook"] if f"`{rule}`" not in page] == []


def test_every_rule_is_asked_by_a_collection(bundle: Bundle) -> None:
    asked = "".join(source for name, source in bundle.modules.items() if name.startswith("collections/"))
    packages = {entry["file"].removeprefix("rules/").removesuffix(".rego") for entry in bundle.data["rulebook"].values()}
    assert [name for name in packages if f"data.governor.rules.{name}.deny" not in asked] == []


def test_every_collection_lists_exactly_the_rules_it_asks(bundle: Bundle) -> None:
    engine = RegorusEngine()
    engine.load(bundle.modules, bundle.data_with({}))
    ids = {entry["file"].removeprefix("rules/").removesuffix(".rego"): rule for rule, entry in bundle.data["rulebook"].items()}
    for name in ENTRYPOINTS:
        asked = re.findall(r"data\.governor\.rules\.(\w+)\.deny", bundle.modules[f"collections/{name}.rego"])
        assert engine.decide_many(f"governor/{name}/rules", [{}]) == [[ids[rule] for rule in asked]]
