"""Clearing up everything at once: policies, trash, the step cache, bytes that nothing refers to, what was left behind."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from loopline.core.belongings import Swept
from loopline.core.errors import Conflict
from loopline.usecases.retention import store
from loopline.usecases.retention.model import Applied, Collected, Purged
from loopline.usecases.retention.needs import Cache
from loopline.usecases.retention.planning import bytes_in

if TYPE_CHECKING:
    from loopline.usecases.retention.service import Retention

Said = Callable[[str], None]


def collect(
    retention: Retention,
    *,
    actor: str = "loopline",
    max_age: str | None = None,
    max_size: str | None = None,
    dry_run: bool = False,
    say: Said = lambda what: None,
) -> Collected:
    """Clear up, or only tell what would go. `max_age` ("30d") and `max_size` ("10GB") limit the step cache; `say` hears
    what is done next. Conflict when somebody else clears up, Invalid for limits that are none."""
    owners = retention._planning.owners
    cache = cast(Cache, owners["pipelines"])
    asked, before = cache.limits(max_age, max_size), time.time()
    with cache.alone():
        swept, policies = things(retention, actor, dry_run, say)
        say("clearing up what only time makes needless")
        for owner in owners.values():
            swept += owner.sweep(before, dry_run)
        say("looking for bytes that nothing refers to")
        done = cache.clear(in_use=retention._in_use, dry_run=dry_run, **asked)
        files, freed = cache.leftovers(set(retention._in_use()), before, dry_run)
        swept += [Swept("results of steps", done.results), Swept("files of bytes", done.blobs, done.size)]
        swept += [Swept("leftovers of runs", files, freed), *aside(retention, dry_run)]
        say("giving room back to the disk")
        swept += [] if dry_run else [Swept("room in the database", 1, retention._database.shrink())]
    return Collected(
        swept=[one for one in swept if one.count and (one.size or one.what != "room in the database")],
        policies=policies,
        results=done.results,
        blobs=done.blobs,
        files=files,
        size=sum(one.size for one in swept),
        results_kept=done.results_kept,
        size_kept=done.size_kept,
        kept=done.kept,
        dry_run=dry_run,
    )


def things(retention: Retention, actor: str, dry_run: bool, say: Said) -> tuple[list[Swept], list[Applied]]:
    """What policies let go of, and what was in the trash for long enough."""
    if not dry_run:
        retention.finish()
    say("applying the policies of experiments")
    policies = retention.apply_policies(actor, dry_run)
    swept = [Swept("runs that policies put into the trash", sum(one.removed for one in policies))]
    say("emptying the trash")
    overdue = retention.overdue()
    if not dry_run:
        retention.purge_overdue(actor)
    return [*swept, Swept("things in the trash for long enough", len(overdue))], policies


def aside(retention: Retention, dry_run: bool) -> list[Swept]:
    """Folders that were put aside for things which are in the trash no more."""
    known = {row["id"] for row in retention._database.read(store.entries)}
    folder = retention._home / "trash"
    lost: list[Path] = [one for one in (folder.iterdir() if folder.is_dir() else ()) if one.name not in known]
    size = sum(bytes_in(one) for one in lost)
    for one in lost if not dry_run else ():
        shutil.rmtree(one, ignore_errors=True)
    return [Swept("folders put aside", len(lost), size)]


def free(retention: Retention) -> Purged | None:
    """Free the bytes of what was just purged. None when somebody else clears up: they do it."""
    cache = cast(Cache, retention._planning.owners["pipelines"])
    try:
        with cache.alone():
            done = cache.clear(in_use=retention._in_use, **cache.limits(None, None))
            retention._database.shrink()
            return Purged(0, done.size, cache.recent(done))
    except Conflict:
        return None
