"""Keys as files in the home: log, issuer, producer (Ed25519 PEM), the log's second key (ML-DSA-44) and one content key per organization.

Owns: making, reading and guarding key files, and the names keys sign under. Does not own: what is signed.
Invariants: a key file is readable by its owner only, or it is refused; a key that exists is never overwritten; private bytes leave only as signatures.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from governor.adapters.key_files import KeySigner, make_key, read_key
from governor.errors import IntegrityError, Invalid, NotFound, Refused
from governor.ledger.canonical import sha256_hex
from governor.ledger.cosign import cosign_mldsa
from governor.ledger.note import MLDSA_COSIGNATURE, VerifierKey, vkey
from governor.ledger.trust import trust_text

ROLES: Final = ("log", "issuer", "producer")
MLDSA: Final = "log-mldsa"
DOMAIN: Final = "governor.local"
CONTENT_SIZE: Final = 32
_SALT: Final = 16
_NONCE: Final = 12
_MAGIC: Final = b"GVK1"


@dataclass
class FileSigner:
    """governor.ports.Signer over a private key held in memory. `key_id` is the hex SHA-256 of the public key."""

    key_id: str
    public_key: bytes
    _private: Ed25519PrivateKey = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)


class FileKeys:
    """The keys of one home. `passphrase` is a reference (`env:NAME` or `file:PATH`), empty for unencrypted files."""

    def __init__(self, home: Path, *, passphrase: str = "", domain: str = DOMAIN) -> None:
        self.folder = Path(home) / "keys"
        self.domain = domain
        self._passphrase = passphrase
        self._signers: dict[str, FileSigner] = {}
        self._mldsa: KeySigner | None = None

    def create(self, org: str = "default") -> None:
        """Make whatever is missing; what exists stays. Safe with rivals: the first complete file wins."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.chmod(0o700)
        for role in ROLES:
            if not self._path(role).exists():
                self._place(self._path(role), self._pem(Ed25519PrivateKey.generate()))
        if not self._path(MLDSA).exists():
            make_key(self._path(MLDSA), MLDSA44PrivateKey.generate(), self._secret())
        if not self._content_path(org).exists():
            self._place(self._content_path(org), self._wrap(secrets.token_bytes(CONTENT_SIZE)))

    def log_signer(self) -> FileSigner:
        return self._signer("log")

    def cosign(self, org: str, now: datetime) -> Callable[[str], str]:
        """What puts the log's ML-DSA-44 cosignature under a checkpoint; nothing where the home has no such key (made before there was one)."""
        if not self._path(MLDSA).exists():
            return lambda _: ""
        signer, name, when = self.mldsa_signer(), self.origin(org), int(now.timestamp())
        return lambda text: cosign_mldsa(text, name, signer, when)

    def mldsa_signer(self) -> KeySigner:
        if self._mldsa is None:
            self._mldsa = read_key(self._path(MLDSA), self._secret())
        return self._mldsa

    def issuer_signer(self) -> FileSigner:
        return self._signer("issuer")

    def producer_signer(self) -> FileSigner:
        return self._signer("producer")

    def content_key(self, org: str) -> bytes:
        """Key of the organization's stored prompts and outputs. Raises NotFound when the home was never initialised."""
        return self._unwrap(self._read(self._content_path(org)))

    def origin(self, org: str) -> str:
        """Name of the organization's log, first line of its checkpoints."""
        return f"{self.domain}/{org}"

    def issuer_name(self, org: str) -> str:
        """Name the issuer key signs packets under."""
        return f"{self.domain}/{org}/issuer"

    def trust_text(self, org: str, witnesses: Mapping[str, str] | None = None) -> str:
        """What a verifier must believe about this organization: public keys only. `witnesses`: vkeys by name; the auditor decides on a quorum."""
        text = trust_text(
            title=f"Trust for packets of organization {org}. Hand it over outside the packet, with its SHA-256 in writing.",
            logs=[vkey(self.origin(org), self.log_signer().public_key)],
            issuers=[vkey(self.issuer_name(org), self.issuer_signer().public_key)],
            witnesses=witnesses,
        )
        if not self._path(MLDSA).exists():
            return text
        second = VerifierKey(self.origin(org), MLDSA_COSIGNATURE, self.mldsa_signer().public_key)
        return (
            text
            + f"# The log's second key, cosigning checkpoints (ML-DSA-44). A verifier that knows it may believe it as a log line:\n# log {second.text}\n"
        )

    def _signer(self, role: str) -> FileSigner:
        if role not in self._signers:
            pem = self._read(self._path(role))
            try:
                private = serialization.load_pem_private_key(pem, self._secret())
            except (ValueError, TypeError) as error:
                raise IntegrityError(
                    f"key file {self._path(role).name} cannot be read: {error}", hint="check the passphrase reference"
                ) from None
            if not isinstance(private, Ed25519PrivateKey):
                raise IntegrityError(f"key file {self._path(role).name} holds no Ed25519 key")
            public = private.public_key().public_bytes_raw()
            self._signers[role] = FileSigner(sha256_hex(public), public, private)
        return self._signers[role]

    def _path(self, role: str) -> Path:
        return self.folder / f"{role}.pem"

    def _content_path(self, org: str) -> Path:
        if not org or "/" in org or org.startswith("."):
            raise Invalid(f"{org!r} cannot name an organization")
        return self.folder / f"content-{org}.key"

    def _read(self, path: Path) -> bytes:
        try:
            with path.open("rb") as handle:
                mode = os.fstat(handle.fileno()).st_mode
                if os.name == "posix" and mode & 0o077:
                    raise Refused(
                        f"key file {path} may be read by others", hint=f"chmod 600 {path}, and replace the key if others could log in"
                    )
                return handle.read()
        except FileNotFoundError:
            raise NotFound(f"no key file {path.name} in {self.folder}", hint="run `governor init` (or give --home DIR)") from None

    def _place(self, path: Path, body: bytes) -> None:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as handle:
                handle.write(body)
                handle.flush()
                os.fsync(handle.fileno())
            with contextlib.suppress(FileExistsError):  # a rival was first: its key is the key
                os.link(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    def _secret(self) -> bytes | None:
        kind, _, name = self._passphrase.partition(":")
        if not self._passphrase:
            return None
        if kind == "env" and os.environ.get(name):
            return os.environ[name].encode()
        if kind == "file" and Path(name).is_file():
            return Path(name).read_bytes().rstrip(b"\r\n")
        raise Invalid(f"the key passphrase {kind}:{name} is not there", hint="use env:NAME or file:PATH")

    def _pem(self, private: Ed25519PrivateKey) -> bytes:
        secret = self._secret()
        cipher = serialization.BestAvailableEncryption(secret) if secret else serialization.NoEncryption()
        return private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, cipher)

    def _wrap(self, key: bytes) -> bytes:
        secret = self._secret()
        if secret is None:
            return key
        salt, nonce = secrets.token_bytes(_SALT), secrets.token_bytes(_NONCE)
        return _MAGIC + salt + nonce + AESGCM(_derive(secret, salt)).encrypt(nonce, key, _MAGIC)

    def _unwrap(self, body: bytes) -> bytes:
        secret = self._secret()
        if secret is not None and body.startswith(_MAGIC):
            start = len(_MAGIC)
            salt, nonce, sealed = body[start : start + _SALT], body[start + _SALT : start + _SALT + _NONCE], body[start + _SALT + _NONCE :]
            try:
                body = AESGCM(_derive(secret, salt)).decrypt(nonce, sealed, _MAGIC)
            except InvalidTag:
                raise IntegrityError("the content key cannot be opened", hint="check the passphrase reference") from None
        if len(body) != CONTENT_SIZE:
            raise IntegrityError("the content key file has the wrong length", hint="check the passphrase reference")
        return body


def _derive(secret: bytes, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=CONTENT_SIZE, n=2**15, r=8, p=1).derive(secret)
