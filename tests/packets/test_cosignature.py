"""ML-DSA-44 in all three verifiers: the published cases, the library beside them, and the same words for a cosignature present, missing or wrong."""

import base64
import json
import random
import time
from pathlib import Path
from typing import Any

import negative_cosignatures as cosigned
import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from packet_story import LOG
from verifiers import ask_node, by_program, in_node, ours

from governor.packets.standalone_verifier import mldsa44

Asked = tuple[bytes, bytes, bytes, bytes]
FOREIGN = cosigned.FLAWS["by_another_key"]


def in_page(asked: list[Asked]) -> list[bool]:
    (answers,) = ask_node([{"mldsa44": [[base64.b64encode(part).decode() for part in one] for one in asked]}])
    return [bool(answer) for answer in answers]


def published(shared_vectors: Path) -> list[tuple[Asked, bool]]:
    groups = json.loads((shared_vectors / "wycheproof/mldsa_44_verify_test.json").read_text())["testGroups"]
    return [
        (
            (*(bytes.fromhex(text) for text in (group["publicKey"], case["msg"], case["sig"], case.get("ctx", ""))),),
            case["result"] == "valid",
        )
        for group in groups
        for case in group["tests"]
    ]


def test_published_cases_valid_and_invalid(shared_vectors: Path) -> None:
    cases = published(shared_vectors)
    assert (len(cases), sum(good for _, good in cases)) == (180, 77)
    assert [mldsa44(*asked) for asked, _ in cases] == [good for _, good in cases]


def test_published_cases_in_the_page(shared_vectors: Path) -> None:
    cases = published(shared_vectors)
    assert in_page([asked for asked, _ in cases]) == [good for _, good in cases]


def drawn() -> list[tuple[Asked, bool]]:
    """Signatures by the library under fixed keys, then each with one bit of it, of the message, the key or the context changed."""
    chance, cases = random.Random(44), list[tuple[Asked, bool]]()
    for size, spoken in ((0, 0), (1, 255), (135, 0), (136, 1), (137, 0), (4000, 8)):
        key, message, context = MLDSA44PrivateKey.from_seed_bytes(chance.randbytes(32)), chance.randbytes(size), chance.randbytes(spoken)
        good = (key.public_key().public_bytes_raw(), message, key.sign(message, context), context)
        cases.append((good, True))
        for part in range(4):
            if good[part]:
                wrong = bytearray(good[part])
                wrong[chance.randrange(len(wrong))] ^= 1 << chance.randrange(8)
                cases.append(((*good[:part], bytes(wrong), *good[part + 1 :]), False))
        cases.append(((*good[:3], context + b"x"), False))
    return cases


def test_the_library_agrees() -> None:
    cases = drawn()
    assert len(cases) > 30
    assert [mldsa44(*asked) for asked, _ in cases] == [good for _, good in cases]
    assert in_page([asked for asked, _ in cases]) == [good for _, good in cases]


def test_one_signature_in_plain_python_is_quick() -> None:
    asked, _ = drawn()[0]
    times = []
    for _ in range(5):
        begun = time.process_time()
        assert mldsa44(*asked)
        times.append(time.process_time() - begun)
    assert min(times) < 0.3


def second(*raws: Any, **more: Any) -> Any:
    return cosigned.build(LOG, *raws, **more)


def witness(*raws: Any, believed: str = "") -> Any:
    return cosigned.build(cosigned.WITNESS, *raws, believed=believed.replace("KEY", cosigned.key_of(cosigned.WITNESS).text))


SEEN = "seen no later than 2026-11-18T11:06:40Z"
NONE = "no witness required by the trust file"
SAID = {
    "the log's, present": (lambda: second(cosigned.raw_of), "VERIFIED", "ok", f"size 15, log key ok, ML-DSA-44 cosignature ok, {NONE}"),
    "the log's, missing": (second, "VERIFIED", "warn", f"size 15, log key ok, ML-DSA-44 cosignature missing, {NONE}"),
    "the log's, of an unknown key": (
        lambda: second(cosigned.UNKNOWN), "VERIFIED", "warn", f"size 15, log key ok, ML-DSA-44 cosignature missing, {NONE}",
    ),
    "the log's, wrong": (lambda: second(FOREIGN), "FAILED", "fail", f"the ML-DSA-44 cosignature of {LOG} does not verify"),
    "the log's, of a key for other trees": (
        lambda: second(believed=f"log {cosigned.key_of(LOG).text} 16..\nquorum none"), "VERIFIED", "ok", f"size 15, log key ok, {NONE}",
    ),
    "the log's, without an Ed25519 key": (
        lambda: second(cosigned.raw_of, kept=False), "VERIFIED", "ok", f"size 15, log key ok, ML-DSA-44 cosignature ok, {NONE}",
    ),
    "a witness's, present": (lambda: witness(cosigned.raw_of), "VERIFIED", "ok", f"size 15, log key ok, witnesses 1 of 1: {SEEN}"),
    "a witness's, missing": (
        witness, "UNDECIDED", "undecided", "size 15, log key ok, but witnesses 0 of 1 do not meet quorum w: w has not cosigned",
    ),
    "a witness's, wrong": (
        lambda: witness(FOREIGN), "UNDECIDED", "undecided", "size 15, log key ok, but witnesses 0 of 1 do not meet quorum w: w cosigned wrongly",
    ),
    "a witness's, wrong where none is required": (
        lambda: witness(FOREIGN, believed="witness w KEY\nquorum none"), "VERIFIED", "warn", f"size 15, log key ok, {NONE}; w cosigned wrongly",
    ),
}  # fmt: skip


def test_three_programs_say_the_same_words() -> None:
    built = {name: make() for name, (make, *_) in SAID.items()}
    for (name, pair), page in zip(built.items(), in_node(built.values()), strict=True):
        found, (_, *expected) = ours(*pair), SAID[name]
        assert found == by_program(*pair) == page, name
        (line,) = [check for check in found["checks"] if check["name"] == "checkpoint"]
        assert [found["result"], line["status"], line["detail"]] == expected, name


@pytest.mark.parametrize("name", ["cosignature_by_another_key", "witness_mldsa_by_another_key"])
def test_without_its_flaw_the_packet_verifies(name: str) -> None:
    """The flaw is what is answered, and not how the case is built."""
    assert ours(*cosigned.CASES[name]())["result"] != "VERIFIED"
    assert ours(*cosigned.build(LOG if name.startswith("cosig") else cosigned.WITNESS, cosigned.raw_of))["result"] == "VERIFIED"
