"""Pieces of run pages: files as a tree, changes by line, logs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MOST_LINES = 4000
MOST_FILES = 500
_LOG = re.compile(r"(?:^|/)(stdout|stderr|output|log)(-[0-9]{1,9})?(?:\.(?:txt|log|out))?\Z|[^/]+\.(?:log|out|err)\Z")


def tree(files: Sequence[Mapping[str, Any]], folder: str = "") -> dict[str, Any]:
    """The files below a folder: folders with their sizes, then files, by name; at most MOST_FILES are listed."""
    prefix = f"{folder}/" if folder else ""
    below = [one for one in files if one["name"].startswith(prefix)]
    root = node(folder)
    for place, one in enumerate(below):
        at = root
        *folders, last = one["name"][len(prefix) :].split("/")
        grow(at, one)
        for name in folders:
            at = at["folders"].setdefault(name, node(f"{at['path']}/{name}" if at["path"] else name))
            grow(at, one)
        if place < MOST_FILES:
            at["files"].append({**one, "last": last})
    return {**root, "hidden": max(0, len(below) - MOST_FILES)}


def node(path: str) -> dict[str, Any]:
    """An empty folder."""
    return {"path": path, "folders": {}, "files": [], "size": 0, "count": 0}


def grow(folder: dict[str, Any], one: Mapping[str, Any]) -> None:
    """Count a file in."""
    folder["size"] += one["size"]
    folder["count"] += 1


def lines(diff: str) -> list[tuple[str, str]]:
    """The lines of a unified diff, each with what it is: file, place, added, removed or same."""
    return [(kind(line), line) for line in diff.splitlines()[:MOST_LINES]]


def kind(line: str) -> str:
    """What a line of a diff is."""
    if line.startswith(("diff ", "index ", "--- ", "+++ ", "new file", "deleted file", "rename ", "similarity ")):
        return "file"
    return {"@": "place", "+": "added", "-": "removed"}.get(line[:1], "same")


def changed(diff: str) -> tuple[int, int]:
    """How many lines a diff adds and removes."""
    kinds = [kind(line) for line in diff.splitlines()]
    return kinds.count("added"), kinds.count("removed")


def logs(files: Iterable[Mapping[str, Any]]) -> list[str]:
    """Names of the files that hold what a run printed; of one kept in portions (stdout.txt, stdout-2.txt) the last."""
    last: dict[str, tuple[int, str]] = {}
    for one in files:
        found = _LOG.search(one["name"])
        if found and (one["media_type"].startswith("text/") or "." not in found[0]):
            stream = one["name"][: found.start(2)] if found[2] else one["name"].partition(".")[0]
            last[stream] = max(last.get(stream, (0, "")), (int(found[2][1:]) if found[2] else 1, one["name"]))
    return [name for _, name in last.values()]
