"""What a test has the stock client do through the plug-in, in a process of its own: `plugin_acts.py ACT ARGUMENT…`.

Part of the peers' environments: standard library and mlflow only."""

import json
import os
import sys
import time

from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException


def endless(client):
    """Log for ever; each acknowledged step is told on stdout."""
    run_id = client.create_run("0").info.run_id
    print(run_id, flush=True)
    step = 0
    while True:
        client.log_metric(run_id, "single", step / 3, 1_000 + step, step)
        client.log_batch(run_id, [Metric("batch", float(place), step, step * 10 + place) for place in range(10)])
        print(step, flush=True)
        step += 1


def counted(client, run_id):
    """How many points of each metric a fresh process finds, and how many different ones."""
    found = {}
    for key in ("single", "batch"):
        points = [(one.step, one.timestamp, one.value) for one in client.get_metric_history(run_id, key)]
        found[key] = [len(points), len(set(points)), sorted({step for step, _, _ in points})[-1]]
    print(json.dumps(found))


def refused(client):
    """What is wrong with a call is said by that call."""
    run_id = client.create_run("0").info.run_id
    codes = []
    client.log_metric(run_id, "good", 1.0)
    for key, value in (("a//b", 1.0), ("", 1.0), ("good", "not a number")):
        codes.append(code(lambda key=key, value=value: client.log_metric(run_id, key, value)))
    client.log_metric(run_id, "good", 2.0)
    MlflowClient().delete_run(run_id)
    codes.append(code(lambda: client.log_metric(run_id, "good", 3.0)))
    client.restore_run(run_id)
    client.log_metric(run_id, "good", 4.0)
    codes.append(code(lambda: client.log_metric("f" * 32, "good", 3.0)))
    codes.append(code(lambda: client.log_batch(run_id, [Metric("good", 5.0, 1, 1), Metric("../bad", 1.0, 1, 1)])))
    print(json.dumps([codes, sorted(one.value for one in client.get_metric_history(run_id, "good"))]))


def code(call):
    try:
        call()
    except MlflowException as error:
        return error.error_code
    return "accepted"


def waiting(client):
    """Log, tell, and stay: what was logged must be seen by others soon."""
    run_id = client.create_run("0").info.run_id
    client.log_metric(run_id, "single", 1.0)
    for step in range(1, 100):
        client.log_metric(run_id, "single", float(step), step, step)
    print(run_id, flush=True)
    time.sleep(30)


def forked(client):
    """A child that was forked logs too."""
    run_id = client.create_run("0").info.run_id
    client.log_metric(run_id, "single", 0.0, 0, 0)
    client.log_metric(run_id, "single", 1.0, 1, 1)
    child = os.fork()
    if not child:
        for step in range(2, 50):
            client.log_metric(run_id, "single", float(step), step, step)
        sys.exit(0)
    os.waitpid(child, 0)
    for step in range(50, 100):
        client.log_metric(run_id, "single", float(step), step, step)
    print(len(client.get_metric_history(run_id, "single")))


def fast(client, calls):
    """Points for each CPU second of the thread that logs, one a call and a thousand a call; the same with a store that
    keeps nothing, which is what the client itself can do at best."""
    run_id, number = client.create_run("0").info.run_id, int(calls)
    client.log_metric(run_id, "single", 0.0, 0, 0)
    client.log_batch(run_id, [Metric("batch", 0.0, 0, 0)])
    kept = rates(client, run_id, number)
    found = [len(client.get_metric_history(run_id, key)) for key in ("single", "batch")]
    store = client._tracking_client.store
    store.log_metric = store.log_batch = lambda *_, **__: None
    print(json.dumps({"rates": kept, "best": rates(client, run_id, number), "kept": found}))


def rates(client, run_id, number):
    began = time.thread_time()
    for step in range(number):
        client.log_metric(run_id, "single", float(step), step, step)
    single = number / (time.thread_time() - began)
    batches = [
        [Metric("batch", float(place), first + place, first + place) for place in range(1000)]
        for first in range(0, number, 1000)
    ]
    began = time.thread_time()
    for batch in batches:
        client.log_batch(run_id, batch)
    return [single, number / (time.thread_time() - began)]


if __name__ == "__main__":
    globals()[sys.argv[1]](MlflowClient(), *sys.argv[2:])
