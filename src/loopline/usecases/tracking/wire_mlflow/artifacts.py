"""Files over MLflow's protocol: the artifact proxy, the lists of runs, and raw up- and downloads of our own."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from loopline.core import fields as read
from loopline.core.errors import Invalid, NotFound
from loopline.core.verbs import Caller, Role
from loopline.core.wires import Raw, Route
from loopline.usecases.tracking import files
from loopline.usecases.tracking.file_rows import Entry
from loopline.usecases.tracking.model import Artifact

PAGE = 10_000
LARGEST_UPLOAD = 10 << 20
SANDBOX = {"Content-Security-Policy": "sandbox; default-src 'none'", "X-Content-Type-Options": "nosniff"}


def get(tracking: Any, fields: dict[str, Any], caller: Caller) -> Raw:
    """A file's bytes by its path."""
    owner, name = files.place(read.text(fields, "path"))
    return sent(tracking, owner, name)


def put(tracking: Any, fields: dict[str, Any], caller: Caller) -> dict[str, Any]:
    """Keep the body as the file at a path; it is on the disk when this answers."""
    owner, name = files.place(read.text(fields, "path"))
    tracking.put_file(owner, name, Path(fields["body"]))
    return {}


def delete(tracking: Any, fields: dict[str, Any], caller: Caller) -> dict[str, Any]:
    """Drop the file at a path, or all below a folder. What is not there may be dropped too."""
    owner, name = files.place(read.text(fields, "path"))
    tracking.delete_files(owner, name, caller.name)
    return {}


def listed(tracking: Any, fields: dict[str, Any], caller: Caller) -> dict[str, Any]:
    """What lies in the folder at a path, named relative to it."""
    owner, name = files.place(read.text(fields, "path", default=""))
    return {"files": [shown(one) for one in tracking.listed(owner, name)]}


def of_run(tracking: Any, fields: dict[str, Any], caller: Caller) -> dict[str, Any]:
    """What lies in a folder of a run, named from the run's root; in pages."""
    run_id = read.required(fields, "run_id", "run_uuid")
    root = tracking.root_of(run_id)
    return {"root_uri": root, **page(tracking, run_id, read.text(fields, "path", default=""), fields)}


def page(tracking: Any, owner: str, folder: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Some entries of a folder, and the token of those behind them."""
    folder = files.checked_folder(folder)
    offset = read.offset_of(read.text(fields, "page_token", default=""), owner, folder)
    found = tracking.listed(owner, folder)[offset : offset + PAGE + 1]
    answer: dict[str, Any] = {"files": [shown(one, folder) for one in found[:PAGE]]}
    if len(found) > PAGE:
        answer["next_page_token"] = read.token_of(offset + PAGE, owner, folder)
    return answer


def of_run_content(tracking: Any, fields: dict[str, Any], caller: Caller) -> Raw:
    """A run's file."""
    run_id = read.required(fields, "run_id", "run_uuid")
    tracking.root_of(run_id)
    return sent(tracking, run_id, read.required(fields, "path"))


def upload(tracking: Any, fields: dict[str, Any], caller: Caller) -> dict[str, Any]:
    """Keep the body as a run's file, as MLflow's pages do it (at most 10 MiB)."""
    run_id, name, body = (
        read.required(fields, "run_uuid", "run_id"),
        read.required(fields, "path"),
        Path(fields["body"]),
    )
    size = body.stat().st_size
    if not 0 < size <= LARGEST_UPLOAD:
        raise Invalid(
            f"An artifact of {size} bytes cannot be sent here.", f"Send 1 to {LARGEST_UPLOAD} bytes, or PUT it."
        )
    tracking.root_of(run_id)
    tracking.put_file(run_id, name, body)
    return {}


def native_put(tracking: Any, fields: dict[str, Any], caller: Caller) -> dict[str, Any]:
    """Keep the body as a run's file; answers its entry."""
    run_id = tracking.owner(read.required(fields, "run_id"))
    media_type = read.text(fields, "media_type", default="")[:100]
    made: Artifact = tracking.put_file(run_id, read.required(fields, "name"), Path(fields["body"]), media_type)
    return {"name": made.name, "digest": made.digest, "size": made.size, "media_type": made.media_type}


def native_get(tracking: Any, fields: dict[str, Any], caller: Caller) -> Raw:
    """A run's file."""
    return sent(tracking, tracking.owner(read.required(fields, "run_id")), read.required(fields, "name"))


def native_delete(tracking: Any, fields: dict[str, Any], caller: Caller) -> dict[str, Any]:
    """Drop a run's file or folder; NotFound when there is none."""
    name = read.required(fields, "name")
    count = tracking.delete_files(tracking.owner(read.required(fields, "run_id")), name, caller.name)
    if not count:
        raise NotFound(f"The run has no file {name[:200]!r}.", "List its files to see what there is.")
    return {"files": count}


def sent(tracking: Any, owner: str, name: str) -> Raw:
    """A file as it may leave: for keeping, never for showing as a page of this site."""
    found: Artifact = tracking.file(owner, name)
    return Raw(tracking.pieces(found), found.media_type, attachment(found.name), found.size)


def attachment(name: str) -> dict[str, str]:
    """Headers that have a browser keep a file under the last part of its name, and run nothing in it."""
    last = name.rpartition("/")[2]
    return {**SANDBOX, "Content-Disposition": f"attachment; filename*=UTF-8''{quote(last, safe='')}"}


def shown(entry: Entry, folder: str = "") -> dict[str, Any]:
    """An entry as the protocol tells it."""
    path = f"{folder}/{entry.name}" if folder else entry.name
    return {"path": path, "is_dir": entry.is_folder} | ({} if entry.is_folder else {"file_size": entry.size})


def proxy() -> tuple[Route, ...]:
    """The artifact proxy under both of its prefixes."""
    found: list[Route] = []
    for prefix in ("/api/2.0", "/ajax-api/2.0"):
        root = f"{prefix}/mlflow-artifacts/artifacts"
        found += [
            Route("GET", root, Role.VIEWER, listed),
            Route("GET", f"{root}/{{path:path}}", Role.VIEWER, get, large=True),
            Route("PUT", f"{root}/{{path:path}}", Role.EDITOR, put, file=True),
            Route("DELETE", f"{root}/{{path:path}}", Role.EDITOR, delete),
        ]
    return tuple(found)


_NATIVE = "/api/v1/tracking/runs/{run_id}/files/{name:path}"
ROUTES = (
    *proxy(),
    Route("GET", "artifacts/list", Role.VIEWER, of_run),
    Route("GET", "/get-artifact", Role.VIEWER, of_run_content, large=True),
    Route("GET", "/ajax-api/2.0/mlflow/get-artifact", Role.VIEWER, of_run_content, large=True),
    Route("POST", "/ajax-api/2.0/mlflow/upload-artifact", Role.EDITOR, upload, file=True),
    Route("PUT", _NATIVE, Role.EDITOR, native_put, file=True),
    Route("GET", _NATIVE, Role.VIEWER, native_get, large=True),
    Route("DELETE", _NATIVE, Role.EDITOR, native_delete),
)
