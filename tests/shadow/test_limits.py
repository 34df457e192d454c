"""Every code a verdict may carry has a sentence for readers and a line in the docs."""

import ast
import inspect
import re
from pathlib import Path

from governor.shadow import reported
from governor.shadow.golden import CHECKS
from governor.shadow.golden_report import CHECKED
from governor.shadow.limits import LIMITATIONS

DOCS = Path(__file__).parents[2] / "docs/shadow.md"


def test_every_limitation_is_said_in_words() -> None:
    tree = ast.parse(inspect.getsource(reported.limitations))
    codes = {str(key.value) for one in ast.walk(tree) if isinstance(one, ast.Dict) for key in one.keys if isinstance(key, ast.Constant)}
    assert len(codes) > 10
    assert codes == set(LIMITATIONS)
    told = DOCS.read_text().split("## Limitations a verdict may carry")[1].split("\n## ")[0]
    assert codes <= set(re.findall(r"`(\w+)`", told))


def test_every_check_of_a_golden_case_has_words() -> None:
    assert set(CHECKED) == {*CHECKS, ""}
