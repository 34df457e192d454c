"""Private keys and other secrets of one folder, mode 0600; keys as PEM: Ed25519 and, where the library has it, ML-DSA-44.

Owns: making and reading such a file. Does not own: what is signed (keys.py and witness use it). Invariants: a file that others may read is refused; one
that exists is never overwritten.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from governor.errors import IntegrityError, NotFound, Refused
from governor.ledger.canonical import sha256_hex

PrivateKey = Ed25519PrivateKey | MLDSA44PrivateKey


@dataclass
class KeySigner:
    """governor.ports.Signer over a key held in memory; for ML-DSA-44 the public key has 1312 bytes."""

    key_id: str
    public_key: bytes
    _private: PrivateKey = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)


def signer_of(private: PrivateKey) -> KeySigner:
    public = private.public_key().public_bytes_raw()
    return KeySigner(sha256_hex(public), public, private)


def make_key(path: Path, private: PrivateKey, passphrase: bytes | None = None) -> None:
    cipher = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    place_secret(path, private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, cipher))


def place_secret(path: Path, body: bytes) -> None:
    """Written whole or not at all; the first of two rivals wins."""
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


def read_secret(path: Path) -> bytes:
    """Raises FileNotFoundError, and Refused for a file that others may read."""
    with path.open("rb") as handle:
        if os.name == "posix" and os.fstat(handle.fileno()).st_mode & 0o077:
            raise Refused(f"key file {path} may be read by others", hint=f"chmod 600 {path}, and replace the key if others could log in")
        return handle.read()


def read_key(path: Path, passphrase: bytes | None = None) -> KeySigner:
    """Raises NotFound, Refused for a file that others may read, IntegrityError for one that holds no such key."""
    try:
        body = read_secret(path)
    except FileNotFoundError:
        raise NotFound(f"no key file {path}") from None
    try:
        private = serialization.load_pem_private_key(body, passphrase)
    except (ValueError, TypeError) as error:
        raise IntegrityError(f"key file {path.name} cannot be read: {error}", hint="check the passphrase reference") from None
    if not isinstance(private, Ed25519PrivateKey | MLDSA44PrivateKey):
        raise IntegrityError(f"key file {path.name} holds neither an Ed25519 nor an ML-DSA-44 key")
    return signer_of(private)
