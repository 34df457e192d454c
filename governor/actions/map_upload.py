"""A log that no connector reads, brought in by a page: a mapping is drafted from it, tried on its first records, and kept with the calls it read.

Owns: the four steps of the page. Does not own: guesses and checks of mappings (the connector `mapping`), the preview, storing, where mappings lie.
Invariants: a trial stores nothing; auditors bring nothing in; a mapping holds paths and constants and never code, and only one that was read is kept.
"""

from __future__ import annotations

from typing import IO, Any, Final

from governor.actions.context import BRINGERS, Actor, Context
from governor.actions.draft_mapping import mapped, named_after
from governor.actions.ingest_upload import ingest_upload, uploaded
from governor.actions.kept_mappings import keep_mapping
from governor.actions.payloads import connectors, recognised
from governor.actions.preview_source import previewed
from governor.errors import Invalid, TooLarge
from governor.ports import Payload, ReadOptions

LARGEST: Final = 64 * 1024  # of a mapping; a long one has 5 KiB
RECORDS: Final = 50  # that travel with the form, so that a trial needs no file
SAMPLE: Final = 256 * 1024  # bytes of them


def draft_upload(ctx: Context, actor: Actor, filename: str, file: IO[bytes]) -> dict[str, str]:
    """{"file","mapping","sample","reader"}. sample: its first records as JSON lines, empty where one alone is too large; reader: the connector that reads it anyway."""
    actor.require(*BRINGERS)
    with uploaded(ctx, filename, file) as (name, path):
        payload = Payload(uri=name, path=path)
        text: str = mapped().draft(payload, named_after(name))
        sample: bytes = mapped().sample(payload, records=RECORDS, size=SAMPLE)
        reader = next(iter(recognised([str(path)], connectors())[0]), "")
    return {"file": name, "mapping": text, "sample": sample.decode("utf-8", "replace"), "reader": reader}


def try_mapping(ctx: Context, actor: Actor, text: str, sample: str, filename: str = "", file: IO[bytes] | None = None) -> dict[str, Any]:
    """What an ingest with this mapping would do: of the file, else of the records that came with the form."""
    actor.require(*BRINGERS)
    reader = mapped().with_text(checked(text))
    options = ReadOptions(source_instance="preview", with_content=False)
    if file is None:
        if not sample.strip():
            raise Invalid("there are no records to try it on", hint="choose the file again")
        return previewed(ctx, reader.read([Payload(uri="the first records", body=sample.encode())], options))
    with uploaded(ctx, filename, file) as (name, path):
        return previewed(ctx, reader.read([Payload(uri=name, path=path)], options))


def ingest_mapped(ctx: Context, actor: Actor, text: str, filename: str, file: IO[bytes], *, source: str = "") -> dict[str, Any]:
    """As `ingest_upload`, read with this mapping, which is kept and from then on offered."""
    actor.require(*BRINGERS)
    reader = mapped().with_text(checked(text))
    connector = keep_mapping(ctx, reader.mappings[0].name, text)
    return ingest_upload(ctx, actor, filename, file, connector=connector, source=source)


def checked(text: str) -> str:
    """Raises TooLarge, Invalid for none."""
    if len(text.encode()) > LARGEST:
        raise TooLarge(f"the mapping is larger than {LARGEST:,} bytes", hint="a mapping of a few hundred fields has five thousand")
    if not text.strip():
        raise Invalid("there is no mapping yet", hint="choose a file of the log to have one drafted, or paste one")
    return text
