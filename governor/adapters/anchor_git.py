"""An anchor in a git repository, local or remote: one commit per checkpoint on a branch that another team protects.

Owns: a bare working copy in the home, the commits, pushing and reading. Does not own: who may force-push there (protect the branch).
Invariants: over http(s) git connects to addresses that were checked, without redirect or proxy; never forces; a remote branch that is no longer ahead of what
we pushed, or whose file lost our newest note, is a conflict; no prompt, no hook, no protocol but https, ssh, file.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from governor.adapters.endpoint_guard import check_url, guarded_addresses
from governor.errors import AnchorConflict, Invalid, Refused, Unavailable
from governor.ledger.anchor import AnchorConfig, as_block, file_of, split_notes
from governor.ledger.checkpoint import parse_checkpoint
from governor.ledger.note import parse_note
from governor.ports import AnchorReceipt

TIMEOUT_S: Final = 60
ATTEMPTS: Final = 3
IDENTITY: Final = {"GIT_AUTHOR_NAME": "governor", "GIT_COMMITTER_NAME": "governor"}
MOST_NOTES: Final = 20  # in the file, for each commit holds all of it again; older ones are in the branch's history
PACKING: Final = ("-c", "gc.auto=1000", "-c", "gc.autoDetach=false", "-c", "maintenance.autoDetach=false")  # done when the command ends
FIXED: Final = ("-c", "core.hooksPath=/dev/null", *PACKING, "-c", "commit.gpgSign=false", "-c", "protocol.ext.allow=never")


class GitAnchor:
    """`target` is a URL or path of a repository that exists; `copy` a folder of ours that may be deleted at any time."""

    def __init__(self, config: AnchorConfig, origin: str, *, copy: Path, allow_private: bool) -> None:
        self._name, self._url, self._branch = config.name, config.target, config.branch
        self._file, self._mail = file_of(origin), f"governor@{origin.split('/', 1)[0]}"
        self._copy, self._private = copy, allow_private
        if self._url.startswith(("http:", "https:")):
            check_url(self._url, allow_private=allow_private)
        elif self._url.startswith("-") or "::" in self._url:
            raise Refused(f"anchor {self._name}: {self._url!r} is no git URL that is allowed", hint="https, ssh, or a path")

    def publish(self, note: str, prove: Callable[[int], Sequence[bytes]]) -> AnchorReceipt:  # noqa: ARG002 - git asks for no proof
        size = parse_checkpoint(parse_note(note).text).size
        for _ in range(ATTEMPTS):
            head = self._fetch()
            notes = self._read(head)
            if notes[-1:] == [note]:
                return AnchorReceipt(f"size {size} in commit {head[:12]}", head.encode())
            commit = self._commit("".join(map(as_block, [*notes, note][-MOST_NOTES:])), head, size)
            done = self._git("push", "--quiet", self._url, f"{commit}:refs/heads/{self._branch}", check=False, settings=self._route())
            if done.returncode == 0:
                self._git("update-ref", "refs/governor/pushed", commit)
                return AnchorReceipt(f"size {size} in commit {commit[:12]}", commit.encode())
        raise Unavailable(f"anchor {self._name} does not take the commit: {told(done.stderr)}")

    def kept(self, newest: str) -> list[str]:  # noqa: ARG002 - the file shows all of them
        return self._read(self._fetch())

    def _fetch(self) -> str:
        """The remote branch's commit, empty when it is not there yet. Raises AnchorConflict when commits of ours were taken out of it."""
        if not (self._copy / "HEAD").exists():
            self._copy.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._git("init", "--quiet", "--bare", str(self._copy), inside=False)
        listed = self._git("ls-remote", "--heads", self._url, f"refs/heads/{self._branch}", settings=self._route()).stdout.decode().split()
        pushed = self._git("rev-parse", "--quiet", "--verify", "refs/governor/pushed", check=False).stdout.decode().strip()
        if not listed:
            if pushed:
                raise AnchorConflict(f"anchor {self._name}: branch {self._branch} was deleted")
            return ""
        self._git("fetch", "--quiet", "--no-tags", self._url, f"+refs/heads/{self._branch}:refs/governor/remote", settings=self._route())
        head = self._git("rev-parse", "refs/governor/remote").stdout.decode().strip()
        if pushed and self._git("merge-base", "--is-ancestor", pushed, head, check=False).returncode:
            raise AnchorConflict(f"anchor {self._name}: branch {self._branch} was rewritten; commit {pushed[:12]} is no longer in it")
        if (known := newest(self._read(pushed))) > newest(self._read(head)):
            raise AnchorConflict(f"anchor {self._name}: a later commit of branch {self._branch} took out the checkpoint of {known} entries")
        return head

    def _read(self, commit: str) -> list[str]:
        if not commit:
            return []
        return split_notes(self._git("cat-file", "blob", f"{commit}:{self._file}", check=False).stdout.decode("utf-8", "replace"))

    def _commit(self, text: str, head: str, size: int) -> str:
        """A commit whose tree is the branch's tree with our file replaced: other logs and files stay."""
        blob = self._git("hash-object", "-w", "--stdin", feed=text.encode()).stdout.decode().strip()
        others = self._git("ls-tree", head).stdout.decode().splitlines() if head else []
        lines = [line for line in others if line.partition("\t")[2] != self._file] + [f"100644 blob {blob}\t{self._file}"]
        tree = self._git("mktree", feed="".join(f"{line}\n" for line in lines).encode()).stdout.decode().strip()
        parents = ("-p", head) if head else ()
        return self._git("commit-tree", tree, *parents, "-m", f"checkpoint {size}").stdout.decode().strip()

    def _route(self) -> Sequence[str]:
        """Settings that hold git to the addresses we checked: it would resolve the name again, and follow a redirect or an http-alternates file."""
        parts = urlsplit(self._url)
        if parts.scheme not in {"http", "https"}:
            return ()
        host, encrypted = parts.hostname or "", parts.scheme == "https"
        try:
            addresses = guarded_addresses(host, allow_private=self._private, encrypted=encrypted)
        except OSError:
            raise Unavailable(f"anchor {self._name}: the host {host} is not known") from None
        fixed = ("-c", "http.followRedirects=false", "-c", "http.proxy=")
        if ":" in host:  # an address is resolved by nobody
            return fixed
        wrapped = ",".join(f"[{one}]" if ":" in one else one for one in addresses)
        return (*fixed, "-c", f"http.curloptResolve={host}:{parts.port or (443 if encrypted else 80)}:{wrapped}")

    def _git(
        self, *words: str, feed: bytes = b"", check: bool = True, inside: bool = True, settings: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[bytes]:
        where = ("--git-dir", str(self._copy)) if inside else ()
        mail = {"GIT_AUTHOR_EMAIL": self._mail, "GIT_COMMITTER_EMAIL": self._mail}
        quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "https:http:ssh:file", "GIT_SSH_COMMAND": "ssh -oBatchMode=yes"}
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        command = ["git", *FIXED, *settings, *where, *words]
        try:
            done = subprocess.run(  # noqa: S603 - no shell; the URL was checked above
                command, input=feed, capture_output=True, timeout=TIMEOUT_S, check=False, env={**environment, **quiet, **IDENTITY, **mail}
            )
        except FileNotFoundError:
            raise Unavailable("git is not installed", hint="install git, or use another kind of anchor") from None
        except subprocess.TimeoutExpired:
            raise Unavailable(f"anchor {self._name} does not answer within {TIMEOUT_S} s") from None
        if check and done.returncode:
            raise Unavailable(f"anchor {self._name}: git {words[0]} failed: {told(done.stderr)}")
        return done


def newest(notes: Sequence[str]) -> int:
    """Size of the largest tree they name; what others wrote there and is no checkpoint names none."""
    found = 0
    for note in notes:
        with suppress(Invalid):
            found = max(found, parse_checkpoint(parse_note(note).text).size)
    return found


def told(text: bytes) -> str:
    """What git and ssh say up to the first empty line: the cause comes first, advice that names none comes last."""
    lines = [line.strip() for line in text.decode("utf-8", "replace").strip().split("\n\n")[0].splitlines()]
    return "; ".join(lines)[:200] or "no reason given"
