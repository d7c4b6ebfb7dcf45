"""How runs differ, and which params go with a metric: pure values and arithmetic.

The weight of a param is the share of the variance of the metric's ranks that goes with it: the squared rank correlation
(Spearman 1904) for numbers, eta squared of a one-way analysis on ranks (Kruskal, Wallis 1952) for words, each corrected
for what chance alone explains (Ezekiel 1930). It looks at one param at a time: it sees no interaction, no optimum in the
middle of a range, and cannot tell a cause from what merely was changed along with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from loopline.usecases.tracking.model import Run

FEWEST_RUNS = 4
MOST_LINES = 5000
METHOD = "rank correlation for numbers, eta squared on ranks for words, adjusted; one param at a time"


class Brief(msgspec.Struct, frozen=True, kw_only=True):
    """One of the compared runs."""

    id: str
    name: str
    experiment: str
    status: str
    created_by: str
    started_at: str
    ended_at: str | None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One name and its value in each run, None where a run has none."""

    name: str
    values: list[Any]
    differs: bool


class Weight(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the variance of the target's ranks goes with a param: `share` 0..1. `correlation` (-1..1) for numbers.
    `runs` have both; `distinct` values were seen."""

    name: str
    kind: Literal["number", "word"]
    share: float
    correlation: float | None
    runs: int
    distinct: int


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Runs side by side. `importance` tells of the metric `target`, `method` how; `difference` is the difference between
    the uncommitted changes of the runs `base` and `against`."""

    runs: list[Brief]
    params: list[Row]
    metrics: list[Row]
    tags: list[Row]
    code: list[Row]
    data: list[Row]
    environment: list[Row]
    target: str
    importance: list[Weight]
    method: str = METHOD
    base: str = ""
    against: str = ""
    difference: str = ""


def brief(run: Run) -> Brief:
    """The few things that name a run."""
    return msgspec.convert({name: getattr(run, name) for name in Brief.__struct_fields__}, Brief)


def rows(of_runs: Sequence[Mapping[str, Any]]) -> list[Row]:
    """A row for each name that any run has, by name."""
    names = sorted({name for values in of_runs for name in values})
    return [row(name, [values.get(name) for values in of_runs]) for name in names]


def row(name: str, values: list[Any]) -> Row:
    """A row, and whether its values differ."""
    return Row(name=name, values=values, differs=any(value != values[0] for value in values))


def code(run: Run) -> dict[str, str]:
    """Commit and digest of the changes since, of which the former may come from a foreign client."""
    git = run.surroundings.get("git") or {}
    told = {
        "commit": git.get("commit") or run.tags.get("mlflow.source.git.commit"),
        "changes": git.get("diff"),
        "branch": git.get("branch") or run.tags.get("mlflow.source.git.branch"),
        "program": run.surroundings.get("command") or run.tags.get("mlflow.source.name"),
    }
    return {name: value if isinstance(value, str) else str(value) for name, value in told.items() if value}


def inputs(run: Run) -> dict[str, str]:
    """The digest of each input, by name."""
    return {link.name: link.digest for link in run.links if link.direction == "input"}


def machine(run: Run) -> dict[str, str]:
    """Python and the machine."""
    told = {name: run.surroundings.get(name) for name in ("python", "platform", "host", "cpus")}
    return {name: str(value) for name, value in told.items() if value}


def packages(text: str) -> dict[str, str]:
    """Versions by name from lines like `numpy==2.4.1`."""
    pairs = (line.partition("==") for line in text.splitlines())
    return {name: version for name, mark, version in pairs if mark}


def difference(before: str, after: str, names: tuple[str, str]) -> str:
    """The unified difference between two texts; of very long ones that of their beginnings."""
    from difflib import unified_diff

    first, second = (text.splitlines()[:MOST_LINES] for text in (before, after))
    return "\n".join(unified_diff(first, second, *names, lineterm=""))


def chosen_target(metrics: Sequence[Row], params: Sequence[Row], asked: str) -> str:
    """The metric asked for, else the one that most runs have with values that differ; not one of the machine or one that
    repeats a param."""
    if any(one.name == asked for one in metrics):
        return asked
    repeated = {one.name for one in params}

    def worth(one: Row) -> tuple[bool, bool, int]:
        own = one.name not in repeated and not one.name.startswith("system/")
        return own, one.differs, sum(value is not None for value in one.values)

    best = max(metrics, key=worth, default=None)
    return best.name if best else ""


def importance(params: Sequence[Row], target: Sequence[Any]) -> list[Weight]:
    """The weight of each param whose values differ, heaviest first; `target` holds the metric of each run."""
    found = [weight(one, target) for one in params if one.differs]
    return sorted((one for one in found if one), key=lambda one: (-one.share, one.name))


def weight(param: Row, target: Sequence[Any]) -> Weight | None:
    """The weight of one param; None when too few runs have both or all are alike."""
    import numpy as np

    both = [(x, y) for x, y in zip(param.values, target, strict=True) if x is not None and number(y) is not None]
    distinct = len({x for x, _ in both})
    if len(both) < FEWEST_RUNS or distinct < 2:
        return None
    ranks = ranked(np.array([number(y) for _, y in both], "float64"))
    if np.ptp(ranks) == 0:
        return None
    numbers = [number(x) for x, _ in both]
    if None not in numbers:
        along = float(np.corrcoef(ranked(np.array(numbers, "float64")), ranks)[0, 1])
        share, correlation = adjusted(along**2, len(both), 2), along if math.isfinite(along) else 0.0
        return Weight(
            name=param.name, kind="number", share=share, correlation=correlation, runs=len(both), distinct=distinct
        )
    share = adjusted(eta_squared([x for x, _ in both], ranks), len(both), distinct)
    return Weight(name=param.name, kind="word", share=share, correlation=None, runs=len(both), distinct=distinct)


def adjusted(share: float, count: int, groups: int) -> float:
    """A share of variance less what chance explains with so many groups; 0 when every run is its own group."""
    if not math.isfinite(share) or count <= groups:
        return 0.0
    return min(1.0, max(0.0, 1 - (1 - share) * (count - 1) / (count - groups)))


def eta_squared(words: Sequence[str], ranks: Any) -> float:
    """The variance between groups as a share of all."""
    import numpy as np

    _, groups = np.unique(np.array([str(word) for word in words]), return_inverse=True)
    sizes = np.bincount(groups)
    means = np.bincount(groups, ranks) / sizes
    return float((sizes * (means - ranks.mean()) ** 2).sum() / ((ranks - ranks.mean()) ** 2).sum())


def ranked(values: Any) -> Any:
    """Ranks from 1, ties share their mean; float64[]."""
    import numpy as np

    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return ((ends - counts + 1 + ends) / 2)[inverse]


def number(value: Any) -> float | None:
    """A finite number, also from a text; None for anything else."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def regression(points: Sequence[tuple[float, float]]) -> dict[str, float] | None:
    """The least squares line through points: slope, intercept, Pearson's r; None for less than three or all at one x."""
    import numpy as np

    x, y = (np.array(column, "float64") for column in zip(*points, strict=True)) if points else (np.empty(0),) * 2
    if len(x) < 3 or np.ptp(x) == 0:
        return None
    xs, ys = x - x.mean(), y - y.mean()
    spread = float(np.sqrt((xs**2).sum() * (ys**2).sum()))
    slope = float((xs * ys).sum() / (xs**2).sum())
    r = float((xs * ys).sum()) / spread if spread else 0.0
    return {"slope": slope, "intercept": float(y.mean() - slope * x.mean()), "r": r}
