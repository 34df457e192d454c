"""A C2SP witness (c2sp.org/tlog-witness): it cosigns a checkpoint only when a consistency proof leads there from the last one it saw.

Owns: add-checkpoint as a client, checking the cosignature. Does not own: the witness itself (`governor witness`, or any other program that speaks this).
Invariants: a cosignature counts only when it verifies under the configured key; a refusal that means another history is a conflict, never "try later".
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from governor.adapters.anchor_wire import Answer, exchange
from governor.errors import AnchorConflict, GovernorError, Refused, Unavailable
from governor.ledger.anchor import AnchorConfig, witness_keys
from governor.ledger.checkpoint import Checkpoint, parse_checkpoint, parse_decimal
from governor.ledger.note import parse_note
from governor.ports import AnchorReceipt

OK: Final = 200
FORBIDDEN: Final = 403
UNKNOWN: Final = 404
CONFLICT: Final = 409
NO_PROOF: Final = 422
ATTEMPTS: Final = 3  # another process of ours may publish at the same time


class WitnessAnchor:
    """`target` is the submission prefix, `key` the witness's vkey."""

    def __init__(self, config: AnchorConfig, origin: str, *, allow_private: bool) -> None:
        self._name, self._url, self._private = config.name, config.target.rstrip("/"), allow_private
        self._origin = origin
        self.key, *self._earlier = witness_keys(config)

    def publish(self, note: str, prove: Callable[[int], Sequence[bytes]]) -> AnchorReceipt:
        tree = parse_checkpoint(parse_note(note).text)
        old = tree.size  # it knows this one already, or says which one it knows
        for _ in range(ATTEMPTS):
            answer = self._add(note, old, prove(old) if 0 < old < tree.size else ())
            if answer.status == OK:
                return self._cosigned(note, answer)
            if answer.status != CONFLICT:
                break
            known = self._size(answer)
            if known > tree.size:
                raise AnchorConflict(f"witness {self._name} has cosigned {known} entries, the database shows {tree.size}")
            if known == old:
                raise AnchorConflict(f"witness {self._name} has cosigned another tree of {old} entries")
            old = known
        else:
            raise Unavailable(f"witness {self._name} was told of other checkpoints each time", hint="the next turn tries again")
        raise self._refusal(answer, tree)

    def kept(self, newest: str) -> list[str]:
        """What the witness cosigned last, where it shows that; else it is asked about `newest`, which is as good as comparing."""
        digest = hashlib.sha256(self._origin.encode()).hexdigest()
        answer = self._ask("GET", f"/logs/{digest}/checkpoint", b"")
        if answer.status == OK:
            note = answer.body.decode("utf-8", "replace")
            if not any(parse_note(note).signed_by(one) for one in (self.key, *self._earlier)):
                raise Unavailable(f"witness {self._name} shows a checkpoint that it did not cosign")
            return [note]
        if newest:
            tree = parse_checkpoint(parse_note(newest).text)
            answer = self._add(newest, tree.size, ())
            if answer.status == OK:
                return [newest]
            if answer.status != CONFLICT:
                raise self._refusal(answer, tree)
            known = self._size(answer)
            if known >= tree.size:
                raise AnchorConflict(f"witness {self._name} has cosigned a tree of {known} entries that the database does not show")
        return []

    def _add(self, note: str, old: int, proof: Sequence[bytes]) -> Answer:
        lines = [f"old {old}", *(base64.b64encode(step).decode() for step in proof), "", ""]
        return self._ask("POST", "/add-checkpoint", "\n".join(lines).encode() + note.encode())

    def _ask(self, method: str, path: str, body: bytes) -> Answer:
        return exchange(method, self._url + path, anchor=self._name, allow_private=self._private, body=body)

    def _cosigned(self, note: str, answer: Answer) -> AnchorReceipt:
        lines = answer.body.decode("utf-8", "replace")
        try:
            when = parse_note(parse_note(note).text + "\n" + lines).cosigned_at(self.key)
        except GovernorError:
            when = None
        if when is None:
            raise Unavailable(f"witness {self._name} answered without a cosignature of its configured key")
        ours = f"\u2014 {self.key.name} "
        kept = [
            line
            for line in lines.splitlines()
            if line.startswith(ours) and base64.b64decode(line.removeprefix(ours))[:4] == self.key.key_id
        ]
        return AnchorReceipt(f"cosigned by {self.key.name} at {when}", "".join(f"{line}\n" for line in kept).encode())

    def _size(self, answer: Answer) -> int:
        try:
            return parse_decimal(answer.body.decode("utf-8", "replace").removesuffix("\n"), "size")
        except GovernorError:
            raise Unavailable(f"witness {self._name} refuses without naming the size it knows") from None

    def _refusal(self, answer: Answer, tree: Checkpoint) -> GovernorError:
        if answer.status in {NO_PROOF, CONFLICT}:
            return AnchorConflict(f"witness {self._name} refuses {tree.size} entries: they do not continue the history that it cosigned")
        if answer.status in {FORBIDDEN, UNKNOWN}:
            return Refused(
                f"witness {self._name} does not know this log",
                hint=f"its operator must add the log key: `governor witness trust` with the vkey of {tree.origin}",
            )
        return Unavailable(f"witness {self._name} answers {answer.status}")
