"""Models are looked at in another process than the one that answers everybody."""

from __future__ import annotations

import io
import tarfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from loopline.app.wiring import Loopline
from loopline.core.tables import Column, Signature
from loopline.core.verbs import Role

pytestmark = pytest.mark.integration
SIGNATURE = Signature((Column("x", "float"),), Column("late", "float"))


@pytest.fixture(scope="module")
def judged(loopline: Loopline, tmp_path_factory: pytest.TempPathFactory) -> Loopline:
    """An installation with two versions that have held-out rows."""
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(3)
    x = random.normal(size=600)
    late = (random.random(600) < 1 / (1 + np.exp(-2 * x))).astype("int64")
    table, sink = pa.table({"x": x, "late": late}), pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    evaluation = loopline.blobs.put(sink.getvalue().to_pybytes())
    for number in (1, 2):
        folder: Path = tmp_path_factory.mktemp(f"model-{number}")
        model = LogisticRegression(C=number).fit(x.reshape(-1, 1), late)
        loopline.runtimes["sklearn-skops"].save(model, folder)
        digest = loopline.registry.keep(folder, "sklearn-skops", SIGNATURE)
        loopline.registry.register("looked", digest, f"{number:032}", {}, SIGNATURE, evaluation, None, {}, "ada")
    return loopline


@pytest.fixture
def never_here(judged: Loopline, monkeypatch: pytest.MonkeyPatch) -> Loopline:
    """Fails when this process loads a model."""

    def load(*_: Any) -> Any:
        raise AssertionError("a model was loaded here")

    monkeypatch.setattr(judged.registry, "load", load)
    return judged


def test_a_gate_asked_for_over_http_is_judged_elsewhere(never_here: Loopline, askers: Any) -> None:
    body = {"alias": "production"}
    answer = askers[Role.EDITOR]("POST", "/api/v1/models/looked/versions/1/gates", body)
    assert (answer.status, answer.data["verdict"]) == (200, "passed"), answer.data
    assert answer.data["evidence"]["score"] > 0.7
    assert answer.data["decided_by"] == never_here.promotion.gates("looked")[0].decided_by
    for path, data, status in (("9/gates", body, 404), ("1/gates", {"alias": "a b"}, 400)):
        assert askers[Role.EDITOR]("POST", f"/api/v1/models/looked/versions/{path}", data).status == status
    assert askers[Role.VIEWER]("POST", "/api/v1/models/looked/versions/1/gates", body).status == 403


def test_the_worker_answers_where_there_is_one(never_here: Loopline, askers: Any) -> None:
    from loopline.shells.worker.loop import Worker

    worker = Worker(never_here.home)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        answer = askers[Role.EDITOR]("POST", "/api/v1/models/looked/side-by-side", {"versions": "1,2"})
        assert answer.status == 200, answer.data
        assert [side["problem"] for side in answer.data["sides"]] == ["", ""]
    finally:
        worker.end()
        thread.join(30)
    again = askers[Role.VIEWER]("GET", "/api/v1/models/looked/side-by-side?versions=1,2")
    assert again.data["sides"] == answer.data
    assert not again.data["open"]


def test_a_version_leaves_as_a_tar_of_known_length(judged: Loopline, askers: Any) -> None:
    answer = askers[Role.VIEWER]("GET", "/api/v1/models/looked/versions/1/files/version.tar")
    assert answer.status == 200
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert "looked-1.tar" in answer.headers["content-disposition"]
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as archive:
        assert {"looked-1/model.json", "looked-1/card.md"} < set(archive.getnames())
    for path in ("1/files/other.tar", "9/files/version.tar", "x/files/version.tar"):
        assert askers[Role.VIEWER]("GET", f"/api/v1/models/looked/versions/{path}").status in (400, 404)
