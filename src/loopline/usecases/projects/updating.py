"""`loopline project update`: a newer template merged into a project that has gone its own way since.

Three texts meet for each file: what the template gave (kept beside the project in an archive), what the project made of
it, and what the template gives now. copier merges them, in a copy; only the outcome is written to the project.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import msgspec

from loopline.core.errors import Conflict, Unavailable
from loopline.usecases.projects.merging import MARKER, merged
from loopline.usecases.projects.template import (
    ANSWERS,
    PRISTINE,
    SCHEMA,
    SKELETON,
    answers_of,
    installed,
    packed,
    pristine_of,
    rendered,
    schema_file,
)

Files = Mapping[str, bytes]
State = Literal["as_given", "yours", "updated", "merged", "conflict", "deleted", "new", "dropped", "kept"]


class Deviation(msgspec.Struct, frozen=True):
    """How one file stands to the template.

    `as_given`: as the template gives it. `yours`: changed here, and not in the template. `updated`: the template's
    change was taken. `merged`: both changes stand in it. `conflict`: both changed the same lines, which are marked
    (a file that is no text is left as it is).
    `deleted`: deleted here, and stays so. `new`: the template brings it. `dropped`: the template no longer brings it, so
    it went. `kept`: likewise, but it was changed here, so it stays.
    """

    file: str
    state: State


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """What an update did or would do: the versions of Loopline whose templates met, and how each file stands. `written`
    tells whether the project was touched, `settled` that there was nothing to do."""

    folder: str
    was: str
    now: str
    files: tuple[Deviation, ...]
    written: bool = False
    settled: bool = False

    def named(self, *states: State) -> list[str]:
        """The files in these states."""
        return [each.file for each in self.files if each.state in states]


def update(folder: Path, check: bool = False, skeleton: Path = SKELETON) -> Update:
    """Merge the template of this Loopline into the project in `folder`; with `check`, only tell what that would do.

    Conflicts are no error here: they are marked in their files and reported. Raises NotFound for a folder that was not
    made from the template, Unavailable without copier or git, Conflict when the project's template is newer than this
    one, or a file that would be written holds changes that git does not have yet.
    """
    _needed()
    folder = folder.absolute()
    answers, base = answers_of(folder), pristine_of(folder)
    _checked_newer(answers["_loopline"])
    fresh = rendered(answers, skeleton)
    mine = dict(_present(folder, sorted({*base, *fresh} - {ANSWERS})))
    outcome = _outcome(base, mine, fresh, answers, skeleton)
    files = tuple(Deviation(name, state) for name, (state, _) in outcome.items())
    changed = {name: content for name, (_, content) in outcome.items() if content != mine.get(name)}
    settled = not changed and base == fresh
    write = not check and not settled
    if write:
        _checked_committed(folder, sorted(changed.keys() & mine.keys()))
        _write(folder, changed, fresh)
    was, now = answers["_loopline"], installed()
    return Update(folder=str(folder), was=was, now=now, files=files, written=write, settled=settled)


def told(done: Update) -> str:
    """An update as lines: what was done, and each file that is not as the template gives it."""
    deviating = [each for each in done.files if each.state != "as_given"]
    version = done.now if done.was == done.now else f"{done.was} → {done.now}"
    what = "updated" if done.written else "nothing to update" if done.settled else "an update would change"
    lines = [f"{done.folder}: {what} (template {version})"]
    lines += [f"  {each.state:9} {each.file}" for each in deviating]
    return "\n".join([*lines, f"  {len(done.files) - len(deviating)} files as the template gives them"])


def _needed() -> None:
    if find_spec("copier") is None:
        raise Unavailable("Updating a project needs copier.", "Install it with `pip install 'loopline[projects]'`.")
    if shutil.which("git") is None:
        raise Unavailable("Updating a project needs git.", "Install git.")


def _checked_newer(was: str) -> None:
    """An older template would take back what a newer one gave."""
    if _numbers(was) > _numbers(installed()):
        raise Conflict(
            f"The project's template is that of Loopline {was}, and this is Loopline {installed()}.",
            f"Update with Loopline {was} or newer.",
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _present(folder: Path, names: list[str]) -> Iterator[tuple[str, bytes]]:
    for name in names:
        if (folder / name).is_file():
            yield name, (folder / name).read_bytes()


def _outcome(
    base: Files, mine: Files, fresh: Files, answers: Mapping[str, Any], skeleton: Path
) -> dict[str, tuple[State, bytes | None]]:
    """For each file how it stands and what it becomes (None: it is not there)."""
    names = sorted({*base, *fresh} - {ANSWERS})
    plain = {name: _without_merging(base.get(name), mine.get(name), fresh.get(name)) for name in names}
    both = {name: mine[name] for name, found in plain.items() if found is None}
    texts = {name: text for name, text in both.items() if b"\0" not in text + base.get(name, b"") + fresh[name]}
    joined = merged({name: base[name] for name in texts if name in base}, texts, answers, skeleton) if texts else {}
    outcome = {name: found or _joined(mine[name], joined.get(name)) for name, found in plain.items()}
    return {name: _marked(state, text) for name, (state, text) in outcome.items()}


def _joined(mine: bytes, joined: bytes | None) -> tuple[State, bytes]:
    """What no text is cannot be merged, and stays as it is here."""
    return ("conflict", mine) if joined is None else ("merged", joined)


def _marked(state: State, text: bytes | None) -> tuple[State, bytes | None]:
    return ("conflict" if text and MARKER in text else state), text


def _without_merging(base: bytes | None, mine: bytes | None, fresh: bytes | None) -> tuple[State, bytes | None] | None:
    """What becomes of a file that at most one side changed; None when both did."""
    if mine is None:
        return ("new", fresh) if base is None else ("deleted", None)
    if fresh is None:
        return ("dropped", None) if mine == base else ("kept", mine)
    if mine == fresh:
        return "as_given", mine
    if base == fresh:
        return "yours", mine
    return ("updated", fresh) if mine == base else None


def _checked_committed(folder: Path, names: list[str]) -> None:
    """Changes that only the working copy holds would be mixed with the template's, and could not be told apart again."""
    if not names:
        return
    command = ["git", "-C", str(folder), "diff", "--name-only", "--relative", "HEAD", "--", *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    dirty = done.stdout.split() if done.returncode == 0 else []  # no repository, or nothing committed yet
    if dirty:
        more = f" and {len(dirty) - 1} more" if len(dirty) > 1 else ""
        raise Conflict(f"{dirty[0]}{more} would be updated and holds changes that are not committed.", "Commit first.")


def _write(folder: Path, changed: Mapping[str, bytes | None], fresh: Files) -> None:
    """The record of what the template gave goes last: until then the same update can be made again."""
    record = {SCHEMA: schema_file(), ANSWERS: fresh[ANSWERS], PRISTINE: packed(fresh)}
    try:
        for name, content in {**changed, **record}.items():
            _put(folder / name, content)
    except OSError as error:
        raise Unavailable(
            f"{name} cannot be written ({error.strerror}).", "Make it writable, and update again: nothing is lost."
        ) from None


def _put(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink(missing_ok=True)
        return
    path = path.resolve()  # a link stays a link
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(content)
    if path.exists():
        shutil.copymode(path, beside)
    os.replace(beside, path)
