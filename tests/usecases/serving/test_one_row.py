"""A row is packed as its columns are."""

from __future__ import annotations

from typing import Any

import pytest

from loopline.usecases.serving.records.columns import one_row, pack

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("kinds", "row"),
    [
        ("ddd", (1.5, -0.0, 3)),
        ("dsq?", (1.5, "UA", -(1 << 63), True)),
        ("dqs", (None, (1 << 63) - 1, None)),
        ("ss", ("a", None)),
        ("??d", (False, True, None)),
        ("dq", (2.0, 7, "the key", "2013-01-01T00:00:00.000Z")),
    ],
)
def test_a_row_is_packed_as_its_columns_are(kinds: str, row: tuple[Any, ...]) -> None:
    columns = [pack(kind, [value]) for kind, value in zip(kinds, row, strict=False)]
    assert one_row(list(kinds))(row) == columns


def test_what_no_column_can_hold_is_refused_as_ever() -> None:
    with pytest.raises(OverflowError):
        one_row(["q"])((1 << 63,))
