"""RFC 3161: a timestamping authority signs that it saw a checkpoint no later than an instant.

Owns: request, verification, the tokens kept in the home. Does not own: the authority. Invariants: a token is kept only after it verified against a
configured root and over exactly this note; one over another note is never written over; it proves an age, it does not keep the note for us, so it
never counts as outside.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Final

import rfc3161_client as rfc3161
from cryptography import x509

from governor.adapters.anchor_wire import exchange
from governor.errors import Misconfigured, Unavailable
from governor.ledger.anchor import AnchorConfig
from governor.ledger.checkpoint import parse_checkpoint
from governor.ledger.note import parse_note
from governor.ports import AnchorReceipt

OK: Final = 200
READ_BACK: Final = 50  # the newest of each log name; each vouches for all before it
QUERY: Final = {"content-type": "application/timestamp-query"}


class TimestampAnchor:
    """`target` is the authority's URL, `key` the path of its root certificates (PEM); `folder` holds SIZE.note beside SIZE.tsr.

    A log that went on from an older state has other notes of sizes that were lost: those lie beside them as SIZE-2.note.
    """

    def __init__(self, config: AnchorConfig, *, folder: Path, allow_private: bool) -> None:
        self._name, self._url, self._root = config.name, config.target, Path(config.key)
        self._folder, self._private = folder, allow_private

    def publish(self, note: str, prove: Callable[[int], Sequence[bytes]]) -> AnchorReceipt:  # noqa: ARG002 - an authority asks for no proof
        size = parse_checkpoint(parse_note(note).text).size
        request = rfc3161.TimestampRequestBuilder().data(note.encode()).nonce(nonce=True).cert_request(cert_request=True).build()
        answer = exchange("POST", self._url, anchor=self._name, allow_private=self._private, body=request.as_bytes(), headers=QUERY)
        if answer.status != OK:
            raise Unavailable(f"anchor {self._name} answers {answer.status}")
        try:
            token = rfc3161.decode_timestamp_response(answer.body)
            self._rooted(rfc3161.VerifierBuilder.from_request(request)).build().verify_message(token, note.encode())
        except (ValueError, TypeError, rfc3161.VerificationError) as error:
            raise Unavailable(f"anchor {self._name}: its token does not verify: {error}"[:300]) from None
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        place = self._place(size, note.encode())
        for suffix, body in ((".tsr", answer.body), (".note", note.encode())):
            temporary = self._folder / f".{size}{suffix}.{os.getpid()}"
            temporary.write_bytes(body)
            temporary.replace(place.with_suffix(suffix))
        return AnchorReceipt(f"existed by {token.tst_info.gen_time.isoformat()}", answer.body)

    def kept(self, newest: str) -> list[str]:  # noqa: ARG002 - the tokens in the home are asked
        """The newest notes of each log name, whose tokens still verify against the roots."""
        notes: dict[bytes, list[tuple[int, Path, bytes]]] = {}
        for path in self._folder.glob("*.note"):
            note = path.read_bytes()
            notes.setdefault(note.partition(b"\n")[0], []).append((size_of(path), path, note))
        recent = sorted(one for some in notes.values() for one in sorted(some)[-READ_BACK:])
        for _, path, note in recent:
            try:
                response = rfc3161.decode_timestamp_response(path.with_suffix(".tsr").read_bytes())
                self._rooted(rfc3161.VerifierBuilder()).build().verify_message(response, note)
            except (OSError, ValueError, TypeError, rfc3161.VerificationError) as error:
                raise Unavailable(f"anchor {self._name}: the token of size {path.stem} does not verify: {error}"[:300]) from None
        return [note.decode() for _, _, note in recent]

    def _place(self, size: int, note: bytes) -> Path:
        """Where this note is, or would be."""
        for number in count(1):
            path = self._folder / (f"{size}.note" if number == 1 else f"{size}-{number}.note")
            if not path.exists() or path.read_bytes() == note:
                break
        return path

    def _rooted(self, builder: rfc3161.VerifierBuilder) -> rfc3161.VerifierBuilder:
        """With every root of the file: an authority that changed its root leaves tokens under the earlier one."""
        try:
            roots = x509.load_pem_x509_certificates(self._root.read_bytes())
        except (OSError, ValueError) as error:
            raise Misconfigured(f"anchor {self._name}: {self._root} is no certificate: {error}") from None
        for root in roots:
            builder = builder.add_root_certificate(root)
        return builder


def size_of(path: Path) -> int:
    """0 for a file that is none of ours."""
    size = path.stem.partition("-")[0]
    return int(size) if size.isdecimal() else 0
