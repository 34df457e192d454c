"""The `governor` command's front step: `packet verify` in its plain form is answered here, everything else by the whole command line.

Owns: that an auditor's check starts in a fifth of a second and loads nothing it does not need. Does not own: what the check says (packets/), nor any
other command (cli/). Invariants: same arguments, same output, same exit codes as the command line's own `packet verify`; whatever is not plain goes there.
"""

from __future__ import annotations

import json
import signal
import sys
from typing import Final

PLAIN: Final = 2
STOPPED: Final = 130  # what shells say of a program that Ctrl-C ended


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the `governor` command."""
    words = sys.argv[1:] if arguments is None else arguments
    wish = plain_verify(words)
    try:
        if wish is not None:
            raise SystemExit(verify(*wish))
        whole(arguments)
    except KeyboardInterrupt:
        raise SystemExit(STOPPED) from None


def whole(arguments: list[str] | None) -> None:
    """The command line. Nothing is open while it loads, which takes a second: Ctrl-C then ends the process as it ends any, without a trace of imports."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from governor.cli import main

    signal.signal(signal.SIGINT, before)
    main(arguments)


def plain_verify(words: list[str]) -> tuple[str, str, bool] | None:
    """(packet, trust, as JSON) when the words are `packet verify FILE --trust FILE [--json]` in any order of options, else None."""
    rest = [word for word in words if word != "--json"]
    if len(words) - len(rest) > 1 or rest[:PLAIN] != ["packet", "verify"]:
        return None
    match rest[PLAIN:]:
        case [packet, "--trust", trust] | ["--trust", trust, packet] if not packet.startswith("-") and not trust.startswith("-"):
            return packet, trust, len(rest) < len(words)
        case _:
            return None


def verify(packet: str, trust: str, as_json: bool) -> int:
    from pathlib import Path  # the packet's zipfile loads it anyway

    from governor.errors import Invalid
    from governor.packets.report import USAGE, tell
    from governor.packets.verify import verify_packet

    bodies = []
    for path in (packet, trust):
        try:
            bodies.append(Path(path).read_bytes())
        except OSError as error:
            sys.stderr.write(f"{path}: {error.strerror}\n")
            return USAGE
    try:
        report = verify_packet(*bodies)
    except Invalid as error:
        sys.stderr.write(f"{trust}: {error.message}\n")
        return USAGE
    name = trust.replace("\\", "/").rpartition("/")[2]
    said = json.dumps(report.as_dict(), ensure_ascii=False, indent=2) if as_json else report.text(name)
    return tell(said, report.exit_code)
