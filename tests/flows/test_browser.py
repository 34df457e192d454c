"""The governed loop in a real browser: propose, shadow, approve as two people, download and verify the packet, close the month.

Debian's Chromium drives a served home (`governor serve` with its embedded worker) against a simulated shadow endpoint.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright import sync_api
from rich.console import Console

from governor.demo.catalog import catalog_yaml
from governor.demo.guide import Guide
from governor.demo.run import FINANCE, OWNER, REQUESTER, SECURITY, last_month
from governor.demo.simulated_endpoint import SimulatedEndpoint
from governor.demo.traffic import make_month
from governor.packets.verify import verify_packet

ADMIN = "admin@acme.example"
PASSWORD = "a long enough password"
MONTH = last_month(datetime.now(UTC))
SIZES = {"desk": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}
WIDTHS = {
    "desk": (645, 720, 820, 1000, 1280, 1440),
    "phone": (320, 390),
}  # between: tablets, laptops, a desk at 200 %; 320: a phone that zooms
SHADOW_MS = 240_000


@dataclass
class Browser:
    """`at(who)` is a fresh browser profile in which `who` is signed in."""

    base: str
    guide: Guide
    chromium: Any
    complaints: list[str]

    @contextlib.contextmanager
    def at(self, who: str, *, size: str = "desk", scripts: bool = True) -> Iterator[Any]:
        context = self.chromium.new_context(viewport=SIZES[size], java_script_enabled=scripts, accept_downloads=True)
        page = context.new_page()
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        try:
            page.goto(f"{self.base}/sign-in")
            page.get_by_label("E-mail").fill(who)
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Sign in", exact=True).click()
            sync_api.expect(page.get_by_role("heading", level=1)).to_have_text("Inbox")
            yield page
        finally:
            context.close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, chromium: str, new_port: Callable[[], int]) -> Iterator[Browser]:
    home, folder = tmp_path_factory.mktemp("served"), tmp_path_factory.mktemp("traffic")
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name in [name for name in os.environ if name.startswith("GOVERNOR_")]:
            patch.delenv(name)
        patch.setenv("GOVERNOR_ALLOW_PRIVATE_ENDPOINTS", "true")
        patch.setenv("SHADOW_KEY", "test-shadow-key")
        endpoint = stack.enter_context(SimulatedEndpoint(seed=7))
        guide = prepare(home, folder, endpoint.base_url)
        base = stack.enter_context(served(home, new_port()))
        player = stack.enter_context(sync_api.sync_playwright())
        started = player.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        stack.callback(started.close)
        yield Browser(base, guide, started, [])


def prepare(home: Path, folder: Path, endpoint: str) -> Guide:
    """Catalog, a small month and passwords, through the command line."""
    guide = Guide(home, Console(stderr=True, quiet=True))
    guide.tokens[ADMIN] = guide.do("init", "--admin", ADMIN)["token"]
    catalog, secret = folder / "catalog.yaml", folder / "password"
    until = (datetime.now(UTC) + timedelta(days=90)).date().isoformat()
    catalog.write_text(catalog_yaml(endpoint, until).replace("GOVERNOR_DEMO_SHADOW_KEY", "SHADOW_KEY"))
    guide.do("apply", "-f", str(catalog), person=ADMIN)
    secret.write_text(PASSWORD)
    for email in (REQUESTER, OWNER, SECURITY, FINANCE):
        guide.do("token", "password", email, "--file", str(secret), person=ADMIN)
    guide.do("ingest", "litellm", *[str(path) for path in make_month(folder / "month", MONTH, calls=4000).files], person=ADMIN)
    return guide


@contextlib.contextmanager
def served(home: Path, port: int) -> Iterator[str]:
    base = f"http://localhost:{port}"  # browsers offer passkeys under a name
    server = subprocess.Popen(
        [sys.executable, "-m", "governor.cli", "--home", str(home), "serve", "--host", "localhost", "--port", str(port)]
    )
    try:
        for _ in range(240):
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{base}/healthz").status_code == 200:
                    break
            assert server.poll() is None, "the server ended"
            time.sleep(0.25)
        yield base
    finally:
        server.terminate()
        server.wait(20)


def signed_by_a_device(browser: Browser) -> None:
    """Security's decision: never the weaker kind while the box is ticked, and what was typed outlives a session that ended."""
    expect = sync_api.expect
    with browser.at(SECURITY) as page:
        device = page.context.new_cdp_session(page)
        device.send("WebAuthn.enable")
        able = {"hasResidentKey": True, "hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True}
        device.send("WebAuthn.addVirtualAuthenticator", {"options": {"protocol": "ctap2", "transport": "internal", **able}})
        page.goto(f"{browser.base}/settings")
        page.get_by_role("button", name="Register a passkey").click()
        expect(page.get_by_text("Passkey registered")).to_be_visible()
        with browser.at(SECURITY, scripts=False) as plain:
            plain.goto(f"{browser.base}/changes/RC-1")
            plain.get_by_label("Your reason").fill("typed without scripts")
            plain.get_by_role("button", name="Approve as security").click()
            expect(plain.get_by_role("alert")).to_contain_text("Your device did not sign, so nothing is on record")
            expect(plain.get_by_label("Your reason")).to_have_value("typed without scripts")
        page.goto(f"{browser.base}/changes/RC-1")
        page.get_by_label("Your reason").fill("evidence read by security")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.get_by_role("checkbox", name="Sign with your passkey").press("Enter")
        assert page.evaluate("new Promise((done) => setTimeout(done))") is None
        assert not asked, "Enter on the box decides nothing"
        page.context.clear_cookies()
        page.get_by_role("button", name="Approve as security").click()
        expect(page.get_by_role("alert")).to_contain_text("nothing was done")
        page.get_by_label("E-mail").fill(SECURITY)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page.get_by_label("Your reason")).to_have_value("evidence read by security")
        page.get_by_role("button", name="Approve as security").click()
        expect(page.get_by_role("status").first).to_contain_text("The change is approved")
        expect(page.get_by_text("signed by their own device").first).to_be_visible()
    browser.complaints[:] = [one for one in browser.complaints if "422" not in one]


def test_words_of_a_form_come_back_to_the_same_person_after_a_session_ended(browser: Browser) -> None:
    for again, reason in ((REQUESTER, "typed before the session ended"), (OWNER, "")):
        with browser.at(REQUESTER) as page:
            page.goto(f"{browser.base}/changes/new")
            page.get_by_label("Workflow").select_option("fnol-triage")
            page.get_by_label("Candidate").fill("openai/gpt-4.1-mini")
            page.get_by_label("Reason").fill("typed before the session ended")
            page.context.clear_cookies()
            page.get_by_role("button", name="Propose").click()
            page.get_by_label("E-mail").fill(again)
            page.get_by_label("Password").fill("wrong, to begin with")
            page.get_by_role("button", name="Sign in", exact=True).click()
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Sign in", exact=True).click()
            sync_api.expect(page.get_by_role("heading", level=1)).to_have_text("Propose a change")
            assert page.get_by_label("Reason").input_value() == reason
            assert page.get_by_label("Workflow").input_value() == ("fnol-triage" if reason else "")
            assert page.get_by_text("What you had typed is back").count() == (1 if reason else 0)
            page.goto(f"{browser.base}/changes/new")
            assert page.get_by_label("Reason").input_value() == "", "once only"
            assert page.evaluate("sessionStorage.length") == 0
    browser.complaints[:] = [one for one in browser.complaints if "401" not in one]


def test_words_of_a_form_that_nobody_answered_come_back(browser: Browser) -> None:
    """The server was being started anew: people go back from the browser's own page, once to another page than the form's."""
    with browser.at(REQUESTER) as page:
        page.goto(f"{browser.base}/changes/new")
        page.get_by_label("Workflow").select_option("fnol-triage")
        page.get_by_label("Candidate").fill("openai/gpt-4.1-mini")
        page.get_by_label("Reason").fill("typed before a deploy")
        page.route("**/changes/new", lambda route: route.abort("connectionrefused"))
        page.get_by_role("button", name="Propose").click()
        page.get_by_role("button", name="Propose").wait_for(state="detached")
        page.unroute("**/changes/new")
        page.go_back()
        page.goto(f"{browser.base}/spend")
        page.goto(f"{browser.base}/changes/new")
        assert page.get_by_label("Reason").input_value() == "typed before a deploy"
        assert page.get_by_text("it was sent, and no answer came").count() == 1
        page.get_by_label("Candidate").fill("nonsense")
        page.get_by_role("button", name="Propose").click()
        sync_api.expect(page.get_by_role("alert")).to_contain_text("Cannot read candidate")
        assert page.evaluate("sessionStorage.length") == 0, "answered"
    browser.complaints[:] = [one for one in browser.complaints if "422" not in one and "REFUSED" not in one]


def test_a_file_is_an_answer_also_for_whoever_goes_on_and_comes_back(browser: Browser) -> None:
    with browser.at(REQUESTER) as page:
        page.goto(f"{browser.base}/ledger")
        page.get_by_label("Period", exact=True).fill("2026")
        with page.expect_download():
            page.get_by_role("button", name="Download period packet").click()
        assert page.evaluate("sessionStorage.length") == 1, "the page does not know yet that it was answered"
        page.goto(f"{browser.base}/spend")
        page.go_back()
        sync_api.expect(page.get_by_role("button", name="Download period packet")).to_be_visible()
        assert page.get_by_text("no answer came").count() == 0
        assert page.evaluate("sessionStorage.length") == 0


def test_the_loop_from_proposal_to_closed_month(browser: Browser, tmp_path: Path) -> None:
    expect = sync_api.expect
    with browser.at(REQUESTER) as page:
        page.get_by_role("link", name="Changes", exact=True).click()
        page.get_by_role("link", name="Propose a change").first.click()
        page.get_by_label("Workflow").select_option("fnol-triage")
        page.get_by_label("Candidate").fill("openai/gpt-4.1-mini")
        page.get_by_label("Reason").fill("same quality for a fifth of the price")
        page.get_by_label("Calls to replay").fill("300")
        page.get_by_label("Quality it may lose").fill("0.05")
        page.get_by_role("button", name="Propose").click()
        expect(page.get_by_text("RC-1 proposed")).to_be_visible()
        expect(page.locator(".sentence")).to_contain_text("Send fnol-triage to openai/gpt-4.1-mini instead of openai/gpt-4o")
        page.get_by_role("button", name="Start shadow run").click()
        expect(page.get_by_text("Shadow run started")).to_be_visible()
        # the page renews itself until the run is done
        expect(page.locator(".lede .state")).to_contain_text("in review", timeout=SHADOW_MS)
        expect(page.locator(".tile", has_text="Shadow verdict")).to_contain_text("pass")
        # the requester who also ran the evidence cannot decide, and is told why
        decision = page.locator(".decide")
        expect(decision.get_by_role("button", name="Approve")).to_be_disabled()
        expect(decision).to_contain_text("You cannot decide")
        expect(decision).to_contain_text(f"May answer: {OWNER}")

    with browser.at(OWNER) as page:
        expect(page.get_by_role("navigation", name="Main", exact=True).locator(".badge")).to_contain_text("1")
        page.get_by_role("link", name="RC-1").click()
        digest = page.locator(".decide .digest").inner_text()
        assert len(digest) == 64
        page.get_by_label("Your reason").fill("evidence read by owner")
        page.get_by_role("button", name="Approve as owner").click()
        expect(page.get_by_role("status").first).to_contain_text("Still open: security")
    signed_by_a_device(browser)

    with browser.at(OWNER) as page:
        page.goto(f"{browser.base}/changes/RC-1")
        for words in ("evidence read by owner", "evidence read by security"):
            expect(page.get_by_text(words).first).to_be_visible()
        with page.expect_download() as waiting:
            page.get_by_role("button", name="Download audit packet").click()
        packet = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(packet)
        page.goto(f"{browser.base}/ledger")
        with page.expect_download() as waiting:
            page.get_by_role("link", name="Trust file", exact=True).click()
        trust = tmp_path / "governor.trust"
        waiting.value.save_as(trust)
    assert packet.name == "RC-1.govpacket"
    assert verify_packet(packet.read_bytes(), trust.read_bytes()).exit_code == 0
    maimed = bytearray(packet.read_bytes())
    maimed[len(maimed) // 2] ^= 1
    assert verify_packet(bytes(maimed), trust.read_bytes()).exit_code != 0

    with browser.at(FINANCE) as page:
        page.goto(f"{browser.base}/periods/{MONTH}")
        page.get_by_label(f"Type {MONTH} to confirm").fill(MONTH)
        page.get_by_role("button", name=f"Close {MONTH}").click()
        expect(page.get_by_text(f"{MONTH} is closed").first).to_be_visible(timeout=SHADOW_MS)
        with page.expect_download() as waiting:
            page.get_by_role("link", name=f"journal-{MONTH}.csv").click()
        assert "journal" in waiting.value.suggested_filename
    assert not browser.complaints, browser.complaints


LONG = {
    "workflow": "wf-" + "abcdefghij" * 9, "owner": f"{'longowner' * 9}@acme.example", "cost_center": "CC-" + "0123456789" * 6,
    "grc_id": "GRC-" + "9" * 86, "model": "finetune-" + "m" * 178,
}  # fmt: skip


@pytest.fixture(scope="module")
def long_names(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A workflow whose every name is as long as names may be, with calls of a model without a price, and a budget of it."""
    folder, guide = tmp_path_factory.mktemp("long"), browser.guide
    catalog, calls = folder / "long.yaml", folder / "long.jsonl"
    fields = "".join(f"{name}: {LONG[name]}\n" for name in ("owner", "cost_center", "grc_id"))
    catalog.write_text(
        f"kind: person\nemail: {LONG['owner']}\nroles: [owner]\n---\nkind: workflow\nid: {LONG['workflow']}\n{fields}risk_tier: low\ndata_class: internal\n"
        f"match: [{{metadata.workflow: {LONG['workflow']}}}]\n"
        f"---\nkind: budget\nid: long\nscope: {{workflow: {LONG['workflow']}}}\nmonthly: '10'\n"
    )
    start = datetime.fromisoformat(f"{MONTH}-10T12:00:00+00:00").timestamp()
    record = {"id": "long-1", "litellm_call_id": "long-1", "call_type": "acompletion", "status": "success", "model": LONG["model"],
              "custom_llm_provider": "openai", "startTime": start, "endTime": start + 1, "prompt_tokens": 10, "completion_tokens": 5,
              "total_tokens": 15, "metadata": {"workflow": LONG["workflow"], "requester_metadata": {"workflow": LONG["workflow"]}}}  # fmt: skip
    stray = {**record, "id": "long-2", "litellm_call_id": "long-2", "metadata": {}}  # its model is used by a workflow and by none
    calls.write_text(json.dumps(record) + "\n" + json.dumps(stray) + "\n")
    guide.do("apply", "-f", str(catalog), person=ADMIN)
    guide.do("ingest", "litellm", str(calls), person=ADMIN)


PAGES = ("/", "/changes", "/changes/new", "/changes/RC-1", "/workflows", "/workflows/fnol-triage", "/spend", "/findings", "/periods", f"/periods/{MONTH}",
         f"/allocation?period={MONTH}", f"/budgets?period={MONTH}", f"/workflows/{LONG['workflow']}", f"/spend?period={MONTH}&by=model", f"/spend?period={MONTH}",
         f"/findings?period={MONTH}", "/sources", "/sources/quarantine", "/ledger", "/ledger/entries/0", "/settings", "/settings/doctor")  # fmt: skip


TORN = """() => [...document.querySelectorAll('table.cards td[data-label]')].filter(cell => {
    const [around, left] = [document.createRange(), cell.closest('tr').getBoundingClientRect().left + 110];
    around.selectNodeContents(cell);
    return [...around.getClientRects()].some(one => one.width > 1 && one.left < left);
}).map(cell => cell.dataset.label)"""


@pytest.mark.parametrize("size", SIZES)
def test_no_page_is_wider_than_its_screen(browser: Browser, long_names: None, size: str) -> None:
    with browser.at(OWNER, size=size) as page:
        wide, torn = {}, {}
        for path in PAGES:
            answer = page.goto(f"{browser.base}{path}")
            assert answer.status == 200, path
            for width in WIDTHS[size]:
                page.set_viewport_size({**SIZES[size], "width": width})
                if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
                    wide[path, width] = page.evaluate("document.documentElement.scrollWidth")
            if size == "phone" and (cells := page.evaluate(TORN)):
                torn[path] = cells
        assert not wide
        assert not torn, "what a cell holds stands under its label, not beside it"
    assert not browser.complaints, browser.complaints


def test_reading_and_deciding_need_no_script(browser: Browser) -> None:
    expect = sync_api.expect
    with browser.at(REQUESTER, scripts=False) as page:
        page.goto(f"{browser.base}/changes/new?workflow=fnol-triage")
        page.get_by_label("Candidate").fill("openai/gpt-4.1-mini")
        page.get_by_label("Reason").fill("cheaper")
        page.get_by_label("Quality it may lose").fill("0.05")
        page.get_by_role("button", name="Propose").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("RC-")
        number = page.locator("h1").inner_text().split(" ")[0]
        page.get_by_role("button", name="Start shadow run").click()
        for _ in range(SHADOW_MS // 1000):
            if "in review" in page.locator(".lede .state").inner_text():
                break
            page.wait_for_timeout(1000)
            page.reload()
        expect(page.locator(".decide")).to_contain_text("You cannot decide")
    with browser.at(OWNER, scripts=False) as page:
        page.goto(f"{browser.base}/changes/{number}")
        page.get_by_label("Your reason").fill("not before the holidays")
        page.get_by_role("button", name="Reject").click()
        expect(page.get_by_role("status").first).to_contain_text("reject as owner")
        expect(page.locator(".lede .state")).to_contain_text("rejected")
        expect(page.get_by_text("not before the holidays").first).to_be_visible()


def test_a_long_panel_goes_on_over_the_printed_page(browser: Browser) -> None:
    """Kept whole it left the page before it empty; as a grid its rows fell on what follows them."""
    with browser.at(OWNER) as page:
        page.goto(f"{browser.base}/spend")
        page.emulate_media(media="print")
        look = page.evaluate(
            "(({display, breakInside, overflowX}) => [display, breakInside, overflowX])(getComputedStyle(document.querySelector('.panel')))"
        )
        assert look == ["block", "auto", "visible"]


def test_a_printed_page_has_its_sums_once_and_what_is_folded(browser: Browser) -> None:
    """A sum at the foot of each sheet was read as that of the sheet, and limits of the evidence were not on paper; YAML and prompts stay folded."""
    with browser.at(OWNER) as page:
        page.goto(f"{browser.base}/spend")
        folded = page.get_by_text("The days as a table").locator("xpath=..").locator("table")
        assert not folded.is_visible()
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.querySelector('tfoot')).display") == "table-row-group"
        assert folded.is_visible()
        page.evaluate(
            "document.querySelector('main').insertAdjacentHTML('beforeend', '<details><summary>Prompt</summary><pre>said</pre></details>')"
        )
        assert not page.get_by_text("said", exact=True).is_visible()


def test_a_day_can_be_chosen_on_a_phone(browser: Browser) -> None:
    with browser.at(OWNER, size="phone") as page:
        page.goto(f"{browser.base}/budgets")
        assert page.get_by_label("What was to be expected on").bounding_box()["width"] > 120


def test_the_menu_opens_on_a_phone(browser: Browser) -> None:
    with browser.at(OWNER, size="phone") as page:
        page.locator("details.menu > summary").click()
        page.get_by_role("navigation", name="Main, small screen").get_by_role("link", name="Spend").click()
        sync_api.expect(page.get_by_role("heading", level=1)).to_contain_text("Spend")


def test_the_keyboard_reaches_the_content(browser: Browser) -> None:
    with browser.at(OWNER) as page:
        page.goto(f"{browser.base}/changes")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.getAttribute('href')") == "#main"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
