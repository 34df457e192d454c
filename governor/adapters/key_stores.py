"""Keys that are no file in the home, by address: `file:PATH`, `hv:NAME/VERSION` (HashiCorp Vault transit), and what securesystemslib offers besides.

Owns: opening a signer at an address. Does not own: which key is used for what (keys.py), credentials (each store reads its own from the environment,
such as VAULT_ADDR and VAULT_TOKEN). Invariants: only Ed25519 keys sign here, because checkpoints and seals are Ed25519 notes; a first signature is
checked against the public key before the signer is handed out. Exercised in tests: file and Vault; other stores are passed on untested.
"""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from governor.adapters.key_files import read_key
from governor.errors import GovernorError, Invalid, Unavailable
from governor.ledger.canonical import sha256_hex
from governor.ledger.note import KEY_SIZE
from governor.ports import Signer

UNTESTED: Final = ("awskms", "gcpkms", "azurekms", "hsm")
SCHEMES: Final = ("file", "hv", *UNTESTED)
ENCRYPTED: Final = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
PROBE: Final = b"governor: is this the key"


@dataclass
class StoreSigner:
    """governor.ports.Signer over a signer of securesystemslib; the private key stays in its store."""

    key_id: str
    public_key: bytes
    _signer: Any = field(repr=False)
    _address: str = ""

    def sign(self, message: bytes) -> bytes:
        try:
            return bytes.fromhex(self._signer.sign(message).signature)
        except Exception as error:
            raise Unavailable(f"the key store of {self._address} does not sign: {type(error).__name__}", hint="docs/keys.md") from error


def open_key(address: str, passphrase: bytes | None = None) -> Signer:
    """Raises Invalid for an address that names no usable key, Unavailable where the store does not answer. `passphrase`: of a file that is encrypted."""
    scheme, _, rest = address.partition(":")
    if scheme not in SCHEMES or not rest:
        raise Invalid(f"{address!r} is no address of a key", hint=f"addresses begin with {', '.join(f'{one}:' for one in SCHEMES)}")
    if scheme == "file":
        return _file_key(Path(rest), passphrase)
    address, _, public_file = address.partition("#")
    try:
        public = _vault_key(address) if scheme == "hv" else _public_file(public_file)
        found = _signer(address, public)
    except GovernorError:
        raise
    except Exception as error:
        raise Unavailable(
            f"the key store of {address} gives no signer: {type(error).__name__}: {error}", hint="see docs/keys.md"
        ) from error
    try:
        public.verify(found.sign(PROBE), PROBE)
    except InvalidSignature:
        raise Invalid(f"the key at {address} is not the one whose public key was given") from None
    return found


def whole_address(address: str) -> str:
    """As it may be kept: other processes stand in other folders."""
    scheme, _, rest = address.partition(":")
    return f"file:{Path(rest).absolute()}" if scheme == "file" else address


def _file_key(path: Path, passphrase: bytes | None) -> Signer:
    """A credential that the system hands over is in the clear, whatever the files of the home are."""
    try:
        found = read_key(path, passphrase if ENCRYPTED in path.read_bytes() else None)
    except OSError as error:
        raise Invalid(f"no key can be read at {path}: {error.strerror}") from None
    if len(found.public_key) != KEY_SIZE:
        raise Invalid(f"the key at {path} is not an Ed25519 key", hint="the log, packets and entries are signed with Ed25519")
    return found


def _signer(address: str, public: Ed25519PublicKey) -> StoreSigner:
    from securesystemslib import signer as stores

    raw = public.public_bytes_raw()
    return StoreSigner(sha256_hex(raw), raw, stores.Signer.from_priv_key_uri(address, stores.SSlibKey.from_crypto(public)), address)  # type: ignore[attr-defined]


def _vault_key(address: str) -> Ed25519PublicKey:
    """The public key of exactly the version that the address names."""
    name, slash, version = address.removeprefix("hv:").partition("/")
    if not slash or not version.isdecimal():
        raise Invalid(f"{address!r} names no version of a key", hint="write hv:NAME/VERSION")
    try:
        import hvac  # type: ignore[import-untyped]
    except ImportError:
        raise Unavailable("keys in Vault need the package hvac", hint="pip install hvac beside Governor") from None
    held = hvac.Client().secrets.transit.read_key(name)["data"]
    if held.get("type") != "ed25519" or version not in held["keys"]:
        raise Invalid(f"Vault holds no Ed25519 key {name} of version {version}")
    return Ed25519PublicKey.from_public_bytes(b64decode(held["keys"][version]["public_key"]))


def _public_file(path: str) -> Ed25519PublicKey:
    if not path:
        raise Invalid("the address of a key needs its public key", hint="append #FILE, a PEM file of the public key")
    try:
        found = serialization.load_pem_public_key(Path(path).read_bytes())
    except (OSError, ValueError):
        raise Invalid(f"{path} holds no public key", hint="what follows # is a PEM file of the key's public half") from None
    if not isinstance(found, Ed25519PublicKey):
        raise Invalid("checkpoints and packets are signed with Ed25519; this key is of another kind")
    return found
