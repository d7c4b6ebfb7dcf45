"""What comes in is made to fit what may be kept; what does not fit is told in the report."""

from __future__ import annotations

from collections.abc import Callable

from loopline.usecases.imports.model import LoggedModel, Report, Run

LONGEST_VALUE = 8_000
RUN_TAG, MODEL_TAG, STAMP_TAG = "loopline.run_id", "loopline.model_id", "loopline.stamp"
MARKS = (RUN_TAG, MODEL_TAG, STAMP_TAG)
Fits = Callable[[str, str], str]
LATEST_MS = 253_402_300_799_000  # the end of the year 9999


def moment(at_ms: int | None) -> int:
    """A time that can be written down: none before 1970, none after the year 9999."""
    return min(max(at_ms or 0, 0), LATEST_MS)


def run_timed(run: Run, report: Report) -> None:
    """Times of a run that can be written down."""
    for name in ("started_ms", "ended_ms", "deleted_ms"):
        given = getattr(run, name)
        if given is not None and moment(given) != given:
            report.lose("time", f"{run.id}/{name}", f"{given} is no time between 1970 and 9999")
            setattr(run, name, moment(given))


def run_fitted(run: Run, fits: Fits, report: Report) -> None:
    """Leave out params, tags and metrics that no name here could hold, and cut what is too long."""
    run.params = texts_fitted("param", run.id, run.params, fits, report)
    run.tags = texts_fitted("tag", run.id, run.tags, fits, report)
    for key in [key for key in run.keys if fits("metric", key)]:
        report.lose("metric", f"{run.id}/{key[:80]}", fits("metric", key))
        run.keys.remove(key)


def model_fitted(model: LoggedModel, fits: Fits, report: Report) -> None:
    """The same for a logged model."""
    model.created_ms, model.updated_ms = moment(model.created_ms), moment(model.updated_ms)
    model.params = texts_fitted("param", model.id, model.params, fits, report)
    model.tags = texts_fitted("tag", model.id, model.tags, fits, report, longest=100_000)
    model.metrics = [one for one in model.metrics if not fits("metric", one.key)]


def texts_fitted(
    kind: str, owner: str, texts: dict[str, str], fits: Fits, report: Report, longest: int = LONGEST_VALUE
) -> dict[str, str]:
    """Params or tags with names and values that may be kept."""
    found = {}
    for key, value in texts.items():
        if kind == "tag" and key in MARKS:
            continue  # an export of ours put it there
        if reason := fits(kind, key):
            report.lose(kind, f"{owner}/{key[:80]}", reason)
            continue
        if len(value) > longest:
            report.lose(kind, f"{owner}/{key}", f"cut to {longest} characters of {len(value)}")
        found[key] = value[:longest]
    return found
