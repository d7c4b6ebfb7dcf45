"""The heat map of drift and the drawing of one column then and now."""

from __future__ import annotations

from typing import Any

import pytest

from loopline.usecases.monitoring.drawing.bars import distribution
from loopline.usecases.monitoring.drawing.heat import cells_of, glyph, heat, level, said

pytestmark = pytest.mark.unit


def cell(column: str, day: int, p_value: float | None, **changes: Any) -> dict[str, Any]:
    made = {
        "start": f"2013-{4 + day // 28:02}-{day % 28 + 1:02}T00:00:00.000Z", "column": column, "kind": "input",
        "p_value": p_value, "e_value": None, "effect": 0.1, "unit": "", "direction": "", "change": "", "alarm": False,
    }  # fmt: skip
    return made | changes


@pytest.mark.parametrize(
    ("p_value", "alarm", "expected"),
    [(None, False, -1), (0.5, False, 0), (0.1, False, 1), (0.02, False, 2), (0.01, False, 3), (0.0005, False, 4),
     (1e-6, False, 5), (0.5, True, 6), (None, True, 6)],
)  # fmt: skip
def test_levels(p_value: float | None, alarm: bool, expected: int) -> None:
    assert level(cell("wind", 0, p_value, alarm=alarm)) == expected


@pytest.mark.parametrize(
    ("direction", "sign"),
    [("higher", "▲"), ("more missing", "▲"), ("lower", "▼"), ("narrower", "▼"), ("other mix", "◆"), ("", "")],
)
def test_direction_is_a_sign(direction: str, sign: str) -> None:
    assert glyph(direction) == sign


def test_a_cell_says_in_words_what_its_colour_says() -> None:
    told = said(cell("wind", 0, 0.002, e_value=31.0, direction="higher", change="mean 3 → 4"))
    assert told == "quite unusual, p 0.002, e 31, mean 3 → 4"
    assert said(cell("wind", 0, None)) == "not comparable"


def test_the_report_comes_first_then_what_is_unusual_of_late() -> None:
    cells = [cell(name, day, 0.5) for name in ("", "calm", "wind", "early") for day in range(0, 70, 7)]
    cells += [cell("wind", 63, 0.00001), cell("early", 0, 0.00001), cell("late only", 63, 0.5)]
    found = heat(cells)
    assert found is not None
    assert [row["name"] for row in found["rows"]] == ["", "wind", "calm", "early", "late only"]
    assert [month["span"] for month in found["months"]] == [4, 4, 2]
    assert len(found["starts"]) == 10
    assert found["rows"][-1]["cells"][:9] == [None] * 9
    assert found["rows"][1]["cells"][-1]["level"] == 5


def test_much_is_cut_and_said() -> None:
    found = heat([cell(f"c{name}", day, 0.5) for name in range(12) for day in range(0, 70, 7)], 5, 8)
    assert found is not None
    assert (len(found["starts"]), len(found["rows"]), found["more"]) == (5, 8, 4)
    assert heat([]) is None


def test_numbers_are_steps_and_texts_bars() -> None:
    numbers = {"bins": [0.0, 1.0, 2.0], "shares_then": [0.75, 0.25], "shares_now": [0.5, 0.5]}
    drawn = distribution(numbers)
    assert drawn is not None
    assert drawn["kind"] == "steps"
    first, second = drawn["now"]
    assert first["height"] == second["height"] > 0
    assert "75.00 % then, 50.00 % now" in first["text"]
    texts = {"bins": ["AA", ""], "shares_then": [0.9, 0.1], "shares_now": [0.45, 0.55]}
    drawn = distribution(texts)
    assert drawn is not None
    assert drawn["kind"] == "bars"
    assert [row["name"] for row in drawn["rows"]] == ["AA", "others"]
    assert drawn["rows"][0]["then"] == pytest.approx(2 * drawn["rows"][0]["now"], rel=0.01)
    assert distribution({"bins": [], "shares_then": [], "shares_now": []}) is None


def test_a_history_becomes_cells() -> None:
    line = {"column": "wind", "kind": "input", "unit": "", "p_values": [0.5, None], "e_values": [1.0, None]}
    line |= {
        "effects": [0.1, None],
        "directions": ["higher", ""],
        "changes": ["mean 3 → 4", ""],
        "alarms": [True, False],
    }
    matrix = {
        "starts": ["2013-04-01", "2013-04-08"],
        "p_values": [0.2, 0.9],
        "e_values": [None, None],
        "alarms": [True, False],
    }
    cells = cells_of(matrix | {"columns": [line]})
    assert [(one["column"], one["start"][-2:], one["alarm"]) for one in cells] == [
        ("", "01", True), ("", "08", False), ("wind", "01", True),
    ]  # fmt: skip
    assert cells[2]["change"] == "mean 3 → 4"
