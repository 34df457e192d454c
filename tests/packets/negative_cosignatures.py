"""Packets whose ML-DSA-44 cosignature has one flaw each, under valid Ed25519 signatures: the log's own second one, and a witness's.

A flaw of the log's is FAILED; a flaw of the only witness leaves the quorum unmet, which is UNDECIDED and says which witness and why.
"""

import base64
import hashlib
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from packet_story import LOG, SeedSigner, make_story

from governor.ledger.note import MLDSA_COSIGNATURE, VerifierKey, cosigned_message, vkey

Built = tuple[bytes, bytes]
Raw = Callable[[str, VerifierKey], bytes]
WITNESS, WHEN = "w.example", 1_795_000_000
CASES: dict[str, Callable[[], Built]] = {}


def private(seed: str) -> MLDSA44PrivateKey:
    return MLDSA44PrivateKey.from_seed_bytes(hashlib.sha256(seed.encode()).digest())


def key_of(name: str, seed: str = "second") -> VerifierKey:
    return VerifierKey(name, MLDSA_COSIGNATURE, private(seed).public_key().public_bytes_raw())


def raw_of(
    text: str, key: VerifierKey, *, seed: str = "second", context: bytes = b"", signed: int = WHEN, key_id: bytes = b"", name: str = ""
) -> bytes:
    """Key id, time and signature, with what a case changes in them."""
    message = cosigned_message(name or key.name, signed, text)
    assert message is not None
    return (key_id or key.key_id) + WHEN.to_bytes(8, "big") + private(seed).sign(message, context)


def build(name: str, *raws: Raw, believed: str = "", kept: bool = True) -> Built:
    """The story's packet under a checkpoint with those cosignatures by `name`. `kept`: the log's Ed25519 key stays in the trust file."""
    story, key = make_story(), key_of(name)
    plain = story.checkpoint

    def checkpoint() -> str:
        note = plain()
        text = note.rpartition("\n\n")[0] + "\n"
        return note + "".join(f"\u2014 {name} {base64.b64encode(raw(text, key)).decode()}\n" for raw in raws)

    story.checkpoint = checkpoint  # type: ignore[method-assign]
    trust = story.trust.decode()
    if not kept:
        trust = "".join(f"{line}\n" for line in trust.splitlines() if not line.startswith("log "))
    believed = believed or (f"log {key.text}\nquorum none" if name == LOG else f"witness w {key.text}\nquorum w")
    return story.packet(), trust.replace("quorum none", believed).encode()


def flipped(at: int) -> Raw:
    """One bit of the raw line: 12 is the first byte of the signature's hash, 2431 its last hint count."""

    def raw(text: str, key: VerifierKey) -> bytes:
        whole = bytearray(raw_of(text, key))
        whole[at] ^= 1
        return bytes(whole)

    return raw


def of_another_size(text: str, key: VerifierKey) -> bytes:
    origin, _, root = text.splitlines()
    return raw_of(f"{origin}\n4\n{root}\n", key)


def of_another_root(text: str, key: VerifierKey) -> bytes:
    origin, size, _ = text.splitlines()
    return raw_of(f"{origin}\n{size}\n{'A' * 43}=\n", key)


def of_another_log(text: str, key: VerifierKey) -> bytes:
    return raw_of("other.example/ledger\n" + text.partition("\n")[2], key)


def of_the_text_itself(text: str, key: VerifierKey) -> bytes:
    """As an Ed25519 cosignature would be made."""
    return key.key_id + WHEN.to_bytes(8, "big") + private("second").sign(f"cosignature/v1\ntime {WHEN}\n{text}".encode())


FLAWS: dict[str, Raw] = {
    "by_another_key": lambda text, key: raw_of(text, key, seed="stranger"),
    "with_its_first_byte_flipped": flipped(12),
    "with_a_coefficient_flipped": flipped(700),
    "with_its_last_byte_flipped": flipped(2431),
    "with_a_context": lambda text, key: raw_of(text, key, context=b"governor"),
    "without_its_last_byte": lambda text, key: raw_of(text, key)[:-1],
    "with_one_byte_more": lambda text, key: raw_of(text, key) + b"\0",
    "of_its_time_alone": lambda text, key: raw_of(text, key)[:12],
    "cut_within_its_time": lambda text, key: raw_of(text, key)[:8],
    "with_its_time_moved": lambda text, key: raw_of(text, key, signed=WHEN - 1),
    "in_another_name": lambda text, key: raw_of(text, key, name="other.example"),
    "of_another_size": of_another_size,
    "of_another_root": of_another_root,
    "of_another_log": of_another_log,
    "of_the_text_itself": of_the_text_itself,
}
UNKNOWN: Raw = lambda text, key: raw_of(text, key, key_id=b"\0\0\0\1")  # noqa: E731
for flaw, raw in FLAWS.items():
    CASES[f"cosignature_{flaw}"] = lambda raw=raw: build(LOG, raw)  # type: ignore[misc]
    CASES[f"witness_mldsa_{flaw}"] = lambda raw=raw: build(WITNESS, raw)  # type: ignore[misc]
CASES["cosignature_twice_one_of_them_wrong"] = lambda: build(LOG, raw_of, FLAWS["by_another_key"])
CASES["cosignature_under_an_unknown_key_id"] = lambda: build(LOG, UNKNOWN, kept=False)
CASES["cosignature_missing_where_it_is_all_that_counts"] = lambda: build(LOG, kept=False)
CASES["cosignature_right_but_the_first_key_is_another"] = lambda: build(
    LOG, raw_of, believed=f"log {key_of(LOG).text}\nlog {vkey(LOG, SeedSigner('another log').public_key)}\nquorum none", kept=False
)
CASES["cosignature_key_no_longer_valid"] = lambda: build(LOG, raw_of, believed=f"log {key_of(LOG).text} 0..3\nquorum none", kept=False)
CASES["witness_mldsa_under_an_unknown_key_id"] = lambda: build(WITNESS, UNKNOWN)
CASES["witness_mldsa_missing"] = lambda: build(WITNESS)
CASES["witness_mldsa_key_behind_its_range"] = lambda: build(WITNESS, raw_of, believed=f"witness w {key_of(WITNESS).text} 0..3\nquorum w")
CASES["witness_mldsa_key_is_another"] = lambda: build(WITNESS, raw_of, believed=f"witness w {key_of(WITNESS, 'other').text}\nquorum w")
