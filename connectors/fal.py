"""fal: its billing events, which are money really charged. It counts units (images, seconds), never tokens: they are in usage_raw."""

from __future__ import annotations

from connectors.mapping import shipped
from connectors.noted import NotedConnector, members, numbers, others

_MAPPING = shipped("fal")
_MEMBERS = {"numbers": numbers("r"), "rest": others("r", [_MAPPING])}
connector = NotedConnector("fal", [_MAPPING], members(_MEMBERS))
