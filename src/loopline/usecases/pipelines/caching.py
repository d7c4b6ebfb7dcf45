"""`loopline cache` and `loopline gc`: look at what is kept, take over another installation's, clear up."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
import msgspec

from loopline.core.errors import NotFound
from loopline.usecases.pipelines.cli import here


@click.group(invoke_without_command=True)
@click.pass_context
def cache(ctx: click.Context) -> None:
    """Show the step cache, take over another installation's, or clear it up."""
    if ctx.invoked_subcommand is None:
        found = ctx.obj.client.call("pipelines.cache")
        ctx.obj.show(found, text="\n".join(told(found)))


def told(found: dict[str, Any]) -> list[str]:
    """The cache in lines, with the steps that keep most."""
    uses = found["hits"] + found["runs"]
    rate = f" ({found['hits'] / uses:.0%} hits)" if uses else ""
    lines = [
        f"{found['results']} results, {found['size'] / 1e6:.1f} MB",
        f"{found['hits']} hits, {found['runs']} runs{rate}, {found['seconds_saved']:.1f} s saved",
    ]
    if not found.get("largest"):
        return lines
    names = [f"{one['project']}/{one['pipeline']} {one['step']}".lstrip("/ ") for one in found["largest"]]
    width = max(len(name) for name in names)
    for name, one in zip(names, found["largest"], strict=True):
        numbers = f"{one['size'] / 1e6:>10.1f} MB {one['results']:>7} results {one['seconds']:>9.1f} s to make"
        lines.append(f"  {name.ljust(width)} {numbers}")
    return lines


@cache.command("import")
@click.argument("old_home", type=click.Path(path_type=Path))
@click.pass_obj
def import_(obj: Any, old_home: Path) -> None:
    """Take over the results kept in OLD_HOME whose bytes are still right."""
    local = here(obj, "A cache is imported where the installation's files are.")
    if not (old_home / "loopline.db").is_file():
        raise NotFound(f"There is no installation in {old_home}.", "Name the folder that holds its loopline.db.")
    with type(local)(old_home) as other:
        found = local.get("pipelines").cache_import(other.get("blobs"), other.get("database"))
    text = (
        f"{found.taken} results taken over ({found.size / 1e6:.1f} MB), {found.known} known, {found.damaged} damaged."
    )
    obj.show(msgspec.to_builtins(found), text=text)


@click.command()
@click.option("--max-age", default=None, metavar="AGE", help='Remove results not taken for so long, as "30d".')
@click.option("--max-size", default=None, metavar="SIZE", help='Remove the oldest until this much is left, as "10GB".')
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.pass_obj
def gc(obj: Any, max_age: str | None, max_size: str | None, dry_run: bool) -> None:
    """Clear up: results by age and size, bytes that nothing refers to, and what runs left behind.

    Without limits only what nothing needs goes. Whatever a model version, release, snapshot, gate, report or run refers
    to stays, and so does what was used within the last hour.
    """
    from loopline.usecases.pipelines import eviction, leftovers
    from loopline.usecases.pipelines.options import duration, size

    local = here(obj, "An installation is cleared up where its files are.")
    home, now = local.home, time.time()
    age = None if max_age is None else duration("max age", max_age)[1]
    most = None if max_size is None else size("max size", max_size)[1]
    database, blobs, in_use = local.get("database"), local.get("blobs"), local.get("in_use")
    with eviction.alone(home):
        done = eviction.collect(database, blobs, in_use, max_age=age, max_size=most, now=now, dry_run=dry_run)
        files, freed = leftovers.clear_up(home, database, set(in_use()), now, dry_run)
    done = msgspec.structs.replace(done, files=files, size=done.size + freed)
    obj.show(msgspec.to_builtins(done), text="\n".join(summary(done)))


cache.add_command(gc, "gc")


def summary(done: Any) -> list[str]:
    """What was cleared up, in lines."""
    verb = "would be removed" if done.dry_run else "removed"
    lines = [
        f"{done.results} results, {done.blobs} files of bytes and {done.files} leftovers {verb}: {done.size / 1e6:.1f} MB",
        f"{done.results_kept} results stay, {done.size_kept / 1e6:.1f} MB",
    ]
    return [*lines, *(f"  {count} files of bytes stay, as {reason}" for reason, count in done.kept.items())]
