"""What a run keeps without being asked: metrics of the machine, what is printed, the notebook.

Each piece fails quietly, with a tag `loopline.capture.<piece>` that says why, and never the training.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable
from importlib import import_module
from typing import Any, Protocol

TICK_S = 1.0
PLACES = {
    "system": "loopline.usecases.tracking.capturing.machine",
    "output": "loopline.usecases.tracking.capturing.output",
    "notebook": "loopline.usecases.tracking.capturing.notebook",
}


class Piece(Protocol):
    """One thing that is captured; made when the run begins."""

    def tick(self) -> None:
        """Called every second from a thread of its own."""

    def stop(self) -> None:
        """The run ends; called once."""


class Captures:
    """The pieces of one run and the thread that drives them."""

    def __init__(self, run: Any, wanted: Iterable[str]) -> None:
        self._run = run
        self._pieces: dict[str, Piece] = {}
        for name in dict.fromkeys(wanted):
            if name in PLACES:
                self._tried(name, self._begin)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="loopline-capture", daemon=True)
        if self._pieces:
            self._thread.start()

    def stop(self) -> None:
        """End all pieces; what they hold is logged."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(2.0)
        for name in list(self._pieces):
            self._tried(name, lambda name: self._pieces[name].stop())

    def _begin(self, name: str) -> None:
        self._pieces[name] = import_module(PLACES[name]).begin(self._run)

    def _work(self) -> None:
        while not self._ended.wait(TICK_S):
            for name in list(self._pieces):
                self._tried(name, lambda name: self._pieces[name].tick())

    def _tried(self, name: str, act: Any) -> None:
        try:
            act(name)
        except Exception as error:  # whatever it is, the training goes on
            self._pieces.pop(name, None)
            self._told(name, error)

    def _told(self, name: str, error: Exception) -> None:
        with contextlib.suppress(Exception):  # nothing is left to tell it to
            self._run.tags({f"loopline.capture.{name}": f"{type(error).__name__}: {error}"[:500]})
