"""What MLflow's own scoring clients say of a server: one JSON document on standard output.

python scoring_acts.py PORT TOKEN
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"

import numpy as np
import pandas as pd
from mlflow.deployments import get_deploy_client
from mlflow.pyfunc.scoring_server.client import ScoringServerClient


def told(port: int, token: str) -> dict[str, Any]:
    """Answers to every form that the clients send; they take objects as text only."""
    client = ScoringServerClient(f"any:{token}@127.0.0.1", port)  # the token as the password: it knows no other way
    client.wait_server_ready()
    frame = pd.DataFrame({
        "dep_hour": [7.5, 1.0], "distance": [1400, 100], "temp": [np.nan, 20.0], "carrier": ["UA", None],
        "holiday": [False, True],
    })  # fmt: skip
    whole = frame.astype({"temp": object}).where(frame.notna(), None)
    columns = {name: values.tolist() for name, values in whole.items()}
    found: dict[str, Any] = {
        "version": client.get_version(),
        "frame": client.invoke(frame).get_predictions("ndarray").tolist(),
        "params": client.invoke(frame, params={"any": 1}).get_predictions("ndarray").tolist(),
        "columns": client.invoke(json.dumps({"inputs": columns})).get_predictions("ndarray").tolist(),
        "rows": client.invoke(json.dumps({"inputs": whole.to_dict("records")})).get_predictions("ndarray").tolist(),
        "lists": client.invoke(whole.values.tolist()).get_predictions("ndarray").tolist(),
        "instances": client.invoke(json.dumps({"instances": whole.to_dict("records")}))
        .get_predictions("ndarray")
        .tolist(),
        "records": client.invoke(json.dumps({"dataframe_records": whole.to_dict("records")}))["predictions"],
        "table": client.invoke(frame).get_predictions("dataframe").shape,
    }
    deployed = get_deploy_client(f"http://any:{token}@127.0.0.1:{port}")
    found["deployments"] = deployed.predict(
        endpoint="late", inputs={"dataframe_split": json.loads(frame.to_json(orient="split"))}
    )
    try:
        client.invoke(frame.drop(columns="distance"))
    except Exception as refusal:
        found["refusal"] = str(refusal)
    return found


if __name__ == "__main__":
    print(json.dumps(told(int(sys.argv[1]), sys.argv[2])))
