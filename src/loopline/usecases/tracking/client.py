"""A run as user code holds it. Whatever happens to Loopline, the training goes on."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from loopline.core.errors import Unavailable
from loopline.core.ids import new_id
from loopline.core.times import from_ms
from loopline.usecases.tracking import processes, surroundings
from loopline.usecases.tracking.spool import Client, Spool

RETRY_S = 5.0
_log = logging.getLogger("loopline")


class Run:
    """A run that was begun and is ended by leaving its `with` block, or by `finish()`.

    with loopline.run("first try") as run:
        run.params(learning_rate=0.1)
        run.log(loss=0.3, step=1)
        run.artifact("confusion.png")

    When Loopline cannot be reached, calls wait on this machine's disk and are delivered when it is back, at the
    latest by `loopline sync`. Raises only for what is wrong in the call itself.
    """

    def __init__(
        self,
        client: Client,
        name: str = "",
        experiment: str = "Default",
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> None:
        self.id = new_id()
        self._client = client
        self._spool: Spool | None = None
        self._tried_at = 0.0
        self._ended = False
        self._call(
            "tracking.start",
            run_id=self.id,
            name=name,
            experiment=experiment,
            params=texts(params or {}),
            tags=texts(tags or {}),
            surroundings=surroundings.around(),
            process=processes.myself(),
            started_at=from_ms(now_ms()),
        )

    def log(self, metrics: Mapping[str, float] | None = None, /, *, step: int = 0, **more: float) -> None:
        """Metrics at a step: `run.log(loss=0.3, step=1)`, or a map for names that are no Python names."""
        at = now_ms()
        points = [point(key, value, step, at) for key, value in {**(metrics or {}), **more}.items()]
        self._call("tracking.log", run_id=self.id, metrics=points, batch=new_id())

    def params(self, params: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        """Params, each written once; floats, texts, anything with a sensible `str`."""
        self._call("tracking.log", run_id=self.id, params=texts({**(params or {}), **more}), batch=new_id())

    def tags(self, tags: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        """Tags, which later ones of the same name replace."""
        self._call("tracking.log", run_id=self.id, tags=texts({**(tags or {}), **more}), batch=new_id())

    def artifact(self, path: str | Path, name: str = "") -> None:
        """Keep a file with the run, under its own name unless another is given."""
        place = Path(path)
        self.keep(name or place.name, place.read_bytes())

    def keep(self, name: str, content: bytes | str, media_type: str = "") -> None:
        """Keep bytes or a text with the run."""
        data = content.encode() if isinstance(content, str) else content
        self._call("tracking.put_artifact", run_id=self.id, name=name, content=data, media_type=media_type)

    def input(self, name: str, digest: str, kind: str = "dataset") -> None:
        """Say what went into the run."""
        self._link("input", name, digest, kind)

    def output(self, name: str, digest: str, kind: str = "value") -> None:
        """Say what came out of the run."""
        self._link("output", name, digest, kind)

    def finish(self, status: str = "finished", error: str = "") -> None:
        """End the run; what still waits on disk then stays there for `loopline sync`."""
        if self._ended:
            return
        self._ended = True
        self._tried_at = 0.0
        self._call("tracking.finish", run_id=self.id, status=status, error=error, ended_at=from_ms(now_ms()))
        if self._spool is not None:
            _log.warning("Run %s waits on this machine: `loopline sync` delivers it.", self.id[:8])
            self._spool.close()

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()
        else:
            status = "failed" if issubclass(kind, Exception) else "killed"
            self.finish(status, f"{kind.__name__}: {error}"[:2000])

    def _link(self, direction: str, name: str, digest: str, kind: str) -> None:
        links = [{"direction": direction, "name": name, "digest": digest, "kind": kind}]
        self._call("tracking.log", run_id=self.id, links=links, batch=new_id())

    def _call(self, verb: str, **fields: Any) -> None:
        if self._spool is None:
            try:
                self._client.call(verb, **fields)
                return
            except Unavailable as error:
                _log.warning("%s Run %s goes on and is kept on this machine.", error.message, self.id[:8])
                self._spool = Spool(self.id)
                self._tried_at = time.monotonic()
        self._spool.add(verb, msgspec.to_builtins(fields))
        if time.monotonic() - self._tried_at > RETRY_S:
            self._tried_at = time.monotonic()
            if self._spool.deliver(self._client):
                self._spool = None


def point(key: str, value: Any, step: int, at_ms: int) -> dict[str, Any]:
    """A point as the verb takes it; anything that `float` takes is a value."""
    number = float(value)
    if number != number:
        return {"key": key, "value": "NaN", "step": step, "at_ms": at_ms}
    if number in (float("inf"), float("-inf")):
        return {"key": key, "value": "Infinity" if number > 0 else "-Infinity", "step": step, "at_ms": at_ms}
    return {"key": key, "value": number, "step": step, "at_ms": at_ms}


def texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Values as texts."""
    return {key: str(value) for key, value in values.items()}


def now_ms() -> int:
    """The present in milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000
