"""Ray Serve with one replica: PORT KIND."""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
from ray import serve
from starlette.requests import Request

KIND = sys.argv[2] if len(sys.argv) > 2 else "boosting"


@serve.deployment(num_replicas=1, max_ongoing_requests=100)
class Late:
    def __init__(self, kind: str) -> None:
        from model import INPUTS, loaded

        self.model = loaded(kind)
        self.names = INPUTS

    async def __call__(self, request: Request) -> dict[str, Any]:
        rows = (await request.json())["rows"]
        table = np.array([[row[name] for name in self.names] for row in rows])
        return {"predictions": self.model.predict_proba(table)[:, 1].tolist()}


if __name__ == "__main__":
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Late.bind(KIND), route_prefix="/predict")  # type: ignore[attr-defined]
    while True:
        time.sleep(60)
