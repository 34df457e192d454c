"""Keys with fixed seeds, and the way to published vectors that are not part of this repository."""

import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from governor.ledger.canonical import sha256_hex


class SeedSigner:
    def __init__(self, seed: bytes) -> None:
        self.private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = self.private.public_key().public_bytes_raw()
        self.key_id = sha256_hex(self.public_key)

    def sign(self, message: bytes) -> bytes:
        return self.private.sign(message)


@pytest.fixture
def signer_of() -> type[SeedSigner]:
    return SeedSigner


@pytest.fixture
def signer() -> SeedSigner:
    return SeedSigner(hashlib.sha256(b"producer").digest())


@pytest.fixture
def shared_vectors() -> Path:
    folder = Path(__file__).parents[2] / "../shared/data/vectors"
    if not folder.is_dir():
        pytest.skip("published vectors are read from ../shared/data/vectors, which is not on this machine")
    return folder
