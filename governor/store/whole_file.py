"""A file at a path that somebody named: whole or not at all.

Owns: writing beside it and renaming, so that a full disk or a crash leaves what was there. Does not own: what is written. Invariants: what fails leaves nothing behind.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path


def write_whole(path: Path, body: bytes) -> None:
    """Also right when two write the same file at once. A device or a pipe (`/dev/stdout`) is written as it is."""
    mode = path.stat().st_mode if path.exists() else None
    if mode is not None and not stat.S_ISREG(mode):
        path.write_bytes(body)
        return
    target = path.resolve()  # a link keeps pointing where it did
    part = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        with part.open("xb") as out:
            out.write(body)
            out.flush()
            os.fsync(out.fileno())  # a name that is on disk before its bytes would be an empty file after a power cut
        if mode is not None:
            part.chmod(stat.S_IMODE(mode))
        part.replace(target)
    except OSError as error:
        error.filename, error.filename2 = str(path), None  # the name that its reader knows
        raise
    finally:
        part.unlink(missing_ok=True)
