"""Model formats: each saves an estimator as plain data and reads it back without running anything stored in it."""

from __future__ import annotations

from loopline.adapters.runtimes.catboost_cbm import CatBoost
from loopline.adapters.runtimes.command import Command
from loopline.adapters.runtimes.lightgbm_text import LightGBM
from loopline.adapters.runtimes.onnx_graph import Onnx
from loopline.adapters.runtimes.python import Python
from loopline.adapters.runtimes.skops import Skops
from loopline.adapters.runtimes.torch_program import Torch
from loopline.adapters.runtimes.transformers_text import Transformers
from loopline.adapters.runtimes.xgboost_trees import XGBoost
from loopline.ports.runtime import Runtime

# By name. Cheap to have: the libraries behind a format are imported at its first use.
RUNTIMES: dict[str, Runtime] = {
    runtime.format: runtime
    for runtime in (LightGBM(), XGBoost(), CatBoost(), Onnx(), Skops(), Python(), Command(), Torch(), Transformers())
}
