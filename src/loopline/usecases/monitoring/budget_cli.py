"""Commands that look back: blame, backtest, budget."""

from __future__ import annotations

import json
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


FIRED = [
    ("WINDOW", "window"),
    ("CAUSE", "cause"),
    ("VALUE", "value"),
    ("LIMIT", "limit"),
    ("SEEN AT", "at"),
    ("", "why"),
]
CHANGES = [("CHANGE", "what"), ("AT", "at"), ("TOLD BY", "cause"), ("WINDOWS", "delay_windows"), ("DAYS", "delay_days")]
OPTIONS = [
    ("WINDOWS IN A ROW", "consecutive"),
    ("LIMITS", "limits"),
    ("FALSE A QUARTER", "expected"),
    ("DELAY", "delay"),
]


@click.command()
@click.argument("endpoint")
@click.pass_obj
def budget(obj: Any, endpoint: str) -> None:
    """Say why limits are what the alert budget made them."""
    show_budget(obj, obj.client.call("monitoring.budget", endpoint=endpoint))


@click.command()
@click.argument("endpoint")
@click.option("--since", default="", help="First event time to replay.")
@click.option("--until", default="", help="Event time at which to stop.")
@click.option("--plant", "plants", multiple=True, help="A change to plant: KIND:COLUMN:SIZE@DATE (again for more).")
@click.option("--set", "changed", multiple=True, help="A rule that is other than written: NAME=VALUE (again for more).")
@click.option("--keep", is_flag=True, help="Store the answer.")
@click.pass_obj
def backtest(
    obj: Any, endpoint: str, since: str, until: str, plants: tuple[str, ...], changed: tuple[str, ...], keep: bool
) -> None:
    """Replay history under these or other rules: what would have fired, how soon, and how often for nothing."""
    rules = dict(rule_in(text) for text in changed)
    asked = {"since": since, "until": until, "plants": list(plants), "rules": rules, "keep": keep}
    show_backtest(obj, obj.client.call("monitoring.backtest", endpoint=endpoint, **asked))


def show_budget(obj: Any, found: dict[str, Any]) -> None:
    """The limits and why."""
    if obj.json:
        obj.show(found)
        return
    for metric, limit in found["limits"].items():
        obj.say(
            f"{metric} limit {limit:.4g}, {found['consecutive']} windows in a row: level {found['level'][metric]:.4g}, "
            f"spread {found['spread'][metric]:.2g}; {found['expected']:.2g} false alarms a quarter are expected "
            f"(at most {found['per_quarter']:g})"
        )
    if found["note"]:
        obj.say(found["note"])
    lines = [one | {"limits": _limits(one["limits"]), "expected": f"{one['expected']:.2f}"} for one in found["options"]]
    obj.show([line | {"delay": f"{line['delay']:.1f}"} for line in lines], table=OPTIONS, title="Options")


def show_backtest(obj: Any, found: dict[str, Any]) -> None:
    """What would have fired, and how soon it told of each change."""
    if obj.json:
        obj.show(found)
        return
    obj.say(
        f"{found['windows']} windows from {found['since'][:10]} to {found['until'][:10]}: {len(found['fired'])} alerts, "
        f"{found['false_alarms']} for nothing, {found['false_per_quarter']:.2f} a quarter "
        f"({found['false_low']:.2f} to {found['false_high']:.2f}); {found['missed']} changes missed, {found['opened']} really opened"
    )
    for note in found["notes"]:
        obj.say(note)
    obj.show([_fired(one) for one in found["fired"]], table=FIRED, title="Fired")
    obj.show([one | {"at": one["at"][:10]} for one in found["changes"]], table=CHANGES, title="Changes")


def rule_in(text: str) -> tuple[str, Any]:
    """`NAME=VALUE`, the value as JSON where it is some."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise Invalid(f"{text!r} is no rule.", "Write it like consecutive=2 or alarms.per_quarter=1.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _fired(one: dict[str, Any]) -> dict[str, Any]:
    figures = {name: _figure(one[name]) for name in ("value", "limit")}
    return one | figures | {"window": one["window"][:16], "at": one["at"][:16], "why": one["because"] or "nothing"}


def _limits(limits: dict[str, float]) -> str:
    return ", ".join(f"{name} {limit:.4g}" for name, limit in limits.items())
