"""The offline root: the one key an auditor compares by eye, and which signs the trust file that names all others.

Owns: its folder (`root.pem`, `root.name`), the signed form of a trust text. Does not own: what the text says (ledger/trust.py).
Invariants: never inside the home; a root that exists is not overwritten; it signs only text that parses as a trust file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from governor.adapters.key_files import KeySigner, make_key, read_key
from governor.adapters.secrets import secret_of
from governor.errors import Invalid, NotFound, Refused
from governor.ledger.note import parse_vkey, sign_note, vkey
from governor.ledger.trust import parse_trust


@dataclass(frozen=True)
class Root:
    name: str
    signer: KeySigner

    @property
    def vkey(self) -> str:
        return vkey(self.name, self.signer.public_key)

    @property
    def key_id(self) -> str:
        return self.signer.key_id

    def sign(self, text: str) -> str:
        """The trust text with its `root` line, as a signed note. Raises Invalid for text that is no trust file or names another root."""
        line = f"root {self.vkey}\n"
        named = [one for one in text.splitlines() if one.split(" ")[0] == "root"]
        if named and f"{named[0]}\n" != line:
            raise Invalid("this trust file names another root")
        signed = sign_note(text if named else line + text, [(self.name, self.signer)])
        parse_trust(signed.encode())
        return signed


def make_root(folder: Path, name: str, passphrase: str, *, home: Path) -> Root:
    """Raises Refused inside the home or where a root exists."""
    if folder.absolute().resolve().is_relative_to(home.absolute().resolve()):
        raise Refused("the root does not belong into the home", hint="choose a medium that is kept offline")
    if (folder / "root.pem").exists():
        raise Refused(f"{folder} holds a root already", hint="a root is replaced by a new letter to the auditors, not in place")
    parse_vkey(vkey(name, bytes(32)))  # a name that a note can carry
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    make_key(folder / "root.pem", Ed25519PrivateKey.generate(), secret_of(passphrase))
    (folder / "root.name").write_text(f"{name}\n", encoding="utf-8")
    return open_root(folder, passphrase)


def open_root(folder: Path, passphrase: str = "") -> Root:
    try:
        name = (folder / "root.name").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise NotFound(f"no root key in {folder}", hint="make one with `governor trust root init`") from None
    return Root(name, read_key(folder / "root.pem", secret_of(passphrase)))
