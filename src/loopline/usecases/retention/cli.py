"""`loopline rm`, `trash`, `restore`, `retention`, `room` and `gc`."""

from __future__ import annotations

from typing import Any

import click

from loopline.core.belongings import KINDS
from loopline.core.errors import Conflict, Invalid

AT_ONCE = 400
KIND = click.argument("kind", type=click.Choice(KINDS), metavar="KIND")
NAME = click.argument("name")


@click.command()
@KIND
@NAME
@click.option("--dry-run", is_flag=True, help="Only show what would go.")
@click.option("--now", is_flag=True, help="Not into the trash: gone for good at once.")
@click.option("--stop", is_flag=True, help="Take a live endpoint off first.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def rm(obj: Any, kind: str, name: str, dry_run: bool, now: bool, stop: bool, yes: bool) -> None:
    """Remove a thing with all that belongs to it: KIND is run, experiment, model, version (as model/3), dataset,
    snapshot, release, endpoint or project.

    It goes to the trash, from which `loopline restore` brings it back within 30 days; `loopline trash` lists what is
    there. Something that others need is not removed; what needs it is named.
    """
    if now and not dry_run and purged_from_trash(obj, kind, name, yes):
        return
    found = obj.client.call("retention.look", kind=kind, name=name)
    text = "\n".join(told(found))
    if dry_run:
        obj.show(found, text=text)
        return
    refuse_blocked(found, stop)
    agreed(obj, found, text, now, yes)
    found = obj.client.call("retention.remove", kind=kind, name=found["name"], stop=stop)
    if now:
        found |= {"purged": True, "until": ""} | purge(obj, kind, found["name"])
    obj.show(found, text="\n".join(afterwards(found)))


@click.command()
@click.option("--keep-days", type=click.IntRange(0, 3650), default=None, help="Keep what is removed for so many days.")
@click.pass_obj
def trash(obj: Any, keep_days: int | None) -> None:
    """List what was removed and can still come back."""
    if keep_days is not None:
        kept = obj.client.call("retention.keep", days=keep_days)
        obj.show(kept, text=f"What is removed is kept for {keep_days} days.")
        return
    found = obj.client.call("retention.trash")
    rows = [{**one, "name": one["name"][:60], "removed": stamp(one["removed_at"]), "until": stamp(one["until"]),
             "size": megabytes(one["size"]) if one["size"] else ""} for one in found]  # fmt: skip
    columns = ("KIND", "NAME", "TITLE", "REMOVED", "REMOVED_BY", "UNTIL", "SIZE")
    obj.show(found if obj.json else rows, table=[(name, name.lower()) for name in columns], title="Removed things")


@click.command()
@KIND
@NAME
@click.pass_obj
def restore(obj: Any, kind: str, name: str) -> None:
    """Bring a thing back from the trash, with all that belonged to it."""
    found = obj.client.call("retention.restore", kind=kind, name=name)
    obj.show(found, text=f"The {kind} {found['title'] or found['name']} is back.")


@click.group(invoke_without_command=True)
@click.pass_context
def retention(ctx: click.Context) -> None:
    """Show and set which runs of an experiment are kept."""
    if ctx.invoked_subcommand is None:
        found = ctx.obj.client.call("retention.policies")
        rows = [
            {"experiment": one["experiment"], "keeps": sentence(one["rules"]), "set_by": one["set_by"]} for one in found
        ]
        ctx.obj.show(found if ctx.obj.json else rows, table=[("EXPERIMENT", "experiment"), ("KEEPS", "keeps"),
                     ("SET_BY", "set_by")], title="Policies")  # fmt: skip


@retention.command("set")
@click.argument("experiment")
@click.option("--keep-best", type=click.IntRange(0), default=0, help="Keep so many of the best runs.")
@click.option("--by", default="", metavar="METRIC", help="The metric that says which are best, as metrics.auc.")
@click.option("--lowest", is_flag=True, help="The best are those with the lowest value.")
@click.option("--keep-days", type=click.IntRange(0), default=0, help="Keep runs that ended within so many days.")
@click.option("--keep-tagged", multiple=True, metavar="TAG[=VALUE]", help="Keep runs with this tag; may be repeated.")
@click.pass_obj
def set_(obj: Any, /, experiment: str, **rules: Any) -> None:
    """Keep only the runs of EXPERIMENT that one of these rules names, and those that versions, releases or deployments
    use. The others go to the trash once a day, and with `loopline gc`."""
    rules["keep_tagged"] = list(rules["keep_tagged"])
    found = obj.client.call("retention.set", experiment=experiment, **rules)
    judged = obj.client.call("retention.judge", experiment=experiment)
    kept = sum(judged["kept"].values())
    text = f"{experiment} keeps {sentence(found['rules'])}.\nToday that would keep {kept} runs and remove {judged['removed']}."
    obj.show({**found, "kept": judged["kept"], "removed": judged["removed"]}, text=text)


@retention.command()
@click.argument("experiment")
@click.pass_obj
def show(obj: Any, experiment: str) -> None:
    """Show which runs of EXPERIMENT stay and which go, and why."""
    found = obj.client.call("retention.judge", experiment=experiment)
    rows = [{"run": one["run"][:8], "name": one["title"], "ended": stamp(one["at"]),
             "why": one["reason"] or "goes: no rule keeps it"} for one in found["runs"]]  # fmt: skip
    columns = [("RUN", "run"), ("NAME", "name"), ("ENDED", "ended"), ("WHY", "why")]
    obj.show(found if obj.json else rows, table=columns, title="Runs")


@retention.command()
@click.argument("experiment")
@click.pass_obj
def off(obj: Any, experiment: str) -> None:
    """Keep all runs of EXPERIMENT from now on."""
    obj.client.call("retention.drop", experiment=experiment)
    obj.show({"experiment": experiment}, text=f"All runs of {experiment} are kept from now on.")


@click.command()
@click.pass_obj
def room(obj: Any) -> None:
    """Show what takes the room, by experiment, model, dataset and so on."""
    found = obj.client.call("retention.room")
    rows = [{**one, "size": megabytes(one["size"]), "alone": megabytes(one["alone"])} for one in found["rooms"]]
    columns = [("KIND", "kind"), ("NAME", "name"), ("SIZE", "size"), ("ONLY_HERE", "alone")]
    obj.show(found if obj.json else rows, table=columns, title="Room")


@click.command()
@click.option("--max-age", default=None, metavar="AGE", help='Remove results not taken for so long, as "30d".')
@click.option("--max-size", default=None, metavar="SIZE", help='Remove the oldest until this much is left, as "10GB".')
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.pass_obj
def gc(obj: Any, max_age: str | None, max_size: str | None, dry_run: bool) -> None:
    """Clear up: apply policies, empty the trash of what was there for long enough, remove results of steps by age and
    size, bytes that nothing refers to, and what runs left behind; then give the room back to the disk.

    Whatever a model version, release, snapshot, gate, report or run refers to stays, and so does what was used within
    the last hour.
    """
    import msgspec

    local = getattr(obj.client, "loopline", None)
    if local is None:
        raise Invalid("An installation is cleared up where its files are.", "Leave out --url and LOOPLINE_URL.")
    say = (lambda what: None) if obj.json else (lambda what: obj.say(f"  {what}"))
    done = local.get("retention").collect(max_age=max_age, max_size=max_size, dry_run=dry_run, say=say)
    obj.show(msgspec.to_builtins(done), text="\n".join(summary(done)))


def refuse_blocked(found: dict[str, Any], stop: bool) -> None:
    """Conflict when something needs the thing, with each way out."""
    blocks = [one for one in found["blocks"] if not (one["stops"] and stop)]
    if blocks:
        lines = [f"{one['kind']} {one['name'][:60]}: {one['why']}. {one['way_out']}" for one in blocks[:10]]
        more = f"\n  and {len(blocks) - 10} more" if len(blocks) > 10 else ""
        raise Conflict(f"The {found['kind']} {found['title'] or found['name']} is in use.", "\n  ".join(lines) + more)


def agreed(obj: Any, found: dict[str, Any], text: str, now: bool, yes: bool) -> None:
    """Ask before anything goes, on a terminal; a program says --yes to what cannot be undone."""
    if not (yes or (obj.json and not now)):
        obj.say(text)
        confirmed(obj, now, yes)


def confirmed(obj: Any, now: bool, yes: bool) -> None:
    """A yes from a person, or in the command; Invalid without one where that matters."""
    import sys

    if yes:
        return
    if sys.stdin.isatty():
        click.confirm("Remove all of it for good?" if now else "Put it into the trash?", abort=True, err=obj.json)
    elif now:
        raise Invalid("What is removed with --now cannot come back.", "Say --yes when that is meant.")


def purged_from_trash(obj: Any, kind: str, name: str, yes: bool) -> bool:
    """Let go of something in the trash for good; False when it is not there."""
    known = [
        one for one in obj.client.call("retention.trash") if one["kind"] == kind and name in (one["name"], one["title"])
    ]
    if known:
        confirmed(obj, True, yes)
        done = purge(obj, kind, known[0]["name"])
        obj.show(done, text=freed(done))
    return bool(known)


def purge(obj: Any, kind: str, name: str) -> dict[str, Any]:
    """Purge with a bar."""
    from rich.progress import Progress

    done: dict[str, Any] = obj.client.call("retention.purge", kind=kind, name=name, most=AT_ONCE)
    if done["left"]:
        from rich.console import Console

        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("removing", total=done["left"] + AT_ONCE, completed=AT_ONCE)
            while done["left"]:
                done = obj.client.call("retention.purge", kind=kind, name=name, most=AT_ONCE)
                bar.update(task, advance=AT_ONCE)
    return {"freed": done["size"], "later": done["later"]}


def told(found: dict[str, Any]) -> list[str]:
    """What goes, as a tree with its room and what blocks it."""
    lines = drawn(found["tree"])
    room = f"{megabytes(found['size'])} become free"
    lines.append(room + (f"; {megabytes(found['shared'])} stay, as other things need them" if found["shared"] else ""))
    for one in found["blocks"]:
        lines.append(f"in use: {one['kind']} {one['name'][:60]}: {one['why']}. {one['way_out']}")
    return lines


def afterwards(found: dict[str, Any]) -> list[str]:
    """What was done."""
    what = f"The {found['kind']} {found['title'] or found['name']}"
    if found.get("purged"):
        return [f"{what} is gone. {freed(found)}"]
    return [
        f"{what} is in the trash until {found['until'][:10]}.",
        f"`loopline restore {found['kind']} {found['name'][:60]}` brings it back.",
    ]


def freed(done: dict[str, Any]) -> str:
    """How much room there is now."""
    later = f" {done['later']} files used within the hour go with the next `loopline gc`." if done.get("later") else ""
    return f"{megabytes(done['freed'])} are free.{later}"


def drawn(node: dict[str, Any]) -> list[str]:
    """The tree in lines."""
    import msgspec

    from loopline.usecases.retention.model import Node, lines

    return lines(msgspec.convert(node, Node))


def summary(done: Any) -> list[str]:
    """What was cleared up, in lines."""
    verb = "would be removed" if done.dry_run else "removed"
    lines = [
        f"{done.results} results, {done.blobs} files of bytes and {done.files} leftovers {verb}: {megabytes(done.size)}"
    ]
    width = max((len(one.what) for one in done.swept), default=0)
    lines += [
        f"  {one.what.ljust(width)} {one.count:>8} {megabytes(one.size) if one.size else '':>12}" for one in done.swept
    ]
    for one in done.policies:
        kept = "; ".join(f"{count} stay, as {reason}" for reason, count in one.kept.items())
        lines.append(
            f"  {one.experiment}: {one.removed} runs {'would go' if done.dry_run else 'went'}{'; ' + kept if kept else ''}"
        )
    lines.append(f"{done.results_kept} results stay, {megabytes(done.size_kept)}")
    return [*lines, *(f"  {count} files of bytes stay, as {reason}" for reason, count in done.kept.items())]


def sentence(rules: dict[str, Any]) -> str:
    """Rules in words."""
    parts = []
    if rules["keep_best"]:
        parts.append(f"the best {rules['keep_best']} by {'lowest ' if rules['lowest'] else ''}{rules['by']}")
    if rules["keep_days"]:
        parts.append(f"those of the last {rules['keep_days']} days")
    parts += [f"those tagged {tag}" for tag in rules["keep_tagged"]]
    return ", ".join(parts) + ", and what is used"


def megabytes(size: int) -> str:
    """Bytes for people."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def stamp(at: str) -> str:
    """A time for people."""
    return at[:16].replace("T", " ")
