"""What a witness remembers, in a folder of its own: its keys, the logs it watches, the last tree of each, refused requests.

Owns: the folder. Does not own: the rule when to cosign (actions/cosign.py). Invariants: the state moves in one durable transaction that also compares;
a log's size never shrinks; keys without the state are no witness; a refused request that a log signed is kept, because it may prove that the log lied.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from governor.adapters.key_files import KeySigner, PrivateKey, make_key, read_key
from governor.errors import IntegrityError, Invalid, NotFound, Refused
from governor.ledger.note import COSIGNATURE, ED25519, MLDSA_COSIGNATURE, VerifierKey, parse_vkey, vkey
from governor.store.sqlite_wal import write_ahead

MOST_REFUSED: Final = 1000
BUSY_SECONDS: Final = 20
STATE: Final = "state.db"
FORGOTTEN: Final = "a witness without its memory would cosign a rewritten history: make a new one in another folder, under a new name"
FILES: Final = ("witness.pem", "witness-mldsa.pem")
PREVIOUS: Final = ((COSIGNATURE, "witness.previous.pem"), (MLDSA_COSIGNATURE, "witness-mldsa.previous.pem"))


@dataclass(frozen=True)
class Seen:
    """The last tree of a log; `note` is the checkpoint with the log's signature and our cosignatures."""

    size: int
    root: bytes
    note: str


class WitnessFolder:
    """`make` a folder first. Safe for several processes on one machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / "name").is_file():
            raise NotFound(f"no witness in {folder}", hint="run `governor witness init DIR --name NAME`")
        if not _remembers(folder):
            raise IntegrityError(f"the witness in {folder} lost its state: what it cosigned is not known", hint=FORGOTTEN)
        self.name = (folder / "name").read_text(encoding="utf-8").strip()
        self.signer: KeySigner = read_key(folder / "witness.pem")
        self.mldsa_signer: KeySigner = read_key(folder / "witness-mldsa.pem")
        self.previous: list[tuple[int, KeySigner]] = [
            (algorithm, read_key(folder / file)) for algorithm, file in PREVIOUS if (folder / file).exists()
        ]

    @classmethod
    def make(cls, folder: Path, name: str) -> WitnessFolder:
        """Keys, name and an empty state; what exists stays. Raises Invalid for a name a note cannot carry."""
        vkey(name, bytes(32))
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        if not (folder / "name").exists():  # written last: a folder with a name has a state, or lost it
            with _changing(folder) as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS seen (origin TEXT PRIMARY KEY, size INTEGER, root BLOB, note TEXT)")
        for file, private in zip(FILES, _fresh(), strict=True):
            if not (folder / file).exists():
                make_key(folder / file, private)
        if not (folder / "name").exists():
            (folder / "name").write_text(name + "\n", encoding="utf-8")
        made = cls(folder)
        if made.name != name:
            raise Invalid(f"the witness in {folder} is called {made.name}", hint="a witness keeps its name; make another folder")
        return made

    def rotate(self) -> None:
        """New keys under the same name; the ones before cosign beside them until `retire`. One whose process died is finished by asking again."""
        steps = [
            (self.folder / old, self.folder / file, self.folder / f"{file}.next") for (_, old), file in zip(PREVIOUS, FILES, strict=True)
        ]
        if self.previous and not any(new.exists() for _, _, new in steps):
            raise Refused("a replacement is under way", hint="end it with `governor witness rotate DIR --finish`")
        for (old, _, new), private in zip(steps, _fresh(), strict=True):
            if not (old.exists() or new.exists()):
                make_key(new, private)
        for old, present, new in steps:
            if new.exists():  # at every moment there is a key under the present one's name
                if not old.exists():
                    os.link(present, old)
                new.replace(present)

    def retire(self) -> None:
        """The keys before the present ones sign no more and are gone."""
        for _, file in PREVIOUS:
            (self.folder / file).unlink(missing_ok=True)

    @property
    def vkeys(self) -> list[str]:
        """What logs and verifiers configure: the Ed25519 key that today's network needs, and the ML-DSA-44 key."""
        keys = ((COSIGNATURE, self.signer), (MLDSA_COSIGNATURE, self.mldsa_signer))
        return [VerifierKey(self.name, algorithm, signer.public_key).text for algorithm, signer in keys]

    def logs(self) -> dict[str, list[VerifierKey]]:
        """Keys by origin. One vkey a line in `logs`; `#` begins a comment."""
        path = self.folder / "logs"
        found: dict[str, list[VerifierKey]] = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
            if line.strip() and not line.startswith("#"):
                key = parse_vkey(line.strip())
                found.setdefault(key.name, []).append(key)
        return found

    def add_log(self, text: str) -> VerifierKey:
        """Watch a log from now on. Raises Invalid for a key that is no Ed25519 log key."""
        key = parse_vkey(text)
        if key.algorithm != ED25519:
            raise Invalid(f"the key of {key.name} is no log key")
        if key not in self.logs().get(key.name, []):
            with (self.folder / "logs").open("a", encoding="utf-8") as handle:
                handle.write(key.text + "\n")
        return key

    def transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        """The writer's place from the first moment, so that compare and update are one step; on disk before it ends."""
        return _changing(self.folder)

    def seen(self, connection: sqlite3.Connection, origin: str) -> Seen | None:
        row = connection.execute("SELECT size, root, note FROM seen WHERE origin = ?", (origin,)).fetchone()
        return Seen(*row) if row else None

    def see(self, connection: sqlite3.Connection, origin: str, tree: Seen) -> None:
        connection.execute("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)", (origin, tree.size, tree.root, tree.note))

    def newest(self) -> dict[str, Seen]:
        with self.transaction() as connection:
            return {row[0]: Seen(*row[1:]) for row in connection.execute("SELECT origin, size, root, note FROM seen ORDER BY origin")}

    def keep_refused(self, body: bytes) -> Path:
        """A request that the log signed and its history contradicts. The same one is kept once."""
        folder = self.folder / "refused"
        folder.mkdir(exist_ok=True)
        path = folder / f"{hashlib.sha256(body).hexdigest()[:32]}.request"
        if not path.exists() and sum(1 for _ in folder.iterdir()) < MOST_REFUSED:
            path.write_bytes(body)
        return path


def _fresh() -> tuple[PrivateKey, PrivateKey]:
    return Ed25519PrivateKey.generate(), MLDSA44PrivateKey.generate()


@contextmanager
def _changing(folder: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(folder / STATE, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
        write_ahead(connection, BUSY_SECONDS)
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            if connection.in_transaction:  # a full disk has ended it already
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


def _remembers(folder: Path) -> bool:
    """Whether the state is there, be it empty."""
    if not (folder / STATE).is_file():
        return False
    with closing(sqlite3.connect(folder / STATE, timeout=BUSY_SECONDS)) as connection:
        return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'seen'").fetchone() is not None
