"""RFC 3161: a timestamping authority signs that it saw a checkpoint no later than an instant.

Owns: request, verification, the tokens kept in the home. Does not own: the authority. Invariants: a token is kept only after it verified against the
configured root and over exactly this note; it proves an age, it does not keep the note for us, so it never counts as outside.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
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
QUERY: Final = {"content-type": "application/timestamp-query"}


class TimestampAnchor:
    """`target` is the authority's URL, `key` the path of its root certificate; `folder` holds SIZE.note beside SIZE.tsr."""

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
            rfc3161.VerifierBuilder.from_request(request).add_root_certificate(self._certificate()).build().verify_message(
                token, note.encode()
            )
        except (ValueError, TypeError, rfc3161.VerificationError) as error:
            raise Unavailable(f"anchor {self._name}: its token does not verify: {error}"[:300]) from None
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for suffix, body in ((".tsr", answer.body), (".note", note.encode())):
            temporary = self._folder / f".{size}{suffix}.{os.getpid()}"
            temporary.write_bytes(body)
            temporary.replace(self._folder / f"{size}{suffix}")
        return AnchorReceipt(f"existed by {token.tst_info.gen_time.isoformat()}", answer.body)

    def kept(self, newest: str) -> list[str]:  # noqa: ARG002 - the tokens in the home are asked
        """Notes whose token still verifies against the root."""
        found = []
        files = sorted(self._folder.glob("*.note"), key=lambda path: int(path.stem)) if self._folder.is_dir() else []
        for path in files:
            note, token = path.read_bytes(), path.with_suffix(".tsr")
            try:
                response = rfc3161.decode_timestamp_response(token.read_bytes())
                rfc3161.VerifierBuilder().add_root_certificate(self._certificate()).build().verify_message(response, note)
            except (OSError, ValueError, TypeError, rfc3161.VerificationError) as error:
                raise Unavailable(f"anchor {self._name}: the token of size {path.stem} does not verify: {error}"[:300]) from None
            found.append(note.decode())
        return found

    def _certificate(self) -> x509.Certificate:
        try:
            return x509.load_pem_x509_certificate(self._root.read_bytes())
        except (OSError, ValueError) as error:
            raise Misconfigured(f"anchor {self._name}: {self._root} is no certificate: {error}") from None
