"""MLflow's scoring server: PORT KIND."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

sys.path.pop(0)  # this file is called as the package is
import mlflow.sklearn

sys.path.insert(0, str(Path(__file__).parents[1]))
from model import loaded

if __name__ == "__main__":
    folder = str(Path(tempfile.mkdtemp()) / "model")
    mlflow.sklearn.save_model(loaded(sys.argv[2]), folder, pyfunc_predict_fn="predict_proba",
                              skops_trusted_types=["sklearn.tree._tree.Tree"])  # fmt: skip
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    program = str(Path(sys.executable).parent / "mlflow")
    os.execv(program, [program, "models", "serve", "-m", folder, "--env-manager", "local", "-h", "127.0.0.1",
                       "-p", sys.argv[1], "--workers", "1"])  # fmt: skip
