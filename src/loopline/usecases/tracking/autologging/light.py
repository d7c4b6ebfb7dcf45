"""LightGBM: each `train`, also below its scikit-learn classes, logs params, metrics of every iteration and the booster."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from loopline.usecases.tracking.autologging.patching import (
    Clock,
    log_input,
    log_params,
    replace,
    run_for,
    settings,
    tried,
    watched,
)
from loopline.usecases.tracking.objects import models


def patch(lightgbm: Any) -> None:
    """Patch `train` wherever the library itself looks it up."""
    for place in (lightgbm, lightgbm.engine, getattr(lightgbm, "sklearn", None)):
        if place is not None and hasattr(place, "train"):
            replace(place, "train", lambda original: watched(original, training))


def training(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Generator[None, Any, None]:
    """Look on while a booster is trained."""
    params = dict(args[0] if args else kwargs.get("params") or {})
    data = args[1] if len(args) > 1 else kwargs.get("train_set")
    rounds = args[2] if len(args) > 2 else kwargs.get("num_boost_round", 100)
    with run_for("lightgbm.train") as run:
        log_params(run, {**params, "num_boost_round": rounds})
        log_input(run, "train_set", getattr(data, "data", None))

        def after(env: Any) -> None:
            found = {f"{one[0]}-{one[1]}": float(one[2]) for one in env.evaluation_result_list or ()}
            if found:
                tried(lambda: run.log(found, step=env.iteration))

        setattr(after, "order", 25)  # noqa: B010  (behind those that record, before those that stop early)
        kwargs["callbacks"] = [*(kwargs.get("callbacks") or ()), after]
        clock = Clock()
        booster = yield
        run.log(fit_seconds=clock.seconds())
        if booster.best_iteration and booster.best_iteration > 0:
            run.log(best_iteration=booster.best_iteration)
        tried(lambda: importance(run, booster))
        if settings().models:
            tried(lambda: kept(run, booster, data))


def kept(run: Any, booster: Any, data: Any) -> None:
    """Keep the booster in the library's own text format, which holds numbers only."""
    signature = models.signature_of(getattr(data, "data", None), [0.0])
    models.keep(run, "model", booster, signature, settings().register)


def importance(run: Any, booster: Any) -> None:
    """Which features were used, as a table."""
    names = booster.feature_name()
    kinds = {kind: booster.feature_importance(kind).tolist() for kind in ("gain", "split")}
    run.table("feature_importance", {"feature": names, **kinds})
