"""PyTorch: metrics by autologging, a model in a safe format registered, loaded and asked."""

import tempfile

import mlflow
import numpy as np
import torch
from mlflow import MlflowClient
from torch.utils.tensorboard import SummaryWriter


def story(say):
    mlflow.set_experiment("torch")
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    rows = np.linspace(-1, 1, 40, dtype=np.float32).reshape(10, 4)
    mlflow.pytorch.autolog()
    with mlflow.start_run() as run, tempfile.TemporaryDirectory() as folder:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        writer = SummaryWriter(folder)
        for step in range(5):
            loss = (net(torch.tensor(rows)) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            writer.add_scalar("loss", loss.item(), step)
        writer.close()
        signature = mlflow.models.infer_signature(rows, net(torch.tensor(rows)).detach().numpy())
        kept = mlflow.pytorch.log_model(
            net,
            name="net",
            serialization_format="pt2",
            input_example=rows,
            signature=signature,
            registered_model_name="by-torch",
        )
    mlflow.pytorch.autolog(disable=True)
    client = MlflowClient()
    say("history", len(client.get_metric_history(run.info.run_id, "loss")))
    client.set_registered_model_alias("by-torch", "champion", "1")
    loaded = mlflow.pyfunc.load_model("models:/by-torch@champion")
    wanted = net(torch.tensor(rows)).detach().numpy()
    say("same answers", bool(np.allclose(loaded.predict(rows), wanted, atol=1e-6)))
    place = client.get_logged_model(kept.model_id).artifact_location
    say("files", sorted(one.path for one in mlflow.artifacts.list_artifacts(f"{place}/data")))
