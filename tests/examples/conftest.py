"""The example's modules are imported as its user would: from its own folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "late-arrival"
sys.path.insert(0, str(EXAMPLE))


@pytest.fixture(scope="module", autouse=True)
def own_modules():
    """Other tests have projects with a `pipeline.py` too: put theirs aside, and take ours away afterwards."""
    names = [file.stem for file in EXAMPLE.glob("*.py")]
    others = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, str(EXAMPLE))
    yield
    sys.path.remove(str(EXAMPLE))
    for name in names:
        sys.modules.pop(name, None)
    sys.modules.update(others)


@pytest.fixture(scope="session")
def example() -> Path:
    """The example's folder."""
    return EXAMPLE


@pytest.fixture(scope="session")
def all_flights():
    """Every published row; not to be changed."""
    from flights import read_flights

    return read_flights()


@pytest.fixture(scope="session")
def weather():
    """Every published observation; not to be changed."""
    from flights import read_weather

    return read_weather()


@pytest.fixture(scope="session")
def fortnight(all_flights):
    """The raw rows of 1 to 14 February, a snow storm among them."""
    rows = all_flights[(all_flights["month"] == 2) & (all_flights["day"] <= 14)]
    return rows.reset_index(drop=True)
