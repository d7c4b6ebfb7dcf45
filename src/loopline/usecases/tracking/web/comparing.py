"""The page of several runs side by side. All choices stand in the address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loopline.core.pages import Call
from loopline.usecases.tracking import comparison
from loopline.usecases.tracking.web import charts, pieces

MOST_RUNS = 500
OVERLAID = 20
SIDE_BY_SIDE = 8
MOST_COLUMNS = 30
MOST_AXES = 12
MOST_WORDS = 40
ORDERS = {"": "as listed", "lowest": "lowest first", "highest": "highest first"}


def compare(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """Runs side by side; without runs in the address the newest ones to choose from."""
    names = [one for one in params.get("runs", "").replace(" ", ",").split(",") if one][:MOST_RUNS]
    if not names:
        return {"found": None, "newest": call("tracking.search", limit=20)["runs"], "kept": {}}
    asked = {name: params.get(name, "")[:500] for name in ("target", "base", "against")}
    found = call("tracking.comparison", runs=names, **asked)
    ranked = placed(found, params)
    kept = {"runs": ",".join(run["id"] for run in found["runs"])}
    return {
        "found": found,
        "kept": kept,
        "asked": asked,
        "ranked": ranked,
        "everything": bool(params.get("all")),
        "orders": ORDERS,
        "order": charts.one_of(ORDERS, params.get("order", ""), ""),
        "most": len(ranked),
        "side": len(found["runs"]) <= SIDE_BY_SIDE,
        "columns": columns(found),
        "diff": pieces.lines(found["difference"]),
        "environment": [row for row in found["environment"] if row["differs"]],
        "parallel": parallel(found),
        "scatter": scatter(found, params),
        **drawings(call, found, ranked, params),
    }


def placed(found: Mapping[str, Any], params: Mapping[str, str]) -> list[dict[str, Any]]:
    """The runs whose curves are drawn: as many as asked for, in the order of the metric asked for."""
    order, text = params.get("order", ""), params.get("most", "")
    most = min(max(int(text), 1), 50) if text.isdecimal() and len(text) < 4 else OVERLAID
    values = dict(zip((run["id"] for run in found["runs"]), named(found["metrics"], found["target"]), strict=False))
    runs = list(found["runs"])
    if order in ("lowest", "highest"):
        sign = 1 if order == "lowest" else -1
        key = {run["id"]: comparison.number(values.get(run["id"])) for run in runs}
        runs.sort(key=lambda run: (key[run["id"]] is None, sign * (key[run["id"]] or 0)))
    return runs[:most]


def named(rows: Sequence[Mapping[str, Any]], name: str) -> list[Any]:
    """The values in the row of that name."""
    return next((row["values"] for row in rows if row["name"] == name), [])


def drawings(
    call: Call, found: Mapping[str, Any], runs: Sequence[Mapping[str, Any]], params: Mapping[str, str]
) -> dict[str, Any]:
    """A chart for each metric that is a curve in some run, with a line for each run."""
    chosen, only = charts.choices({**params, "together": ""}), params.get("metric", "")
    keys = sorted({key for run in runs for key in call("tracking.drawable", run_id=run["id"])})
    grouped = charts.groups([key for key in keys if not only or key == only])
    titled = [{**run, "name": f"{run['name']} {run['id'][:6]}"} for run in runs]

    def make(one: Mapping[str, Any]) -> dict[str, Any]:
        made = charts.chart(titled, one["keys"], one["title"], chosen)
        return {**made, "several": True}

    choices = {"AXES": charts.AXES, "SCALES": charts.SCALES, "BEST": charts.BEST, "TOGETHER": charts.TOGETHER}
    return {"groups": charts.with_points(call, grouped, make), "chosen": chosen, "choices": choices, "only": only}


def columns(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What differs, as columns for a table with a line for each run: params first, then metrics."""
    kinds = (("params", "Param"), ("metrics", "Metric"))
    rows = [{**row, "kind": word} for name, word in kinds for row in found[name] if row["differs"]]
    return rows[:MOST_COLUMNS]


def names(found: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What can stand on an axis: params.lr, metrics.auc."""
    return {
        f"{kind}.{row['name']}": row["values"]
        for kind in ("params", "metrics")
        for row in found[kind]
        if row["differs"]
    }


def parallel(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """The drawing of all runs across params and metrics, coloured by the target, which stands last."""
    known, target = names(found), f"metrics.{found['target']}"
    order = [name for name in known if name.startswith("params.")]
    heavy = [f"params.{one['name']}" for one in found["importance"]]
    order.sort(key=lambda name: heavy.index(name) if name in heavy else len(heavy))
    others = [name for name in known if name.startswith("metrics.") and name != target]
    chosen = [*order[:MOST_AXES], *others[: max(0, MOST_AXES - len(order))], *([target] if target in known else [])]
    axes = [axis(name, known[name]) for name in chosen]
    if len(axes) < 2:
        return None
    rows = [
        {"name": f"{run['name']} {run['id'][:6]}", "values": [scaled(one, known[one["key"]][at]) for one in axes]}
        for at, run in enumerate(found["runs"])
    ]
    return {
        "parallel": {
            "axes": [{"name": one["name"], "words": one["words"]} for one in axes],
            "rows": rows,
            "colour": len(axes) - 1,
        }
    }


def axis(key: str, values: Sequence[Any]) -> dict[str, Any]:
    """An axis: of numbers when all values are, else of words."""
    given = [value for value in values if value is not None]
    words = None
    if any(comparison.number(value) is None for value in given):
        words = sorted({str(value) for value in given})[:MOST_WORDS]
    return {"key": key, "name": key.partition(".")[2], "words": words}


def scaled(one: Mapping[str, Any], value: Any) -> Any:
    """A value as its axis shows it."""
    if value is None:
        return None
    return (str(value) if str(value) in one["words"] else None) if one["words"] else comparison.number(value)


def scatter(found: Mapping[str, Any], params: Mapping[str, str]) -> dict[str, Any]:
    """Two params or metrics of each run against each other, with the line of least squares."""
    known = {
        name: values
        for name, values in names(found).items()
        if any(comparison.number(value) is not None for value in values)
    }
    heavy = [f"params.{one['name']}" for one in found["importance"] if one["kind"] == "number"]
    across = charts.one_of(dict.fromkeys(known, ""), params.get("across", ""), next(iter([*heavy, *known]), ""))
    up = charts.one_of(dict.fromkeys(known, ""), params.get("up", ""), f"metrics.{found['target']}")
    triples = [
        (x, y, f"{run['name']} {run['id'][:6]}")
        for run, a, b in zip(found["runs"], known.get(across, ()), known.get(up, ()), strict=False)
        if (x := comparison.number(a)) is not None and (y := comparison.number(b)) is not None
    ]
    line = comparison.regression([(x, y) for x, y, _ in triples])
    return {
        "names": list(known),
        "across": across,
        "up": up,
        "count": len(triples),
        "line": line,
        "plot": dots(triples, line, across, up),
    }


def dots(
    triples: Sequence[tuple[float, float, str]], line: Mapping[str, float] | None, across: str, up: str
) -> dict[str, Any]:
    """The drawing of the points and their line."""
    points = [[x, y] for x, y, _ in triples]
    series: list[dict[str, Any]] = [
        {"name": "Runs", "kind": "scatter", "points": points, "names": [name for *_, name in triples]}
    ]
    if line:
        ends = [min(x for x, *_ in triples), max(x for x, *_ in triples)]
        fitted = [[x, line["intercept"] + line["slope"] * x] for x in ends]
        series.append({"name": "Least squares", "points": fitted, "silent": True})
    return {"x": "value", "unit": across.partition(".")[2], "side": up.partition(".")[2], "series": series}
