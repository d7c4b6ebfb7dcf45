"""The two ways from the plug-in to Loopline: an installation opened in this process, or a server over kept connections.

Both take what MLflow's protocol says (method, address, fields) and answer its plain data; both raise MLflow's own errors.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from loopline.app.wires import mlflow_code
from loopline.core.errors import LooplineError
from loopline.shells.mlflow_store import places

ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
_backends: dict[str, Backend] = {}
_guard = threading.Lock()


class Backend(Protocol):
    """A way to Loopline. `target` names it for journals, `client` reaches the verbs, `url` is a server's address."""

    target: str
    client: Any
    url: str

    def answer(self, method: str, path: str, fields: dict[str, Any]) -> dict[str, Any]:
        """What a route of the protocol answers. Raises a LooplineError."""

    def changed(self) -> float:
        """A number that stays the same only while nobody else can have changed a run."""

    def put(self, path: str, file: Path) -> None:
        """Keep a file's content as the artifact at `path`."""

    def fetch(self, path: str) -> Iterator[bytes]:
        """The content of the artifact at `path`, in pieces."""

    def send(self, path: str, content: bytes, headers: dict[str, str]) -> None:
        """Hand a body that is no JSON to a route."""

    def close(self) -> None: ...


def backend_of(uri: str) -> Backend:
    """The way to what a tracking URI names; one a process, shared by stores and artifact repositories."""
    with _guard:
        found = _backends.get(uri)
        if found is None:
            found = _backends[uri] = opened(uri)
        return found


def opened(uri: str) -> Backend:
    if places.is_server(uri):
        from loopline.shells.mlflow_store.remote import Remote

        return Remote(places.url_of(uri), os.environ.get("MLFLOW_TRACKING_TOKEN") or os.environ.get("LOOPLINE_TOKEN"))
    from loopline.shells.mlflow_store.local import Local

    return Local(places.home_of(uri))


def raised(error: LooplineError) -> Exception:
    """The error as MLflow's client would have it from a server."""
    from mlflow.exceptions import RestException

    found: Exception = RestException({"error_code": mlflow_code(error), "message": str(error)})
    return found


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Loopline's errors become MLflow's."""
    try:
        yield
    except LooplineError as error:
        raise raised(error) from None


def _forget() -> None:
    """In a forked child: the parent's connections and files are not ours."""
    global _guard
    _guard = threading.Lock()
    for one in _backends.values():
        with contextlib.suppress(Exception):
            one.close()


os.register_at_fork(after_in_child=_forget)
