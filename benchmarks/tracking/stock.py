"""The unmodified mlflow client at work: `stock.py OPERATION SECONDS`, in the peer's environment; the address is in
MLFLOW_TRACKING_URI. Waits for a line on stdin, works for so many seconds, prints operations a second (CPU seconds too)."""

import contextlib
import json
import sys
import time
import warnings

warnings.simplefilter("ignore")

from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import Metric  # noqa: E402


def operations(client, run_id):
    batch = [Metric(f"m{place % 10}", place / 7, 1_600_000_000_000 + place, place) for place in range(1000)]

    def log_batch(number):
        for one in batch:
            one._step = number * 1000 + one._step % 1000
        client.log_batch(run_id, batch)

    return {
        "log_metric": lambda number: client.log_metric(run_id, "loss", 1 / (number + 1), step=number),
        "log_batch": log_batch,
        "log_param": lambda number: client.log_param(run_id, f"p{number}", number),
        "create_run": lambda number: client.create_run("0"),
        "register": lambda number: client.create_model_version("bench", SOURCE.format(run_id), run_id),
    }


SOURCE = "mlflow-artifacts:/0/{}/artifacts/model"


def main():
    operation, seconds = sys.argv[1], float(sys.argv[2])
    client = MlflowClient()
    run_id = client.create_run("0").info.run_id
    if operation == "register":
        with contextlib.suppress(Exception):
            client.create_registered_model("bench")
    work = operations(client, run_id)[operation]
    work(0)
    print("ready", flush=True)
    sys.stdin.readline()
    began, cpu, number = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - began < seconds:
        number += 1
        work(number)
    took = time.perf_counter() - began
    if operation in ("log_metric", "log_batch") and "loopline:" in sys.argv[3]:
        client.get_run(run_id)  # all delivered
    print(
        json.dumps(
            {"per_s": number / took, "cpu_s": time.process_time() - cpu, "delivered_s": time.perf_counter() - began}
        )
    )


main()
