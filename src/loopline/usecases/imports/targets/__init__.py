"""Where runs go to: an `mlruns` folder, a server."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from loopline.core.errors import Invalid
from loopline.usecases.imports.fitting import MODEL_TAG, RUN_TAG, STAMP_TAG
from loopline.usecases.imports.model import Experiment, Home, LoggedModel, RegisteredModel, Report, Run, Source


class Target(Protocol):
    """Where things go. Each call is repeatable: what is there and unchanged stays."""

    name: str

    def experiment(self, one: Experiment, report: Report) -> str:
        """Make or find an experiment; answers its id there."""

    def runs(self, number: str, runs: list[Run], source: Source, report: Report) -> None:
        """Write runs with their points and files."""

    def models(self, number: str, models: list[LoggedModel], source: Source, report: Report) -> None:
        """Write logged models with their files."""

    def registered(self, one: RegisteredModel, source: Home, report: Report) -> None:
        """Write a registered model with its versions."""

    def close(self) -> None:
        """Let go of files and connections."""


def opened(text: str) -> Target:
    """The target that `text` names: http(s)://… or a folder, which is made when it is missing."""
    scheme = urlsplit(text).scheme.lower()
    if scheme in ("http", "https"):
        from loopline.usecases.imports.targets.server import ToServer

        return ToServer(text)
    if len(scheme) > 1 and scheme != "file":
        raise Invalid(f"{text!r} is no target.", "Name a server (http://…) or a folder.")
    from loopline.usecases.imports.sources import path_in
    from loopline.usecases.imports.targets.folder import ToFolder

    return ToFolder(Path(path_in(text, scheme)))


__all__ = ["MODEL_TAG", "RUN_TAG", "STAMP_TAG", "Target", "opened"]
