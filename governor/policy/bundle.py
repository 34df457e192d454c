"""The bundle: every module and table that decides, with one revision over their bytes.

Owns: which files belong, the revision, the deterministic tar.gz that an OPA server can pull. Does not own: the catalog (data.catalog is added when
an engine is loaded: `Bundle.data_with`). Invariants: same files, same revision; a bundle without rules or without a collection is refused.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable
from operator import itemgetter
from pathlib import Path
from typing import Any

from governor.errors import Invalid
from governor.policy.metadata import rule_book

ENTRYPOINTS = ("call", "window", "replay", "change")
MAX_FILE_BYTES = 1024 * 1024  # what the embedded engine takes; a rule this long is no rule


@dataclass(frozen=True)
class Bundle:
    """modules and tests: file name -> Rego; data: `tables` (data/*.json) and `rulebook`; revision: hex sha256."""

    modules: Mapping[str, str]
    data: Mapping[str, Any]
    revision: str
    tests: Mapping[str, str] = field(default_factory=dict)

    def data_with(self, catalog: Mapping[str, Any]) -> dict[str, Any]:
        """What an engine loads: the bundle's own data and data.catalog."""
        return {**self.data, "catalog": catalog}


def canonical(value: Any) -> bytes:
    """Sorted keys, no blanks, UTF-8: the same walk OPA hashes structured bundle files by."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest(value: Any) -> str:
    return hashlib.sha256(canonical(value)).hexdigest()


def load_bundle(directory: Path | None = None) -> Bundle:
    """The policies that ship with this distribution, or those of a directory of the same shape. Raises Invalid naming the file."""
    root: Traversable = files("policies") if directory is None else directory
    if not root.is_dir():
        raise Invalid(f"{directory} is not a directory of policies")
    modules: dict[str, str] = {}
    tests: dict[str, str] = {}
    tables: dict[str, Any] = {}
    for name, text in _texts(root):
        if name.endswith(".rego"):
            (tests if name.endswith("_test.rego") else modules)[name] = text
        else:
            try:
                tables[name.removeprefix("data/").removesuffix(".json")] = json.loads(text)
            except ValueError as error:
                raise Invalid(f"{name}: not JSON: {error}") from None
    if not any(name.startswith("rules/") for name in modules):
        raise Invalid("the bundle has no rule: an empty rule set allows nothing and is refused")
    missing = [name for name in ENTRYPOINTS if f"collections/{name}.rego" not in modules]
    if missing:
        raise Invalid(f"the bundle lacks collections/{missing[0]}.rego")
    data = {"tables": tables, "rulebook": rule_book(modules)}
    return Bundle(modules=modules, data=data, revision=digest({"modules": modules, "data": data}), tests=tests)


def copy_shipped(directory: Path) -> list[str]:
    """Write the shipped rules, tests and tables into a new or empty directory. Returns their names. Raises Invalid where something is there already."""
    if directory.exists() and not (directory.is_dir() and next(directory.iterdir(), None) is None):
        raise Invalid(f"{directory} is there already", hint="name a new or an empty directory; nothing was written")
    texts = dict(_texts(files("policies")))
    for name, text in texts.items():
        place = directory / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8", newline="")
    return list(texts)


def _texts(root: Traversable) -> Iterator[tuple[str, str]]:
    """Names and texts of what belongs to a bundle: Rego, and the tables of data/."""
    for name, item in sorted(_walk(root, ""), key=itemgetter(0)):
        if name.endswith(".rego") or (name.startswith("data/") and name.endswith(".json")):
            yield name, _text(name, item)


def _walk(root: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for item in root.iterdir():
        if item.name.startswith((".", "__")):
            continue
        if item.is_dir():
            yield from _walk(item, f"{prefix}{item.name}/")
        else:
            yield prefix + item.name, item


def _text(name: str, item: Traversable) -> str:
    body = item.read_bytes()
    if len(body) > MAX_FILE_BYTES:
        raise Invalid(f"{name}: larger than {MAX_FILE_BYTES} bytes")
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise Invalid(f"{name}: not UTF-8") from None


def archive(bundle: Bundle, catalog: Mapping[str, Any] | None = None) -> bytes:
    """The OPA bundle as tar.gz; the same bundle and catalog give the same bytes."""
    data = bundle.data_with(catalog) if catalog is not None else dict(bundle.data)
    data["governor_loaded"] = {"revision": digest([dict(bundle.modules), data])}
    manifest = {
        "revision": bundle.revision,
        "roots": ["governor", *sorted(data)],
        "rego_version": 1,
        "metadata": {"data_revision": digest(data)},
    }
    members = {".manifest": canonical(manifest), "data.json": canonical(data)}
    members |= {name: source.encode() for name, source in bundle.modules.items()}
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, body in sorted(members.items()):
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(body), 0, 0o644
            tar.addfile(info, io.BytesIO(body))
    return gzip.compress(raw.getvalue(), mtime=0)
