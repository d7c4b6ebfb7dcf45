"""`connect()` answers a client; `client.call("registry.versions", model="late")` does what the verb says."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, Protocol

import msgspec

from loopline.app.settings import actor_name, find_home
from loopline.app.wiring import Loopline, open_home, verb_named
from loopline.core.verbs import Caller, Role
from loopline.shells.sdk.asking import request_for


class Client(Protocol):
    """What both ways to reach Loopline offer."""

    def call(self, name: str, /, **fields: Any) -> Any:
        """Do the verb `name`; answers plain data (dicts, lists, texts, numbers). Raises a LooplineError."""

    def close(self) -> None:
        """Let go of files or connections."""


class Local:
    """Opens the installation itself: no server needed."""

    def __init__(self, loopline: Loopline, actor: str) -> None:
        self.loopline = loopline
        self.caller = Caller(actor, Role.ADMIN)  # whoever may write the files may do all
        self.target = f"home:{loopline.home.resolve()}"

    def call(self, name: str, /, **fields: Any) -> Any:
        verb = verb_named(name)
        given = {key: value for key, value in fields.items() if value is not None}
        service = self.loopline.get(name.partition(".")[0])
        return msgspec.to_builtins(verb.call(service, request_for(verb, given), self.caller))

    def upload(self, path: Path, run_id: str, name: str, media_type: str = "") -> None:
        """Keep the file at `path` with a run. What is moved into the installation is a second name of it, so that a
        crash in between loses nothing."""
        tracking = self.loopline.get("tracking")
        second = path.with_suffix(".link")
        second.unlink(missing_ok=True)
        try:
            os.link(path, second)
        except OSError:  # a file system without links
            shutil.copyfile(path, second)
        tracking.put_file(tracking.resolved(run_id), name, second, media_type)

    def download(self, model: str, version: int, target: Path) -> Path:
        """Write a model version as the folder MODEL-VERSION into `target`; answers it."""
        from typing import IO, cast

        from loopline.usecases.registry.downloading import Stream, unpacked

        found = self.loopline.get("registry").archive(model, version)
        return unpacked(cast("IO[bytes]", Stream(found.pieces)), target)

    def close(self) -> None:
        self.loopline.close()


def connect(
    url: str | None = None, home: str | Path | None = None, token: str | None = None, ca: str | Path | None = None
) -> Client:
    """A client of the server at `url` (or LOOPLINE_URL), else of the installation in `home` (or LOOPLINE_HOME, or the
    nearest .loopline, or the user's own). `ca` (or LOOPLINE_CA) is a file of certificates to trust, for https."""
    address = url or (None if home else os.environ.get("LOOPLINE_URL"))
    if address:
        from loopline.shells.sdk.remote import Remote

        return Remote(address, token or os.environ.get("LOOPLINE_TOKEN"), str(ca) if ca else None)
    return Local(open_home(find_home(str(home) if home else None)), actor_name())
