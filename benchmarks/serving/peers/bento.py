"""BentoML with one worker: PORT KIND."""

from __future__ import annotations

import os
import sys
from typing import Any

import bentoml
import numpy as np
from model import INPUTS, loaded


@bentoml.service(workers=1, traffic={"timeout": 30})
class Late:
    def __init__(self) -> None:
        self.model = loaded(os.environ["KIND"])

    @bentoml.api
    def predict(self, rows: list[dict[str, float]]) -> dict[str, Any]:
        table = np.array([[row[name] for name in INPUTS] for row in rows])
        return {"predictions": self.model.predict_proba(table)[:, 1].tolist()}


if __name__ == "__main__":
    os.environ["KIND"] = sys.argv[2]
    os.environ["BENTOML_DO_NOT_TRACK"] = "1"
    command = [sys.executable, "-m", "bentoml", "serve", "bento:Late", "--host", "127.0.0.1", "--port", sys.argv[1]]
    os.execv(sys.executable, command)
