"""Which files of an MLflow model are those that a runtime of ours reads, by the flavor that it is saved as.

Only plain data is ever chosen: what could run code when loaded is named in the reason why it is not served.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

from loopline.usecases.registry.model import is_pickle

SKOPS = "sklearn-skops"
SKOPS_FILE = "model.skops"
PICKLES = (".pkl", ".pickle", ".joblib", ".cloudpickle", ".pt", ".pth")
Head = Callable[[str, int], bytes]
Stored = tuple[str, dict[str, str]]
_XGBOOST = {"ubj": "model.ubj", "xgb": "model.ubj", "json": "booster.json"}


class NotServable(Exception):
    """Why a model cannot be loaded here; the version is kept all the same."""


def stored(flavors: Mapping[str, Any], files: Mapping[str, str], content: Head) -> Stored:
    """The format, and its files {name: digest}; NotServable says why there is none."""
    flavor = next((name for name in _FLAVORS if isinstance(flavors.get(name), dict)), "")
    if not flavor:
        named = ", ".join(str(name) for name in flavors)[:100] or "no flavor"
        raise NotServable(
            f"It is saved as {named}; of MLflow's flavors scikit-learn saved as skops, LightGBM, XGBoost, CatBoost and "
            "ONNX are loaded."
        )
    about, pyfunc = flavors[flavor], flavors.get("python_function")
    found = _FLAVORS[flavor](about, files)
    for each in (about, pyfunc if isinstance(pyfunc, dict) else {}):
        if each.get("code"):
            raise NotServable("It brings code of its own, which is never run.")
    if isinstance(pyfunc, dict) and pyfunc.get("loader_module") != f"mlflow.{flavor}":
        raise NotServable("It is loaded by a module of its own, which is never run.")
    for name, digest in files.items():
        if name.endswith(PICKLES) or is_pickle(content(digest, 3)):
            raise NotServable(f"It brings a pickle ({name[:80]}), which could run any code when loaded.")
    return found


def _sklearn(about: Mapping[str, Any], files: Mapping[str, str]) -> Stored:
    kind = str(about.get("serialization_format"))[:40]
    if kind != "skops":
        raise NotServable(
            f"It is saved with {kind}, which could run any code when loaded; save it with serialization_format='skops'."
        )
    return SKOPS, {SKOPS_FILE: _there(about, files, "pickled_model", SKOPS_FILE)}


def _lightgbm(about: Mapping[str, Any], files: Mapping[str, str]) -> Stored:
    name = str(about.get("data", "model.lgb"))
    if name.endswith(PICKLES):
        raise NotServable(
            "It is saved with pickle, which could run any code when loaded; log its booster_, or use MLflow 3.17 or newer."
        )
    kept = SKOPS_FILE if name.endswith(".skops") else "model.txt"
    return "lightgbm", {kept: _there(about, files, "data", name)}


def _xgboost(about: Mapping[str, Any], files: Mapping[str, str]) -> Stored:
    form = str(about.get("model_format", "xgb"))[:40]
    if form not in _XGBOOST:
        raise NotServable(f"It is saved in XGBoost's form {form!r}; save it with model_format='ubj'.")
    return "xgboost", {_XGBOOST[form]: _there(about, files, "data", f"model.{form}")}


def _catboost(about: Mapping[str, Any], files: Mapping[str, str]) -> Stored:
    form = str(about.get("save_format", "cbm"))[:40]
    if form != "cbm":
        raise NotServable(f"It is saved in CatBoost's form {form!r}; save it with format='cbm'.")
    return "catboost", {"model.cbm": _there(about, files, "data", "model.cb")}


def _onnx(about: Mapping[str, Any], files: Mapping[str, str]) -> Stored:
    """With what lies beside the graph: its tensors may be files of their own."""
    name = str(about.get("data", "model.onnx"))
    folder, texts = PurePosixPath(name).parent, (".txt", ".yaml", ".json", ".md")
    beside = {
        PurePosixPath(other).name: digest
        for other, digest in files.items()
        if PurePosixPath(other).parent == folder and other not in (name, "MLmodel") and not other.endswith(texts)
    }
    return "onnx", {**beside, "model.onnx": _there(about, files, "data", name)}


def _there(about: Mapping[str, Any], files: Mapping[str, str], key: str, unsaid: str) -> str:
    """The digest of the file that the flavor names."""
    name = str(about.get(key, unsaid))
    digest = files.get(name)
    if digest is None:
        raise NotServable(f"Its MLmodel file names {name[:80]!r}, which is not there.")
    return digest


_FLAVORS: dict[str, Callable[[Mapping[str, Any], Mapping[str, str]], Stored]] = {
    "sklearn": _sklearn,
    "lightgbm": _lightgbm,
    "xgboost": _xgboost,
    "catboost": _catboost,
    "onnx": _onnx,
}
