"""Commands of monitoring."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from loopline.core.pages import attempted
from loopline.usecases.monitoring.budget_cli import backtest, budget

HEADINGS = [("WINDOW", "window"), ("SLICE", "value"), ("ROWS", "predictions"), ("LABELS", "labels"), ("", "state")]


FLEET = [("ENDPOINT", "endpoint"), ("STATE", "said"), ("METRIC", "metric"), ("NEWEST", "value"), ("COURSE", "course")]
FLEET += [("LIMIT", "limit"), ("ESTIMATE", "estimated"), ("ALERTS", "alerts"), ("TRUTH", "truth"), ("WHY", "why")]
BARS = "▁▂▃▄▅▆▇█"


class Monitor(click.Group):
    """`loopline monitor`, `loopline monitor ENDPOINT` and `loopline monitor backtest …` side by side."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        first = next((word for word in args if not word.startswith("-")), "")
        return super().parse_args(ctx, args if first in self.commands else ["show", *args])


@click.group(cls=Monitor)
def monitor() -> None:
    """Show how models are doing."""


monitor.add_command(backtest)
monitor.add_command(budget)


@monitor.command(hidden=True)
@click.argument("endpoint", required=False, default="")
@click.option("--by", "column", default="", help="A slice column, or version.")
@click.option("--since", default="", help="First window to show.")
@click.option("--search", default="", metavar="WORDS", help="Only models whose name, metric or cause has these words.")
@click.option("--state", default="", help="Only those: alert, acknowledged, near_limit, silent, provisional, fine.")
@click.option("--no-evaluate", is_flag=True, help="Show what is stored without looking for news.")
@click.pass_obj
def show(obj: Any, endpoint: str, column: str, since: str, search: str, state: str, no_evaluate: bool) -> None:
    """List all models, who needs a look first; or show ENDPOINT over time. Provisional windows still wait for truth.

    `loopline monitor export ENDPOINT FOLDER` writes what is known as Parquet; `loopline monitor backtest ENDPOINT`
    replays history under other rules.
    """
    if not endpoint:
        fleet(obj, search, state)
        return
    if not no_evaluate:
        obj.client.call("monitoring.evaluate", endpoint=endpoint)
    summary = obj.client.call("monitoring.summary", endpoint=endpoint)
    windows = obj.client.call("monitoring.windows", endpoint=endpoint, column=column, since=since)
    rows = obj.client.call("monitoring.fleet", endpoint=endpoint)["rows"]
    if obj.json:
        obj.show({"summary": summary, "windows": windows, "glance": rows[0] if rows else None})
        return
    told(obj, summary, windows, rows)


@monitor.command()
@click.argument("endpoint")
@click.argument("folder", type=click.Path(path_type=Path))
@click.pass_obj
def export(obj: Any, endpoint: str, folder: Path) -> None:
    """Write windows, data quality, drift, estimates, profiles and alerts of ENDPOINT into FOLDER as Parquet, for SQL."""
    from loopline.usecases.monitoring.reports import tabled

    found = tabled.written(obj.client.call, endpoint, folder)
    rows = ", ".join(f"{name} {count}" for name, count in found.items())
    obj.show({"folder": str(folder), "rows": found}, text=f"{folder}: rows of {rows}.")


def fleet(obj: Any, search: str, state: str) -> None:
    """All models, page after page; as JSON each with its summary."""
    rows: list[dict[str, Any]] = []
    page, pages = 1, 1
    while page <= pages:
        found = obj.client.call("monitoring.fleet", q=search, state=state, page=page)
        rows += found["rows"]
        page, pages = page + 1, found["pages"]
    if obj.json:
        summaries = {one["endpoint"]: one for one in obj.client.call("monitoring.monitors")}
        obj.show([{**summaries.get(row["endpoint"], {}), **row} for row in rows])
        return
    obj.show([fleet_line(row) for row in rows], table=FLEET, title="Monitors")


def fleet_line(row: dict[str, Any]) -> dict[str, Any]:
    """One model as a row of the table: its first metric stands for it."""
    metric, estimate = row["metrics"][0], row["estimate"]
    share = row["labelled"] / row["predictions"] if row["predictions"] else 0.0
    return {
        "endpoint": row["endpoint"],
        "said": row["state"].replace("_", " "),
        "metric": metric["name"],
        "value": figure(metric["value"]),
        "course": bars(metric["points"][-16:]),
        "limit": figure(metric["limit"]),
        "estimated": figure(estimate["value"]) if estimate else "",
        "alerts": row["alerts"] or "",
        "truth": f"{100 * share:.0f} %",
        "why": row["why"],
    }


def told(obj: Any, summary: dict[str, Any], windows: list[dict[str, Any]], rows: list[dict[str, Any]]) -> None:
    """One model: its state, its course, its alerts, and its windows."""
    metric = summary["metric"]
    if rows:
        obj.say(f"{rows[0]['state'].replace('_', ' ').capitalize()}: {rows[0]['why']}")
        obj.say(f"{metric} {bars(rows[0]['metrics'][0]['points'])}")
    obj.say(glance(summary))
    for sentence in [*estimated(rows), *drifted(obj, summary)]:
        obj.say(sentence)
    if rows and rows[0]["alerts"]:
        for alert in obj.client.call("monitoring.alerts", endpoint=summary["endpoint"], state="open"):
            obj.say(f"{alert['state']} {alert['id']}: {alert['message']}")
    obj.show([line(window, metric) for window in windows], table=headings(metric), title="Windows")


def estimated(rows: list[dict[str, Any]]) -> list[str]:
    """What performance is thought to be where truth has not arrived."""
    found = rows[0]["estimate"] if rows else None
    if not found:
        return []
    span = "" if found["low"] is None else f" ({found['low']:.3f}-{found['high']:.3f})"
    return [f"estimated {found['metric']} {found['value']:.3f}{span} from {found['window'][:10]} on"]


def drifted(obj: Any, summary: dict[str, Any]) -> list[str]:
    """How unusual the newest judged window was, and which columns made it so."""
    found = attempted(obj.client.call, "monitoring.drift_history", endpoint=summary["endpoint"])
    if not found or not found["starts"]:
        return []
    changed = [
        f"{line['column']} {line['changes'][-1]}" for line in found["columns"] if line["alarms"] and line["alarms"][-1]
    ]
    word = "unusual" if found["alarms"][-1] else "as usual"
    told = f"drift: the {summary['window']} of {found['starts'][-1][:10]} is {word}{chance(found['p_values'][-1])}"
    return [f"{told}; {'; '.join(changed[:3])}" if changed else told]


def chance(p_value: float | None) -> str:
    """A p-value behind a word; '' without one."""
    if p_value is None:
        return ""
    return " (p < 0.0001)" if p_value < 0.0001 else f" (p = {p_value:.2g})"


def bars(values: Sequence[float | None]) -> str:
    """Values as a line of small bars, a gap where there is none."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, span = min(known), (max(known) - min(known)) or 1.0
    return "".join(" " if value is None else BARS[round((value - low) / span * 7)] for value in values)


def figure(value: float | None) -> str:
    """A metric with three decimals."""
    return "" if value is None else f"{value:.3f}"


def glance(summary: dict[str, Any]) -> str:
    """The summary as three lines."""
    delay, limit = summary["label_delay"], summary["limit"]
    hours = (
        "unknown"
        if delay["p99_hours"] is None
        else f"{delay['p50_hours']:.1f} h median, {delay['p99_hours']:.1f} h p99"
    )
    bound = "no limit" if limit is None else f"limit {limit:.4f}"
    return (
        f"{summary['endpoint']}: version {summary['version']} of {summary['model']}, {summary['metric']} with {bound}\n"
        f"{summary['predictions']} predictions, {summary['labelled']} with truth; {summary['truth_records']} truth records: "
        f"{summary['duplicates']} repeated, {summary['corrections']} corrected, {summary['orphans']} for unknown predictions\n"
        f"label delay {hours}; mature until {summary['mature_until'][:10] or 'nowhere yet'}"
    )


def headings(metric: str) -> list[tuple[str, str]]:
    """The columns of the table of windows."""
    return [*HEADINGS, (metric.upper(), "metric"), ("LOG LOSS", "log_loss"), ("POSITIVE", "positive")]


def line(window: dict[str, Any], metric: str) -> dict[str, Any]:
    """One window as a row of the table."""
    metrics, low, high = window["metrics"], f"{metric}_low", f"{metric}_high"
    value = f"{metrics[metric]:.4f}" if metric in metrics else ""
    span = f" ({metrics[low]:.3f}-{metrics[high]:.3f})" if low in metrics and high in metrics else ""
    share = 100 * window["labelled"] / max(window["predictions"], 1)
    return {
        "window": window["start"][:10],
        "value": window["value"],
        "predictions": window["predictions"],
        "labels": f"{window['labelled']} ({share:.0f} %)",
        "state": "mature" if window["mature"] else "provisional",
        "metric": value + span,
        "log_loss": metrics.get("log_loss"),
        "positive": metrics.get("label_mean"),
    }
