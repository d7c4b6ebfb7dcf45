"""Files for MLflow's client."""

from __future__ import annotations

import inspect
import os
import posixpath
from pathlib import Path
from typing import Any

from mlflow.entities import FileInfo
from mlflow.store.artifact.artifact_repo import ArtifactRepository, verify_artifact_path

from loopline.shells.mlflow_store import places
from loopline.shells.mlflow_store.backends import ARTIFACTS, backend_of, translated

_NEW = len(inspect.signature(ArtifactRepository.__init__).parameters) > 2


class LooplineArtifacts(ArtifactRepository):  # type: ignore[misc]  # mlflow is untyped here
    """The files below an address of artifacts."""

    def __init__(self, artifact_uri: str, tracking_uri: str | None = None) -> None:
        import mlflow

        super().__init__(artifact_uri, *((tracking_uri,) if _NEW else ()))
        owner, self._root = places.resolved(artifact_uri, tracking_uri or mlflow.get_tracking_uri())
        with translated():
            self._backend = backend_of(owner)

    def log_artifact(self, local_file: Any, artifact_path: str | None = None) -> None:
        verify_artifact_path(artifact_path)
        file = Path(local_file)
        with translated():
            self._backend.put(self._place(artifact_path, file.name), file)

    def log_artifacts(self, local_dir: Any, artifact_path: str | None = None) -> None:
        top = os.path.abspath(local_dir)
        for folder, _, names in os.walk(top):
            below = Path(folder).relative_to(top).as_posix()
            place = posixpath.normpath(posixpath.join(artifact_path or "", below))
            for name in names:
                self.log_artifact(os.path.join(folder, name), None if place == "." else place)

    def list_artifacts(self, path: str | None = None) -> list[Any]:
        with translated():
            found = self._backend.answer("GET", ARTIFACTS, {"path": self._place(path)})
        files = [
            FileInfo(posixpath.join(path or "", one["path"]), one["is_dir"], file_size(one))
            for one in found.get("files", ())
        ]
        return sorted(files, key=lambda one: one.path)

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        with translated():
            self._backend.answer("DELETE", f"{ARTIFACTS}/{self._place(artifact_path)}", {})

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        with translated():
            pieces = self._backend.fetch(self._place(remote_file_path))
            with open(local_path, "wb") as file:
                file.writelines(pieces)

    def _place(self, *parts: str | None) -> str:
        return posixpath.join(self._root, *(part for part in parts if part))


def file_size(one: dict[str, Any]) -> int | None:
    """A file's bytes; None for a folder."""
    return None if one["is_dir"] else int(one.get("file_size") or 0)
