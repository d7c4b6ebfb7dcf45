"""Libraries that log by themselves: what they log, that nothing of it fails a fit, and that all is put back."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import loopline
from loopline.core.errors import Invalid
from loopline.shells.sdk.client import Local
from loopline.shells.sdk.runs import _close_all, _home
from loopline.testing.factories import installation
from loopline.usecases.tracking import autologging
from loopline.usecases.tracking.autologging import scikit, torches

pytestmark = pytest.mark.integration
ROWS = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 3)), columns=["a", "b", "c"])
TRUTH = (ROWS["a"] + ROWS["b"] > 0).astype(int)


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Local]:
    monkeypatch.delenv("LOOPLINE_URL", raising=False)
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LOOPLINE_SPOOL", str(tmp_path / "spool"))
    monkeypatch.setenv("LOOPLINE_CAPTURE", "none")
    with installation(tmp_path) as opened:
        yield Local(opened, "ann")
        loopline.autolog(disable=True)
        _close_all()
        _home.cache_clear()


def runs(client: Local) -> list[dict[str, Any]]:
    """Oldest first."""
    assert loopline.flush()
    found = client.call("tracking.search", order_by=["attributes.start_time"])["runs"]
    return sorted(found, key=lambda run: run["started_at"])


def files(client: Local, run: dict[str, Any]) -> list[str]:
    return [one["name"] for one in client.call("tracking.artifacts", run_id=run["id"])]


def test_a_fit_logs_params_scores_inputs_and_the_model(client: Local) -> None:
    loopline.autolog(register="late")
    LogisticRegression(C=0.5).fit(ROWS, TRUTH)
    (run,) = runs(client)
    assert (run["name"], run["status"]) == ("LogisticRegression.fit", "finished")
    assert run["params"]["C"] == "0.5"
    assert run["metrics"]["training_accuracy_score"] == run["metrics"]["training_score"] > 0.8
    assert {"training_roc_auc", "training_log_loss", "training_f1_score", "fit_seconds"} <= run["metrics"].keys()
    assert [(one["name"], one["tags"]["rows"]) for one in run["links"]] == [("X", 60), ("y", 60)]
    assert files(client, run) == ["models/model/loopline.json", "models/model/model.skops"]
    (version,) = client.call("registry.versions", model="late")
    assert (version["run_id"], version["servable"]) == (run["id"], True)
    assert version["metrics"]["training_score"] == run["metrics"]["training_score"]


def test_what_belongs_to_a_fit_is_logged_as_one(client: Local) -> None:
    loopline.autolog(libraries=["sklearn"], models=False, inputs=False)
    StandardScaler().fit(ROWS)
    make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, TRUTH)
    GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2).fit(ROWS, TRUTH)
    pipeline, search = runs(client)
    assert pipeline["params"]["logisticregression__C"] == "1.0"
    assert (search["params"]["estimator__C"], search["params"]["best_C"]) == ("1.0", str(search["params"]["best_C"]))
    assert 0 < search["metrics"]["best_cv_score"] <= 1
    assert files(client, search) == ["tables/cv_results.json"]
    assert files(client, pipeline) == list(search["links"]) == []


def test_a_fit_goes_to_the_run_around_it_and_further_ones_are_nested(client: Local) -> None:
    loopline.autolog(models=False, inputs=False)
    with loopline.run("mine"):
        LinearRegression().fit(ROWS, ROWS["a"])
        LinearRegression(fit_intercept=False).fit(ROWS, ROWS["a"])
    mine, nested = runs(client)
    assert (mine["name"], mine["params"]["fit_intercept"]) == ("mine", "True")
    assert mine["metrics"]["training_r2_score"] == pytest.approx(1)
    assert (nested["tags"]["parent"], nested["params"]["fit_intercept"]) == (mine["id"], "False")


def test_boosters_log_every_iteration(client: Local) -> None:
    import lightgbm
    import xgboost

    loopline.autolog()
    data = lightgbm.Dataset(ROWS, TRUTH)
    lightgbm.train({"objective": "binary", "verbose": -1}, data, 4, valid_sets=[data], valid_names=["train"])
    lightgbm.LGBMRegressor(n_estimators=3, verbose=-1).fit(ROWS, TRUTH)
    matrix = xgboost.DMatrix(ROWS, TRUTH)
    settings = {"objective": "binary:logistic"}
    xgboost.train(settings, matrix, 5, evals=[(matrix, "train")], verbose_eval=False)
    xgboost.XGBClassifier(n_estimators=2).fit(ROWS, TRUTH)
    light, regressor, extreme, classifier = runs(client)
    points = client.call("tracking.history", run_id=light["id"], key="train-binary_logloss")
    assert [one["step"] for one in points] == [0, 1, 2, 3]
    assert len(client.call("tracking.history", run_id=extreme["id"], key="train-logloss")) == 5
    assert (light["params"]["objective"], extreme["params"]["num_boost_round"]) == ("binary", "5")
    names = ["models/model/columns.json", "models/model/loopline.json"]
    table = "tables/feature_importance.json"
    assert files(client, light) == files(client, regressor) == [*names, "models/model/model.txt", table]
    assert files(client, extreme) == files(client, classifier) == [*names, "models/model/model.ubj", table]


def test_nothing_of_it_fails_a_fit(client: Local, caplog: pytest.LogCaptureFixture, monkeypatch: Any) -> None:
    loopline.autolog(models=False)
    monkeypatch.setattr(scikit, "scores", lambda *_: 1 / 0)
    with caplog.at_level(logging.WARNING):
        LinearRegression().fit(ROWS, ROWS["a"])
        LinearRegression().fit(ROWS, ROWS["a"])
    assert sum("ZeroDivisionError" in one.message for one in caplog.records) == 1
    monkeypatch.setattr(scikit, "log_params", lambda *_: 1 / 0)
    fitted = LinearRegression().fit(ROWS, ROWS["a"])
    assert fitted.coef_[0] == pytest.approx(1)
    with pytest.raises(ValueError, match="NaN"):
        LogisticRegression().fit(ROWS * float("nan"), TRUTH)


def test_a_fit_that_fails_fails_its_run(client: Local) -> None:
    loopline.autolog(models=False, inputs=False)
    with pytest.raises(ValueError, match="NaN"):
        LogisticRegression().fit(ROWS * float("nan"), TRUTH)
    (run,) = runs(client)
    assert run["status"] == "failed"
    assert run["error"].startswith("ValueError: Input")


def test_all_is_put_back(client: Local) -> None:
    before = vars(LinearRegression)["fit"], vars(LinearRegression.__mro__[-2]).get("__init_subclass__")
    loopline.autolog()
    assert vars(LinearRegression)["fit"] is not before[0]
    loopline.autolog(disable=True)
    assert vars(LinearRegression)["fit"] is before[0]
    LinearRegression().fit(ROWS, ROWS["a"])
    assert runs(client) == []
    with pytest.raises(Invalid, match="nothing"):
        loopline.autolog(libraries=["nothing"])


def test_an_optimizer_is_logged_in_a_run(client: Local) -> None:
    """A double stands for PyTorch, which is too large for a test's installation."""

    class Optimizer:
        def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
            self.defaults = defaults

    class Adam(Optimizer):
        def __init__(self, params: Any, lr: float) -> None:
            super().__init__(params, {"lr": lr, "betas": (0.9, 0.999), "hook": object()})

    loopline.autolog(libraries=[])
    torches.patch(SimpleNamespace(optim=SimpleNamespace(Optimizer=Optimizer)))
    Adam([], 0.1)
    with loopline.run("torch"):
        Adam([], 0.01)
    (run,) = runs(client)
    assert run["params"] == {"optimizer": "Adam", "optimizer_lr": "0.01", "optimizer_betas": "(0.9, 0.999)"}


LATER = """
import sys, loopline
loopline.autolog(libraries=["sklearn"])
assert "sklearn" not in sys.modules
from sklearn.linear_model import Ridge
assert hasattr(Ridge.fit, "__wrapped__")
import sklearn
assert type(sklearn.__spec__.loader).__name__ == "SourceFileLoader"
loopline.autolog(disable=True)
from sklearn.svm import SVC
assert not any("autologging" in str(one.__module__) for one in sys.meta_path if hasattr(one, "__module__"))
"""


def test_a_library_is_patched_when_it_is_imported(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", LATER], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(autologging.LIBRARIES) == {"sklearn", "lightgbm", "xgboost", "torch"}
