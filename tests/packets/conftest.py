"""The story of one change, fresh for each test (packet_story.py), and the way to published vectors that are not part of this repository."""

from collections.abc import Callable
from pathlib import Path

import pytest
from packet_story import Chapter, Story, make_story


@pytest.fixture
def story() -> Story:
    return make_story()


@pytest.fixture
def chapter() -> Callable[..., Chapter]:
    return Chapter


@pytest.fixture
def shared_vectors() -> Path:
    folder = Path(__file__).parents[2] / "../shared/data/vectors"
    if not folder.is_dir():
        pytest.skip("../shared/data/vectors is not here")
    return folder
