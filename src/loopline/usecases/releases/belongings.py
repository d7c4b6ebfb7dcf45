"""What belongs to a pipeline release, and the environments and folders that can be built again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from loopline.core.belongings import Belongings, Block, Going, Reference, Rows, Swept, Thing
from loopline.core.errors import Invalid, NotFound
from loopline.kit.rows import among
from loopline.usecases.releases import store

UNUSED_FOR_S = 30 * 86400.0


class Owner(Belongings):
    """Releases, named by their digest."""

    kinds = ("release",)

    def find(self, tx: Any, kind: str, name: str) -> Thing:
        start = name.lower()
        found = store.beginning_with(tx, start) if len(start) >= 6 else []
        if not found:
            raise NotFound(f"There is no release {name[:80]!r}.", "`loopline release list` shows their digests.")
        if len(found) > 1:
            raise Invalid(f"Several releases begin with {name!r}.", "Write more of the digest.")
        row = found[0]
        return Thing(kind, row["digest"], f"{row['project']}/{row['pipeline']} {row['digest'][:12]}")

    def below(self, tx: Any, kind: str, names: Sequence[str]) -> Going:
        if kind != "project":
            return {}
        where, params = among("project", names)
        rows = tx.rows(f"SELECT digest FROM releases_releases WHERE {where} ORDER BY seq", params)
        return {"release": [row["digest"] for row in rows]}

    def rows(self, kind: str, names: Sequence[str]) -> Iterable[Rows]:
        if kind == "release":
            where, params = among("release", names)
            yield Rows("releases_gates", where, params, "gates of releases")
            yield Rows("releases_approvals", where, params, "approvals of releases")
            yield Rows("releases_releases", where.replace("release IN", "digest IN"), params)
        elif kind == "project":
            where, params = among("project", names)
            yield Rows("releases_moves", where, params, "promotions of releases")

    def blocks(self, tx: Any, going: Going) -> Iterable[Block]:
        releases, projects = set(going.get("release", ())), set(going.get("project", ()))
        for row in tx.rows(store.NOW) if releases else ():
            if row["release"] in releases and row["project"] not in projects:
                place = f"{row['project']}/{row['pipeline']} in {row['environment'] or 'the installation'}"
                yield Block(
                    "release", row["release"], f"it is promoted: {place}", "Promote another release there first."
                )

    def references(self, tx: Any) -> Iterable[Reference]:
        for row in tx.rows("SELECT digest, project, manifest, content FROM releases_releases"):
            for digest in {row["manifest"], row["content"]}:
                if len(digest) == 64:
                    yield Reference("release", row["digest"], digest, ("project", row["project"]))

    def sweep(self, now: float, dry_run: bool) -> Iterable[Swept]:
        """Environments and releases laid out as files, when not used for a month: both are made again when wanted."""
        home = self.service._home
        yield swept("environments built from locks", home / "environments", now, dry_run)
        yield swept("releases laid out as files", home / "work" / "releases", now, dry_run)


def swept(what: str, folder: Path, now: float, dry_run: bool) -> Swept:
    """Remove what lies in a folder and was not used for long."""
    found = [place for place in (folder.iterdir() if folder.is_dir() else ()) if used_at(place) < now - UNUSED_FOR_S]
    size = sum(each.st_size for place in found for each in stats(place))
    for place in found if not dry_run else ():
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)
    return Swept(what, len(found), size)


def used_at(place: Path) -> float:
    """When something of a folder was last written or read."""
    return max((max(each.st_atime, each.st_mtime) for each in stats(place)), default=place.stat().st_mtime)


def stats(place: Path) -> Iterator[os.stat_result]:
    """What is known of each file at a place."""
    if not place.is_dir():
        yield place.stat()
    for folder, _, names in os.walk(place):
        for name in names:
            yield os.lstat(Path(folder, name))
