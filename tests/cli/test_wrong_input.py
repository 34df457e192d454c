"""What a person sees after an honest mistake: which one it was, where, and what to do; never an all-clear that nobody gave."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import re
import shlex
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from governor.cli import OneLine, app
from governor.cli.findings import nothing
from governor.cli.home import free_address
from governor.cli.ingest import afterwards
from governor.errors import Invalid

COUNTS = {"read": 4, "stored": 3, "duplicates": 0, "conflicts": 0, "quarantined": 1, "other_spans": 0}


@pytest.fixture(scope="module")
def admin(governor: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A home and its admin's token."""
    home = tmp_path_factory.mktemp("wrong") / "home"
    return home, json.loads(governor("--home", str(home), "init", "--json").stdout)["token"]


@pytest.fixture
def run(governor: Callable[..., Any], admin: tuple[Path, str]) -> Callable[..., Any]:
    return lambda *words, **environment: governor("--home", str(admin[0]), *words, **environment)


def test_an_empty_file_is_named_and_a_named_connector_says_that_nothing_came(run: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "export.jsonl"
    file.write_text("\n \n")
    guessed = run("ingest", "auto", str(file))
    assert (guessed.returncode, guessed.stdout) == (1, "")
    assert f"{file}: there is nothing in it" in guessed.stderr
    named = run("ingest", "litellm", str(file), "--json")
    assert (named.returncode, json.loads(named.stdout)["read"]) == (0, 0)
    assert f"There was nothing to read in {file}" in named.stderr


def test_a_file_of_another_kind_says_so_and_where_to_look(run: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("a,b\n1,2\n")
    guessed = run("ingest", "auto", str(file))
    assert guessed.returncode == 1
    assert "docs/mappings.md" in guessed.stderr
    assert ", mapping," not in guessed.stderr, "a mapping is no connector's name"
    named = run("ingest", "litellm", str(file))
    assert "None of it is a call that litellm can read" in named.stderr
    assert "governor quarantine list" in named.stderr
    assert "There are more" in run("quarantine", "list", "--limit", "1").stdout
    assert "There are more" not in run("quarantine", "list", "--limit", "3").stdout


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (COUNTS, ["1 could not be read"]),
        (COUNTS | {"conflicts": 1, "stored": 2}, ["1 have the key", "1 could not be read"]),
        (COUNTS | {"quarantined": 4, "stored": 0}, ["None of it is a call"]),
        (COUNTS | {"quarantined": 0, "stored": 4}, []),
        (dict.fromkeys(COUNTS, 0) | {"other_spans": 3}, []),
        (dict.fromkeys(COUNTS, 0), ["There was nothing to read"]),
    ],
)
def test_words_after_an_ingest_are_as_many_as_needed(counts: dict[str, int], words: list[str]) -> None:
    said = afterwards(counts, "litellm", ["a.jsonl"])
    assert len(said) == len(words)
    assert all(found.startswith(wanted) for found, wanted in zip(said, words, strict=True))


def test_a_mistyped_name_is_no_zero_and_no_all_clear(run: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "catalog.yaml"
    file.write_text(
        "kind: person\nemail: dana@acme.example\nroles: [owner]\n---\nkind: workflow\nid: fnol-triage\nowner: dana@acme.example\ncost_center: CC-1\n"
    )
    assert run("apply", "-f", str(file)).returncode == 0
    assert run("forecast", "--workflow", "fnol-triage").returncode == 0
    for words in (("--workflow", "fnol-triag"), ("--owner", "dana@acme.exampl"), ("--cost-center", "CC-l")):
        done = run("forecast", *words)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"{words[1]}. hint: did you mean {'CC-1' if words[1] == 'CC-l' else ''}" in done.stderr
    assert run("quarantine", "list", "--source", "litelm").stdout == "Nothing of litelm is in quarantine.\n"
    assert run("quarantine", "discard", "--all", "--source", "litelm", "--reason", "noise").stdout == "Nothing in quarantine matches.\n"
    narrowed = run("quarantine", "discard", "4f", "--source", "litellm", "--reason", "noise")
    assert (narrowed.returncode, "--source and --code narrow --all" in narrowed.stderr) == (2, True)
    for words in (("period", "versions", "2026-13"), ("period", "disputes", "zzz")):
        assert "not a month" in run(*words).stderr
    assert run("sources", "completeness", "litelm").stdout == "litelm brought nothing in this time.\n"
    assert run("change", "list", "--workflow", "fnol-triag").stdout == "no change matches\n"
    assert run("golden", "list", "--workflow", "fnol-triag").stdout == "no golden set of fnol-triag\n"
    assert "No calls of fnol-triag in" in run("spend", "--workflow", "fnol-triag").stdout
    assert "No production calls of fnol-triag in" in run("sources", "scorecard", "--workflow", "fnol-triag").stdout


@pytest.mark.parametrize("words", [("serve",), ("witness", "serve", "somewhere")])
def test_a_port_that_is_none_is_wrong_usage(run: Callable[..., Any], words: tuple[str, ...]) -> None:
    done = run(*words, "--port", "99999")
    assert done.returncode == 2
    assert "65535" in done.stderr


def test_a_password_that_is_no_text_is_refused_in_words(run: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes("Schlüssel für Köln".encode("latin-1"))
    done = run("token", "password", "admin@localhost", "--file", str(file))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error[invalid]: a file that was given is not UTF-8 text (byte 4). hint: save it as UTF-8\n"


def test_words_of_a_mapping_file_are_read_alike_in_every_locale(tmp_path: Path) -> None:
    file = tmp_path / "mapping.yaml"
    file.write_text("extends: netsuite\nvalues: {name: Köln}\n", encoding="utf-8")
    program = (
        "import sys; from pathlib import Path; from governor.cli.period import read_mapping; print(ascii(read_mapping(Path(sys.argv[1]))))"
    )
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([sys.executable, "-c", program, str(file)], env=os.environ | locale, capture_output=True, text=True, check=True)
    assert "K\\xf6ln" in done.stdout


@pytest.mark.parametrize("words", [("--after", "9" * 30), ("--limit", "-1")])
def test_a_number_that_no_list_of_entries_has_is_wrong_usage(run: Callable[..., Any], words: tuple[str, ...]) -> None:
    done = run("ledger", "entries", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert words[0] in done.stderr


def test_an_empty_catalog_file_is_refused_and_never_prunes(run: Callable[..., Any], tmp_path: Path) -> None:
    file, kept = tmp_path / "empty.yaml", tmp_path / "kept.yaml"
    file.write_text("# nothing yet\n")
    kept.write_text("kind: endpoint\nid: kept\nprotocol: openai\nbase_url: https://gateway.acme.example/v1\nsecret: env:K\n")
    assert run("apply", "-f", str(kept)).returncode == 0
    for words in (("apply", "-f", str(file)), ("apply", "--prune", "-f", str(file)), ("apply", "--dry-run", "-f", str(file))):
        done = run(*words)
        assert done.returncode == 1, words
        assert "there are no documents in it" in done.stderr
    assert "1 unchanged" in run("apply", "-f", str(kept)).stdout


@pytest.mark.parametrize("url", ["https://169.254.169.254/v1", "https://[fd00:ec2::254]/v1", "https://0.0.0.0/v1", "http://8.8.8.8/v1"])
def test_an_address_that_is_never_dialled_is_no_endpoint(run: Callable[..., Any], tmp_path: Path, url: str) -> None:
    file = tmp_path / "endpoint.yaml"
    file.write_text(f"kind: endpoint\nid: meta\nprotocol: openai\nbase_url: {url}\nsecret: env:K\n")
    done = run("apply", "-f", str(file))
    assert done.returncode == 1
    assert "error[invalid]: endpoint meta: base_url: " in done.stderr


def test_a_token_that_pushes_reads_nothing(run: Callable[..., Any], admin: tuple[Path, str], tmp_path: Path) -> None:
    made = run("token", "create", "admin@localhost", "--scope", "ingest:litellm", "--json", GOVERNOR_TOKEN=admin[1])
    pusher = json.loads(made.stdout)["token"]
    refused = run("change", "list", GOVERNOR_TOKEN=pusher)
    assert refused.returncode == 1
    assert "error[forbidden]: this token only brings traffic in (scope ingest:litellm)" in refused.stderr
    file = tmp_path / "none.jsonl"
    file.write_text("")
    assert run("ingest", "litellm", str(file), GOVERNOR_TOKEN=pusher).returncode == 0


def test_a_path_that_cannot_be_written_is_one_line_that_names_it(run: Callable[..., Any], tmp_path: Path) -> None:
    done = run("policy", "bundle", "-o", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith(f"error[file]: {tmp_path}: Is a directory. hint: ")
    assert done.stderr.count("\n") == 1


def test_a_month_whose_files_have_no_place_stays_as_it_was(run: Callable[..., Any], admin: tuple[Path, str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for step in ("close", "soft-close"):
        done = run("period", step, "2026-09", "--out", str(tmp_path / "file" / "close"), GOVERNOR_TOKEN=admin[1])
        assert (done.returncode, done.stderr[:12]) == (1, "error[file]:")
    assert json.loads(run("period", "status", "2026-09", "--json").stdout)["state"] == "open"


def test_a_month_that_is_accrued_says_so_where_its_journal_is_refused(
    monkeypatch: pytest.MonkeyPatch, run: Callable[..., Any], admin: tuple[Path, str], tmp_path: Path
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise Invalid("sap: record 3, KOSTL: 'Claims and recoveries' is longer than 10", hint="give it a shorter name under `names`")

    monkeypatch.setattr("governor.actions.export_month.export_month", refused)
    done = run("period", "soft-close", "2026-08", "--out", str(tmp_path), "--format", "sap", GOVERNOR_TOKEN=admin[1])
    assert done.returncode == 1
    assert "2026-08 is soft closed and 0.00 USD are accrued, but the journal is not written: sap: record 3" in done.stderr
    assert "`governor period export 2026-08 --accrual --mapping FILE -o FILE`" in done.stderr


def test_a_version_that_ends_where_a_later_one_begins_says_so(run: Callable[..., Any], admin: tuple[Path, str], tmp_path: Path) -> None:
    """Else a control that was dated back seems to be in force today."""
    file = tmp_path / "organization.yaml"
    for text, until in (
        ("valid_from: 2026-06-01", ""),
        ("valid_from: 2026-03-01\nmonth_end: {two_people: true}", " until 2026-06-01T00:00:00+00:00"),
    ):
        file.write_text(f"kind: organization\nname: Acme\n{text}\n")
        done = run("apply", "-f", str(file), GOVERNOR_TOKEN=admin[1])
        assert done.returncode == 0, done.stderr
        assert until in done.stdout
        assert (" until " in done.stdout) is bool(until)


def test_no_finding_is_three_different_things() -> None:
    assert "policy has no objection" in nothing("2026-10", others=0, seen=True)
    assert "policy was asked nothing" in nothing("2031-01", others=0, seen=False)
    assert "None of the 4 findings" in nothing("2026-10", others=4, seen=True)


def test_a_month_without_calls_is_no_all_clear(run: Callable[..., Any]) -> None:
    assert "policy was asked nothing" in run("findings", "--period", "2020-01").stdout
    wrong = run("findings", "--period", "2020-01", "--status", "violations")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "choose from violation, undecided, waived, warning" in wrong.stderr
    assert "the month has not begun" in run("period", "status", "2099-01").stdout


@pytest.mark.parametrize(("traces_from", "lines"), [(logging.CRITICAL, 1), (logging.WARNING, 4)])
def test_a_cause_is_one_line_where_nobody_asked_for_the_trace(traces_from: int, lines: int) -> None:
    try:
        raise ConnectionRefusedError("nobody listens")
    except ConnectionRefusedError:
        record = logging.LogRecord("governor", logging.WARNING, "x.py", 1, "job dispatch failed", (), sys.exc_info())
    text = OneLine(traces_from=traces_from).format(record)
    assert "nobody listens" in text
    assert len(text.splitlines()) >= lines
    assert (len(text.splitlines()) == 1) == (lines == 1)
    plain = logging.LogRecord("governor", logging.WARNING, "x.py", 1, "no cause", (), None)
    plain.exc_info = False  # type: ignore[assignment]  # what logging leaves of `exc_info=False`
    assert OneLine(traces_from=traces_from).format(plain).endswith("no cause")


def test_a_cause_begins_no_line_of_its_own() -> None:
    record = logging.LogRecord("governor", logging.WARNING, "x.py", 1, "failed", (), (OSError, OSError("a\nERROR governor: forged"), None))
    text = OneLine(traces_from=logging.ERROR, dated=False).format(record)
    assert text == r"WARNING governor: failed (OSError: a\nERROR governor: forged)"


def test_a_line_of_a_server_says_when_and_is_one_line() -> None:
    record = logging.LogRecord("governor", logging.WARNING, "x.py", 1, "page %s failed", ("/a\nERROR governor: forged",), None)
    record.created, record.msecs = 1_790_000_000.25, 250.0
    text = OneLine(traces_from=logging.ERROR, dated=True).format(record)
    assert text == r"2026-09-21T14:13:20.250Z WARNING governor: page /a\nERROR governor: forged failed"


def test_a_taken_port_is_refused_and_not_shared(run: Callable[..., Any], tmp_path: Path) -> None:
    run("witness", "init", str(tmp_path), "--name", "witness.audit.example")
    with socket.socket() as mine:
        mine.bind(("127.0.0.1", 0))
        mine.listen()
        port = mine.getsockname()[1]
        for server in (["serve"], ["witness", "serve", str(tmp_path)]):
            done = run(*server, "--port", str(port))
            assert done.returncode == 1
            assert f"error[settings]: cannot listen on 127.0.0.1:{port}: " in done.stderr
            assert "--port" in done.stderr
    assert free_address("127.0.0.1", port) == free_address("localhost", port) == "127.0.0.1", "the server takes no names"


def test_a_home_of_a_later_version_is_refused(run: Callable[..., Any], admin: tuple[Path, str]) -> None:
    with contextlib.closing(sqlite3.connect(admin[0] / "governor.db", isolation_level=None)) as rows:
        [(known,)] = rows.execute("SELECT version_num FROM alembic_version").fetchall()
        rows.execute("UPDATE alembic_version SET version_num = '9999'")
        done = run("change", "list")
        rows.execute("UPDATE alembic_version SET version_num = ?", (known,))
    assert done.returncode == 1
    assert "is of a later version of Governor (schema 9999" in done.stderr
    assert run("change", "list").returncode == 0


def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch, run: Callable[..., Any]) -> None:
    def full(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("governor.actions.show_change.list_changes", full)
    done = run("change", "list")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error[file]: the disk of the home is full")


def test_a_packet_that_cannot_be_written_leaves_the_one_that_was_there(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "verify.py"
    file.write_bytes(b"good")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    done = run("packet", "verifier", "-o", str(file))
    assert done.returncode == 1
    assert done.stderr.startswith(f"error[file]: {file}: No space left on device")
    assert (file.read_bytes(), [one.name for one in tmp_path.iterdir()]) == (b"good", ["verify.py"])


def test_the_doctor_makes_no_home(governor: Callable[..., Any], tmp_path: Path) -> None:
    nope = tmp_path / "nope"
    done = governor("--home", str(nope), "doctor")
    assert (done.returncode, nope.exists()) == (1, False)
    assert "no Governor home at" in done.stdout
    relative = governor("--home", "nowhere-near", "doctor")
    assert (relative.returncode, relative.stderr) == (1, "")
    assert "no Governor home at nowhere-near" in relative.stdout


def test_a_lifetime_that_no_calendar_has_names_its_bound(run: Callable[..., Any], admin: tuple[Path, str]) -> None:
    for days in ("999999999", "4000000", "0"):
        done = run("token", "create", "admin@example.com", "--days", days, GOVERNOR_TOKEN=admin[1])
        assert done.returncode == 1
        assert done.stderr.startswith("error[invalid]: days: a token lives between 1 and 36,500 days")


def test_a_home_that_may_only_be_read_is_verified_and_not_written(
    run: Callable[..., Any], admin: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("governor.store.no_way_in.os.access", lambda _path, mode: mode != os.W_OK)
    assert run("ledger", "verify").returncode == 0
    assert run("change", "list").returncode == 0
    assert run("token", "list", GOVERNOR_TOKEN=admin[1]).returncode == 0
    done = run("token", "create", "admin@example.com", GOVERNOR_TOKEN=admin[1])
    assert done.returncode == 1
    assert done.stderr.startswith("error[unavailable]: the home may only be read; nothing was changed. hint: copy it")
    whole = Path.open

    def refusing(path: Path, *rest: Any, **more: Any) -> Any:
        if path.name == "ingest.lock":
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        return whole(path, *rest, **more)

    monkeypatch.setattr(Path, "open", refusing)
    asked = run("usage", "--period", "2026-10")
    assert asked.returncode == 1
    assert asked.stderr.startswith("error[unavailable]: the lake's lock cannot be taken where the home may only be read")


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with its name in words."""
    for name, inner in getattr(command, "commands", {}).items():
        yield from leaves(inner, (*path, name))
    if not getattr(command, "commands", {}):
        yield path, command


@pytest.mark.parametrize(("path", "command"), [pytest.param(path, one, id=" ".join(path)) for path, one in leaves(get_command(app))])
def test_a_command_that_needs_something_shows_an_example_of_itself(path: tuple[str, ...], command: Any) -> None:
    examples = [
        shlex.split(text)[1 + len(path) :]
        for text in re.findall(rf"`(?:GOVERNOR_TOKEN=\S+ )?(governor {' '.join(path)} [^`]*)`", command.help.replace("\n", " "))
    ]
    assert examples or not any(one.required for one in command.params)
    known = {option for one in command.params for option in one.opts}
    for words in examples:
        assert {word for word in words if word.startswith("-")} <= known, words
        assert len(words) >= sum(one.required for one in command.params), words


def test_an_argument_that_is_no_text_is_refused_in_words(admin: tuple[Path, str]) -> None:
    words: list[str | bytes] = [sys.executable, "-m", "governor.cli", "--home", str(admin[0]), "change", "show", b"\xff"]
    done = subprocess.run(words, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"error[invalid]: a text that was given")


@pytest.mark.parametrize("form", ["", "--json"])
def test_a_result_that_nobody_can_read_is_no_success(admin: tuple[Path, str], form: str) -> None:
    command = f"exec {shlex.quote(sys.executable)} -m governor.cli --home {shlex.quote(str(admin[0]))} {form} change list >&-"
    done = subprocess.run(["/bin/sh", "-c", command], stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error[file]: standard output is closed")
