"""The measurements behind README.md: `python study.py` prints them, in about two minutes.

Every model is trained only on flights that had landed when it was trained; every week is judged by a model that never
saw it. The monitor's limits come from January to March alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from batches import utc
from features import featurize
from flights import read_flights, read_weather
from modelling import by_carrier, fit, judge, probabilities, split

WEEK = pd.Timedelta(days=7)
FIRST_ORIGIN, DEPLOYED, LAST = utc("2013-01-28"), utc("2013-04-01"), utc("2013-12-30")
BASELINE = "hour_late_7d"
T_8_0975 = 2.306  # Student's t, 8 degrees of freedom (nine weeks), 97.5 %


def auc(rows: pd.DataFrame, score: Any) -> float:
    """ROC AUC; a score that is not known for a row counts as its median."""
    from sklearn.metrics import roc_auc_score

    values = pd.Series(np.asarray(score, dtype=np.float64))
    return float(roc_auc_score(rows["late"], values.fillna(values.median())))


def week_of(frame: pd.DataFrame, monday: pd.Timestamp) -> pd.DataFrame:
    """The flights with truth whose event time lies in the week."""
    return frame[(frame["event_time"] >= monday) & (frame["event_time"] < monday + WEEK) & frame["late"].notna()]


def landed(frame: pd.DataFrame, moment: pd.Timestamp) -> pd.DataFrame:
    """What is known at a moment: flights that have landed by then."""
    return frame[frame["landed_at"] <= moment]


def limits(values: pd.Series) -> tuple[float, float]:
    """95 % prediction interval for one more week, by Student's t over the weeks seen (normal, independent weeks)."""
    width = T_8_0975 * values.std(ddof=1) * np.sqrt(1 + 1 / len(values))
    return float(values.mean() - width), float(values.mean() + width)


def scores(rows: pd.DataFrame, models: dict[str, Any]) -> dict[str, float]:
    """The week's AUC by each model and by the baseline column."""
    return {name: auc(rows, probabilities(model, rows)) for name, model in models.items()} | {
        "baseline": auc(rows, rows[BASELINE])
    }


def rolling_origin(frame: pd.DataFrame) -> pd.DataFrame:
    """Each week from the fifth to the last of March, by a model of everything landed before it."""
    weeks = pd.date_range(FIRST_ORIGIN, DEPLOYED - WEEK, freq="7D")
    rows = [{"week": week} | scores(week_of(frame, week), {"model": fit(landed(frame, week))}) for week in weeks]
    return pd.DataFrame(rows)


def year(frame: pd.DataFrame) -> pd.DataFrame:
    """Each week from April on: the deployed model, a weak one, and one trained anew every four weeks on all data."""
    deployed = fit(split(landed(frame, DEPLOYED), 14)[0])
    weak = fit(split(landed(frame, DEPLOYED), 14, days=7)[0])
    rows, renewed = [], deployed
    for number, week in enumerate(pd.date_range(DEPLOYED, LAST - WEEK, freq="7D")):
        if number and number % 4 == 0:
            renewed = fit(split(landed(frame, week), 14)[0])
        flights = week_of(frame, week)
        row = {"week": week, "flights": len(flights), "late": flights["late"].mean()}
        rows.append(row | scores(flights, {"deployed": deployed, "renewed": renewed, "weak": weak}))
    return pd.DataFrame(rows)


def days_interval(rows: pd.DataFrame, old: Any, new: Any, draws: int = 200) -> tuple[float, float]:
    """95 % bootstrap interval of the gain in AUC, drawing whole days: flights of one day share their weather."""
    random = np.random.default_rng(0)
    scored = rows[["late"]].assign(old=probabilities(old, rows), new=probabilities(new, rows))
    days = [group for _, group in scored.groupby(rows["event_time"].dt.floor("D"))]
    gains = []
    for _ in range(draws):
        drawn = pd.concat([days[day] for day in random.integers(0, len(days), len(days))])
        gains.append(auc(drawn, drawn["new"]) - auc(drawn, drawn["old"]))
    low, high = np.quantile(gains, [0.025, 0.975])
    return float(low), float(high)


def candidates(frame: pd.DataFrame) -> pd.DataFrame:
    """What a gate would see on five Mondays: the deployed model against one of all data and one of a single week."""
    old = fit(split(landed(frame, DEPLOYED), 14)[0])
    rows = []
    for moment in (utc(day) for day in ("2013-04-29", "2013-05-13", "2013-05-27", "2013-06-10", "2013-07-01")):
        for name, days in (("all data", 0), ("one week", 7)):
            learned, held_out = split(landed(frame, moment), 14, days)
            new = fit(learned)
            low, high = days_interval(held_out, old, new)
            quality = {"champion": judge(old, held_out)["auc"], "candidate": judge(new, held_out)["auc"]}
            rows.append(
                {"monday": moment, "candidate of": name, "rows": len(learned)} | quality | {"low": low, "high": high}
            )
    return pd.DataFrame(rows)


def after(frame: pd.DataFrame, moment: pd.Timestamp, weeks: int) -> pd.DataFrame:
    """The weeks after an alert: the deployed model, the one trained again at that moment, and the baseline."""
    models = {
        "deployed": fit(split(landed(frame, DEPLOYED), 14)[0]),
        "again": fit(split(landed(frame, moment), 14)[0]),
    }
    mondays = pd.date_range(moment, periods=weeks, freq="7D")
    return pd.DataFrame([{"week": monday} | scores(week_of(frame, monday), models) for monday in mondays])


def shown(frame: pd.DataFrame) -> str:
    """A frame as text, times as dates, numbers to four places."""
    dates = {name: frame[name].dt.strftime("%Y-%m-%d") for name in ("week", "monday") if name in frame}
    return frame.assign(**dates).to_string(float_format="%.4f")


def main() -> None:
    """Print every table of the README."""
    frame = featurize(read_flights(), read_weather())
    learned, held_out = split(landed(frame, DEPLOYED), 14)
    first = fit(learned)
    print("deployed model:", len(learned), judge(first, held_out), by_carrier(first, held_out))
    rolled = rolling_origin(frame)
    print(shown(rolled))
    for name, values in {"auc": rolled["model"], "lead": rolled["model"] - rolled["baseline"]}.items():
        print(f"{name}: mean {values.mean():.4f}, sd {values.std(ddof=1):.4f}, 95 % limits", limits(values))
    weeks = year(frame)
    print(shown(weeks.assign(lead=weeks["deployed"] - weeks["baseline"])))
    print(weeks.drop(columns="week").mean())
    print(shown(candidates(frame)))
    print(shown(after(frame, utc("2013-07-01"), 12)))


if __name__ == "__main__":
    main()
