"""What became of a file that was brought in by hand, in words."""

from __future__ import annotations

from typing import Any

from governor.web.present import plain_connector, plural
from governor.web.shell import Flash


def ingested(done: dict[str, Any]) -> Flash:
    """done: the answer of an upload that stored."""
    counts = done["counts"]
    wrong = counts["quarantined"] or counts["conflicts"] or not counts["read"]
    return Flash("warn" if wrong else "good", f"{done['file']} was read by {plain_connector(done['connector'])}", told(counts))


def told(counts: dict[str, int]) -> str:
    others = f"; {plural(counts['other_spans'], 'span')} without a model call" if counts["other_spans"] else ""
    return (
        f"{plural(counts['read'], 'record')} read: {counts['stored']:,} stored, {counts['duplicates']:,} known already, "
        f"{counts['conflicts']:,} in conflict, {counts['quarantined']:,} quarantined{others}."
    )
