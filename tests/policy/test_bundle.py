"""What a bundle refuses, and that its bytes are repeatable."""

import gzip
import io
import json
import shutil
import tarfile
from pathlib import Path

import pytest

from governor.errors import Invalid
from governor.policy.bundle import Bundle, archive, load_bundle

ROOT = Path(__file__).parents[2]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "policies", tmp_path / "policies", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "policies"


def test_a_directory_with_the_same_files_has_the_same_revision(bundle: Bundle, copy: Path) -> None:
    assert load_bundle(copy).revision == bundle.revision


def test_a_changed_rule_changes_the_revision(bundle: Bundle, copy: Path) -> None:
    rule = copy / "rules" / "latency.rego"
    rule.write_text(rule.read_text().replace("input.p95_ms > target", "input.p95_ms >= target"))
    assert load_bundle(copy).revision != bundle.revision


def test_a_changed_test_does_not_change_the_revision(bundle: Bundle, copy: Path) -> None:
    (copy / "rules" / "latency_test.rego").unlink()
    assert load_bundle(copy).revision == bundle.revision


def test_an_empty_rule_set_is_refused(copy: Path) -> None:
    shutil.rmtree(copy / "rules")
    with pytest.raises(Invalid, match="empty rule set"):
        load_bundle(copy)


def test_a_missing_collection_is_refused(copy: Path) -> None:
    (copy / "collections" / "replay.rego").unlink()
    with pytest.raises(Invalid, match=r"collections/replay\.rego"):
        load_bundle(copy)


def test_a_rule_without_metadata_is_refused(copy: Path) -> None:
    (copy / "rules" / "extra.rego").write_text("package governor.rules.extra\n\nimport rego.v1\n\ndeny contains 1 if false\n")
    with pytest.raises(Invalid, match=r"rules/extra\.rego: no METADATA"):
        load_bundle(copy)


@pytest.mark.parametrize(
    ("line", "other", "words"),
    [
        ("#   failure_msg:", "#   failure_msg: no\n#   was:", "custom.failure_msg is False, not text"),
        ("# description:", "# was:", "METADATA lacks description"),
    ],
)
def test_metadata_that_is_wrong_is_told_from_metadata_that_lacks(copy: Path, line: str, other: str, words: str) -> None:
    rule = copy / "rules" / "latency.rego"
    assert line in rule.read_text()
    rule.write_text(rule.read_text().replace(line, other, 1))
    with pytest.raises(Invalid, match=words):
        load_bundle(copy)


def test_two_rules_cannot_share_an_id(copy: Path) -> None:
    source = (copy / "rules" / "latency.rego").read_text().replace("package governor.rules.latency", "package governor.rules.latency2")
    (copy / "rules" / "latency2.rego").write_text(source)
    with pytest.raises(Invalid, match=r"latency\.target is already used"):
        load_bundle(copy)


def test_the_rule_book_is_the_metadata(bundle: Bundle) -> None:
    entry = bundle.data["rulebook"]["data.class"]
    assert entry["severity"] == "critical"
    assert entry["solution"].startswith("Use a provider and region cleared")


def test_the_archive_is_deterministic_and_complete(bundle: Bundle) -> None:
    body = archive(bundle, {"workflows": {}})
    assert body == archive(bundle, {"workflows": {}})
    assert body != archive(bundle)
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(body))) as tar:
        names = tar.getnames()
        manifest = json.loads(tar.extractfile(".manifest").read())  # type: ignore[union-attr]
        data = json.loads(tar.extractfile("data.json").read())  # type: ignore[union-attr]
    assert names == sorted(names)
    assert not [name for name in names if name.endswith("_test.rego")]
    assert manifest["revision"] == bundle.revision
    assert set(manifest["roots"]) == {"governor", *data}
