"""Keys as files in the home: log, issuer, producer (Ed25519 PEM), the log's second key (ML-DSA-44) and one content key per organization.

Owns: making, reading and guarding key files, the successor of a key while it is being replaced, and the names keys sign under. Does not own: what is
signed, when a key is replaced (actions/rotate_keys.py), key stores (key_stores.py: `ROLE.uri` holds the address of a key that is no file here).
Invariants: a key file is readable by its owner only, or it is refused; a key that exists is replaced by its successor only; private bytes leave only as
signatures; a key replaced by another process is noticed at the next use.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from governor.adapters.key_files import make_key, place_secret, read_key, read_secret
from governor.adapters.key_stores import open_key, whole_address
from governor.adapters.secrets import secret_of
from governor.errors import IntegrityError, Invalid, NotFound
from governor.ledger.cosign import cosign_mldsa
from governor.ledger.note import KEY_SIZE, MLDSA_COSIGNATURE, MLDSA_KEY_SIZE, VerifierKey, vkey
from governor.ledger.trust import trust_text
from governor.ports import Signer

ROLES: Final = ("log", "issuer", "producer")
MLDSA: Final = "log-mldsa"
LOST: Final = "bring keys/ back from the backup of this home; only a new home gets its keys from `governor init` (or give --home DIR)"
NAME: Final = "domain"
DOMAIN: Final = "governor.local"  # the whole name in homes that were made before each got its own
CONTENT_SIZE: Final = 32
_SALT: Final = 16
_NONCE: Final = 12
_MAGIC: Final = b"GVK1"


class FileKeys:
    """The keys of one home. `passphrase` is a reference (`env:NAME` or `file:PATH`), empty for unencrypted files. `domain`: empty for the home's own."""

    def __init__(self, home: Path, *, passphrase: str = "", domain: str = "") -> None:
        self.folder = Path(home) / "keys"
        self._domain = domain
        self._passphrase = passphrase
        self._signers: dict[str, tuple[object, Signer]] = {}
        self._named: dict[str, tuple[Path, Path]] = {}

    def create(self, org: str = "default") -> None:
        """Make whatever is missing; what exists stays. Safe with rivals: the first complete file wins."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.chmod(0o700)
        # before the key: a home with a key has its name for ever
        if not self._domain and not self.has("log") and not (self.folder / NAME).exists():
            place_secret(self.folder / NAME, f"{secrets.token_hex(6)}.{DOMAIN}\n".encode())
        for role in ROLES:
            if not self._path(role).exists() and not self._address(role).exists():
                make_key(self._path(role), Ed25519PrivateKey.generate(), self._secret())
        if not self._path(MLDSA).exists():
            make_key(self._path(MLDSA), MLDSA44PrivateKey.generate(), self._secret())
        if not self._content_path(org).exists():
            place_secret(self._content_path(org), self._wrap(secrets.token_bytes(CONTENT_SIZE)))

    def lacking(self, *, second: bool) -> list[str]:
        """Names of signing keys that are not here. `second`: whether the log's ML-DSA-44 key belongs to them."""
        return [f"{role}.pem" for role in (*ROLES, *((MLDSA,) if second else ())) if not self.has(role)]

    def has(self, role: str) -> bool:
        """A home made before there was a second key has none."""
        return self._path(role).exists() or self._address(role).exists()

    def log_signer(self) -> Signer:
        return self.signer("log")

    def cosign(self, org: str, now: datetime) -> Callable[[str], str]:
        """What puts the log's ML-DSA-44 cosignature under a checkpoint; nothing where the home has no such key (made before there was one)."""
        if not self._path(MLDSA).exists():
            return lambda _: ""
        name, when = self.origin(org), int(now.timestamp())
        signers = [one for one in (self.mldsa_signer(), self.successor(MLDSA)) if one is not None]
        return lambda text: "".join(cosign_mldsa(text, name, one, when) for one in signers)

    def mldsa_signer(self) -> Signer:
        return self.signer(MLDSA)

    def issuer_signer(self) -> Signer:
        return self.signer("issuer")

    def producer_signer(self) -> Signer:
        return self.signer("producer")

    def content_key(self, org: str) -> bytes:
        """Key of the organization's stored prompts and outputs. Raises NotFound when the home was never initialised."""
        return self._unwrap(self._read(self._content_path(org)))

    @property
    def domain(self) -> str:
        """As set, else the name that this home got when it was made. Two logs of one name would contradict each other before a witness or anchor they share."""
        if not self._domain and (self.folder / NAME).exists():
            self._domain = self._read(self.folder / NAME).decode().strip()
        return self._domain or DOMAIN

    def origin(self, org: str) -> str:
        """Name of the organization's log, first line of its checkpoints. A log that went on after a restored database has a name of its own."""
        return self.origin_of(org, self.incarnation(org))

    def origin_of(self, org: str, number: int) -> str:
        return f"{self.domain}/{org}" if number == 1 else f"{self.domain}/{org}/incarnation-{number}"

    def incarnation(self, org: str) -> int:
        """1, and one more for every time a person decided to go on from an older state."""
        told = self._read(path).strip() if (path := self._incarnation_path(org)).exists() else b"1"
        if not (told.isdigit() and int(told)):
            raise IntegrityError(f"{path} is damaged: it holds no number", hint="bring it back from the backup of this home's keys")
        return int(told)

    def begin_incarnation(self, org: str, number: int) -> None:
        """From now on the log has the name of this incarnation. Safe to repeat after a crash; never steps back."""
        if number > self.incarnation(org):
            temporary = self._incarnation_path(f"{org}.next")
            temporary.unlink(missing_ok=True)
            place_secret(temporary, str(number).encode())
            temporary.replace(self._incarnation_path(org))

    def organizations(self) -> list[str]:
        """Whose content keys lie here: the organizations that this home signs for."""
        return sorted(path.name.removeprefix("content-").removesuffix(".key") for path in self.folder.glob("content-*.key"))

    def past(self, role: str) -> list[bytes]:
        """Public keys that were replaced here, newest first: a restored database may have forgotten them."""
        path, sizes = self.folder / f"{role}.past", (2 * KEY_SIZE, 2 * MLDSA_KEY_SIZE)  # a line whose writer died is shorter
        return [bytes.fromhex(one) for one in reversed(path.read_text().split()) if len(one) in sizes] if path.exists() else []

    def issuer_name(self, org: str) -> str:
        """Name the issuer key signs packets under."""
        return f"{self.domain}/{org}/issuer"

    def trust_text(
        self,
        org: str,
        witnesses: Mapping[str, str] | None = None,
        *,
        logs: Sequence[str] = (),
        issuers: Sequence[str] = (),
        second: Sequence[str] = (),
        groups: Mapping[str, Sequence[str]] | None = None,
        root: str = "",
    ) -> str:
        """What a verifier must believe about this organization: public keys only. `witnesses`: vkeys by name; the auditor decides on a quorum.

        `logs`, `second` (ML-DSA-44) and `issuers`: present and replaced keys with their ranges; without them the present ones.
        """
        if self._path(MLDSA).exists():
            second = second or [VerifierKey(self.origin(org), MLDSA_COSIGNATURE, self.mldsa_signer().public_key).text]
        return trust_text(
            title=f"Trust for packets of organization {org}. Hand it over outside the packet, with its SHA-256 in writing.",
            logs=[*(logs or [vkey(self.origin(org), self.log_signer().public_key)]), *second],
            issuers=issuers or [vkey(self.issuer_name(org), self.issuer_signer().public_key)],
            witnesses=witnesses,
            groups=groups,
            root=root,
        )

    def successor(self, role: str) -> Signer | None:
        """The key that is about to replace the present one, where a replacement is under way."""
        name = f"{role}.next"
        return self.signer(name) if self.has(name) else None

    def make_successor(self, role: str, address: str = "", *, used: Collection[bytes] = ()) -> Signer:
        """A new key beside the present one, or the key at `address`, which is none of those `used` before; one that was begun is kept."""
        found = self.successor(role)
        if found is not None:
            return found
        name = f"{role}.next"
        if address:
            if open_key(address, self._secret()).public_key in used:  # before anything is written
                raise Invalid(f"the key at {address} signs or signed here already", hint="a key that was replaced does not come back")
            place_secret(self._address(name), f"{whole_address(address)}\n".encode())
        else:
            make_key(self._path(name), (MLDSA44PrivateKey if role == MLDSA else Ed25519PrivateKey).generate(), self._secret())
        return self.signer(name)

    def adopt(self, role: str) -> None:
        """The successor takes the place of the present key, whose file is gone then. Safe to repeat after a crash."""
        file, address = self._path(f"{role}.next"), self._address(f"{role}.next")
        present = self.signer(role).public_key if file.exists() or address.exists() else b""
        if present and present not in self.past(role):
            with (self.folder / f"{role}.past").open("a") as known:
                known.write(f"\n{present.hex()}\n")
        if address.exists():
            address.replace(self._address(role))
            self._path(role).unlink(missing_ok=True)
        elif file.exists():
            self._address(role).unlink(missing_ok=True)
            file.replace(self._path(role))

    def where(self, role: str) -> str:
        """`file`, or the address of the key store."""
        return self._read(self._address(role)).decode().strip() if self._address(role).exists() else "file"

    def signer(self, role: str) -> Signer:
        """The present key of a role; read again where its file changed."""
        address = self._address(role)
        path = address if address.exists() else self._path(role)
        try:
            seen = path.stat()
        except FileNotFoundError:
            raise NotFound(f"no key file {path.name} in {self.folder}", hint=LOST) from None
        mark = (path is address, seen.st_ino, seen.st_mtime_ns, seen.st_mode)
        known = self._signers.get(role)
        if known is None or known[0] != mark:
            known = mark, open_key(self._read(path).decode().strip(), self._secret()) if path == address else self._read_signer(role, path)
            self._signers[role] = known
        return known[1]

    def _read_signer(self, role: str, path: Path) -> Signer:
        found, second = read_key(path, self._secret()), role.startswith(MLDSA)
        if len(found.public_key) != (MLDSA_KEY_SIZE if second else KEY_SIZE):
            raise IntegrityError(f"key file {path.name} holds no {'ML-DSA-44' if second else 'Ed25519'} key")
        return found

    def _address(self, role: str) -> Path:
        return self._files(role)[0]

    def _path(self, role: str) -> Path:
        return self._files(role)[1]

    def _files(self, role: str) -> tuple[Path, Path]:
        """Where the address of a key store would be, and where a key. Every append looks there."""
        if role not in self._named:
            self._named[role] = (self.folder / f"{role}.uri", self.folder / f"{role}.pem")
        return self._named[role]

    def _content_path(self, org: str) -> Path:
        return self.folder / f"content-{_one_name(org)}.key"

    def _incarnation_path(self, org: str) -> Path:
        return self.folder / f"incarnation-{_one_name(org)}"

    def _read(self, path: Path) -> bytes:
        try:
            return read_secret(path)
        except FileNotFoundError:
            raise NotFound(f"no key file {path.name} in {self.folder}", hint=LOST) from None

    def _secret(self) -> bytes | None:
        return secret_of(self._passphrase)

    def _wrap(self, key: bytes) -> bytes:
        if (secret := self._secret()) is None:
            return key
        salt, nonce = secrets.token_bytes(_SALT), secrets.token_bytes(_NONCE)
        return _MAGIC + salt + nonce + AESGCM(_derive(secret, salt)).encrypt(nonce, key, _MAGIC)

    def _unwrap(self, body: bytes) -> bytes:
        if (secret := self._secret()) is not None and body.startswith(_MAGIC):
            start = len(_MAGIC)
            salt, nonce, sealed = body[start : start + _SALT], body[start + _SALT : start + _SALT + _NONCE], body[start + _SALT + _NONCE :]
            try:
                body = AESGCM(_derive(secret, salt)).decrypt(nonce, sealed, _MAGIC)
            except InvalidTag:
                raise IntegrityError("the content key cannot be opened", hint="check the passphrase reference") from None
        if len(body) != CONTENT_SIZE:
            raise IntegrityError("the content key file has the wrong length", hint="check the passphrase reference")
        return body


def _one_name(org: str) -> str:
    if not org or "/" in org or org.startswith("."):
        raise Invalid(f"{org!r} cannot name an organization")
    return org


def _derive(secret: bytes, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=CONTENT_SIZE, n=2**15, r=8, p=1).derive(secret)
