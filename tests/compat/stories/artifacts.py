"""Files of a run: kept, listed, read, with names that are hard to carry."""

import os
import tempfile

import mlflow
from mlflow import MlflowClient

NAMES = ("plain.txt", "with space.txt", "a+b&c=d;e.txt", "quo'te.txt", "Ünï.txt", "no_suffix", ".hidden")


def story(say):
    client = MlflowClient()
    mlflow.set_experiment("artifacts")
    with mlflow.start_run() as run, tempfile.TemporaryDirectory() as folder:
        for number, name in enumerate(NAMES):
            with open(os.path.join(folder, name), "w") as file:
                file.write(f"content {number}")
            mlflow.log_artifact(os.path.join(folder, name), "single")
        mlflow.log_artifacts(folder, "whole/deep")
        mlflow.log_text("some text", "texts/a.txt")
        mlflow.log_dict({"a": [1, 2]}, "data.json")
        mlflow.log_text("again", "texts/a.txt")
        with open(os.path.join(folder, "large.bin"), "wb") as file:
            file.write(bytes(range(256)) * 20_000)
        mlflow.log_artifact(os.path.join(folder, "large.bin"))
        mlflow.log_text("", "empty.txt")
        figures(say)
    run_id = run.info.run_id
    for path in (None, "single", "whole", "whole/deep", "texts", "data.json", "nothing"):
        say(f"list {path}", [[one.path, one.is_dir, one.file_size] for one in client.list_artifacts(run_id, path)])
    say("text", mlflow.artifacts.load_text(f"runs:/{run_id}/texts/a.txt"))
    say("dict", mlflow.artifacts.load_dict(f"runs:/{run_id}/data.json"))
    with tempfile.TemporaryDirectory() as folder:
        place = client.download_artifacts(run_id, "", folder)
        say(
            "downloaded",
            sorted(os.path.relpath(os.path.join(top, one), place) for top, _, some in os.walk(place) for one in some),
        )
        with open(os.path.join(place, "large.bin"), "rb") as file:
            say("large", file.read() == bytes(range(256)) * 20_000)
        for number, name in enumerate(NAMES):
            with open(os.path.join(place, "single", name)) as file:
                say(f"content of {name}", file.read() == f"content {number}")
        with open(os.path.join(place, "empty.txt")) as file:
            say("empty", file.read())
    say.refused("absent file", lambda: mlflow.artifacts.load_text(f"runs:/{run_id}/nothing.txt"))
    say.refused("outside", lambda: client.list_artifacts(run_id, "../.."))
    say.refused("absolute", lambda: client.list_artifacts(run_id, "/etc"))
    say.refused("of unknown run", lambda: client.list_artifacts("f" * 32))


def figures(say):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import pandas as pd

    figure, axes = plt.subplots()
    axes.plot([1, 2, 3])
    mlflow.log_figure(figure, "figures/line.png")
    plt.close(figure)
    mlflow.log_table({"q": ["a", "b"], "n": [1, 2]}, "table.json")
    mlflow.log_table(pd.DataFrame({"q": ["c"], "n": [3]}), "table.json")
    say("table", mlflow.load_table("table.json", run_ids=[mlflow.active_run().info.run_id])["q"].tolist())
