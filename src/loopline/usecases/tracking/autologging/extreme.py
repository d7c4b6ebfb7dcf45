"""XGBoost: each `train`, also below its scikit-learn classes, logs params, metrics of every iteration and the booster."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from loopline.usecases.tracking.autologging.patching import (
    Clock,
    log_params,
    replace,
    run_for,
    settings,
    tried,
    watched,
)
from loopline.usecases.tracking.objects import models


def patch(xgboost: Any) -> None:
    """Patch `train` wherever the library itself looks it up."""
    for place in (xgboost, xgboost.training, getattr(xgboost, "sklearn", None)):
        if place is not None and hasattr(place, "train"):
            replace(place, "train", lambda original: watched(original, training))


def training(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Generator[None, Any, None]:
    """Look on while a booster is trained."""
    import xgboost

    class After(xgboost.callback.TrainingCallback):
        """Logs what was evaluated after each iteration."""

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            found = {
                f"{data}-{metric}": float(values[-1][0] if isinstance(values[-1], tuple) else values[-1])
                for data, metrics in evals_log.items()
                for metric, values in metrics.items()
            }
            if found:
                tried(lambda: run.log(found, step=epoch))
            return False

    params = dict(args[0] if args else kwargs.get("params") or {})
    data: Any = args[1] if len(args) > 1 else kwargs.get("dtrain")
    rounds = args[2] if len(args) > 2 else kwargs.get("num_boost_round", 10)
    with run_for("xgboost.train") as run:
        log_params(run, {**params, "num_boost_round": rounds})
        tried(lambda: run.tags({"rows": data.num_row(), "columns": data.num_col()}))
        kwargs["callbacks"] = [*(kwargs.get("callbacks") or ()), After()]
        clock = Clock()
        booster = yield
        run.log(fit_seconds=clock.seconds())
        best = tried(lambda: getattr(booster, "best_iteration", None))
        if best is not None:
            run.log(best_iteration=best)
        tried(lambda: importance(run, booster))
        if settings().models:
            tried(lambda: models.keep(run, "model", booster, None, settings().register))


def importance(run: Any, booster: Any) -> None:
    """How much each feature gained, as a table."""
    gains = booster.get_score(importance_type="gain")
    if gains:
        run.table("feature_importance", {"feature": list(gains), "gain": [float(one) for one in gains.values()]})
