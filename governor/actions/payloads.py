"""Words a person gives (files, folders, globs, s3:// and gs:// URLs) -> payloads a connector reads; and which connector they are for.

Owns: expanding, fetching objects to a scratch file, detection. Does not own: decompression and records (connectors).
Invariants: the order is the sorted order of names; a name that matches nothing is an error, never silence.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from glob import glob, has_magic
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from urllib.parse import quote

from governor.errors import Invalid, NotFound
from governor.ports import Connector, Payload

HEAD_BYTES = 64 * 1024
SURE = 0.5
DESCRIBE: Final = "describe the format in a mapping, of which `governor sources draft FILE` writes the first version (docs/mappings.md)"
MAPPING = "mapping:"
_NO_URI: Final = re.compile(r"%(?![0-9A-Fa-f]{2})|[^!-~]|[\"#<>\[\\\]^`{|}]")  # a name as it is, and as errors show it, is taken too
_CLOSED: Final = re.compile(r"ACCESS_DENIED|InvalidObjectState|HTTP (status|response code:?) 403|permission denied", re.IGNORECASE)


def installed() -> dict[str, EntryPoint]:
    """The entry points of connectors, by name; none is loaded."""
    return {found.name: found for found in sorted(entry_points(group="governor.connectors"), key=lambda found: found.name)}


def connectors() -> dict[str, Connector]:
    """Every installed connector, loaded: for asking each of them. A name alone is in `installed`."""
    return {name: found.load() for name, found in installed().items()}


def connector_named(name: str) -> Connector:
    """An installed connector, or `mapping:FILE.yaml`. Raises NotFound, and Invalid naming what is wrong in a mapping file."""
    known = installed()
    if name.startswith(MAPPING) and "mapping" in known:
        try:
            made: Connector = known["mapping"].load().with_file(Path(name.removeprefix(MAPPING)))
        except Invalid as error:  # it quotes a file of this machine, which is not for who asks from elsewhere
            raise Invalid(error.message, hint=error.hint, abroad=f"{name} is not a mapping that can be used") from None
        return made
    if name not in known:
        raise NotFound(f"no connector {name!r}", hint=f"installed: {', '.join(known)}; `mapping:FILE.yaml`, or `auto` to detect")
    found: Connector = known[name].load()
    return found


def source_named_after(connector: str) -> str:
    """The source id of an ingest that names none: the connector's name, of a mapping its file's."""
    return Path(connector.removeprefix(MAPPING)).stem if connector.startswith(MAPPING) else connector


def files_of(words: Sequence[str]) -> list[str]:
    """Local files and object URLs, expanded. Raises NotFound naming the word that matches nothing."""
    found: list[str] = []
    for word in words:
        if "://" in word:
            found.append(word)
            continue
        path = Path(word)
        if path.is_dir():
            matches = sorted(_inside(word))
        elif has_magic(word) and not path.exists():
            matches = sorted(name for name in glob(word, recursive=True) if Path(name).is_file())  # noqa: PTH207 - the word may be absolute
        else:
            matches = [word] if path.is_file() else []
        if not matches and path.exists() and not path.is_dir():
            raise Invalid(f"{word} is no file", hint="a pipe or device can be read once only: write it to a file first")
        if not matches:
            raise NotFound(f"nothing to read at {word}", hint="give a file, a folder, a glob in quotes, or an s3:// or gs:// URL")
        found += matches
    return list(dict.fromkeys(found))


def _inside(folder: str) -> Iterator[str]:
    """The files of a folder and its folders. Raises Invalid for a folder that may not be opened: its files would be missing in silence."""

    def closed(error: OSError) -> None:
        raise Invalid(f"{error.filename}: {error.strerror}", hint="give its files to the user who runs this, or name the other folders")

    for place, _, names in os.walk(folder, onerror=closed):
        yield from (str(path) for name in names if not name.startswith(".") and (path := Path(place) / name).is_file())


def payloads_of(names: Sequence[str], scratch: Path) -> Iterator[Payload]:
    """One payload per file; objects are fetched one at a time into `scratch`, and prefixes are listed."""
    for name in names:
        if "://" not in name:
            yield Payload(uri=shown(name), path=Path(name))
            continue
        yield from _objects(name, scratch)


def _objects(url: str, scratch: Path) -> Iterator[Payload]:
    """Objects of a URL or prefix, through Arrow's S3 and GCS file systems (credentials from their usual environment)."""
    from pyarrow import ArrowException, fs

    place, query, options = url.partition("?")
    try:
        system, root = fs.FileSystem.from_uri(_NO_URI.sub(lambda found: quote(found[0]), place) + query + options)
        info = system.get_file_info(root)
        if info.type == fs.FileType.File:
            paths = [root]
        else:
            listing = system.get_file_info(fs.FileSelector(root, recursive=True, allow_not_found=True))
            paths = sorted(item.path for item in listing if item.type == fs.FileType.File)
    except (ArrowException, OSError, ValueError) as error:
        why = str(error).replace(url, shown(url))
        raise Invalid(f"cannot read {shown(url)}: {why}", hint="check the URL and the credentials in the environment") from None
    if not paths:
        raise NotFound(f"nothing to read at {shown(url)}", hint="give an object or the folder of some; object URLs take no wildcards")
    scheme = url.split("://", 1)[0]
    with TemporaryDirectory(dir=scratch) as folder:
        for number, path in enumerate(paths):
            copy, uri = Path(folder) / str(number), f"{scheme}://{path}"
            try:
                with system.open_input_stream(path, compression=None) as source, copy.open("wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
            except (ArrowException, OSError) as error:
                if not (fault := _its_own(error)):
                    hint = "what was read is stored; the same command again reads the rest"
                    raise Invalid(f"cannot read {uri}: {error}", hint=hint) from error
                yield Payload(uri=uri, fault=fault)
            else:
                yield Payload(uri=uri, path=copy)
            copy.unlink(missing_ok=True)


def _its_own(error: Exception) -> str:
    """Why this object alone cannot be had, so that the others are read: gone since it was listed, closed to us, in cold storage, or of a name
    that the client does not take. Empty for what would befall the others too.
    """
    from pyarrow import ArrowInvalid

    if isinstance(error, FileNotFoundError):
        return "No such file or directory"
    return str(error) if isinstance(error, ArrowInvalid) or _CLOSED.search(str(error)) else ""


def shown(name: str) -> str:
    """A file's name as text (one in another encoding has bytes that are no UTF-8, which no column holds), or an object's URL as it may be shown
    and kept: without a user, a password and a query, which may be keys.
    """
    scheme, slashes, rest = name.partition("://")
    if not slashes:
        return os.fsencode(name).decode("utf-8", "backslashreplace")
    place = re.split("[?#]", rest, maxsplit=1)[0]
    user, at, bucket = place.rpartition("@")
    return f"{scheme}://{bucket if at and ('/' not in user or ':' in user.partition('/')[0]) else place}"


def detect(names: Sequence[str], known: dict[str, Connector]) -> dict[str, list[str]]:
    """Which connector reads which local file: {connector: files}. Raises Invalid naming the files nobody knows."""
    chosen, unknown = recognised(names, known)
    if unknown:  # reading the others and saying nothing would lose these
        more = f" and {len(unknown) - 1} more files" if len(unknown) > 1 else ""
        if holds_nothing(unknown[0]):
            raise Invalid(f"{unknown[0]}{more}: there is nothing in it", hint="was the export cut off? leave it out, or fetch it again")
        named = ", ".join(name for name in known if name != MAPPING.rstrip(":"))
        raise Invalid(f"no connector recognises {unknown[0]}{more}", hint=f"leave them out, name the connector ({named}), or {DESCRIBE}")
    return chosen


def holds_nothing(name: str) -> bool:
    """A local file without content: of no bytes, or white space only. (An archive of nothing still has bytes.)"""
    path = Path(name)
    if "://" in name or not path.is_file() or path.stat().st_size > HEAD_BYTES:
        return False
    return not path.read_bytes().strip()


def recognised(names: Sequence[str], known: dict[str, Connector]) -> tuple[dict[str, list[str]], list[str]]:
    """({connector: local files}, files nobody knows)."""
    chosen: dict[str, list[str]] = {}
    unknown = []
    for name in names:
        if "://" in name:
            raise Invalid(
                f"cannot detect the format of {shown(name)} before reading it",
                hint="name the connector, such as `governor ingest litellm URL`",
            )
        with Path(name).open("rb") as file:
            head = file.read(HEAD_BYTES)
        scores = {label: connector.detect(head, name) for label, connector in known.items()}
        best = max(scores, key=lambda label: scores[label], default=None)
        if best is None or scores[best] < SURE:
            unknown.append(name)
        else:
            chosen.setdefault(best, []).append(name)
    return chosen, unknown
