"""LitServe with one worker: PORT KIND. It reads the types of its methods, which may therefore be no text."""

import sys
from typing import Any

import litserve
import numpy as np
from model import INPUTS, loaded


class Late(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = loaded(sys.argv[2])

    def decode_request(self, request) -> np.ndarray:
        return np.array([[row[name] for name in INPUTS] for row in request["rows"]])

    def predict(self, rows: np.ndarray) -> np.ndarray:
        return self.model.predict_proba(rows)[:, 1]

    def encode_response(self, found: np.ndarray) -> dict[str, Any]:
        return {"predictions": found.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Late(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), log_level="error", generate_client_file=False, access_log=False)
