"""When a bill's name of a model and ours mean the same model.

Owns: comparing names by their words and numbers. Invariants: an exact name wins; a snapshot date is ignored only where it does not tell two of our models apart;
an alias that only we use is the one snapshot on the bill; words that bills leave out count where nothing meets without them; no table of models.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

DAY: Final = r"(?:0[1-9]|[12]\d|3[01])"
DATE: Final = re.compile(
    rf"(?<!\d)(?:20\d{{2}}-?(?:0[1-9]|1[0-2])-?{DAY}|(?:0[1-9]|1[0-2]){DAY}|2[3-9](?:0[1-9]|1[0-2]))(?!\d)"
)  # Azure's meters leave out the year (4o 0806), Mistral's names the day (large-2407)
REVISION: Final = re.compile(r"(?:(?:[-_@: ]|(?<=[a-z]))v(\d+)(?::\d+)?|[-_@:]\d+:\d+)(?::\d+k)?$")
GENERATION: Final = re.compile(r"[- ]g(\d)(?![a-z0-9])")  # AWS bills Titan's first revision as its first generation: TitanTextG1-Express
CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
PREFIX: Final = re.compile(r"^(?:(?:us|eu|apac|global|jp|au|us-gov)\.)?(?:[a-z0-9]+\.(?=[a-z]))?")
NOISE: Final = frozenset(
    {"latest", "text", "models", "model", "tokens", "global", "bedrock", "anthropic", "openai", "azure", "google", "meta", "amazon"}
)
MULTIMODAL: Final = re.compile(r"multi[- ]?modal")
ROOTS: Final = {
    "embedding": "embed",
    "embeddings": "embed",
    "multimodal": "image",
}  # titan-embed-image is sold as Titan Multimodal Embeddings
VAGUE: Final = frozenset({"instruct", "preview"})  # bills leave them out: Llama4-Maverick-17B, Gemini 3 Pro
Words = tuple[tuple[str, ...], tuple[str, ...]]


def words_of(model: str, *, camel: bool = False, maker: bool = False) -> Words:
    """The words of a name in any order and its numbers in theirs: `Claude4.6Sonnet` and `us.anthropic.claude-sonnet-4-6-v1:0` are the same.

    `camel`: a capital after a small letter begins a word (`NovaPro`). `maker`: with who made it (`deepseek.r1-v1:0` is DeepSeek-R1).
    """
    spaced = CAMEL.sub(" ", model) if camel else model
    plain = spaced.strip().lower().rsplit("/", 1)[-1]
    plain = MULTIMODAL.sub("multimodal", plain)
    plain = DATE.sub(" ", GENERATION.sub(" ", REVISION.sub("", plain if maker else PREFIX.sub("", plain, count=1))))
    found = [ROOTS.get(word, word) for word in re.findall(r"[a-z]+|\d+", plain)]
    return tuple(sorted(word for word in found if not word.isdigit() and word not in NOISE)), tuple(
        word for word in found if word.isdigit()
    )


def loosely(words: Words) -> Words:
    """Without what bills leave out or add: `Nova2.0Lite` is amazon.nova-2-lite."""
    names, numbers = words
    while numbers and not int(numbers[-1]):
        numbers = numbers[:-1]
    return tuple(word for word in names if word not in VAGUE), numbers


def snapshot(model: str) -> str:
    """Month and day of a snapshot's date, which every provider writes; empty without one."""
    found = DATE.search(model)
    return re.sub(r"\D", "", found[0])[-4:] if found else ""


def revision(model: str) -> str:
    """The number behind the v of its end, or of its generation; empty without one."""
    plain = CAMEL.sub(" ", model).strip().lower()
    found = REVISION.search(plain) or GENERATION.search(plain)
    return (found[1] if found else "") or ""


def _other_revision(one: str, other: str) -> bool:
    return "" not in {revision(one), revision(other)} and revision(one) != revision(other)


def _alike(own: list[str], theirs: list[str]) -> dict[str, list[str]]:
    """Bill's name -> ours of the same words; where there is none, those that differ in what bills leave out, unless another name of the bill means them.

    A name of the bill without any number (`NovaMultiModalEmbeddings`) is the one of ours that has its words.
    """
    by_words: dict[Words, list[str]] = defaultdict(list)
    by_loose: dict[Words, list[str]] = defaultdict(list)
    for name in own:
        for words in dict.fromkeys((words_of(name), words_of(name, maker=True))):
            by_words[words].append(name)
        by_loose[loosely(words_of(name))].append(name)
    said = {name: (words_of(name), words_of(name, camel=True)) for name in theirs}
    strict = {name: next((by_words[one] for one in said[name] if one in by_words), []) if name else [] for name in theirs}
    met = {one for found in strict.values() for one in found}
    found = {}
    for name in theirs:
        loose = next((by_loose[loosely(one)] for one in said[name] if loosely(one) in by_loose), []) if name else []
        found[name] = [one for one in strict[name] or [one for one in loose if one not in met] if not _other_revision(one, name)]
    met = {one for mine in found.values() for one in mine}
    for name in theirs:
        words = words_of(name, camel=True)
        if name and not found[name] and words[0] and not words[1]:
            numbered = [one for one in own if one not in met and loosely(words_of(one))[0] == loosely(words)[0]]
            found[name] = numbered if len(numbered) == 1 and not _other_revision(numbered[0], name) else []
    claims: dict[str, set[str]] = defaultdict(set)  # what the bill says with a date or revision; a name without one is not that as well
    for name in theirs:
        for one in found[name]:
            if snapshot(one) == snapshot(name) != "" or revision(one) == revision(name) != "":
                claims[one].add(name)
    for name in theirs:
        mine = [one for one in found[name] if name in claims[one]]
        found[name] = mine or [one for one in found[name] if not claims[one]] or found[name]
    return found


def matched_names(ours: Iterable[str], billed: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Our name -> the name to compare under, and the same for the bill's. Names that meet nobody stay as they are."""
    own, theirs = sorted(set(ours)), sorted(set(billed))
    exact = {name.lower(): name for name in own}
    likeness = _alike(own, theirs)
    from_ours = {name: name for name in own}
    from_bill: dict[str, str] = {}
    for name in theirs:
        alike = likeness[name]
        if name.lower() in exact:
            from_bill[name] = exact[name.lower()]
        elif len(alike) == 1:
            from_bill[name] = alike[0]
        elif alike and not any(other.lower() in {one.lower() for one in theirs} for other in alike):
            from_bill[name] = name  # the bill does not tell the snapshots apart, so neither does the comparison
            from_ours |= dict.fromkeys(alike, name)
        else:
            from_bill[name] = name
    billed_as: dict[Words, set[str]] = defaultdict(set)
    for name in filter(None, theirs):
        billed_as[words_of(name)].add(from_bill[name])
    for name in own:  # an alias without a date that the bill never names is the one snapshot that it does
        meant = {one for one in billed_as[words_of(name)] if not _other_revision(one, name)}
        if len(meant) == 1 and from_ours[name] == name and not DATE.search(name) and name not in from_bill.values():
            from_ours[name] = next(iter(meant))
    return from_ours, from_bill
