"""Trying an endpoint on a page: a real data plane answers, with and without script."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "shells" / "dataplane"))
from dataplane_router import Router

pytestmark = pytest.mark.browser


class Tried:
    """An installation of its own with a data plane, and a control plane beside it."""

    def __init__(self, router: Router, url: str) -> None:
        self.url = url
        self.router = router
        self.loopline = router.opened
        self.tokens = {"viewer": router.opened.access.new("viewer-person", "viewer", "tester").secret}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tried]:
    import uvicorn

    from loopline.shells.http.control import application, host_names

    router = Router(tmp_path_factory.mktemp("tried") / "home", [["plain", 100.0]])
    router.serving.put("late", "flights", "tester")
    router.serving.configure("late", {"ranges": {"dep_hour": {"minimum": 0, "maximum": 24}}}, "tester")
    router.start()
    router.deploy(1)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        host, port = listening.getsockname()[:2]
        app = application(router.opened, host_names(host, port))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield Tried(router, f"http://{host}:{port}")
        server.should_exit = True
        thread.join(10)
    router.close()


def test_a_row_is_answered_by_the_data_plane(visit: Any, site: Tried, script: bool) -> None:
    visitor = visit("viewer", script=script)
    visitor.open("/endpoints/late")
    visitor.page.get_by_role("link", name="Try it").click()
    visitor.page.get_by_label("dep_hour").fill("7.5")
    visitor.page.get_by_label("distance").fill("1400")
    visitor.page.get_by_label("carrier").fill("<b>Ü'A</b>")
    visitor.page.get_by_label("holiday").select_option("true")
    visitor.page.get_by_role("button", name="Predict").click()
    assert "107.5" in visitor.page.get_by_role("status").inner_text()
    assert visitor.page.get_by_label("carrier").input_value() == "<b>Ü'A</b>"
    assert "7.5" not in visitor.page.url
    identity = visitor.page.locator("#answer code").get_attribute("title")
    record = site.router.record(identity)
    assert (record["caller"], record["dep_hour"], record["temp"], record["holiday"]) == (
        "viewer-person",
        7.5,
        None,
        True,
    )
    examples = visitor.texts(".example pre")
    assert "/v1/endpoints/late/predict" in examples[0]
    assert "loopline.endpoint('late'" in examples[1]


def test_a_refusal_is_shown_in_the_words_of_the_door(visit: Any, site: Tried) -> None:
    visitor = visit("viewer", script=False)
    for typed, sentence in (("soon", "Row 0: the field 'dep_hour' must be a number, not text."),
                            ("25", "Row 0: the field 'dep_hour' is 25, more than the maximum of 24."),
                            ("", "Row 0: the field 'dep_hour' may not be null; it is a number.")):  # fmt: skip
        visitor.open("/endpoints/late/try")
        visitor.page.get_by_label("dep_hour").fill(typed)
        visitor.page.get_by_role("button", name="Predict").click()
        assert sentence in visitor.page.get_by_role("alert").inner_text()
        assert visitor.page.get_by_label("dep_hour").input_value() == typed


def test_the_example_for_a_terminal_works(visit: Any, site: Tried) -> None:
    import os
    import shutil
    import subprocess

    from dataplane_router import TOKEN

    visitor = visit("viewer", script=False)
    visitor.open("/endpoints/late/try")
    environment = {**os.environ, "LOOPLINE_TOKEN": TOKEN}
    curl, python = visitor.texts(".example pre")
    said = subprocess.run(
        [sys.executable, "-c", python], capture_output=True, text=True, env=environment, timeout=60, check=False
    )
    assert said.stdout.startswith("["), said.stderr
    if shutil.which("curl"):
        said = subprocess.run(
            ["sh", "-c", curl], capture_output=True, text=True, env=environment, timeout=60, check=False
        )
        assert '"predictions":[' in said.stdout, said.stderr


def test_an_unknown_endpoint(visit: Any) -> None:
    assert visit("viewer").open("/endpoints/none/try").status == 404
