"""MLflow's protocol as the control plane carries it: addresses, errors, bodies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from typing import Any

import pytest

from loopline.core.errors import NotFound
from loopline.kit.durable import sweep
from loopline.shells.worker.loop import WRITTEN

pytestmark = pytest.mark.unit

LOG = "/api/2.0/mlflow/runs/log-metric"


@pytest.fixture(scope="module")
def run_id(loopline: Any) -> str:
    return str(loopline.tracking.start("measured", actor="ann").id)


def said(answer: Any) -> tuple[int, str]:
    return answer.status, answer.data["error_code"]


def test_it_says_which_version_it_speaks(ask: Any) -> None:
    assert ask("GET", "/version").body == b"3.17.2"
    assert ask("GET", "/api/3.0/mlflow/server-info").data["multipart_uploads_enabled"] is False


@pytest.mark.parametrize(
    "path",
    [
        "gateway/x",
        "scorers/list",
        "traces/tr-1/assessments",
        "traces/tr-1/assessments/a-1",
        "/graphql",
    ],
)
def test_what_is_not_offered_is_refused_cleanly(ask: Any, path: str) -> None:
    address = path if path.startswith("/") else f"/api/3.0/mlflow/{path}"
    for method in ("GET", "POST", "DELETE"):
        assert said(ask(method, address, {})) == (501, "NOT_IMPLEMENTED")
    assert said(ask("POST", "/api/3.0/mlflow/traces/link-to-run", {})) == (501, "NOT_IMPLEMENTED")


@pytest.mark.parametrize("path", ["/api/2.0/mlflow/nothing", "/ajax-api/3.0/mlflow/runs/eat", "/api/2.0/mlflow/"])
def test_what_does_not_exist_is_said_to(ask: Any, path: str) -> None:
    assert said(ask("POST", path, {})) == (404, "ENDPOINT_NOT_FOUND")


@pytest.mark.parametrize("prefix", ["/api/2.0/", "/ajax-api/2.0/", "/api/3.0/", "/ajax-api/3.0/"])
def test_a_point_is_taken_at_each_address(ask: Any, loopline: Any, run_id: str, prefix: str) -> None:
    body = {"run_id": run_id, "key": prefix.strip("/"), "value": 0.5, "timestamp": 7, "step": 3}
    assert ask("POST", f"{prefix}mlflow/runs/log-metric", body).data == {}
    assert [(one.step, one.at_ms, one.value) for one in loopline.tracking.history(run_id, prefix.strip("/"))] == [
        (3, 7, 0.5)
    ]


def test_the_password_of_basic_auth_is_a_token(stranger: Any, askers: Any) -> None:
    import base64

    token = askers[1]._token
    header = "Basic " + base64.b64encode(f"anyone:{token}".encode()).decode()
    assert stranger("GET", "/version", headers={"authorization": header}).status == 200
    for wrong in ("Basic ", "Basic !!!", "Basic " + base64.b64encode(b"anyone:nothing").decode(), "Digest x"):
        refused = stranger("GET", "/api/2.0/mlflow/experiments/get", headers={"authorization": wrong})
        assert said(refused) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "MALFORMED_REQUEST"),
        (b"{", "MALFORMED_REQUEST"),
        (b"[]", "MALFORMED_REQUEST"),
        (b"\xff", "MALFORMED_REQUEST"),
        (b"[" * 100_000, "MALFORMED_REQUEST"),
        (b"{}", "INVALID_PARAMETER_VALUE"),
        (b'{"run_id": "x", "key": "a", "value": 1, "timestamp": 1}', "RESOURCE_DOES_NOT_EXIST"),
        (b'{"run_id": "x", "key": "../a", "value": 1, "timestamp": 1}', "INVALID_PARAMETER_VALUE"),
        (b'{"run_id": "x", "key": "a", "value": "one", "timestamp": 1}', "INVALID_PARAMETER_VALUE"),
        (b'{"run_id": "x", "key": "a", "value": 1, "timestamp": -1}', "INVALID_PARAMETER_VALUE"),
        (b'{"run_id": "x", "key": "a", "value": 1, "timestamp": 1e30}', "INVALID_PARAMETER_VALUE"),
        (
            b'{"run_id": "x", "key": "a", "value": 1, "timestamp": 1, "step": 9223372036854775808}',
            "INVALID_PARAMETER_VALUE",
        ),
        (b'{"run_id": "\\ud800", "key": "a", "value": 1, "timestamp": 1}', "MALFORMED_REQUEST"),
    ],
)
def test_a_wrong_point_is_refused(ask: Any, run_id: str, body: bytes, code: str) -> None:
    body = body.replace(b'"step": 9', b'"run_id": "' + run_id.encode() + b'", "step": 9')
    answer = ask("POST", LOG, body, headers={"content-type": "application/json"})
    assert (answer.status, answer.data["error_code"]) == (404 if "DOES_NOT" in code else 400, code)


def test_numbers_may_come_as_texts_and_without_being_numbers(ask: Any, loopline: Any, run_id: str) -> None:
    for value, at in (("NaN", "1"), ("-Infinity", 2), ("1.5", "3")):
        body = {"run_uuid": run_id, "key": "text", "value": value, "timestamp": at, "step": "0"}
        assert ask("POST", LOG, body).status == 200
    assert [one.value for one in loopline.tracking.history(run_id, "text")] == ["NaN", "-Infinity", 1.5]


def test_a_body_must_be_declared_as_json(ask: Any) -> None:
    assert ask("POST", LOG, b"{}", headers={"content-type": "text/plain"}).status == 400


def test_a_refused_batch_leaves_nothing(ask: Any, loopline: Any, run_id: str) -> None:
    path = "/api/2.0/mlflow/runs/log-batch"
    good = {"run_id": run_id, "params": [{"key": "rate", "value": "1"}]}
    assert ask("POST", path, good).status == 200
    bad = {
        "run_id": run_id,
        "metrics": [{"key": "never", "value": 1, "timestamp": 1}],
        "params": [{"key": "other", "value": "1"}, {"key": "rate", "value": "2"}],
        "tags": [{"key": "never", "value": "x"}],
    }
    answer = ask("POST", path, bad)
    assert said(answer) == (400, "INVALID_PARAMETER_VALUE")
    assert "rate" in answer.data["message"]
    run = loopline.tracking.get(run_id)
    assert (run.params, "never" in run.metrics, "never" in run.tags) == ({"rate": "1"}, False, False)
    assert ask("POST", path, good).status == 200


def test_a_batch_may_not_be_larger_than_mlflows(ask: Any, run_id: str) -> None:
    path = "/api/2.0/mlflow/runs/log-batch"
    points = [{"key": f"m{n}", "value": 1, "timestamp": 1} for n in range(1001)]
    assert said(ask("POST", path, {"run_id": run_id, "metrics": points}))[0] == 400
    params = [{"key": f"p{n}", "value": "1"} for n in range(101)]
    assert said(ask("POST", path, {"run_id": run_id, "params": params}))[0] == 400
    twice = [{"key": "p", "value": "1"}, {"key": "p", "value": "1"}]
    assert "Duplicate" in ask("POST", path, {"run_id": run_id, "params": twice}).data["message"]


def test_the_tag_of_a_runs_name_renames_it(ask: Any, loopline: Any) -> None:
    run = loopline.tracking.start("before", actor="ann")
    ask("POST", "/api/2.0/mlflow/runs/set-tag", {"run_id": run.id, "key": "mlflow.runName", "value": "after"})
    assert loopline.tracking.get(run.id).name == "after"


def test_an_upload_cut_off_by_a_kill_is_cleared_away_by_the_worker(app: Any, loopline: Any) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"half", "more_body": False}

    killed = contextlib.ExitStack()  # never closed, as in a process that was killed
    path = asyncio.run(app._app._kept(killed, receive))
    os.utime(path, (0, 0))
    assert path.parent in [loopline.home / name for name in WRITTEN]
    assert (sweep(path.parent), path.exists()) == (1, False)


def test_what_is_small_is_answered_while_many_wait_for_large_files(
    ask: Any, loopline: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    freed = threading.Event()

    def file(*_: Any) -> None:
        freed.wait(10)
        raise NotFound("It is not there.", "Look elsewhere.")

    async def all_at_once() -> tuple[Any, list[Any]]:
        headers = {"host": "127.0.0.1:8400", "authorization": f"Bearer {ask._token}"}
        path = f"/api/2.0/mlflow-artifacts/artifacts/0/{'a' * 32}/artifacts/large"
        waiting = [asyncio.ensure_future(ask._ask("GET", path, b"", headers)) for _ in range(60)]
        await asyncio.sleep(0)
        small = ask._ask("GET", "/api/2.0/mlflow/experiments/get?experiment_id=0", b"", headers)
        found = await asyncio.wait_for(small, 5)
        freed.set()
        return found, await asyncio.gather(*waiting)

    monkeypatch.setattr(type(loopline.tracking), "file", file)
    small, large = asyncio.run(all_at_once())
    assert small.data["experiment"]["experiment_id"] == "0"
    assert {one.status for one in large} == {404}
