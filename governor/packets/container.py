"""The packet file: a zip with one possible byte form, sealed by the issuer.

Owns: packing, strict unpacking, the seal. Does not own: what the files mean. Invariants: `mimetype` first, names sorted, `seal.note` last; no compression,
one fixed time; unpacking packs again and compares, so bytes a lenient zip reader would skip are still noticed.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from typing import Final

from governor.errors import IntegrityError
from governor.evidence import NAME
from governor.ledger.canonical import sha256_hex
from governor.ledger.note import NoteSigner, sign_note

MIMETYPE: Final = b"application/vnd.governor.packet.v1+zip"
NEWER: Final = re.compile(rb"application/vnd\.governor\.packet\.v[2-9][0-9]*\+zip")
SEAL: Final = "seal.note"
SEAL_HEADER: Final = "governor.example/packet-seal/v1"
STATEMENT: Final = "statement.dsse.json"
REPORT: Final = "report.pdf"
GUIDE: Final = "VERIFY.txt"
ISSUE_EVENT: Final = "packet.event.json"
ISSUE_PROOF: Final = "packet.tlog-proof"
RANGE_PROOF: Final = "range.proof"
RANGE: Final = "range.jsonl"
MAX_FILES: Final = 10_000
_FIXED: Final = frozenset({"mimetype", SEAL, STATEMENT, REPORT, GUIDE, ISSUE_EVENT, ISSUE_PROOF})
PERIOD: Final = frozenset({RANGE_PROOF, RANGE})  # a period packet holds both, a change packet none
_EVENT: Final = re.compile(r"events/(0|[1-9][0-9]{0,15})\.(json|tlog-proof)", re.ASCII)
_DISCLOSED: Final = re.compile(r"disclosures/(0|[1-9][0-9]{0,15})\.json", re.ASCII)
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_REGULAR: Final = 0o100644 << 16
_UNIX: Final = 3


class NewerVersion(IntegrityError):
    """Made by a later Governor: this verifier cannot decide."""

    code = "newer_version"


def pack(files: Mapping[str, bytes]) -> bytes:
    """The packet of these files (`mimetype` is added)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, body in ordered({**files, "mimetype": MIMETYPE}):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system, entry.external_attr = _UNIX, _REGULAR
            archive.writestr(entry, body)
    return buffer.getvalue()


def ordered(files: Mapping[str, bytes]) -> list[tuple[str, bytes]]:
    """In packet order."""
    return sorted(files.items(), key=lambda item: (item[0] != "mimetype", item[0] == SEAL, item[0].encode()))


def unpack(packet: bytes) -> dict[str, bytes]:
    """Every file of the packet. Raises IntegrityError unless `pack` would write exactly these bytes, NewerVersion for a later format."""
    try:
        with zipfile.ZipFile(io.BytesIO(packet)) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_FILES or sum(entry.file_size for entry in entries) > len(packet):
                raise IntegrityError("not a packet: sizes do not add up")
            if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits for entry in entries):
                raise IntegrityError("not a packet: compressed or flagged entries")
            files = {entry.filename: archive.read(entry) for entry in entries}
    except IntegrityError:
        raise
    except Exception as error:  # noqa: BLE001 - zipfile raises many kinds on maimed input
        raise IntegrityError(f"not a readable zip: {error}") from None
    if NEWER.fullmatch(files.get("mimetype", b"")):
        raise NewerVersion("this packet was made by a newer version", hint="verify it with a newer Governor")
    if files.get("mimetype") != MIMETYPE:
        raise IntegrityError("not a packet: mimetype is missing or wrong")
    if len(files) != len(entries) or pack(files) != packet:
        raise IntegrityError("bytes are not in canonical packet form")
    known = PERIOD if is_period(files) else frozenset[str]()
    unknown = sorted(name for name in files if name not in known and not known_name(name))
    if unknown:
        raise IntegrityError(f"unlisted file {unknown[0]}")
    missing = sorted(_FIXED - files.keys())
    if missing:
        raise IntegrityError(f"{missing[0]} is missing")
    return files


def is_period(files: Mapping[str, bytes]) -> bool:
    """Whether the packet speaks of a period rather than of one change."""
    return files.keys() >= PERIOD


def known_name(name: str) -> bool:
    """Whether version 1 of the packet has a place for this file."""
    if name.startswith("evidence/"):
        return NAME.fullmatch(name.removeprefix("evidence/")) is not None
    return name in _FIXED or _EVENT.fullmatch(name) is not None or _DISCLOSED.fullmatch(name) is not None


def seal_text(files: Mapping[str, bytes]) -> str:
    """What the issuer signs last: SHA-256 and name of every other file, as `sha256sum` writes them."""
    lines = [f"{sha256_hex(body)}  {name}" for name, body in ordered(files) if name != SEAL]
    return "\n".join([SEAL_HEADER, *lines]) + "\n"


def sealed(files: Mapping[str, bytes], name: str, signer: NoteSigner) -> dict[str, bytes]:
    """The files with `mimetype` and the seal over all of them."""
    whole = {**files, "mimetype": MIMETYPE}
    return {**whole, SEAL: sign_note(seal_text(whole), [(name, signer)]).encode()}
