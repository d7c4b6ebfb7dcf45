"""Commands that look back: blame, backtest, budget."""

from __future__ import annotations

from typing import Any

import click

from loopline.core.errors import Invalid

PARTS = [("PART", "segment"), ("OF THE CHANGE", "share"), ("BY", "by"), ("WAS", "was"), ("IS", "now"), ("ROWS", "rows")]
FEATURES = [("FEATURE", "name"), ("MOVED", "moved"), ("BY CHANCE", "usual"), ("USE", "use"), ("WEIGHT", "weight")]


@click.command()
@click.argument("alert", required=False, default="")
@click.option("--endpoint", default="", help="Compare windows of this endpoint instead of an alert.")
@click.option("--window", default="", help="Start of the window to explain; the newest complete one otherwise.")
@click.option("--against", default="", help="Start of the window to compare with; the last good ones otherwise.")
@click.option("--metric", default="", help="Another metric than the monitor's.")
@click.pass_obj
def blame(obj: Any, alert: str, endpoint: str, window: str, against: str, metric: str) -> None:
    """Name the segment, version, feature and data that explain a drop, by how much each."""
    if bool(alert) == bool(endpoint):
        raise Invalid("Name an alert, or an endpoint with --endpoint.", "`loopline alerts --all` lists alerts.")
    found = (
        obj.client.call("monitoring.blame", alert=alert)
        if alert
        else obj.client.call("monitoring.compare", endpoint=endpoint, window=window, against=against, metric=metric)
    )
    if obj.json:
        obj.show(found)
        return
    for sentence in found["sentences"]:
        obj.say(sentence)
    obj.show(parts(found), table=PARTS, title="Parts")
    obj.show([feature(one) for one in found["features"][:10]], table=FEATURES, title="Features")
    if found["use_from"]:
        obj.say(f"Use of features from {found['use_from']}.")


def parts(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts as lines of a table, and what is left; they sum to the change."""
    lines = [
        {
            "segment": part["segment"],
            "share": _percent(part["share"]),
            "by": "mix" if abs(part["mix"]) > abs(part["within"]) else "within",
            "was": _figure(part["value_then"]),
            "now": _figure(part["value_now"]),
            "rows": f"{_percent(part['rows_then'])} to {_percent(part['rows_now'])}",
        }
        for part in found["parts"]
    ]
    if found["rest"] is None:
        return lines
    share = found["rest"] / found["change"] if found["change"] else 0.0
    left = {"segment": "not explained", "share": _percent(share), "by": "", "was": "", "now": "", "rows": ""}
    return [*lines, left]


def feature(one: dict[str, Any]) -> dict[str, Any]:
    """A feature as a line of a table."""
    return {"name": one["name"]} | {name: _percent(one[name]) for name in ("moved", "usual", "use", "weight")}


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
