"""Whatever options are taken can be kept as JSON and reckoned with: one that cannot would stop the whole data plane."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from loopline.core.errors import Invalid
from loopline.usecases.serving.options import DEFAULTS, Options, changed, decoded

pytestmark = pytest.mark.unit
NUMBERS = [name for name, value in msgspec.structs.asdict(DEFAULTS).items() if type(value) in (int, float)]


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan"), 2**70, -1, "1", [1]])
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_beyond_all_bounds_are_refused(name: str, value: Any) -> None:
    with pytest.raises(Invalid, match=name):
        changed(DEFAULTS, {name: value})


@pytest.mark.parametrize("name", NUMBERS)
def test_the_largest_of_each_is_kept_as_it_is(name: str) -> None:
    for power in range(18, -9, -1):
        try:
            found = changed(DEFAULTS, {name: 10**power if power >= 0 else 10.0**power})
        except Invalid:
            continue
        assert decoded(msgspec.json.encode(found).decode()) == found
        return
    raise AssertionError("nothing was taken")


@pytest.mark.parametrize("bounds", [{"minimum": float("inf")}, {"maximum": float("nan")}, {"minimum": 2, "maximum": 1}])
def test_bounds_of_ranges_are_numbers(bounds: dict[str, float]) -> None:
    with pytest.raises(Invalid):
        changed(DEFAULTS, {"ranges": {"x": bounds}})


def test_a_rate_that_nobody_could_wait_for_is_refused() -> None:
    with pytest.raises(Invalid, match="less than 1e-05"):
        changed(DEFAULTS, {"rate": 5e-324})
    assert changed(DEFAULTS, {"rate": 1e-5}) == Options(rate=1e-5)
