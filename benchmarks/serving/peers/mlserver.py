"""MLServer (its scikit-learn runtime, predictions in its own process): PORT KIND [WORKERS]."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import joblib
from model import loaded

if __name__ == "__main__":
    folder = Path(tempfile.mkdtemp())
    joblib.dump(loaded(sys.argv[2]), folder / "model.joblib")
    (folder / "model-settings.json").write_text(
        json.dumps({"name": "late", "implementation": "mlserver_sklearn.SKLearnModel",
                    "parameters": {"uri": str(folder / "model.joblib")}})
    )  # fmt: skip
    settings = {"http_port": int(sys.argv[1]), "host": "127.0.0.1", "grpc_port": int(sys.argv[1]) + 1,
                "metrics_port": int(sys.argv[1]) + 2, "parallel_workers": int((sys.argv[3:] or ["0"])[0]), "debug": False}  # fmt: skip
    (folder / "settings.json").write_text(json.dumps(settings))
    program = str(Path(sys.executable).parent / "mlserver")
    os.execv(program, [program, "start", str(folder)])
