"""Which params go with a metric, and where runs differ."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.usecases.tracking import comparison
from loopline.usecases.tracking.comparison import Row

pytestmark = pytest.mark.unit


def param(*values: str | None) -> Row:
    return comparison.row("p", list(values))


def test_a_param_that_orders_the_metric_has_all_the_weight() -> None:
    found = comparison.weight(param("1", "2", "10", "30", "100"), [0.1, 0.2, 0.3, 0.4, 0.5])
    assert found is not None
    assert (found.kind, found.share, found.runs) == ("number", pytest.approx(1), 5)
    assert found.correlation == pytest.approx(1)


def test_words_weigh_by_how_far_their_groups_lie_apart() -> None:
    found = comparison.weight(param("a", "a", "a", "b", "b", "b"), [1, 2, 3, 7, 8, 9])
    assert found is not None
    assert (found.kind, found.correlation, found.distinct) == ("word", None, 2)
    eta = 1 - 4 / 17.5  # ranks 1..6: within 2 + 2, in all 17.5
    assert found.share == pytest.approx(1 - (1 - eta) * 5 / 4)


@pytest.mark.parametrize("values", [("1", "1", "1", "1", "1"), ("1", None, None, None, "2")])
def test_what_is_alike_or_rare_has_no_weight(values: tuple[str | None, ...]) -> None:
    assert comparison.weight(param(*values), [1, 2, 3, 4, 5]) is None


def test_a_word_of_its_own_for_every_run_explains_nothing() -> None:
    found = comparison.weight(param("a", "b", "c", "d", "e"), [1, 2, 3, 4, 5])
    assert found is not None
    assert found.share == 0


def test_chance_alone_has_little_weight() -> None:
    random = np.random.default_rng(0)
    shares = []
    for _ in range(200):
        values = [str(random.integers(4)) + "x" for _ in range(30)]
        found = comparison.weight(param(*values), random.normal(size=30).tolist())
        assert found is not None
        shares.append(found.share)
    assert np.mean(shares) < 0.05


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=40))
def test_ranks_share_ties(values: list[int]) -> None:
    found = comparison.ranked(np.array(values, "float64"))
    plain = [sum(other < one for other in values) + (sum(other == one for other in values) + 1) / 2 for one in values]
    np.testing.assert_allclose(found, plain)


def test_importance_stands_heaviest_first() -> None:
    rows = [
        comparison.row("weak", ["3", "1", "2", "5", "4"]),
        comparison.row("same", ["1"] * 5),
        comparison.row("strong", ["1", "2", "3", "4", "5"]),
    ]
    assert [one.name for one in comparison.importance(rows, [1, 2, 3, 4, "NaN"])][:1] == ["strong"]


def test_the_line_of_least_squares() -> None:
    line = comparison.regression([(0, 1), (1, 3), (2, 5)])
    assert line == {"slope": pytest.approx(2), "intercept": pytest.approx(1), "r": pytest.approx(1)}
    assert comparison.regression([(1, 1), (1, 2), (1, 3)]) is None
    assert comparison.regression([]) is None


def test_the_metric_that_matters_is_chosen() -> None:
    metrics = [
        comparison.row("lr", [1.0, 2.0]),
        comparison.row("score", [0.1, 0.2]),
        comparison.row("steady", [1.0, 1.0]),
        comparison.row("system/cpu", [5.0, 6.0]),
    ]
    params = [comparison.row("lr", ["1", "2"])]
    assert comparison.chosen_target(metrics, params, "") == "score"
    assert comparison.chosen_target(metrics, params, "steady") == "steady"
    assert comparison.chosen_target([], [], "") == ""


def test_versions_are_read_from_lines() -> None:
    assert comparison.packages("numpy==2.4.1\nstrange\npandas==2.3.1") == {"numpy": "2.4.1", "pandas": "2.3.1"}


@pytest.mark.parametrize("value", ["x", None, True, "nan", "inf"])
def test_what_is_no_number_is_none(value: object) -> None:
    assert comparison.number(value) is None


def test_many_runs_stand_beneath_each_other_on_a_terminal() -> None:
    from loopline.usecases.tracking.compare_cli import laid_out

    runs = [{"id": f"{place:032x}", "name": f"r{place}"} for place in range(9)]
    lines = [{"name": "params.rate", **{run["id"]: str(place) for place, run in enumerate(runs)}}]
    columns, turned = laid_out(runs, lines)
    assert columns == [("RUN", "run"), ("rate", "params.rate")]
    assert [line["params.rate"] for line in turned] == [str(place) for place in range(9)]
    assert laid_out(runs[:2], lines)[1] == lines
