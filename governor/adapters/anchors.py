"""The anchors of an installation, opened from the settings: one visible table of kinds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from governor.ledger.anchor import AnchorConfig
from governor.ports import Anchor


def open_anchor(config: AnchorConfig, *, origin: str, home: Path, allow_private: bool, now: Callable[[], datetime]) -> Anchor:
    """Nothing is reached yet. Imports are late: each kind has a library of its own."""
    folder = home / "anchors" / config.name
    match config.kind:
        case "directory":
            from governor.adapters.anchor_directory import DirectoryAnchor

            return DirectoryAnchor(config, origin)
        case "git":
            from governor.adapters.anchor_git import GitAnchor

            return GitAnchor(config, origin, copy=folder, allow_private=allow_private)
        case "s3":
            from governor.adapters.anchor_s3 import S3Anchor

            return S3Anchor(config, origin, allow_private=allow_private, now=now)
        case "witness":
            from governor.adapters.anchor_witness import WitnessAnchor

            return WitnessAnchor(config, origin, allow_private=allow_private)
        case "timestamp":
            from governor.adapters.anchor_timestamp import TimestampAnchor

            return TimestampAnchor(config, folder=folder, allow_private=allow_private)
