"""fal: its billing events, which are money really charged. It counts units (images, seconds), never tokens: they are in usage_raw."""

from __future__ import annotations

from connectors.mapping import shipped
from connectors.spliced import SplicedConnector, numbers, others

_MAPPING = shipped("fal")
_MEMBERS = {"numbers": numbers("r"), "rest": others("r", [_MAPPING])}
connector = SplicedConnector("fal", [_MAPPING], _MEMBERS, listed="billing_events")
