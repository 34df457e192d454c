"""The readable side of a period packet: one PDF that lists every change of a month, quarter or year, with what it is and is not proof of.

Owns: the words and the page. Does not own: any fact (the document brings them) and any proof (the packet does).
Invariants: same document, same bytes; people are references unless the packet names its recipient; what is absent is named as absent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from jinja2 import ChainableUndefined, Environment

from reports.packet import abbreviated, day, framework_rows, moment, size
from reports.packet_words import STATES
from reports.pdf import environment, pdf_of

OPEN: Final = {
    "draft": ("Proposed, not tested yet", "warn"),
    "shadowing": ("Shadow test under way", "warn"),
    "in_review": ("Waiting for approval", "warn"),
}


def render_pdf(document: Mapping[str, Any]) -> bytes:
    """PDF of the document that governor.actions.export_period prints."""
    return pdf_of(render_html(document), document)


def render_html(document: Mapping[str, Any]) -> str:
    return _environment().get_template("period_packet.html").render(view(document))


@lru_cache
def _environment() -> Environment:
    return environment(ChainableUndefined, moment=moment, day=day, abbreviated=abbreviated, size=size)


def view(document: Mapping[str, Any]) -> dict[str, Any]:
    """Everything the template shows, in the form it shows it."""
    period, people = document["period"], document.get("people") or {}
    changes = [
        {
            **line,
            "word": _state(line["state"])[0],
            "tone": _state(line["state"])[1],
            "who": people.get(line["requester"], _short(line["requester"])),
        }
        for line in document["changes"]
    ]
    tones = Counter(line["tone"] for line in changes)
    until = document["until"]
    return {
        "period": period,
        "log": document["log"],
        "issuer": document.get("issuer", ""),
        "recipient": document.get("recipient", ""),
        "changes": changes,
        "approved": tones["good"],
        "refused": tones["bad"],
        "open": tones["warn"],
        "workflows": len({line["workflow"] for line in changes}),
        "counts": sorted(document["counts"].items(), key=lambda item: (-item[1], item[0])),
        "entries": sum(document["counts"].values()),
        "range": document["range"],
        "until": until,
        "whole": until >= period["to"],
        "evidence": document.get("evidence") or [],
        "frameworks": framework_rows(document.get("controls") or {}),
        "controls_note": (document.get("controls") or {}).get("note", ""),
    }


def _state(state: str) -> tuple[str, str]:
    return STATES.get(state) or OPEN.get(state) or (state, "warn")


def _short(ref: str) -> str:
    return ref if ref in {"system", "operator"} else f"person {ref[-8:]}"
