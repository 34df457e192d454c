"""verify.html: one file without a network, the same words as ours, in Chromium from disk and in Node."""

import base64
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import negative_cosignatures
import negative_packets
import pytest
from packet_story import LOG, person, withdraw
from playwright import sync_api
from verifiers import PAGE, ask_node, by_program, in_node, ours, portable

from governor.packets.verify import verify_packet

TEXT = PAGE.read_text(encoding="utf-8")


def test_its_digest_is_published_apart_from_packets() -> None:
    guide = (Path(__file__).parents[2] / "docs/verify-a-packet.md").read_text()
    assert hashlib.sha256(PAGE.read_bytes()).hexdigest() in guide, "run tools/seal_verifiers.py"


def test_the_command_writes_the_page(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "governor.cli", "--json", "packet", "verifier", "--html", "-o", str(tmp_path / "verify.html")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["sha256"] == hashlib.sha256(PAGE.read_bytes()).hexdigest()
    assert (tmp_path / "verify.html").read_bytes() == PAGE.read_bytes()


def test_its_content_policy_allows_its_own_text_and_nothing_else() -> None:
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', TEXT)
    for tag in ("script", "style"):
        (body,) = re.findall(rf"<{tag}>(.*?)</{tag}>", TEXT, re.DOTALL)
        assert f"{tag}-src 'sha256-{base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()}'" in policy, (
            "run tools/seal_verifiers.py"
        )
    assert policy.startswith("default-src 'none';")
    assert not re.search(r"unsafe|https?:(?!//(governor\.example|in-toto\.io)/)", policy + TEXT.partition("<script>")[2])
    assert not re.search(r"\b(src|href)=", TEXT), "nothing is loaded from elsewhere"


def test_node_says_the_same_of_good_packets(story: Any) -> None:
    pairs = [(story.packet(), story.trust)]
    story.show_personal = False
    pairs.append((story.packet(), story.trust))
    for pair, found in zip(pairs, in_node(pairs), strict=True):
        assert found == ours(*pair)
        assert found["result"] == "VERIFIED"


def test_all_three_let_the_requester_and_an_admin_withdraw(story: Any) -> None:
    """Also an admin who was asked for nothing; whoever may not is among the negative packets."""
    withdraw(story)
    own = story.packet()
    story.chapters[4].actor = person("p-8", "admin", "finance")
    story.document["change"]["withdrawn_by"] = "p-8"
    for packet in (own, story.packet()):
        said = ours(packet, story.trust)
        assert said["exit_code"] == 0
        assert {"name": "approvals", "status": "ok", "detail": "not approved: withdrawn"} in said["checks"]
        assert portable(by_program(packet, story.trust)) == portable(said)
        assert portable(in_node([(packet, story.trust)])[0]) == portable(said)


def test_all_three_refuse_the_same_trust_files(story: Any) -> None:
    good = story.trust.decode()
    key = re.findall(r"^log (\S+)", good, re.MULTILINE)[0]
    bad = [
        "", "# nothing\n", good + "quorum none\n", good + f"log {key}\n", good + "wish\n", good.replace("0..", "0-9"), good.replace("quorum none", "quorum w"),
        good.replace(key, key.replace("+", "+0", 1)), good + "witness any " + key + "\n", good + "group g 2 w\n", good + "\x01",
        good.replace("quorum none", f"witness w {key}\ngroup g 2 w\nquorum g"), good.replace("log ", "log acme+"),
        good.replace("0..", f"0..{'9' * 5000}"), good.replace("quorum none", f"witness w {key}\ngroup g {'1' * 5000} w\nquorum g"),
    ]  # fmt: skip
    packet = story.packet()
    for text, answer in zip(bad, in_node([(packet, text.encode()) for text in bad]), strict=True):
        errors = []
        for verifier in (ours, by_program):
            with pytest.raises(Exception, match="trust file") as caught:
                verifier(packet, text.encode())
            errors.append(str(getattr(caught.value, "message", caught.value)))
        assert errors == [answer["usage"]] * 2, text


def test_its_signatures_are_those_of_published_cases(shared_vectors: Path) -> None:
    groups = json.loads((shared_vectors / "wycheproof/ed25519_test.json").read_text())["testGroups"]
    found = [(group["publicKey"]["pk"], case["msg"], case["sig"], case["result"] == "valid") for group in groups for case in group["tests"]]
    asked = [[base64.b64encode(bytes.fromhex(text)).decode() for text in one[:3]] for one in found]
    (answers,) = ask_node([{"ed25519": asked}])
    assert answers == [one[3] for one in found]
    assert len(answers) > 100


@pytest.fixture
def page(tmp_path: Path, chromium: str) -> Iterator[Any]:
    """The page opened from disk in Chromium; every request it makes is noted."""
    (tmp_path / "verify.html").write_bytes(PAGE.read_bytes())
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": 390, "height": 844})
        opened.asked, opened.broken = [], []
        opened.on("request", lambda request: opened.asked.append(request.url))
        opened.on("pageerror", lambda error: opened.broken.append(str(error)))
        opened.goto((tmp_path / "verify.html").as_uri())
        yield opened
        browser.close()


def test_chromium_verifies_from_disk_without_a_network(page: Any, story: Any, tmp_path: Path) -> None:
    (tmp_path / "RC-42.govpacket").write_bytes(story.packet())
    (tmp_path / "acme.trust").write_bytes(story.trust)
    page.set_input_files("#packet", tmp_path / "RC-42.govpacket")
    assert page.is_hidden("#result"), "no verdict without a trust file"
    page.set_input_files("#trust", tmp_path / "acme.trust")
    page.wait_for_selector("#result:not([hidden])")
    assert page.inner_text("#word") == "Verified"
    assert page.text_content("#text") == verify_packet(story.packet(), story.trust).text("acme.trust")
    assert hashlib.sha256(story.trust).hexdigest() in page.inner_text("#trust-box .digest").replace(" ", "")
    assert "dana@acme.example" in page.inner_text("#facts")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    with page.expect_download() as saved:
        page.click("[aria-label='Save evidence/pairs.csv']")
    assert Path(saved.value.path()).read_bytes() == story.evidence[1].body

    assert page.inner_text("#because") == ""
    packet, trust = negative_cosignatures.build(LOG)
    (tmp_path / "missing.govpacket").write_bytes(packet)
    (tmp_path / "both.trust").write_bytes(trust)
    page.set_input_files("#trust", tmp_path / "both.trust")
    page.set_input_files("#packet", tmp_path / "missing.govpacket")
    page.get_by_text("To note, in checkpoint: size 15, log key ok, ML-DSA-44 cosignature missing").wait_for()
    assert page.inner_text("#word") == "Verified"

    page.set_input_files("#trust", tmp_path / "acme.trust")
    packet, trust = negative_packets.build("requester_approved")
    (tmp_path / "bad.govpacket").write_bytes(packet)
    page.set_input_files("#packet", tmp_path / "bad.govpacket")
    page.get_by_text("Failed", exact=True).wait_for()
    assert "the requester approved (role owner)" in page.inner_text("#because")
    assert page.is_hidden("#says"), "what is not proven is not shown as if it were"
    assert portable(page.text_content("#text")) == portable(verify_packet(packet, trust).text("acme.trust"))

    (tmp_path / "not.trust").write_bytes(b"quorum\n")
    page.set_input_files("#trust", tmp_path / "not.trust")
    page.wait_for_selector("#problem:not([hidden])")
    assert page.is_hidden("#result")
    assert page.evaluate("fetch('https://example.org/').then(() => 'sent', () => 'refused')") == "refused"
    assert [url for url in page.asked if not url.startswith(("file:", "blob:"))] in ([], ["https://example.org/"])
    assert not page.broken
