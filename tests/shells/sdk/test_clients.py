"""Local and remote do the same: one story, told through both, and what is left behind compared."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

import loopline
from loopline.app.wiring import open_home
from loopline.core.errors import Invalid, LooplineError, NotFound, Refused, Taken, Unavailable
from loopline.shells.http.control import application, host_names

pytestmark = pytest.mark.integration


@pytest.fixture(params=["local", "remote"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param == "local":
        made = loopline.connect(home=tmp_path / "home")
        yield made
        made.close()
        return
    with open_home(tmp_path / "home") as opened, served(opened) as url:
        made = loopline.connect(url=url, token=opened.access.new("tester", "admin", "test").secret)
        yield made
        made.close()


class served:  # noqa: N801  (reads as a word where it is used)
    """The control plane in a thread."""

    def __init__(self, opened: Any) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        config = uvicorn.Config(application(opened, host_names("127.0.0.1", port)), log_level="warning", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})

    def __enter__(self) -> str:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return self.url

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


def test_a_run_is_kept_the_same(client: Any, tmp_path: Path) -> None:
    picture = tmp_path / "note.txt"
    picture.write_text("weights")
    with loopline.run("first try", experiment="late", params={"lr": 0.1}, client=client) as run:
        for step in range(3):
            run.log(loss=1.0 / (step + 1), step=step)
        run.artifact(picture)
    kept = client.call("tracking.get", run_id=run.id)
    assert (kept["name"], kept["status"], kept["experiment"]) == ("first try", "finished", "late")
    history = client.call("tracking.history", run_id=run.id, key="loss")
    assert [point["value"] for point in history] == [1.0, 0.5, 1 / 3]
    assert [one["name"] for one in client.call("tracking.artifacts", run_id=run.id)] == ["note.txt"]
    found = client.call("tracking.search", filter="metrics.loss < 0.4")
    assert [one["id"] for one in found["runs"]] == [run.id]


def test_errors_are_the_same(client: Any) -> None:
    client.call("access.new", name="twice")
    wrong: list[tuple[type[LooplineError], str, dict[str, Any]]] = [
        (Taken, "access.new", {"name": "twice"}),
        (NotFound, "access.revoke", {"name": "nobody"}),
        (NotFound, "no.such", {}),
        (Invalid, "access.new", {"name": "x", "colour": "red"}),
        (Invalid, "access.new", {"name": ["x"]}),
        (Invalid, "access.new", {"name": "../../etc"}),
    ]
    for kind, verb, fields in wrong:
        with pytest.raises(kind) as caught:
            client.call(verb, **fields)
        assert type(caught.value) is kind
        assert caught.value.message.endswith(".")


def test_a_viewer_may_not_write(tmp_path: Path) -> None:
    with open_home(tmp_path / "home") as opened, served(opened) as url:
        viewer = loopline.connect(url=url, token=opened.access.new("viewer", "viewer", "test").secret)
        assert viewer.call("access.who")["role"] == "viewer"
        with pytest.raises(Refused, match="needs admin"):
            viewer.call("access.tokens")
        stranger = loopline.connect(url=url, token="not a token")
        with pytest.raises(Refused, match="token"):
            stranger.call("access.who")
        viewer.close()
        stranger.close()


def test_a_server_that_is_away_is_told_quickly() -> None:
    away = loopline.connect(url="http://127.0.0.1:9", token="x")
    begun = time.perf_counter()
    with pytest.raises(Unavailable, match="No server answers"):
        away.call("access.who")
    assert time.perf_counter() - begun < 10
    with pytest.raises(Invalid, match="address"):
        loopline.connect(url="localhost:8400")


def test_a_server_that_restarts_is_found_again(tmp_path: Path) -> None:
    with open_home(tmp_path / "home") as opened:
        secret = opened.access.new("tester", "admin", "test").secret
        with served(opened) as url:
            client = loopline.connect(url=url, token=secret)
            client.call("access.who")
        with pytest.raises(Unavailable):
            client.call("access.who")


def test_a_version_is_downloaded_the_same(client: Any, tmp_path: Path) -> None:
    run = client.call("tracking.start", name="training")
    about, model = tmp_path / "about", tmp_path / "model"
    about.write_text('{"format": "unheard of"}')
    model.write_bytes(b"weights" * 400_000)
    client.upload(about, run["id"], "models/best/loopline.json")
    client.upload(model, run["id"], "models/best/deep/model.bin")
    client.call("registry.take", model="late", run_id=run["id"], kept="best")
    client.call("registry.write_card", model="late", version=1, limits="No snow.")
    folder = client.download("late", 1, tmp_path / "taken")
    assert (folder / "deep" / "model.bin").read_bytes() == b"weights" * 400_000
    assert "No snow." in (folder / "card.md").read_text()
    assert client.call("registry.card", model="late", version=1)["facts"]["not_servable"]
    with pytest.raises(NotFound):
        client.download("late", 7, tmp_path / "other")
    assert client.call("registry.versions", model="late")  # the connection goes on
