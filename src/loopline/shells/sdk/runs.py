"""`with loopline.run("first try") as run:` for code that is no pipeline."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from loopline.app.settings import find_home
from loopline.app.wiring import runtimes
from loopline.core.errors import LooplineError, Unavailable
from loopline.shells.sdk.client import Client, Local, connect
from loopline.usecases.tracking.client import Run, current
from loopline.usecases.tracking.delivery import flush_all
from loopline.usecases.tracking.model import DEFAULT
from loopline.usecases.tracking.objects import models as model_files

__all__ = ["autolog", "current_run", "flush", "run", "shared"]

model_files.runtimes = runtimes
EVERYTHING = ("system", "output", "notebook")


def run(
    name: str = "",
    *,
    experiment: str = DEFAULT,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    run_id: str = "",
    parent: Run | str | None = None,
    capture: bool | Iterable[str] = True,
    client: Client | None = None,
) -> Run:
    """Begin a run of `experiment`; leave its `with` block, or call `finish()`, to end it.

    It goes to the server in LOOPLINE_URL, else to the installation found as `connect()` finds it. A server that is away
    stops nothing: the run waits on this machine's disk. With `run_id` a run is taken up again that was begun before.
    Inside another run's `with` block a run is nested in that one, else in `parent`.

    `capture` says what is kept without being asked for: "system" (metrics of the machine), "output" (what is printed),
    "notebook"; False for nothing but git state, command, seeds and environment, which every run has. LOOPLINE_CAPTURE
    (comma-separated, or "none") says it for code that does not.
    """
    wanted = captured(capture)
    return Run(client or destination(), name, experiment, params, tags, run_id=run_id, parent=parent, capture=wanted)


def current_run() -> Run | None:
    """The run whose `with` block this is, or None."""
    return current()


def autolog(
    *,
    disable: bool = False,
    libraries: Iterable[str] | None = None,
    models: bool = True,
    inputs: bool = True,
    register: str = "",
    experiment: str = DEFAULT,
) -> None:
    """Have scikit-learn, LightGBM, XGBoost and PyTorch log by themselves, now or when they are imported.

    A fit goes to the run whose block it is in, else to one of its own in `experiment`. `models` keeps the models (meant
    for the registered model `register`, if given), `inputs` the digests of the data. An error in what is added is a
    warning and never the fit's. `disable=True` puts everything back.
    """
    from loopline.usecases.tracking import autologging
    from loopline.usecases.tracking.autologging.patching import Settings

    if disable:
        autologging.disable()
        return
    settings = Settings(lambda name: run(name, experiment=experiment), models, inputs, register)
    autologging.enable(settings, libraries)


def flush(timeout: float = 5.0) -> bool:
    """Wait until all that this process logged can be seen; False when some has not arrived after `timeout` seconds."""
    return flush_all(timeout)


def captured(capture: bool | Iterable[str]) -> tuple[str, ...]:
    """Which captures are asked for."""
    if capture is True and "LOOPLINE_CAPTURE" in os.environ:
        capture = [word.strip() for word in os.environ["LOOPLINE_CAPTURE"].split(",")]
    if isinstance(capture, bool):
        return EVERYTHING if capture else ()
    if isinstance(capture, str):
        capture = [capture]
    return tuple(one for one in capture if one and one != "none")


class Later:
    """A client that opens the installation at the first call, so that a run begins at once; and again in a forked
    child, which must not use its parent's connections."""

    def __init__(self, home: Path) -> None:
        self.target = f"home:{home.resolve()}"
        self._home = home
        self._anew()
        _opened.append(self)

    def _anew(self) -> None:
        self._client: Client | None = None
        self._guard = threading.Lock()
        self._process = os.getpid()

    def call(self, name: str, /, **fields: Any) -> Any:
        """See `Client`."""
        return self._opened().call(name, **fields)

    def upload(self, path: Path, **fields: Any) -> Any:
        """Keep a file with a run without reading it into memory."""
        client = self._opened()
        if isinstance(client, Local):
            return client.upload(path, **fields)
        return client.call("tracking.put_artifact", **fields, content=path.read_bytes())

    def reopened(self) -> Later:
        """A client for a forked child."""
        return Later(self._home)

    def __reduce__(self) -> Any:
        """The same place for another process."""
        return Later, (self._home,)

    def close(self) -> None:
        """See `Client`."""
        if self._process != os.getpid():
            return
        with self._guard:
            if self._client is not None:
                self._client.close()
            self._client = None

    def _opened(self) -> Client:
        if self._process != os.getpid():  # a forked child leaves its parent's connections alone, and open
            _parents.append(self._client)
            self._anew()
        with self._guard:
            if self._client is None:
                try:
                    self._client = connect(home=self._home)
                except LooplineError:
                    raise
                except Exception as error:  # a database that is damaged or locked: the training goes on
                    raise Unavailable(
                        f"{self._home} cannot be opened ({error}).", "Look at `loopline doctor`."
                    ) from error
            return self._client


_opened: list[Later] = []
_parents: list[Any] = []


def _close_all() -> None:
    for one in _opened:
        with contextlib.suppress(Exception):
            one.close()


atexit.register(_close_all)  # before any delivery begins, so that it is called after the last one has ended


def destination() -> Client:
    """Where runs go; one client a process for each place."""
    address = os.environ.get("LOOPLINE_URL")
    return _server(address, os.environ.get("LOOPLINE_TOKEN", "")) if address else _home(find_home())


@cache
def _server(address: str, token: str) -> Client:
    return connect(address, token=token or None)


@cache
def _home(home: Path) -> Client:
    return Later(home)


@cache
def shared() -> Client:
    """One client a process, closed at its end."""
    client = connect()
    atexit.register(client.close)
    return client
