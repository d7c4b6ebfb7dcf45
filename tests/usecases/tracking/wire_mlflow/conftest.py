"""MLflow's routes called as the shell calls them, on a real installation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from loopline.core.verbs import Caller, Role
from loopline.testing.factories import installation
from loopline.usecases.tracking.wire_mlflow import INTAKE, ROUTES

ROUTE = {(route.method, route.path): route for route in ROUTES}
ANN = Caller("ann", Role.EDITOR)
Call = Callable[..., Any]


@pytest.fixture(scope="session")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with installation(tmp_path_factory.mktemp("wire")) as loopline:
        yield loopline


@pytest.fixture(scope="session")
def tracking(opened: Any) -> Any:
    return opened.tracking


@pytest.fixture(scope="session")
def call(opened: Any) -> Call:
    """`call("runs/create", experiment_id="0")` posts; `call("runs/get", method="GET", …)` asks."""

    def ask(path: str, method: str = "POST", **fields: Any) -> Any:
        if method == "POST" and path in INTAKE:
            opened.database.write(INTAKE[path](opened.tracking, msgspec.json.encode(fields)))
            return {}
        answer = ROUTE[method, path].call(opened.tracking, fields, ANN)
        return msgspec.json.decode(msgspec.json.encode(answer))

    return ask


@pytest.fixture(scope="session")
def names() -> Callable[..., str]:
    """Names that no other test uses."""
    count = iter(range(1_000_000))

    def name(word: str = "name") -> str:
        return f"{word} {next(count)}"

    return name


@pytest.fixture
def experiment(call: Call, names: Call) -> str:
    found: str = call("experiments/create", name=names("experiment"))["experiment_id"]
    return found


@pytest.fixture
def run(call: Call, experiment: str) -> str:
    found: str = call("runs/create", experiment_id=experiment, start_time=1_000)["run"]["info"]["run_id"]
    return found
