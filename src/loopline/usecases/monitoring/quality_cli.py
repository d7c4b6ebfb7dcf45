"""`loopline quality`: how good an endpoint's predictions are, in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from loopline.core.errors import Invalid

VIEWS = ("calibration", "delay", "fairness", "looks")


@click.command()
@click.argument("endpoint")
@click.option("--by", "column", default="", help="A slice or protected column, version or arm.")
@click.option("--value", default="", help="With --calibration or --looks: only this value of --by.")
@click.option("--metric", "metrics", multiple=True, help="A metric to show (may be given again).")
@click.option("--calibration", is_flag=True, help="How often what was predicted came true.")
@click.option("--delay", is_flag=True, help="How late truth comes.")
@click.option("--fairness", is_flag=True, help="Protected groups, and how far they are apart.")
@click.option("--looks", is_flag=True, help="How a metric settled, with intervals that hold at every look.")
@click.option("--since", default="", metavar="TIME", help="Only windows (days) since then.")
@click.option("--until", default="", metavar="TIME", help="Only windows (days) before then.")
@click.pass_obj
def quality(
    obj: Any, /, endpoint: str, column: str, value: str, metrics: tuple[str, ...], since: str, until: str, **views: bool
) -> None:  # fmt: skip
    """Show how good ENDPOINT's predictions turned out, with intervals, and how much of the truth has arrived."""
    asked = [name for name in VIEWS if views[name]]
    if len(asked) > 1:
        raise Invalid(f"--{asked[0]} and --{asked[1]} are two views.", "Ask for one at a time.")
    view = asked[0] if asked else "performance"
    given: dict[str, Any] = {"endpoint": endpoint}
    if view != "delay":
        given |= {"column": column, "since": since, "until": until}
    if view in ("calibration", "looks"):
        given["value"] = value
    if view == "looks":
        given["metric"] = metrics[0] if metrics else ""
    found = obj.client.call(f"monitoring.{view}", **given)
    if obj.json:
        obj.show(found)
    else:
        DRAWN[view](obj, found, metrics)


def performance(obj: Any, found: Mapping[str, Any], metrics: Sequence[str]) -> None:
    """One line a window and segment."""
    wanted = metrics or _usual(found)
    columns = [("WINDOW", "start"), (found["column"].upper() or "ROWS", "of"), ("LABELS", "labels"), ("", "state")]
    rows = [_line(row, found["column"], wanted) for row in found["rows"]]
    obj.show(rows, table=[*columns, *((name.upper(), name) for name in wanted)], title="Performance")


def calibration(obj: Any, found: Mapping[str, Any], _: Sequence[str]) -> None:
    """One line a bin."""
    ece = {"value": found["ece"], "low": found["ece_low"], "high": found["ece_high"]}
    told = "no truth of 0 and 1 yet" if found["ece"] is None else f"expected calibration error {span(ece)}"
    obj.say(f"{found['labelled']} labels from {found['since'][:10]} until {found['until'][:10]}, {told}")
    rows = [
        {"rows": one["rows"], "predicted": f"{one['predicted']:.3f}", "true": span({**one, "value": one["observed"]})}
        for one in found["bins"]
    ]
    obj.show(rows, table=[("ROWS", "rows"), ("PREDICTED", "predicted"), ("CAME TRUE", "true")], title="Calibration")


def delay(obj: Any, found: Mapping[str, Any], _: Sequence[str]) -> None:
    """How long to wait, and the curve."""
    learned = found["learned"]
    if learned["expected_share"] is None:
        obj.say("no truth has arrived yet")
    else:
        settled = "" if learned["settled"] else " (from young predictions: it reads too short)"
        obj.say(f"truth comes for {100 * learned['expected_share']:.1f} % of predictions{settled}")
    if found["wait_hours"] is not None:
        why = "as the monitor says" if found["written"] else "when 99 % of the truth that ever comes has come"
        obj.say(f"a window is mature {found['wait_hours']:.1f} h after its end, {why}")
    pairs = list(zip(learned["hours"], learned["shares"], strict=True))
    every = pairs[:: max(1, len(pairs) // 12)]
    rows = [{"hours": f"{hours:.1f}", "share": f"{100 * share:.1f} %"} for hours, share in every]
    obj.show(rows, table=[("HOURS", "hours"), ("HAVE TRUTH", "share")], title="Label delay")


def fairness(obj: Any, found: Mapping[str, Any], _: Sequence[str]) -> None:
    """The groups of each column, then how far they are apart."""
    for one in found["columns"]:
        names = sorted({name for group in one["groups"] for name in group["rates"]})
        rows = [
            {"value": group["value"], "rows": group["predictions"], "labels": group["labelled"]}
            | {name: span(rate) + (" too few" if name in group["few"] else "") for name, rate in group["rates"].items()}
            for group in one["groups"]
        ]
        columns = [(one["column"].upper(), "value"), ("ROWS", "rows"), ("LABELS", "labels")]
        obj.show(rows, table=[*columns, *((_words(name), name) for name in names)], title=f"Groups of {one['column']}")
        apart = [
            {
                "name": each["name"].replace("_", " "),
                "value": span(each),
                "most": each["largest"],
                "least": each["smallest"],
            }
            for each in one["disparities"]
        ]
        columns = [("", "name"), ("VALUE", "value"), ("MOST", "most"), ("LEAST", "least")]
        obj.show(apart, table=columns, title="How far they are apart")


def looks(obj: Any, found: Mapping[str, Any], _: Sequence[str]) -> None:
    """One line a look."""
    rows = [{"day": one["day"], "labels": one["labelled"], "value": span(one)} for one in found["looks"]]
    columns = [("UNTIL", "day"), ("LABELS", "labels"), (found["metric"].upper(), "value")]
    obj.show(rows, table=columns, title=f"{found['metric']} since {found['since'][:10]}")


def span(estimate: Mapping[str, Any]) -> str:
    """A value with its interval."""
    if estimate["value"] is None:
        return "-"
    text = f"{estimate['value']:.4g}"
    known = estimate["low"] is not None and estimate["high"] is not None
    return f"{text} ({estimate['low']:.3g} to {estimate['high']:.3g})" if known else text


def _usual(found: Mapping[str, Any]) -> list[str]:
    """The metric that stands for the endpoint, and two more that there are."""
    there = {name for row in found["rows"] for name in row["metrics"]}
    usual = [found["metric"], *found["limits"], "log_loss", "mae", "accuracy", "macro_f1", "ece", "bias"]
    return [name for name in dict.fromkeys(usual) if name in there][:3]


def _line(row: Mapping[str, Any], column: str, wanted: Sequence[str]) -> dict[str, Any]:
    arrived = "" if row["arrived"] is None else f", {100 * row['arrived']:.0f} % of those to come"
    told = {name: span(row["metrics"][name]) if name in row["metrics"] else "" for name in wanted}
    return {
        "start": row["start"][:10],
        "of": row["value"] if column else row["predictions"],
        "labels": f"{row['labelled']} ({100 * row['truth_share']:.0f} %{arrived})",
        "state": row["state"] + (", too few" if row["few"] else ""),
        **told,
    }


def _words(name: str) -> str:
    return name.replace("_", " ").upper()


DRAWN = {
    "performance": performance, "calibration": calibration, "delay": delay, "fairness": fairness, "looks": looks,
}  # fmt: skip
