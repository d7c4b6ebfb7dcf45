"""System metrics are sampled beside a run."""

import time

import mlflow


def story(say):
    mlflow.set_experiment("system")
    mlflow.set_system_metrics_sampling_interval(0.2)
    mlflow.set_system_metrics_samples_before_logging(1)
    with mlflow.start_run(log_system_metrics=True) as run:
        for _ in range(30):
            time.sleep(0.1)
            found = mlflow.get_run(run.info.run_id).data.metrics
            if any(key.startswith("system/") for key in found):
                break
    found = mlflow.get_run(run.info.run_id).data.metrics
    say(
        "system metrics",
        sorted(key for key in found if key.startswith("system/") and "network" not in key and "gpu" not in key),
    )
