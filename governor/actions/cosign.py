"""A witness decides: cosign a checkpoint, or refuse it (c2sp.org/tlog-witness, add-checkpoint).

Owns: the rule and its answers. Does not own: what is remembered (store/witness.py), HTTP (api/witness.py).
Invariants: never two cosigned trees of one log that do not continue each other, nor a smaller one after a larger; compare and remember are one
transaction, on disk before the answer leaves.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from governor.errors import GovernorError, IntegrityError, Invalid
from governor.ledger.checkpoint import Checkpoint, parse_checkpoint, parse_decimal
from governor.ledger.cosign import cosign, cosign_mldsa
from governor.ledger.merkle import EMPTY_ROOT, HASH_SIZE, verify_consistency
from governor.ledger.note import COSIGNATURE, Note, VerifierKey, parse_note, strict_base64
from governor.store.witness import Seen, WitnessFolder

log = logging.getLogger(__name__)
MOST_PROOF: Final = 63
PLAIN: Final = "text/plain; charset=utf-8"
SIZE: Final = "text/x.tlog.size"


@dataclass(frozen=True)
class Reply:
    status: int
    body: str
    media_type: str = PLAIN


@dataclass(frozen=True)
class Submission:
    old: int
    proof: tuple[bytes, ...]
    note: Note
    tree: Checkpoint


def add_checkpoint(witness: WitnessFolder, body: bytes, now: int) -> Reply:
    """`now` in Unix seconds."""
    try:
        asked = parse_submission(body)
    except GovernorError as error:
        return Reply(400, f"{error.message}\n")
    keys = witness.logs().get(asked.tree.origin)
    if not keys:
        return Reply(404, "unknown log\n")
    key = next((one for one in keys if asked.note.signed_by(one)), None)
    if key is None:
        return Reply(403, "no valid signature of a known key of this log\n")
    if asked.old > asked.tree.size:
        return Reply(400, "the old size is larger than the checkpoint\n")
    with witness.transaction() as connection:
        seen = witness.seen(connection, asked.tree.origin)
        refusal = refuse(asked, seen)
        if refusal is None:
            lines = cosign(asked.note.text, witness.name, witness.signer, now)
            lines += cosign_mldsa(asked.note.text, witness.name, witness.mldsa_signer, now)
            for algorithm, older in witness.previous:
                lines += (cosign if algorithm == COSIGNATURE else cosign_mldsa)(asked.note.text, witness.name, older, now)
            note = f"{asked.note.text}\n{signature_line(body, key)}{lines}"
            witness.see(connection, asked.tree.origin, Seen(asked.tree.size, asked.tree.root, note))
            answer = Reply(200, lines)
    if refusal is None:
        return answer
    if contradicts(asked, seen, refusal):
        kept = witness.keep_refused(body)
        log.error(
            "log %s signed a tree of %d that does not continue what was cosigned; kept as %s", asked.tree.origin, asked.tree.size, kept
        )
    return refusal


def parse_submission(body: bytes) -> Submission:
    """Raises Invalid for anything but `old N`, proof lines, an empty line and a checkpoint."""
    try:
        head, found, rest = body.decode("utf-8").partition("\n\n")
    except UnicodeDecodeError:
        raise Invalid("not UTF-8") from None
    first, *lines = head.split("\n")
    if not found or not first.startswith("old ") or len(lines) > MOST_PROOF:
        raise Invalid("an `old` line, at most 63 proof lines and an empty line are needed")
    proof = tuple(strict_base64(line) for line in lines)
    if any(len(step) != HASH_SIZE for step in proof):
        raise Invalid("a proof line is no SHA-256 hash")
    note = parse_note(rest)
    return Submission(parse_decimal(first.removeprefix("old "), "old size"), proof, note, parse_checkpoint(note.text))


def refuse(asked: Submission, seen: Seen | None) -> Reply | None:
    """None when the checkpoint continues what was cosigned last."""
    known = seen.size if seen is not None else 0
    if asked.old != known:
        return Reply(409, f"{known}\n", SIZE)
    if seen is not None and asked.tree.size == known and asked.tree.root != seen.root:
        return Reply(409, f"{known}\n", SIZE)
    try:
        if known in {0, asked.tree.size}:
            if asked.proof or (asked.tree.size == 0 and asked.tree.root != EMPTY_ROOT):
                raise IntegrityError("nothing is to be proven here")
        elif seen is not None:
            verify_consistency(known, asked.tree.size, seen.root, asked.tree.root, asked.proof)
    except IntegrityError as error:
        return Reply(422, f"consistency proof: {error.message}\n")
    return None


def contradicts(asked: Submission, seen: Seen | None, refusal: Reply) -> bool:
    """Whether the refused request, signed by the log, is worth keeping: same size with another root, or a proof that fails."""
    if seen is None:
        return False
    return refusal.status == 422 or (asked.tree.size == seen.size and asked.tree.root != seen.root)  # noqa: PLR2004


def signature_line(body: bytes, key: VerifierKey) -> str:
    """The log's own signature as it was sent; lines of strangers are not passed on."""
    lines = body.decode().rpartition("\n\n")[2].splitlines()
    return next(
        f"{line}\n" for line in lines if parse_note(f"x\n\n{line}\n").signatures[0].key_id == key.key_id and f" {key.name} " in line
    )
