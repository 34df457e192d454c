import importlib.util
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def month() -> dict[str, Any]:
    """The sample month's statement document."""
    spec = importlib.util.spec_from_file_location("statement_sample", Path(__file__).with_name("statement_sample.py"))
    assert spec is not None
    assert spec.loader is not None
    import sys

    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    document: dict[str, Any] = module.sample()
    return document
