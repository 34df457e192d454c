"""A file that a person uploads on a page: which connector reads it, then its calls into the lake.

Owns: the file's way through a scratch folder, its name in the batch. Does not own: formats (connectors), storing (ingest.py), HTTP and its size limit.
Invariants: the copy is gone when this returns; the server's folders appear in no message and no batch; auditors read, they do not ingest.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, Final

from governor.actions.context import BRINGERS, Actor, Context
from governor.actions.ingest import COUNTS, ingest_payloads, may_ingest, source_name
from governor.actions.kept_mappings import kept_mappings
from governor.actions.load_catalog import catalog_as_of
from governor.actions.payloads import DESCRIBE, connector_named, connectors, detect, installed, source_named_after
from governor.errors import Invalid, NotFound, TooLarge
from governor.ports import Payload

AUTO: Final = "auto"
LONGEST_NAME: Final = 120


def may_upload(actor: Actor) -> bool:
    return actor.kind == "person" and bool(actor.roles & set(BRINGERS))


def ingest_upload(
    ctx: Context, actor: Actor, filename: str, file: IO[bytes], *, connector: str = AUTO, source: str = "", only_detect: bool = False
) -> dict[str, Any]:
    """{"file", "connector", "source", "counts"}; counts is None when only the connector was asked for and nothing was stored.

    Raises Forbidden for auditors, NotFound for a connector that is not offered, TooLarge, Invalid for a source
    name that is none and for a file that is empty or that no connector recognises.
    """
    actor.require(*BRINGERS)
    if connector not in {AUTO, *offered(ctx)}:
        raise NotFound(f"no connector {connector!r} to choose", hint="choose one of the list, or describe your format under Sources")
    with uploaded(ctx, filename, file) as (name, path):
        chosen = recognised(path, name) if connector == AUTO else connector_named(connector).name
        into = source_name(source or source_named_after(chosen))
        may_ingest(actor, into)
        if only_detect:
            return {"file": name, "connector": chosen, "source": into, "counts": None}
        uri = f"upload:{name}"
        counts = ingest_payloads(ctx, actor, connector_named(chosen), [Payload(uri=uri, path=path)], source=into, uris=[uri])
    return {"file": name, "connector": chosen, "source": into, "counts": {key: getattr(counts, key) for key in COUNTS}}


@contextmanager
def uploaded(ctx: Context, filename: str, file: IO[bytes]) -> Iterator[tuple[str, Path]]:
    """(its name, a copy that is gone afterwards). Raises Invalid for an empty file, TooLarge."""
    name = plain_name(filename)
    scratch = ctx.settings.home / "scratch"
    scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
    with TemporaryDirectory(dir=scratch) as folder:
        path = Path(folder) / name
        with path.open("wb") as copy:
            shutil.copyfileobj(file, copy, 1 << 20)
        size = path.stat().st_size
        if not size:
            raise Invalid(f"{name} is empty")
        if size > ctx.settings.max_body_bytes:
            raise TooLarge(
                f"{name} has {size:,} bytes; the limit is {ctx.settings.max_body_bytes:,}", hint="use `governor ingest`, which has none"
            )
        yield name, path


class NotRecognised(Invalid):
    """A file that no connector reads."""


def offered(ctx: Context) -> list[str]:
    """The connectors a person may choose: installed ones, mappings that were written on a page, and those of configured sources: a mapping names a file
    of the server.
    """
    configured = [one.connector for one in catalog_as_of(ctx).sources.values()]
    return list(dict.fromkeys([*(name for name in installed() if name != "mapping"), *kept_mappings(ctx), *configured]))


def recognised(path: Path, name: str) -> str:
    known = connectors()
    try:
        return next(iter(detect([str(path)], known)))
    except Invalid:
        raise NotRecognised(
            f"no connector recognises {name}",
            hint=f"choose one: {', '.join(name for name in known if name != 'mapping')}; or {DESCRIBE}",
        ) from None


def plain_name(filename: str) -> str:
    """The last part of the name, in characters that mean nothing to a file system."""
    last = re.split(r"[/\\]", filename)[-1]
    return re.sub(r"[^A-Za-z0-9._ ()+=@-]", "_", last).strip(". ")[-LONGEST_NAME:] or "upload"
