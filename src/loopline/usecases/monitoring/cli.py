"""Commands of monitoring."""

from __future__ import annotations

from typing import Any

import click

HEADINGS = [("WINDOW", "window"), ("SLICE", "value"), ("ROWS", "predictions"), ("LABELS", "labels"), ("", "state")]


@click.command()
@click.argument("endpoint", required=False, default="")
@click.option("--by", "column", default="", help="A slice column, or version.")
@click.option("--since", default="", help="First window to show.")
@click.option("--no-evaluate", is_flag=True, help="Show what is stored without looking for news.")
@click.pass_obj
def monitor(obj: Any, endpoint: str, column: str, since: str, no_evaluate: bool) -> None:
    """Show performance over time; provisional windows still wait for truth."""
    if not endpoint:
        found = obj.client.call("monitoring.monitors")
        columns = [("ENDPOINT", "endpoint"), ("VERSION", "version"), ("PREDICTIONS", "predictions")]
        columns += [("LABELLED", "labelled"), ("ORPHANS", "orphans"), ("MATURE UNTIL", "mature_until")]
        obj.show(found, table=columns, title="Monitors")
        return
    if not no_evaluate:
        obj.client.call("monitoring.evaluate", endpoint=endpoint)
    summary = obj.client.call("monitoring.summary", endpoint=endpoint)
    windows = obj.client.call("monitoring.windows", endpoint=endpoint, column=column, since=since)
    if obj.json:
        obj.show({"summary": summary, "windows": windows})
        return
    obj.say(glance(summary))
    metric = summary["metric"]
    obj.show([line(window, metric) for window in windows], table=headings(metric), title="Windows")


@click.command()
@click.argument("endpoint")
@click.option("--start", default="", help="First moment of the window; the newest complete one otherwise.")
@click.pass_obj
def report(obj: Any, endpoint: str, start: str) -> None:
    """Show drift per feature against the training profile."""
    found = obj.client.call("monitoring.drift", endpoint=endpoint, start=start)
    if obj.json:
        obj.show(found)
        return
    obj.say(
        f"{found['rows_now']} predictions of the {found['window']} of {found['start'][:10]} against "
        f"{found['rows_then']} training rows of version {found['version']}"
    )
    if found["p_value"] is not None:
        obj.say(
            f"As unusual as this: {100 * found['p_value']:.0f} % of the {found['periods']} {found['window']}s in training"
        )
    columns = [("FEATURE", "name"), ("CHANGE", "change"), ("TIMES USUAL", "times_usual"), ("BY", "strongest")]
    obj.show(found["columns"], table=columns, title="Features")


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
