"""One book of list prices for the whole folder: freezing it takes most of a second."""

import pytest

from governor.prices.book import PriceBook
from governor.prices.seed import Seed, genai_seed


@pytest.fixture(scope="session")
def seed() -> Seed:
    return genai_seed()


@pytest.fixture(scope="session")
def book(seed: Seed) -> PriceBook:
    return PriceBook(seed.rows)
