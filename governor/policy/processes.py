"""Many questions over several processes: the embedded engine holds the interpreter's lock, so threads would only take turns.

Owns: splitting, the child process, putting the answers back in order. Does not own: the engine (embedded.py).
Invariants: a child that dies or reports an error fails the whole batch (fail closed); answers come back in the order of the questions.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from governor.errors import Invalid, PolicyRefused

WORTH_IT = 8_000  # below this, starting interpreters costs more than it saves
MOST = 8


def answers_of(modules: dict[str, str], data: str, rule: str, questions: Sequence[str]) -> list[Any]:
    """One answer per question (JSON text of an input). Raises PolicyRefused or Invalid as the engine would."""
    workers = min(MOST, os.cpu_count() or 1, max(1, len(questions) * 2 // WORTH_IT))
    size = -(-len(questions) // workers)
    parts = [list(questions[start : start + size]) for start in range(0, len(questions), size)]
    with ThreadPoolExecutor(len(parts)) as pool:
        found = list(pool.map(lambda part: _ask_child({"modules": modules, "data": data, "rule": rule, "questions": part}), parts))
    return [answer for part in found for answer in part]


def _ask_child(order: dict[str, Any]) -> list[Any]:
    done = subprocess.run(
        [sys.executable, "-m", "governor.policy.processes"], input=json.dumps(order).encode(), capture_output=True, check=False
    )
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise PolicyRefused(f"a policy process died (status {done.returncode}): {said[-1][:200] if said else 'no message'}")
    answer = json.loads(done.stdout)
    if "invalid" in answer:
        raise Invalid(answer["invalid"])
    if "refused" in answer:
        raise PolicyRefused(answer["refused"])
    found = answer["answers"]
    if not isinstance(found, list) or len(found) != len(order["questions"]):
        raise PolicyRefused("a policy process lost answers")
    return found


def main() -> None:
    from governor.policy.embedded import build, evaluate

    order = json.loads(sys.stdin.buffer.read())
    try:
        engine = build(order["modules"], order["data"])
        answer: dict[str, Any] = {"answers": [evaluate(engine, order["rule"], one) for one in order["questions"]]}
    except Invalid as error:
        answer = {"invalid": error.message}
    except PolicyRefused as error:
        answer = {"refused": error.message}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
