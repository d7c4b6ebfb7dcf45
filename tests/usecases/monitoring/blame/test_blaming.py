"""`blame` over logs: a planted cause is named first, by sentences and figures, and kept with the alert."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from loopline.core.errors import Invalid, NotFound

pytestmark = pytest.mark.unit
ROWS = 3500


def week(watch: Any, number: int, worse: Any = None, **shape: Any) -> None:
    """A week of predictions that know the truth well, but for rows where `worse(table)` says otherwise."""
    start = watch.april + number * 7 * watch.day
    table = watch.predicted(ROWS, seed=number, start=start, quality=2.5, **shape)
    if worse is not None:
        rng = np.random.default_rng(1000 + number)
        prediction = table["prediction"].to_numpy().copy()
        bad = worse(table)
        prediction[bad] = rng.permutation(prediction[bad])
        place = table.column_names.index("prediction")
        table = table.set_column(place, "prediction", pa.array(prediction))
    watch.logs.predictions.append(table.drop_columns(["outcome"]))
    events = np.asarray(table["event_time"].cast("int64"))
    watch.logs.tell(table["id"].to_pylist(), table["outcome"].to_numpy(), events + 3 * watch.hour)


def weeks(watch: Any, worse: Any, **shape: Any) -> Any:
    watch.rules["late"] = {"label_delay_hours": 12, "slices": ["carrier"], "lower_limit": 0.9}
    for number in range(4):
        week(watch, number)
    week(watch, 4, worse, **shape)
    week(watch, 5)
    watch.monitoring.evaluate("late")
    (alert,) = watch.monitoring.alerts()
    return alert


def carrier(table: Any) -> Any:
    return np.asarray(table["carrier"].to_pylist()) == "UA"


def test_an_alert_is_explained_by_the_carrier_that_went_bad(watch: Any) -> None:
    alert = weeks(watch, carrier)
    found = watch.monitoring.blame(alert.id)
    assert (found.metric, found.cause, found.alert) == ("auc", "performance", alert.id)
    assert found.parts[0].segment == "carrier = 'UA'"
    assert found.parts[0].share >= 0.8
    assert found.parts[0].by == "within"
    assert found.change == pytest.approx(sum(part.part for part in found.parts) + found.rest)
    assert sum(part.part for part in found.columns["carrier"]) == pytest.approx(found.change)
    assert "of the change comes from carrier = 'UA'" in found.sentences[1]
    kept = watch.monitoring.alerts()[0].details["blame"]
    assert kept["parts"][0]["segment"] == "carrier = 'UA'"
    assert kept["sentences"] == list(found.sentences[:4])


def test_a_feature_whose_unit_changed_comes_first(watch: Any) -> None:
    metres = np.random.default_rng(4).normal(1000, 300, ROWS) * 1609
    alert = weeks(watch, lambda table: np.arange(ROWS) % 2 == 0, distance=metres)
    found = watch.monitoring.blame(alert.id)
    assert found.features[0].name == "distance"
    assert found.features[0].weight > 0.9
    assert "the median of distance moved by" in found.features[0].told
    assert any(sentence.startswith("distance moved most") for sentence in found.sentences)
    assert "a copy of the model" in found.use_from


def test_a_bad_canary_comes_first(watch: Any) -> None:
    canary = np.where(np.random.default_rng(5).random(ROWS) < 0.4, 2, 1).astype("int32")

    def second(table: Any) -> Any:
        return np.asarray(table["version"]) == 2

    watch.rules["late"] = {"label_delay_hours": 12}
    for number in range(4):
        week(watch, number)
    week(watch, 4)
    last = watch.logs.predictions[-1]
    place = last.column_names.index("version")
    watch.logs.predictions[-1] = worsened(last.set_column(place, "version", pa.array(canary)), second)
    week(watch, 5)
    watch.monitoring.evaluate("late")
    found = watch.monitoring.blame("", "late", "2013-04-29")
    assert (found.parts[0].kind, found.parts[0].segment) == ("version", "version = '2'")
    assert found.parts[0].share >= 0.8
    one = next(version for version in found.versions if version.version == 2)
    assert (one.rows_then, one.first_at[:10]) == (0, "2013-04-29")
    assert one.gap is not None
    assert one.gap_error is not None
    assert one.gap < -3 * one.gap_error
    assert any("On the same days version 2" in sentence for sentence in found.sentences)


def worsened(table: Any, worse: Any) -> Any:
    prediction, bad = table["prediction"].to_numpy().copy(), worse(table)
    prediction[bad] = np.random.default_rng(7).permutation(prediction[bad])
    return table.set_column(table.column_names.index("prediction"), "prediction", pa.array(prediction))


def test_the_data_behind_versions_are_compared(watch: Any) -> None:
    def snapshot(digest: str, *rows: int) -> Any:
        parts = [SimpleNamespace(name=f"week-{n}", digest=f"d{n}", rows=count) for n, count in enumerate(rows)]
        return SimpleNamespace(dataset="flights", digest=digest, rows=sum(rows), parts=parts)

    known = {"a": snapshot("a", 6000, 6100, 6200), "b": snapshot("b", 6000, 6100, 6200, 900)}
    watch.monitoring._datasets = SimpleNamespace(get=lambda digest: known[digest])
    for number, digest in ((1, "a"), (2, "b")):
        watch.versions[number].metadata = {"snapshots": {"flights": digest}}
    watch.rules["late"] = {"label_delay_hours": 12}
    for number in range(4):
        week(watch, number, version=1 if number < 3 else 2)
    watch.monitoring.evaluate("late")
    found = watch.monitoring.blame("", "late", "2013-04-22")
    assert [one.rows for one in found.data] == [18_300, 19_200]
    assert "week-3 holds 900 rows where 6,100 are usual" in found.data[1].told
    assert any("Version 2 took over from version 1" in sentence for sentence in found.sentences)


def test_what_cannot_be_asked(watch: Any) -> None:
    with pytest.raises(NotFound, match="no alert"):
        watch.monitoring.blame("nothing")
    with pytest.raises(NotFound):
        watch.monitoring.blame("", "late")
    week(watch, 0)
    watch.monitoring.evaluate("late")
    with pytest.raises(NotFound, match="no window before"):
        watch.monitoring.blame("", "late", "2013-04-01")
    with pytest.raises(NotFound, match="no window 2014"):
        watch.monitoring.blame("", "late", "2014-04-01")
    with pytest.raises(Invalid):
        watch.monitoring.blame("", "late", "soon")


def test_open_alerts_are_blamed_once_by_themselves(watch: Any) -> None:
    watch.rules["late"] = {"label_delay_hours": 12, "lower_limit": 0.9}
    week(watch, 0, carrier)
    week(watch, 1)
    watch.monitoring.evaluate("late")
    assert watch.monitoring.blame_open("late") == 0  # its first window: nothing to compare with, and it says so
    (alert,) = watch.monitoring.alerts(state="open")
    assert "no window before" in alert.details["blame"]["sentences"][0]
    watch.logs.read_predictions = None  # it is not tried again
    assert watch.monitoring.blame_open("late") == 0
