"""The embedded engine for rules that did not come with this program: in a process that is ended when a rule is not.

Owns: the one child of this process, what ran out of time in it. Does not own: the child's limits (processes.py), the engine's traps (embedded.py).
Invariants: answers as RegorusEngine gives them; what ran out of time is refused at once the next time, so that nobody can keep the child busy with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from threading import Lock
from typing import Any

from governor.errors import PolicyRefused
from governor.policy.embedded import RegorusEngine
from governor.policy.processes import Child, Endless

REMEMBERED = 1_000
_lock = Lock()
_children: list[Child] = []  # none, or the one
_stopped: dict[tuple[str, str, str], str] = {}


class ConfinedEngine(RegorusEngine):
    """Any number of threads may ask; each question takes its turn."""

    def _loaded(self) -> None:
        parts = [self._data, *(part for module in sorted(self._modules.items()) for part in module)]
        self._name = hashlib.sha256("\0".join(parts).encode()).hexdigest()
        self._confined("", "")

    def _answers(self, rule: str, questions: Sequence[str]) -> list[Any]:
        return [self._confined(rule, one) for one in questions]

    def _confined(self, rule: str, question: str) -> Any:
        """The answer; of no rule, that the modules load."""
        asked = (self._name, rule, question)
        if asked in _stopped:
            raise Endless(_stopped[asked])
        child = the_child()
        try:
            for _ in range(3):  # where others load their catalogs meanwhile, ours makes room
                child.load(self._name, self._modules, self._data)
                if not rule:
                    return None
                if (found := child.ask(self._name, rule, [question])) is not None:
                    return found[0]
        except Endless as error:
            with _lock:
                while len(_stopped) >= REMEMBERED:
                    del _stopped[next(iter(_stopped))]
                _stopped[asked] = error.message
            raise
        raise PolicyRefused("too many catalogs are asked about at once", hint="try again")


def the_child() -> Child:
    with _lock:
        if not _children or _children[0].ended():
            _children[:] = [Child()]
        return _children[0]
