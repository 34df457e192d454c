"""Which version of the method computed a verdict; apart from the method, so that a reader who meets another version loads none of it."""

from __future__ import annotations

from typing import Final

SOFTWARE: Final = "governor.shadow/11"  # a change of any number or word the same pairs give is another version
