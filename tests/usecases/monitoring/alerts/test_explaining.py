"""What an alert tells: which way, by how much, where, since when, at what cost, and what to do next."""

from __future__ import annotations

import io
from typing import Any

import pytest

from loopline.usecases.monitoring.model import LabelDelay, MonitorConfig, Window, findings
from loopline.usecases.monitoring.model.alerts import Alert
from loopline.usecases.monitoring.model.grouping import commands, with_commands
from loopline.usecases.monitoring.model.messages import Note, told
from loopline.usecases.monitoring.plotting import picture

pytestmark = pytest.mark.unit
COSTS = {"false_positive": 1.0, "false_negative": 5.0}


def window(day: int, column: str = "", value: str = "", rows: int = 1000, **metrics: Any) -> Window:
    quality = metrics.pop("quality", {})
    return Window(
        start=f"2013-04-{day:02d}T00:00:00.000Z", end=f"2013-04-{day + 1:02d}T00:00:00.000Z", column=column, value=value,
        predictions=rows, labelled=int(rows * 0.93), complete=True, mature=True, metrics=metrics, quality=quality,
    )  # fmt: skip


def judged(config: MonitorConfig, windows: list[Window], limits: dict[str, float]) -> list[Any]:
    live_at = {each.start: 3 for each in windows}
    return [one for one in findings(windows, config, limits, live_at, {}, LabelDelay()) if one.state == "wrong"]


def bad_day() -> list[Window]:
    found = []
    for day in range(1, 8):
        auc, cost = (0.70 + 0.001 * day, 0.30) if day < 7 else (0.60, 0.42)
        found += [window(day, auc=auc, cost=cost), window(day, "version", "3", auc=auc, cost=cost, auc_low=auc - 0.02,
                                                          auc_high=auc + 0.02)]  # fmt: skip
        found += [window(day, "carrier", "MQ", 200, auc=0.72 if day < 7 else 0.50)]
        found += [window(day, "carrier", "AA", 780, auc=0.70 if day < 7 else 0.69)]
        found += [window(day, "carrier", "HA", 20, auc=0.70 if day < 7 else 0.10)]
    return found


def test_a_drop_says_by_how_much_where_with_how_much_truth_and_at_what_cost() -> None:
    config = MonitorConfig(window="day", lower_limit=0.65, slices=("carrier",), costs=COSTS, label_delay_hours=5)
    (found,) = judged(config, bad_day(), {"auc": 0.65})
    details = found.details
    assert details["direction"] == "worse"
    assert details["effect"] == "auc fell by 0.104, from 0.704 to 0.600"
    assert details["truth_share"] == 0.93
    assert [segment["value"] for segment in details["segments"]] == ["MQ", "AA"]
    assert details["segments"][0]["text"] == "carrier = MQ: 0.500, usually 0.720 (20 % of rows)"
    assert details["cost"]["per_window"] == pytest.approx(120.0)
    assert "about 120 more in the day" in details["cost"]["text"]
    assert details["interval"] == [pytest.approx(0.58), pytest.approx(0.62)]
    assert found.due == "2013-04-08T05:00:00.000Z"


def test_a_loss_gets_worse_by_rising_and_no_past_means_the_limit() -> None:
    config = MonitorConfig(window="day", metric="log_loss", lower_limit=0.5)
    windows = [window(2, "version", "3", log_loss=0.7)]
    (found,) = judged(config, windows, {"log_loss": 0.5})
    assert found.details["effect"] == "log_loss is 0.700, 0.200 above its limit"
    assert found.details["direction"] == "worse"
    assert "cost" not in found.details


def test_bad_values_name_their_column_and_what_is_usual() -> None:
    config = MonitorConfig(window="day", data_quality={"missing_share": 0.1})  # type: ignore[arg-type]
    config = MonitorConfig(window="day", data_quality=type(MonitorConfig().data_quality)(missing_share=0.1))
    shares = {1: 0.02, 2: 0.04, 3: 0.3}
    windows = [window(day, quality={"missing": {"wind": share, "gate": 0.0}}) for day, share in shares.items()]
    (found,) = judged(config, windows, {})
    assert found.details["effect"] == "missing in wind: 30 % of rows, usually 3 %"
    assert found.details["columns"] == ["wind"]


def test_slow_answers_are_told_in_milliseconds() -> None:
    config = MonitorConfig(window="day", latency_ms=5)
    windows = [window(day, latency_p99_ms=3.0 if day < 3 else 9.0) for day in (1, 2, 3)]
    (found,) = judged(config, windows, {})
    assert found.details["effect"] == "p99 latency rose by 6.000 ms, from 3.000 to 9.000 ms"


def alert(**changes: Any) -> Alert:
    known: dict[str, Any] = {
        "id": "a1", "endpoint": "late", "cause": "performance", "state": "open", "model": "delays", "version": 3,
        "first_window": "2013-04-07T00:00:00.000Z", "last_window": "2013-04-07T00:00:00.000Z", "value": 0.6,
        "limit": 0.65, "message": "auc 0.600 is below the limit 0.650", "opened_at": "2013-04-08T05:00:00.000Z",
        "changed_at": "", "changed_by": "monitor",
    }  # fmt: skip
    return Alert(**(known | changes))


def test_commands_are_exact() -> None:
    assert list(commands(alert())) == [
        "loopline blame a1", "loopline report late --start 2013-04-07", "loopline rollback late --reason 'alert a1'",
    ]  # fmt: skip
    assert list(commands(alert(version=1)))[-1] == "loopline report late --start 2013-04-07"
    assert list(commands(alert(cause="disk", endpoint="", version=None))) == ["loopline room"]
    details = {"channels": ["flights/night"]}
    assert list(commands(alert(cause="channel", details=details, version=None))) == [
        "loopline channels --test flights/night"
    ]


def test_a_message_says_it_all_in_words_and_nothing_in_it_is_html() -> None:
    config = MonitorConfig(window="day", lower_limit=0.65, slices=("carrier",), costs=COSTS, label_delay_hours=5)
    (found,) = judged(config, bad_day(), {"auc": 0.65})
    one = with_commands(alert(details=found.details, message="auc <b>0.6</b>"))
    said = told(Note(id="a1-opened", seq=1, alert=one, state="opened", created_at=""))
    for part in (
        "Auc <b>0.6</b>", "What changed: auc fell by 0.104", "Direction: worse", "Since: 2013-04-07", "Version: delays:3",
        "Worst in: carrier = MQ", "Chance: 95 % interval 0.580 to 0.620", "Truth arrived: 93 %", "Likely cost: about 120",
        "  loopline blame a1", "  loopline judge a1 real|false",
    ):  # fmt: skip
        assert part in said.text
    assert "&lt;b&gt;" in said.html
    assert "<b>" not in said.html


def test_the_picture_shows_the_metric_its_limit_and_the_bad_window() -> None:
    from PIL import Image

    windows = [each for each in bad_day() if each.column == ""]
    drawn = picture(alert(details={"metric": "auc"}), windows)
    assert drawn is not None
    image = Image.open(io.BytesIO(drawn)).convert("RGB")
    assert image.size == (640, 240)
    colours = {colour for _, colour in image.getcolors(100_000)}
    assert {(254, 226, 226), (220, 38, 38), (37, 99, 235)} <= colours
    assert len(drawn) < 20_000
    assert picture(alert(details={"metric": "auc"}), windows[:1]) is None
    assert picture(alert(details={"metric": "nothing"}), windows) is None


def test_estimates_and_drift_are_told_in_the_same_words() -> None:
    details = {"metric": "auc", "low": 0.55, "high": 0.64, "share_arrived": 0.2}
    estimate = with_commands(alert(cause="estimate", details=details)).details
    assert estimate["effect"] == "estimated auc is 0.600, 0.050 below its limit"
    assert (estimate["direction"], estimate["truth_share"]) == ("worse", 0.2)
    assert estimate["evidence"] == "95 % interval 0.550 to 0.640"
    columns = [{"column": "wind", "direction": "higher", "change": "mean 3.1 m/s higher", "p_value": 0.0004}]
    drift = with_commands(alert(cause="drift", value=0.001, details={"e_value": 120.0, "columns": columns})).details
    assert (drift["effect"], drift["direction"]) == ("wind: mean 3.1 m/s higher", "higher")
    assert drift["evidence"] == "p-value 0.0004, e-value 1.2e+02"
