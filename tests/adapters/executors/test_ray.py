"""A Ray cluster of two nodes keeps the port's promises, without a shared disk."""

from __future__ import annotations

import signal
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loopline.adapters.executors.ray import ADDRESS, connected
from loopline.adapters.executors.ray_node import CACHE
from loopline.core.errors import Invalid, Unavailable
from loopline.ports.executor import Executor
from loopline.testing.contracts.calls import outcome, submitted
from loopline.testing.contracts.executors import ExecutorContract
from loopline.testing.factories import installation

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:.*RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO:FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning:ray"),
]
STORE = 96 << 20


@pytest.fixture(scope="module")
def node_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the second node keeps what came from elsewhere."""
    return tmp_path_factory.mktemp("node")


@pytest.fixture(scope="module")
def cluster(node_cache: Path) -> Iterator[Any]:
    """A head that runs nothing, where the caller is, and a node with two processors and a cache of its own."""
    patch = pytest.MonkeyPatch()
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": STORE}
        found = Cluster(initialize_head=True, head_node_args=head)
        found.add_node(num_cpus=2, object_store_memory=STORE, env_vars={CACHE: str(node_cache)})
    patch.setenv(ADDRESS, found.address)
    yield found
    patch.undo()
    found.shutdown()


@pytest.fixture(scope="module")
def pool(cluster: Any) -> Iterator[Executor]:
    from loopline.adapters.executors import EXECUTORS

    ray = EXECUTORS["ray"]()
    yield ray
    ray.close()


class TestRay(ExecutorContract):
    @pytest.fixture
    def executor(self, pool: Executor) -> Executor:
        return pool

    @pytest.fixture
    def another(self, pool: Executor) -> Iterator[Executor]:
        from loopline.adapters.executors import EXECUTORS

        ray = EXECUTORS["ray"]()
        yield ray
        ray.close()

    def test_calls_run_on_the_other_node(self, executor: Executor) -> None:
        assert outcome(executor, "echo").node
        assert executor.slots == 2

    def test_the_death_of_the_node_s_process_is_an_outcome(self, executor: Executor) -> None:
        lost = submitted(executor, "kill_parents", str(int(signal.SIGKILL)).encode())
        assert lost.died
        assert lost.error == "the step train was lost: its process on the node ended."
        assert outcome(executor, "echo", b"on").answer == b"on"


CODE = """
from pathlib import Path

import numpy as np
import pandas as pd

import words
from loopline import pipeline, step

@step
def make(rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({"x": rng.normal(size=rows), "y": rng.normal(size=rows)})

@step
def scaled(frame: pd.DataFrame, by: float) -> pd.DataFrame:
    print("scaling by", by, words.KIND)
    return frame * by

@step
def noted(frame: pd.DataFrame) -> Path:
    path = Path(__file__).with_name("sums.tmp")
    path.write_text(",".join(f"{value:.12g}" for value in frame.sum()) * 500)
    return path

@step
def total(frames: list, beside: Path) -> float:
    return float(sum(frame["x"].sum() for frame in frames)) + len(beside.read_text())

@pipeline
def summing(rows: int = 2000) -> tuple:
    frame = make(rows)
    frames = [scaled(frame, float(by)) for by in range(1, 4)]
    beside = noted(frame)
    return total(frames, beside), frames[0], beside
"""


def test_the_same_project_gives_the_same_digests_on_every_executor(
    pool: Executor, node_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    folder = tmp_path / "sums"
    folder.mkdir()
    (folder / "pipeline.py").write_text(CODE)
    (folder / "words.py").write_text('KIND = "plain"\n')
    outputs, logs = {}, {}
    for executor in ("inline", "processes", "ray"):
        (tmp_path / executor).mkdir()
        with installation(tmp_path / executor) as loopline:
            run = loopline.pipelines.run(folder, "summing", {}, actor="ann", executor=executor)
            assert run.status == "finished", run.error
            outputs[executor] = run.outputs
            logs[executor] = loopline.pipelines.log(run.run_id, "scaled#2")
    assert outputs["inline"] == outputs["processes"] == outputs["ray"]
    assert set(logs.values()) == {"scaling by 2.0 plain\n"}
    assert any((node_cache / "places").iterdir())
    assert any((node_cache / "projects").iterdir())


def test_an_address_of_ray_s_client_is_refused() -> None:
    with pytest.raises(Invalid, match="client"):
        connected("ray://127.0.0.1:10001")


def test_without_ray_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(Unavailable) as missing:
        connected("")
    assert "loopline[ray]" in missing.value.hint


def test_a_cluster_that_is_not_there_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(Unavailable, match=r"The Ray cluster at 127\.0\.0\.1:1 does not answer"):
        connected("127.0.0.1:1")
