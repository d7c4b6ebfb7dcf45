"""`loopline compare`: runs side by side on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

PARTS = ("params", "metrics", "data", "code", "environment")
SIDE_BY_SIDE = 8
LONGEST = 40
DIGEST = 12


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True)
@click.option("--target", default="", help="The metric that params are weighed against.")
@click.option("--all", "everything", is_flag=True, help="Also what is the same in all runs.")
@click.option("--diff", is_flag=True, help="Also how the uncommitted changes of the first two differ.")
@click.pass_obj
def compare(obj: Any, runs: tuple[str, ...], target: str, everything: bool, diff: bool) -> None:
    """Compare runs: where params, metrics, data, code and packages differ, and which params go with a metric."""
    pair = {"base": runs[0], "against": runs[1]} if diff and len(runs) > 1 else {}
    found = obj.client.call("tracking.comparison", runs=list(runs), target=target, **resolved(obj, pair))
    if obj.json:
        obj.show(found)
        return
    lines = [line for part in PARTS for line in of_part(found, part, everything)]
    if lines:
        columns, lines = laid_out(found["runs"], lines)
        obj.show(lines, table=columns, title="Where they differ" if not everything else "Side by side")
    else:
        obj.say("They differ in nothing that was recorded.")
    if found["importance"]:
        obj.show(
            [weight(one) for one in found["importance"]],
            table=[("PARAM", "name"), ("SHARE", "share"), ("CORRELATION", "correlation"), ("RUNS", "runs")],
            title=f"What goes with {found['target']} ({found['method']})",
        )
    if diff and found["difference"]:
        obj.say(found["difference"])


def resolved(obj: Any, pair: Mapping[str, str]) -> dict[str, str]:
    """The full ids of the runs whose changes are compared."""
    return {name: obj.client.call("tracking.get", run_id=run_id)["id"] for name, run_id in pair.items()}


def of_part(found: Mapping[str, Any], part: str, everything: bool) -> list[dict[str, str]]:
    """A line for each name of a part, a column for each run."""
    ids: Sequence[str] = [run["id"] for run in found["runs"]]
    rows = [row for row in found[part] if everything or row["differs"]]
    return [
        {
            "name": f"{part}.{row['name']}",
            **{run_id: shown(value, part) for run_id, value in zip(ids, row["values"], strict=True)},
        }
        for row in rows
    ]


def laid_out(
    runs: Sequence[Mapping[str, Any]], lines: list[dict[str, str]]
) -> tuple[list[tuple[str, str]], list[dict[str, str]]]:
    """Few runs stand side by side, many beneath each other: the columns of the table, and its lines."""
    titles = {run["id"]: f"{run['name'][:24]} {run['id'][:6]}" for run in runs}
    if len(runs) <= SIDE_BY_SIDE:
        return [("", "name"), *((title, run_id) for run_id, title in titles.items())], lines
    turned = [{"run": title, **{line["name"]: line[run_id] for line in lines}} for run_id, title in titles.items()]
    return [("RUN", "run"), *((line["name"].partition(".")[2], line["name"]) for line in lines)], turned


def weight(one: Mapping[str, Any]) -> dict[str, str]:
    """A param's weight in words."""
    correlation = f"{one['correlation']:+.2f}" if one["correlation"] is not None else f"{one['distinct']} words"
    return {"name": one["name"], "share": f"{one['share']:.0%}", "correlation": correlation, "runs": str(one["runs"])}


def shown(value: Any, part: str) -> str:
    """A value in few characters."""
    if value is None:
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else str(value)[: DIGEST if part in ("data", "code") else LONGEST]
