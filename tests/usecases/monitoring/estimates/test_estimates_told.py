"""Estimates of an evaluated endpoint: kept in the database, told by the verbs, compared with what came true."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from loopline.core.errors import Invalid
from loopline.core.verbs import Caller, Role
from loopline.usecases.monitoring.api import VERBS
from loopline.usecases.monitoring.model.estimates.values import Estimate
from loopline.usecases.monitoring.store import estimates as store

pytestmark = pytest.mark.integration


def test_an_evaluation_estimates_weeks_whose_truth_is_to_come(watch: Any) -> None:
    """Ten weeks whose truth comes within a fortnight; the truth of the newest two is still to come."""
    watch.rules["late"] = {"label_delay_hours": 14 * 24}
    table = watch.predicted(6000, days=70)
    watch.logs.predictions.append(table.drop_columns(["outcome"]))
    events = np.asarray(table["event_time"].cast("int64"))
    known = events + (np.random.default_rng(5).random(6000) * 14 * watch.day).astype("int64")
    told = np.flatnonzero(known < watch.april + 70 * watch.day)
    ids, outcome = table["id"].to_pylist(), table["outcome"].to_numpy()
    watch.logs.tell([ids[i] for i in told], outcome[told], known[told])
    watch.monitoring.evaluate("late")

    caller, verbs = Caller("reader", Role.VIEWER), {verb.name: verb for verb in VERBS}
    asked = verbs["monitoring.estimates"]
    found = asked.call(watch.monitoring, asked.request(endpoint="late", metric="auc"), caller)
    windows = {window.start: window for window in watch.windows()}
    open_ones = [entry for entry in found if not entry.mature]
    assert {entry.start for entry in open_ones} == {start for start, one in windows.items() if not one.mature}
    newest = open_ones[-1]
    assert newest.realized is None
    assert newest.low < newest.value < newest.high
    assert newest.value == pytest.approx(
        windows[max(s for s, w in windows.items() if w.mature)].metrics["auc"], abs=0.06
    )
    assert 0.1 < newest.share < 0.6

    record = watch.monitoring.estimate_errors("late", "auc")
    settled = [entry for entry in record.windows if entry.first_value is not None]
    assert len(settled) >= 4
    assert all(entry.realized == pytest.approx(windows[entry.start].metrics["auc"], abs=1e-3) for entry in settled)
    assert (record.errors[0].metric, record.errors[0].method) == ("auc", "mix")
    assert record.errors[0].windows == len(settled)
    assert record.errors[0].mean_absolute_error < 0.05
    errors = verbs["monitoring.estimate_errors"]
    assert errors.call(watch.monitoring, errors.request(endpoint="late", metric="auc"), caller) == record
    methods = {entry.method for entry in watch.monitoring.estimates("late", "auc", "")}
    assert methods == {"cbpe", "features", "arrived", "weighted", "mix"}
    with pytest.raises(Invalid, match="'guess' is no method"):
        watch.monitoring.estimates("late", "auc", "guess")


def test_what_is_kept_is_what_was_said(watch: Any) -> None:
    entry = Estimate(
        start="2013-04-01T00:00:00.000Z", end="2013-04-08T00:00:00.000Z", metric="auc", method="mix", value=0.7, low=0.6,
        high=0.8, rows=3_000_000_000, share=0.25, version=3, warning="no truth", complete=True, first_spread=0.02,
    )  # fmt: skip
    other = Estimate(start=entry.start, end=entry.end, metric="f1", method="cbpe")
    watch.database.write(lambda tx: store.put(tx, "late", [("9 3 r", entry), ("9 3 r", other)], "2013-04-09"))
    assert watch.database.read(lambda tx: store.estimates(tx, "late")) == [("9 3 r", entry), ("9 3 r", other)]
    watch.database.write(lambda tx: store.put(tx, "late", [("9 4 r", other)], "2013-04-10"))
    assert watch.database.read(lambda tx: store.estimates(tx, "late"))[1][0] == "9 4 r"
    assert watch.monitoring.estimates("late", since="2013-04-02") == []
    assert watch.monitoring.estimates("late", method="") == [entry, other]
    assert watch.monitoring.estimate_errors("late").errors == []
