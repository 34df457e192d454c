"""Anchors against the real thing: git repositories, S3 with Object Lock, a timestamping authority made with openssl, files cut off in the middle."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from governor.adapters.anchor_git import MOST_NOTES, told
from governor.adapters.anchor_wire import Answer
from governor.adapters.anchors import open_anchor
from governor.adapters.aws_signature import s3_url, signed_headers
from governor.adapters.key_files import signer_of
from governor.errors import AnchorConflict, GovernorError, Refused, Unavailable
from governor.ledger.anchor import AnchorConfig, split_notes
from governor.ledger.checkpoint import Checkpoint
from governor.ledger.note import VerifierKey, sign_note
from governor.ports import Anchor

LOG = signer_of(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
ORIGIN = "acme.example/default"
NOW = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)


def note(size: int, fill: int = 0) -> str:
    return sign_note(Checkpoint(ORIGIN, size, bytes([fill]) * 32).text, [(ORIGIN, LOG)])


def anchor(home: Path, *, private: bool = True, now: datetime = NOW, **fields: Any) -> Anchor:
    config = AnchorConfig(name="one", **fields)
    return open_anchor(config, origin=ORIGIN, home=home, allow_private=private, now=lambda: now)


def no_proof(_: int) -> list[bytes]:
    return []


def test_a_directory_keeps_notes_and_survives_a_cut_off_write(tmp_path: Path) -> None:
    made = anchor(tmp_path, kind="directory", target=str(tmp_path))
    assert made.kept("") == []
    for size in (1, 2):
        made.publish(note(size), no_proof)
        made.publish(note(size), no_proof)
    assert made.kept("") == [note(1), note(2)]
    [path] = tmp_path.glob("*.checkpoints")
    assert path.name == "acme.example%2Fdefault.checkpoints"
    whole = path.read_text()
    for cut in range(len(whole) - len(note(2)) - 1, len(whole)):
        path.write_text(whole[:cut])
        made.publish(note(3), no_proof)
        kept = made.kept("")
        assert kept[0] == note(1)
        assert kept[-1] == note(3)
        assert set(kept) <= {note(1), note(2), note(3)}
    with pytest.raises(Unavailable, match="cannot be written"):
        anchor(tmp_path, kind="directory", target=str(tmp_path / "absent")).publish(note(1), no_proof)
    assert not (tmp_path / "absent").exists()


def test_nothing_that_is_no_note_is_read_as_one() -> None:
    assert split_notes("") == []
    assert split_notes("a\n\nb\n\n") == []
    assert split_notes(f"{note(1)}\nrubbish\n\n{note(2)}\n") == [note(1), note(2)]


def git(*words: str) -> str:
    return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout


def test_git_gets_one_commit_per_checkpoint_and_notices_a_rewritten_branch(tmp_path: Path) -> None:
    remote = tmp_path / "remote.git"
    git("init", "--quiet", "--bare", str(remote))
    made = anchor(tmp_path, kind="git", target=str(remote))
    assert made.kept("") == []
    for size in (1, 2, 2, 3):
        made.publish(note(size), no_proof)
    assert made.kept("") == [note(1), note(2), note(3)]
    subjects = git("--git-dir", str(remote), "log", "--format=%s", "checkpoints").split("\n")
    assert subjects[:3] == ["checkpoint 3", "checkpoint 2", "checkpoint 1"]
    other = open_anchor(
        AnchorConfig(name="two", kind="git", target=str(remote)),
        origin="acme.example/b",
        home=tmp_path,
        allow_private=True,
        now=lambda: NOW,
    )
    other.publish(note(9), no_proof)  # another log in the same branch keeps to its own file
    assert made.kept("") == [note(1), note(2), note(3)]
    made.publish(note(4), no_proof)
    git(
        "--git-dir",
        str(remote),
        "update-ref",
        "refs/heads/checkpoints",
        git("--git-dir", str(remote), "rev-parse", "checkpoints~2").strip(),
    )
    for ask in (lambda: made.publish(note(5), no_proof), lambda: made.kept("")):
        with pytest.raises(AnchorConflict, match="rewritten"):
            ask()
    git("--git-dir", str(remote), "update-ref", "-d", "refs/heads/checkpoints")
    with pytest.raises(AnchorConflict, match="deleted"):
        made.kept("")
    with pytest.raises(Unavailable):
        anchor(tmp_path / "x", kind="git", target=str(tmp_path / "absent.git")).kept("")
    for url in ("ext::sh -c true", "--upload-pack=x", "http://127.0.0.1/x"):
        with pytest.raises(Refused):
            anchor(tmp_path, private=False, kind="git", target=url)


def test_the_file_in_git_does_not_grow_with_every_checkpoint(tmp_path: Path) -> None:
    remote, other = tmp_path / "remote.git", tmp_path / "other"
    git("init", "--quiet", "--bare", str(remote))
    made = anchor(tmp_path, kind="git", target=str(remote))
    for size in range(1, MOST_NOTES + 4):
        made.publish(note(size), no_proof)
    assert made.kept("") == [note(size) for size in range(4, MOST_NOTES + 4)]
    file = "acme.example%2Fdefault.checkpoints"
    assert git("--git-dir", str(remote), "show", f"checkpoints~{MOST_NOTES + 2}:{file}") == note(1) + "\n"  # the branch keeps them all
    git("clone", "--quiet", "--branch", "checkpoints", str(remote), str(other))
    (other / file).write_text(note(5) + "\n")
    git("-C", str(other), "-c", "user.name=x", "-c", "user.email=x@acme.example", "commit", "--quiet", "-am", "tidy")
    git("-C", str(other), "push", "--quiet")
    for ask in (lambda: made.publish(note(99), no_proof), lambda: made.kept("")):
        with pytest.raises(AnchorConflict, match=f"took out the checkpoint of {MOST_NOTES + 3} entries"):
            ask()


@pytest.fixture
def web() -> Iterator[tuple[int, list[str]]]:
    """A web server on this machine: its port, and what was asked. It redirects /there to itself and knows nothing else."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path.partition("?")[0])
            moved = self.path.startswith("/there")
            self.send_response(301 if moved else 404)
            if moved:
                self.send_header("Location", f"http://127.0.0.1:{self.server.server_address[1]}/{self.path.removeprefix('/there')}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, asked
        server.shutdown()


def test_git_over_https_goes_to_no_address_of_ours(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)
        port = listening.getsockname()[1]
        with pytest.raises(Refused, match="loopback"):
            anchor(tmp_path, private=False, kind="git", target=f"https://localhost:{port}/x.git").kept("")
        with pytest.raises(TimeoutError):
            listening.accept()


def test_git_connects_to_the_address_that_was_checked(tmp_path: Path, web: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """`git.invalid` is a name that nobody resolves; only what we looked up leads anywhere. A proxy would look it up anew."""
    port, asked = web
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *a, **k: real("127.0.0.1" if host.startswith("git.invalid") else host, *a, **k))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    for host in ("git.invalid", "GIT.invalid", "git.invalid."):
        asked.clear()
        with pytest.raises(Unavailable, match="ls-remote failed"):
            anchor(tmp_path, kind="git", target=f"http://{host}:{port}/x.git").kept("")
        assert asked == ["/x.git/info/refs"]


def test_git_follows_no_redirect(tmp_path: Path, web: Any) -> None:
    port, asked = web
    with pytest.raises(Unavailable, match="ls-remote failed"):
        anchor(tmp_path, kind="git", target=f"http://127.0.0.1:{port}/there/x.git").kept("")
    assert asked == ["/there/x.git/info/refs"]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Any]]:
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    monkeypatch.setenv("KEPT_ID", "testing")
    monkeypatch.setenv("KEPT_KEY", "testing")
    client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing")
    yield url, client
    server.stop()


def test_s3_keeps_under_a_compliance_lock(tmp_path: Path, store: tuple[str, Any]) -> None:
    url, client = store
    client.create_bucket(Bucket="kept", ObjectLockEnabledForBucket=True)
    client.create_bucket(Bucket="loose")
    fields = {"kind": "s3", "endpoint": url, "access_key": "env:KEPT_ID", "secret_key": "env:KEPT_KEY", "retain_days": 30}
    made = anchor(tmp_path, target="s3://kept/governor", now=datetime.now(UTC), **fields)
    assert made.kept("") == []
    for size in (1, 2, 2, 10):
        told = made.publish(note(size), no_proof)
        assert told.detail.startswith(f"size {size}, locked until ")
    assert made.kept("") == [note(1), note(2), note(10)]
    with pytest.raises(AnchorConflict, match="another tree of 2 entries"):
        made.publish(note(2, 7), no_proof)
    key = f"governor/{ORIGIN}/{2:020d}.checkpoint"
    held = client.head_object(Bucket="kept", Key=key)
    assert held["ObjectLockMode"] == "COMPLIANCE"
    assert held["ObjectLockRetainUntilDate"] > datetime.now(UTC) + timedelta(days=29)
    version = client.list_object_versions(Bucket="kept", Prefix=key)["Versions"][0]["VersionId"]
    with pytest.raises(client.exceptions.ClientError):
        client.delete_object(Bucket="kept", Key=key, VersionId=version)
    with pytest.raises(GovernorError):
        anchor(tmp_path, target="s3://loose/x", now=datetime.now(UTC), **fields).publish(note(1), no_proof)
    with pytest.raises(Unavailable):
        anchor(tmp_path, target="s3://absent/x", **fields).kept("")


@pytest.mark.parametrize("query", [{}, {"list-type": "2", "prefix": "a b/ü%2F", "continuation-token": "x+/="}])
def test_the_signature_is_the_one_that_botocore_makes(query: dict[str, str]) -> None:
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    url, body = s3_url("", "eu-central-1", "kept", "governor/acme.example/default/1 ü.checkpoint", query), b"note"
    now = datetime.now(UTC)
    ours = signed_headers(
        "PUT",
        url,
        body=body,
        headers={"x-amz-object-lock-mode": "COMPLIANCE"},
        region="eu-central-1",
        access_key="AK",
        secret_key="SK",
        now=now,
    )
    request = AWSRequest(
        "PUT", url, data=body, headers={"x-amz-object-lock-mode": "COMPLIANCE", "X-Amz-Content-SHA256": ours["x-amz-content-sha256"]}
    )
    theirs = S3SigV4Auth(Credentials("AK", "SK"), "s3", "eu-central-1")
    request.context["timestamp"] = ours["x-amz-date"]
    request.headers["X-Amz-Date"] = ours["x-amz-date"]
    text = theirs.string_to_sign(request, theirs.canonical_request(request))
    assert ours["authorization"].endswith(f"Signature={theirs.signature(text, request)}")


CONFIG = """
[tsa]
default_tsa = one
[one]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[leaf]
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
"""


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A timestamping authority of openssl's own making, with a root and a leaf certificate."""
    folder = tmp_path / "tsa"
    folder.mkdir()
    (folder / "serial").write_text("01\n")
    config = folder / "tsa.cnf"
    config.write_text(CONFIG.format(folder=folder))

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], check=True, capture_output=True)

    shared = ["-days", "30", "-extfile", str(config)]
    signed = ["-CA", f"{folder}/root.pem", "-CAkey", f"{folder}/root.key", "-CAcreateserial"]
    for name, subject in (("root", "/CN=Test Root"), ("tsa", "/CN=Test TSA")):
        openssl(
            "req",
            "-new",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            f"{folder}/{name}.key",
            "-out",
            f"{folder}/{name}.csr",
            "-subj",
            subject,
        )
    shared = ["-days", "30", "-extfile", str(config)]
    openssl(
        "x509",
        "-req",
        "-in",
        f"{folder}/root.csr",
        "-signkey",
        f"{folder}/root.key",
        "-out",
        f"{folder}/root.pem",
        "-extensions",
        "ca",
        *shared,
    )
    openssl("x509", "-req", "-in", f"{folder}/tsa.csr", *signed, "-out", f"{folder}/tsa.pem", "-extensions", "leaf", *shared)

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            (folder / "query").write_bytes(self.rfile.read(int(self.headers["content-length"])))
            openssl("ts", "-reply", "-config", str(config), "-section", "one", "-queryfile", f"{folder}/query", "-out", f"{folder}/reply")
            self.send_response(200)
            self.end_headers()
            self.wfile.write((folder / "reply").read_bytes())

        def log_message(self, *words: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/tsa", folder
    server.shutdown()


def test_a_timestamp_is_kept_only_when_it_verifies(tmp_path: Path, authority: tuple[str, Path]) -> None:
    url, folder = authority
    made = anchor(tmp_path, kind="timestamp", target=url, key=str(folder / "root.pem"))
    told = made.publish(note(4), no_proof)
    assert told.detail.startswith("existed by 2")
    assert made.kept("") == [note(4)]
    token = tmp_path / "anchors" / "one" / "4.tsr"
    assert token.read_bytes() == told.body
    checked = subprocess.run(
        ["openssl", "ts", "-verify", "-data", str(token.with_suffix(".note")), "-in", str(token), "-CAfile", str(folder / "root.pem")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Verification: OK" in checked.stdout + checked.stderr
    again = made.publish(note(4, 1), no_proof)  # a log that went on from an older state has another tree of that size
    assert (token.read_bytes(), token.with_stem("4-2").read_bytes()) == (told.body, again.body)
    assert sorted(made.kept("")) == sorted([note(4), note(4, 1)])
    token.with_stem("4-2").unlink()
    token.with_stem("4-2").with_suffix(".note").unlink()
    token.with_suffix(".note").write_text(note(4, 1))
    with pytest.raises(Unavailable, match="does not verify"):
        made.kept("")
    command = [
        "openssl",
        "req",
        "-x509",
        "-new",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        f"{folder}/o.key",
        "-out",
        f"{folder}/other.pem",
    ]
    subprocess.run([*command, "-subj", "/CN=Other"], check=True, capture_output=True)
    token.with_suffix(".note").write_text(note(4))
    (folder / "both.pem").write_bytes((folder / "other.pem").read_bytes() + (folder / "root.pem").read_bytes())
    moved = anchor(tmp_path, kind="timestamp", target=url, key=str(folder / "both.pem"))
    assert moved.kept("") == [note(4)]
    stranger = anchor(tmp_path / "b", kind="timestamp", target=url, key=str(folder / "other.pem"))
    with pytest.raises(Unavailable, match="does not verify"):
        stranger.publish(note(5), no_proof)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"kind": "directory", "target": "/x", "outside": True}, "who runs it"),
        ({"kind": "timestamp", "target": "https://x", "key": "r.pem", "outside": True, "run_by": "them"}, "proves an age"),
        ({"kind": "witness", "target": "https://x", "key": "no+key"}, "vkey"),
        ({"kind": "timestamp", "target": "https://x"}, "root certificate"),
        ({"kind": "s3", "target": "s3://x"}, "access_key"),
        ({"kind": "s3", "target": "s3://x", "access_key": "AKIA", "secret_key": "hunter2"}, "pattern"),
        ({"kind": "git", "target": "https://me:hunter2@git.example/x.git"}, "no place in a URL"),
        ({"kind": "git", "target": "SSH://me:hunter2@git.example/x.git"}, "no place in a URL"),
        ({"kind": "pigeon", "target": "x"}, "directory"),
    ],
)
def test_a_wrong_anchor_is_refused_by_name(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        AnchorConfig(name="one", **fields)


def test_what_git_says_is_told_with_its_cause() -> None:
    said = "ssh: connect to host git.example port 22: Connection refused\r\nfatal: Could not read from remote repository.\n\n"
    advice = "Please make sure you have the correct access rights\nand the repository exists.\n"
    assert told(f"{said}{advice}".encode()).startswith("ssh: connect to host git.example port 22: Connection refused; fatal: ")
    assert AnchorConfig(name="one", kind="git", target="ssh://git@git.example:22/x.git").target


def test_a_witness_that_others_of_this_log_told_first_is_no_conflict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = iter([2, 3, 4, 5, 5, 9])
    monkeypatch.setattr("governor.adapters.anchor_witness.exchange", lambda *_, **__: Answer(409, f"{next(known)}\n".encode()))
    key = VerifierKey("w.example", 4, LOG.public_key).text
    witness = anchor(tmp_path, kind="witness", target="https://w.example", key=key)
    with pytest.raises(Unavailable, match="each time"):  # 2, 3, 4: other processes were faster three times
        witness.publish(note(8), no_proof)
    with pytest.raises(AnchorConflict, match="another tree of 5"):
        witness.publish(note(8), no_proof)
    with pytest.raises(AnchorConflict, match="9 entries"):
        witness.publish(note(8), no_proof)
