"""scikit-learn: each `fit` of an estimator that predicts, also of pipelines and searches, logs params, scores on the
training data, time, inputs by digest and the model. Fits inside another fit are part of that one."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any

from loopline.usecases.tracking.autologging.patching import (
    Clock,
    entered,
    log_input,
    log_params,
    replace,
    run_for,
    settings,
    tried,
    watched,
)
from loopline.usecases.tracking.objects import models

MOST_ROWS = 100_000  # of the training data that scores are computed on
ELSEWHERE = ("lightgbm", "xgboost", "catboost")  # their own patches know more


def patch(sklearn: Any) -> None:
    """Patch every estimator there is, and those that are defined later."""
    from sklearn.base import BaseEstimator

    for kind in below(BaseEstimator):
        patch_class(kind)

    def later(original: Any) -> Any:
        def init_subclass(cls: type[Any], /, **kwargs: Any) -> None:
            original.__func__(cls, **kwargs)
            tried(lambda: patch_class(cls))

        return classmethod(init_subclass)

    replace(BaseEstimator, "__init_subclass__", later)


def below(kind: Any) -> Iterator[Any]:
    """All classes derived from one."""
    for one in kind.__subclasses__():
        yield one
        yield from below(one)


def patch_class(kind: Any) -> None:
    """Watch the `fit` that a class defines."""
    if "fit" in vars(kind) and kind.__module__.partition(".")[0] not in ELSEWHERE:
        replace(kind, "fit", lambda original: watched(original, fitting))


def fitting(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Generator[None, Any, None]:
    """Look on while an estimator is fitted."""
    estimator = args[0]
    if not (hasattr(type(estimator), "predict") or hasattr(type(estimator), "fit_predict")):
        return
    rows = args[1] if len(args) > 1 else kwargs.get("X")
    truth = args[2] if len(args) > 2 else kwargs.get("y")
    params = estimator.get_params(deep=True)
    parts = any(hasattr(value, "get_params") for value in params.values())
    with run_for(f"{type(estimator).__name__}.fit") as run:
        run.tags({"estimator": type(estimator).__name__, "estimator_class": qualified(estimator)})
        log_params(run, shown(params))
        log_input(run, "X", rows)
        log_input(run, "y", truth)
        clock = Clock()
        with entered(everywhere=parts):
            yield
        run.log(fit_seconds=clock.seconds())
        tried(lambda: run.log(scores(estimator, rows, truth)))
        if hasattr(estimator, "cv_results_"):
            tried(lambda: searched(run, estimator))
        if settings().models:
            tried(lambda: kept(run, estimator, rows))


def kept(run: Any, estimator: Any, rows: Any) -> None:
    """Keep the model, with a signature."""
    guess = tried(lambda: estimator.predict(head(rows, 5)))
    signature = models.signature_of(rows, guess) if guess is not None else None
    models.keep(run, "model", estimator, signature, settings().register)


def scores(estimator: Any, rows: Any, truth: Any) -> dict[str, float]:
    """Scores on the training data (on evenly spaced rows of it when there are very many), named as MLflow's are."""
    if truth is None or not hasattr(estimator, "predict"):
        return {}
    from sklearn import metrics
    from sklearn.base import is_classifier, is_regressor

    rows, truth = thinned(rows), thinned(truth)
    guess = estimator.predict(rows)
    found: dict[str, float] = {"training_score": estimator.score(rows, truth)} if hasattr(estimator, "score") else {}
    if is_classifier(estimator):
        for name in ("precision", "recall", "f1"):
            score = getattr(metrics, f"{name}_score")
            found[f"training_{name}_score"] = score(truth, guess, average="weighted", zero_division=0)
        found["training_accuracy_score"] = metrics.accuracy_score(truth, guess)
        if hasattr(estimator, "predict_proba"):
            likely = estimator.predict_proba(rows)
            found["training_log_loss"] = metrics.log_loss(truth, likely, labels=estimator.classes_)
            if len(estimator.classes_) == 2:
                found["training_roc_auc"] = metrics.roc_auc_score(truth, likely[:, 1])
    elif is_regressor(estimator):
        squared = metrics.mean_squared_error(truth, guess)
        found["training_mean_squared_error"] = squared
        found["training_root_mean_squared_error"] = squared**0.5
        found["training_mean_absolute_error"] = metrics.mean_absolute_error(truth, guess)
        found["training_r2_score"] = metrics.r2_score(truth, guess)
    return {name: float(value) for name, value in found.items()}


def searched(run: Any, search: Any) -> None:
    """What a search found: the best score and params, and the table of all."""
    run.log(best_cv_score=float(search.best_score_))
    log_params(run, {f"best_{name}": value for name, value in search.best_params_.items()})
    plain = {name: list(values) for name, values in search.cv_results_.items() if not name.startswith("param_")}
    plain["params"] = [str(one) for one in plain["params"]]
    run.table("cv_results", plain)


def shown(params: Mapping[str, Any]) -> dict[str, Any]:
    """Params in the order of their names; parts of an estimator by their class."""
    found = {}
    for name, value in sorted(params.items(), key=lambda one: (one[0].count("__"), one[0])):
        found[name] = type(value).__name__ if hasattr(value, "get_params") else value
    return found


def qualified(estimator: Any) -> str:
    """Module and name of a class."""
    return f"{type(estimator).__module__}.{type(estimator).__qualname__}"


def thinned(values: Any) -> Any:
    """At most `MOST_ROWS` rows, evenly spaced."""
    count = values.shape[0] if hasattr(values, "shape") else len(values)
    step = -(-count // MOST_ROWS)
    if step <= 1:
        return values
    return values.iloc[::step] if hasattr(values, "iloc") else values[::step]


def head(values: Any, count: int) -> Any:
    """The first rows."""
    return values.iloc[:count] if hasattr(values, "iloc") else values[:count]
