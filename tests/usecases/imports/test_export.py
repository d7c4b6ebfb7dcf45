"""What goes out and comes in elsewhere is the same; over folders, over HTTP, and from PostgreSQL."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from loopline.app.wiring import Loopline, open_home
from loopline.core.errors import Invalid
from loopline.usecases.tracking.inputs import Dataset
from loopline.usecases.tracking.model import Point

pytestmark = pytest.mark.integration
TOKEN = "export-token-0123456789"
PLACES = (*os.environ.get("PATH", "").split(os.pathsep), *map(str, Path("/usr/lib/postgresql").glob("*/bin")))
WORDS = ("a", "größe", "x y", "100%", "c/d", "deep/er/still", "-", "Z_9")


def filled(loopline: Loopline, seed: int) -> None:
    """Experiments, runs, logged models and a registered model, of any shape."""
    chance = random.Random(seed)
    tracking = loopline.tracking
    for number in range(3):
        experiment = f"experiment {number}"
        for _ in range(chance.randrange(1, 5)):
            run = tracking.start(chance.choice(WORDS), actor="ann", experiment=experiment)
            keys = [word for word in chance.sample(WORDS, chance.randrange(len(WORDS))) if word not in ("100%",)]
            values = [chance.gauss(0, 1e9), math.nan, -0.0, 5e-324, chance.random()]
            points = [
                Point(key, value if value == value else "NaN", step=chance.randrange(-5, 5), at_ms=chance.randrange(9))
                for key in keys
                for value in chance.sample(values, 3)
            ]
            texts = {key: chance.choice(("", "ü\n'x'", "1")) for key in keys}
            tracking.log(run.id, points, params=texts, tags=texts)
            tracking.add_inputs(run.id, [Dataset("batch", "4f2a", "local", "{}", "[]", "", {"k": "v"})])
            tracking.put_artifact(run.id, "model/MLmodel", b"flavors: {}\n")
            tracking.put_artifact(run.id, "größe & mehr.bin", bytes(chance.randrange(256) for _ in range(99)))
            if chance.random() < 0.7:
                tracking.finish(run.id, actor="ann", status=chance.choice(("finished", "failed", "killed")))
    model = tracking.create_model(run.experiment_id, "net", actor="ann", source_run_id=run.id, params={"n": "1"})
    tracking.put_bytes(model.id, "MLmodel", b"flavors: {}\n")
    tracking.finalize_model(model.id, "ready", "ann")
    tracking.add_outputs(run.id, {model.id: 3})
    loopline.registry.create("late", actor="ann", description="how late", tags={"k": "v"})
    loopline.registry.arrive("late", f"runs:/{run.id}/model", actor="ann", run_id=run.id, description="one")
    loopline.registry.arrive("late", f"models:/{model.id}", actor="ann", model_id=model.id, tags={"t": "2"})
    loopline.registry.set_alias("late", "champion", 2, "ann", "best")
    loopline.registry.stage("late", 1, "Staging", "ann")


def shape(loopline: Loopline) -> Any:
    """All that tells one installation's runs from another's."""
    tracking, found = loopline.tracking, {}
    for experiment in tracking.given_experiments():
        for one in tracking.given_runs(experiment.id, 0, 1_000):
            run = one.run
            tags = {key: value for key, value in run.tags.items() if (key, value) != ("mlflow.runName", run.name)}
            told = [run.name, run.status, run.state, run.started_at, run.ended_at, run.params, tags, run.metrics]
            points = sorted((key, at, step, repr(value)) for key, at, step, value in tracking.given_points(run.id))
            files = [(file.name, file.digest) for file in tracking.files(run.id)]
            links = sorted(map(repr, run.links))
            found[run.id] = [experiment.name, experiment.tags, told, points, files, one.datasets, links]
        for model in tracking.given_models(experiment.id):
            files = [(file.name, file.digest) for file in tracking.files(model.id)]
            tags = {key: value for key, value in model.tags.items() if not key.startswith("loopline.")}
            found[model.id] = [model.name, model.status, model.source_run_id, model.params, tags, files]
    for model in loopline.registry.models():
        versions = [
            (one.version, one.digest, one.run_id, one.model_id, one.stage, one.description, one.tags)
            for one in loopline.registry.versions(model.name)
        ]
        found[model.name] = [model.description, model.tags, model.aliases, versions]
    return msgspec.to_builtins(found)


@pytest.mark.parametrize("seed", range(2))
def test_out_and_in_again_is_the_same(seed: int, tmp_path: Path) -> None:
    with open_home(tmp_path / "one") as one, open_home(tmp_path / "two") as two:
        filled(one, seed)
        report = one.imports.to_mlflow(str(tmp_path / "mlruns"))
        assert report.lost == 0
        again = one.imports.to_mlflow(str(tmp_path / "mlruns"))
        assert (again.changed(), again.artifacts) == (False, 0)
        brought = two.imports.mlflow(str(tmp_path / "mlruns"), actor="ada")
        assert brought.lost == 0
        assert shape(two) == shape(one)


def test_only_what_was_asked_for_goes_out(loopline: Loopline, tmp_path: Path) -> None:
    filled(loopline, 1)
    run = loopline.registry.versions("late")[0].run_id
    for number, (asked, runs, models) in enumerate(
        (
            ({"experiment": "experiment 1"}, len(loopline.tracking.search(experiment="experiment 1").runs), 0),
            ({"where": f"run_id = '{run}'"}, 1, 0),
            ({"model_name": "late"}, 1, 1),
        )
    ):
        target = tmp_path / str(number)
        report = loopline.imports.to_mlflow(str(target), **asked)
        assert (report.runs, report.models) == (runs, models)
        assert loopline.imports.to_mlflow(str(tmp_path / "dry"), dry_run=True, **asked).runs == runs
    assert not (tmp_path / "dry").exists() or not any((tmp_path / "dry").iterdir())
    with pytest.raises(Invalid):
        loopline.imports.to_mlflow("s3://bucket")


def test_what_a_folder_cannot_hold_is_told(loopline: Loopline, tmp_path: Path) -> None:
    run = loopline.tracking.start("first", actor="ann")
    loopline.tracking.log(run.id, params={"a": "1", "a/b": "2"}, metrics=[Point("auc", 1.0)])
    report = loopline.imports.to_mlflow(str(tmp_path / "out"))
    assert [one.name for one in report.losses] == [f"{run.id}/a/b"]
    assert (tmp_path / "out" / "0" / run.id / "meta.yaml").is_file()


def test_a_version_of_our_own_takes_its_files_along(loopline: Loopline, tmp_path: Path, model_folder: Any) -> None:
    digest = model_folder(loopline)
    loopline.registry.register("own", digest, "", None, None, None, None, None, "ann")
    loopline.imports.to_mlflow(str(tmp_path / "out"))
    assert sorted(path.name for path in (tmp_path / "out/models/own/version-1/artifacts").iterdir()) == ["weights.bin"]


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A server with an empty home."""
    command = [sys.executable, "-m", "loopline", "up", "--json", "--no-browser", "--home", str(tmp_path / "served")]
    environment = os.environ | {"LOOPLINE_TOKEN": TOKEN}
    process = subprocess.Popen(
        [*command, "--port", "0", "--serving-port", "0"], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    said = process.stdout.readline()
    assert said, f"loopline up ended with {process.wait()}"
    yield json.loads(said)["link"].partition("/sign-in")[0]
    process.send_signal(signal.SIGTERM)
    process.stdout.close()
    process.wait(15)


def test_over_http_and_back(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server gives out ids of its own; what comes back has the old ones."""
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", TOKEN)
    with open_home(tmp_path / "one") as one, open_home(tmp_path / "two") as two:
        filled(one, 2)
        report = one.imports.to_mlflow(address)
        assert report.lost == 0, report.losses
        assert not one.imports.to_mlflow(address).changed()
        brought = two.imports.mlflow(address, actor="ada")
        assert brought.lost == 0, brought.losses
        assert not two.imports.mlflow(address, actor="ada").changed()
        expected, found = shape(one), shape(two)
        assert found.keys() == expected.keys()
        for name, wanted in expected.items():
            assert found[name] == wanted, name


def test_who_may_not_in_is_told(address: str, loopline: Loopline, monkeypatch: pytest.MonkeyPatch) -> None:
    from loopline.core.errors import Refused

    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "wrong")
    with pytest.raises(Refused, match="127"):
        loopline.imports.mlflow(address, actor="ada")


def program(name: str) -> str:
    found = shutil.which(name, path=os.pathsep.join(PLACES))
    if found is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    return found


@pytest.fixture
def postgresql() -> Iterator[str]:
    initdb, postgres = program("initdb"), program("postgres")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    owner = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
    if owner:
        shutil.chown(folder, "postgres", "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    plain: dict[str, Any] = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **owner}
    subprocess.run([initdb, "-D", folder / "data", "-U", "me", "-A", "trust", "--no-sync"], check=True, **plain)
    options = ["-c", "listen_addresses=127.0.0.1", "-k", str(folder), "-p", str(port), "-c", "fsync=off"]
    running = subprocess.Popen([postgres, "-D", folder / "data", *options], **plain)
    url = f"postgresql://me:zebra7@127.0.0.1:{port}/postgres"
    try:
        for _ in range(100):
            try:
                psycopg.connect(url).close()
                break
            except psycopg.OperationalError:
                time.sleep(0.1)
        yield url
    finally:
        running.terminate()
        running.wait()
        shutil.rmtree(folder, ignore_errors=True)


def test_a_postgresql_database_comes_in(loopline: Loopline, postgresql: str, fill_tables: Any) -> None:
    with psycopg.connect(postgresql) as db:
        fill_tables(lambda statement, row: db.execute(statement, row), "%s")
    url = postgresql.replace("postgresql://", "postgresql+psycopg2://")
    report = loopline.imports.mlflow(url, actor="ada")
    assert (report.runs, report.points, report.models, report.versions) == (1, 2, 1, 1)
    assert "zebra7" not in report.source
    assert not loopline.imports.mlflow(url, actor="ada").changed()
    from loopline.core.errors import Unavailable

    with pytest.raises(Unavailable, match="does not answer") as caught:
        loopline.imports.mlflow(url.replace("/postgres", "/nowhere"), actor="ada")
    assert "zebra7" not in str(caught.value)
