"""Calls on a Ray cluster: this machine's own, or the one at `LOOPLINE_RAY_ADDRESS`. Other nodes need not share a disk."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from loopline.adapters.executors import ray_node
from loopline.adapters.executors.ending import stopped
from loopline.adapters.executors.ray_parcels import Parcels
from loopline.core.errors import Invalid, Unavailable
from loopline.ports.executor import Call, Outcome

ADDRESS = "LOOPLINE_RAY_ADDRESS"
_SETTLED_S = 5.0
_ANSWER_S = 5.0
_PATIENCE_S = 30.0
_decode = msgspec.msgpack.Decoder(Outcome).decode


class Flight:
    """A call on its way."""

    def __init__(self, number: int, call: Call) -> None:
        self.number = number
        self.call = call
        self.future: Future[Outcome] = Future()
        self.ref: Any = None
        self.end: Outcome | None = None  # why it is being ended


class Ray:
    """Every call is a Ray task that asks for its cpu and memory and is never tried again by Ray. The task has a warm worker
    process beside it run the call, so that limits, logs and crashes are those of the executor `processes`."""

    def __init__(self, address: str = "") -> None:
        self._lock = threading.RLock()
        self._flights: dict[Future[Outcome], Flight] = {}
        self._count = 0
        self._closed = False
        self._address = address or os.environ.get(ADDRESS, "")
        self._ray, self._started = connected(self._address)
        self._node: str = self._ray.get_runtime_context().get_node_id()
        self._perform = self._ray.remote(max_retries=0)(ray_node.perform)
        self._board = self._ray.remote(num_cpus=0, max_concurrency=4)(ray_node.Board).remote()
        self._parcels = Parcels(self._ray, bool(self._address) or not self._started)
        self._finishing = ThreadPoolExecutor(4, thread_name_prefix="ray-finish")
        self._sizes: tuple[float, int, float, float] = (0.0, 1, 1.0, 0.0)

    @property
    def slots(self) -> int:
        """The processors of the whole cluster as it stands."""
        return self._size()[1]

    def submit(self, call: Call) -> Future[Outcome]:
        with self._lock:
            if self._closed:
                raise Unavailable("The connection to the Ray cluster is closed.", "Open the installation again.")
            self._count += 1
            flight = Flight(self._count, call)
            self._flights[flight.future] = flight
        flight.future.set_running_or_notify_cancel()
        try:
            flight.ref = self._sent(flight)
        except (OSError, self._ray.exceptions.RayError) as error:
            self._land(flight, Outcome(error=f"{call.label or 'A call'} could not be sent to the cluster: {error}."))
            return flight.future
        if flight.end is not None:  # stopped meanwhile
            self._ray.cancel(flight.ref, force=True)
        flight.ref.future().add_done_callback(lambda done: self._finishing.submit(self._finish, flight, done))
        return flight.future

    def stop(self, future: Future[Outcome]) -> None:
        with self._lock:
            flight = self._flights.get(future)
            if flight is None:
                return
            flight.end = flight.end or stopped(flight.call)
        if flight.ref is not None:
            self._ray.cancel(flight.ref, force=True)

    def log(self, future: Future[Outcome]) -> bytes:
        with self._lock:
            flight = self._flights.get(future)
        return b"" if flight is None else self._told(flight)

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            flights = list(self._flights)
        for future in flights:
            self.stop(future)
        for future in flights:
            with contextlib.suppress(TimeoutError):
                future.result(timeout=_PATIENCE_S)
        for flight in list(self._flights.values()):
            self._land(flight, stopped(flight.call))
        self._finishing.shutdown()
        self._parcels.forget()
        self._ray.kill(self._board)
        if self._started:
            self._ray.shutdown()

    def _sent(self, flight: Flight) -> Any:
        call = flight.call
        _, _, processors, memory = self._size()
        wanted = {"num_cpus": min(call.cpu or 1.0, processors)}
        if call.memory and memory:
            wanted["memory"] = min(call.memory, memory)
        parcel = self._parcels.of(call)
        return self._perform.options(**wanted).remote(
            msgspec.msgpack.encode(call), parcel, self._node, self._board, flight.number
        )

    def _size(self) -> tuple[float, int, float, float]:
        """When looked up, processors of all, and processors and memory of the largest node."""
        if time.monotonic() - self._sizes[0] > _SETTLED_S:
            nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
            processors = [float(node.get("CPU", 0.0)) for node in nodes] or [1.0]
            memory = max((float(node.get("memory", 0.0)) for node in nodes), default=0.0)
            self._sizes = time.monotonic(), max(1, int(sum(processors))), max(*processors, 1.0), memory
        return self._sizes

    def _finish(self, flight: Flight, done: Future[Any]) -> None:
        try:
            content, files = done.result()
            outcome = _decode(content)
            received(files, flight.call.folder)
        except self._ray.exceptions.RayError as error:
            outcome = self._lost(flight, error)
        except Exception as error:  # whatever it is, the caller waits for an outcome
            outcome = Outcome(error=f"What {flight.call.label or 'a call'} gave could not be brought back: {error}.")
        self._land(flight, outcome)

    def _lost(self, flight: Flight, error: Exception) -> Outcome:
        outcome = flight.end or ray_node.lost(self._ray, flight.call, error)
        return msgspec.structs.replace(outcome, log=self._told(flight))

    def _told(self, flight: Flight) -> bytes:
        """What the call has printed, as far as the board knows."""
        try:
            return bytes(self._ray.get(self._board.read.remote(flight.number), timeout=_ANSWER_S))
        except self._ray.exceptions.RayError:
            return b""

    def _land(self, flight: Flight, outcome: Outcome) -> None:
        with self._lock:
            if self._flights.pop(flight.future, None) is None:
                return
        if not self._closed:
            self._board.forget.remote(flight.number)
        flight.future.set_result(outcome)


def connected(address: str) -> tuple[Any, bool]:
    """Ray's module, connected, and whether that was our doing."""
    if address.startswith("ray://"):
        raise Invalid(
            f"The Ray address {address!r} is one of Ray's client, which is not supported.",
            "Give the cluster's own address (host:port) and run Loopline on one of its nodes.",
        )
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError:
        raise Unavailable("Ray is not installed here.", "pip install 'loopline[ray]'") from None
    if ray.is_initialized():
        return ray, False
    reached(address)
    local: dict[str, Any] = {} if address else {"include_dashboard": False}
    with undisturbed():
        try:
            ray.init(
                address=address or "local",
                namespace="loopline",
                log_to_driver=False,
                configure_logging=False,
                **local,
            )
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            raise unreached(address, str(error).strip().splitlines()[0]) from None
    return ray, True


def reached(address: str) -> None:
    """Whether somebody listens there: Ray itself would ask for minutes. Raises Unavailable."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()
    except OSError as error:
        raise unreached(address, str(error)) from None


def unreached(address: str, why: str) -> Unavailable:
    """The refusal when there is no cluster."""
    where = f"at {address}" if address else "of this machine"
    return Unavailable(
        f"The Ray cluster {where} does not answer: {why}.", f"See that it runs, and what {ADDRESS} says."
    )


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Keep Ray's notes to itself, and this process's way of ending."""
    notes, before = logging.getLogger("ray"), signal.getsignal(signal.SIGTERM)
    level = notes.level
    notes.setLevel(logging.ERROR)
    try:
        yield
    finally:
        notes.setLevel(level)
        if threading.current_thread() is threading.main_thread() and before is not None:
            signal.signal(signal.SIGTERM, before)


def received(files: dict[str, Any], folder: str) -> None:
    """Write files that came back from a node; all of them belong into the call's folder."""
    for name, content in files.items():
        path = Path(os.path.normpath(name))
        if not path.is_relative_to(folder):
            raise OSError(f"{name} does not lie in {folder}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(memoryview(content))
