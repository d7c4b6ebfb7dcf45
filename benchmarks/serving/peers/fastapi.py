"""FastAPI + pydantic on uvicorn (uvloop, httptools, one process): PORT KIND.

Written as its documentation shows it, without our tricks and without mistakes to its harm: an async route (no thread for
each request), validation by pydantic, one prediction for each request.
"""

from __future__ import annotations

import sys

import numpy as np
import uvicorn
from fastapi import FastAPI
from model import INPUTS, loaded
from pydantic import create_model

Row = create_model("Row", **dict.fromkeys(INPUTS, (float, ...)))
Request = create_model("Request", rows=(list[Row], ...))


def main() -> None:
    model = loaded(sys.argv[2])
    app = FastAPI()

    @app.post("/predict")
    async def predict(request: Request) -> dict[str, list[float]]:  # type: ignore[valid-type]
        rows = np.array([[getattr(row, name) for name in INPUTS] for row in request.rows])  # type: ignore[attr-defined]
        return {"predictions": model.predict_proba(rows)[:, 1].tolist()}

    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False)


if __name__ == "__main__":
    main()
