"""`loopline runs`: the table of runs on a terminal, and what is done to several of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

STATES = ("active", "archived", "deleted")
USUAL = (("RUN", "run"), ("KIND", "kind"), ("NAME", "name"), ("EXPERIMENT", "experiment"), ("STATUS", "status"))
MOST = 10_000
FILTER = click.option("--filter", "where", default="", help="As metrics.auc > 0.7 and params.model = 'tree'.")
EXPERIMENT = click.option("--experiment", default="", help="Only runs of this experiment.")
STATE = click.option(
    "--state", type=click.Choice((*STATES, "all")), default="active", show_default=True, help="Runs put away, too."
)
CHOSEN = click.argument("chosen", metavar="[RUN]...", nargs=-1)


@click.group(invoke_without_command=True)
@FILTER
@click.option("--order-by", "order_by", multiple=True, help="As 'metrics.auc DESC'; may be repeated.")
@EXPERIMENT
@STATE
@click.option("--columns", default="", help="What is shown of each, as metrics.auc,params.rate,tags.team.")
@click.option("--group-by", "group_by", default="", help="Count them by the value of params.NAME, tags.NAME or status.")
@click.option("--measure", default="", help="With --group-by: mean, least and largest of this metric.")
@click.option("--limit", default=20, show_default=True, help="How many.")
@click.option("--page", default="", help="Go on where a page ended.")
@click.pass_context
def runs(ctx: click.Context, /, group_by: str, measure: str, columns: str, **asked: Any) -> None:
    """List and search runs, newest first; archive, delete, restore or tag several."""
    if ctx.invoked_subcommand:
        return
    obj, search = ctx.obj, searched(ctx.obj, **asked)
    if group_by:
        for name in ("order_by", "limit", "page"):
            search.pop(name)
        show_groups(obj, obj.client.call("tracking.groups", by=group_by, metric=measure, **search), group_by, measure)
        return
    found = obj.client.call("tracking.search", **search)
    if obj.json:
        obj.show(found)
        return
    table, rows = tabled(found["runs"], columns)
    obj.show(rows, table=table, title="Runs")
    if found["next"]:
        obj.say(f"More with --page {found['next']}.")


@runs.command()
@CHOSEN
@FILTER
@EXPERIMENT
@click.pass_obj
def archive(obj: Any, chosen: tuple[str, ...], where: str, experiment: str) -> None:
    """Put runs out of sight, where nothing removes them: those named, or those that a filter finds."""
    change(obj, "archive", "archived", chosen, where, experiment, "active")


@runs.command()
@CHOSEN
@FILTER
@EXPERIMENT
@click.pass_obj
def delete(obj: Any, chosen: tuple[str, ...], where: str, experiment: str) -> None:
    """Put runs into the trash."""
    change(obj, "delete", "put into the trash", chosen, where, experiment, "active")


@runs.command()
@CHOSEN
@FILTER
@EXPERIMENT
@click.pass_obj
def restore(obj: Any, chosen: tuple[str, ...], where: str, experiment: str) -> None:
    """Take runs out of the archive or the trash."""
    change(obj, "restore", "restored", chosen, where, experiment, "all")


@runs.command()
@click.argument("key")
@click.argument("value")
@CHOSEN
@FILTER
@EXPERIMENT
@click.pass_obj
def tag(obj: Any, key: str, value: str, chosen: tuple[str, ...], where: str, experiment: str) -> None:
    """Set a tag of runs."""
    change(obj, "tag", "tagged", chosen, where, experiment, "active", key=key, value=value)


def searched(obj: Any, where: str, experiment: str, state: str, **more: Any) -> dict[str, Any]:
    """The fields of a search; a filter that is written wrongly is refused here, with what may stand there instead."""
    from loopline.usecases.tracking.filters import Unreadable, parsed

    try:
        parsed(where)
    except Unreadable as error:
        end = error.place - 1 + error.length
        offered = obj.client.call("tracking.complete", text=where, cursor=end, experiment=experiment)["choices"]
        names = [one["text"] for one in offered if one["text"][:1] not in "<>=!,()" and one["text"] != "AND"]
        choices = ", ".join(names[:5])  # signs are told by what was expected
        error.hint += f" Perhaps {choices}." if choices else ""
        raise
    order_by = {"order_by": list(more.pop("order_by"))} if "order_by" in more else {}
    states = list(STATES if state == "all" else (state,))
    return {"filter": where, "experiment": experiment, "states": states, **order_by, **more}


def change(
    obj: Any, verb: str, done: str, chosen: Sequence[str], where: str, experiment: str, state: str, **fields: str
) -> None:
    """Do something to the runs named or found, to all or to none."""
    if bool(chosen) == bool(where or experiment):
        raise click.UsageError("Name runs, or find them with --filter or --experiment.")
    names = list(chosen)
    if not names:
        search = searched(obj, where, experiment, state, limit=MOST)
        found = obj.client.call("tracking.search", **search)
        names = [run["id"] for run in found["runs"] if verb != "restore" or run["state"] != "active"]
        if found["next"]:
            raise click.UsageError(f"More than {MOST:,} runs are found. Find fewer at a time.")
    count = obj.client.call(f"tracking.{verb}_runs", runs=names, **fields) if names else 0
    obj.show({"runs": count}, text=f"{count} run{'' if count == 1 else 's'} {done}.")


def show_groups(obj: Any, groups: Sequence[dict[str, Any]], by: str, measure: str) -> None:
    """Groups as a table."""
    table = [(by.upper(), "value"), ("RUNS", "runs"), ("NEWEST", "newest")]
    if measure:
        table += [("MEAN", "mean"), ("LEAST", "least"), ("LARGEST", "largest")]
    rows = [{**one, "newest": one["newest"][:19].replace("T", " ")} for one in groups]
    obj.show(groups if obj.json else rows, table=table, title="Groups")


def tabled(found: Sequence[dict[str, Any]], columns: str) -> tuple[list[tuple[str, str]], list[dict[str, Any]]]:
    """Runs as lines of a table, with the columns asked for or a few metrics."""
    from loopline.usecases.tracking.filters import Pieces, named

    rows: list[dict[str, Any]] = [
        {**run, "run": run["id"][:8], "started": run["started_at"][:19].replace("T", " ")} for run in found
    ]
    if not columns:
        for row in rows:
            row["some"] = ", ".join(f"{key} {short(value)}" for key, value in sorted(row["metrics"].items())[:4])
        return [*USUAL, ("STARTED", "started"), ("METRICS", "some")], rows
    table = [("RUN", "run"), ("NAME", "name"), ("STATUS", "status")]
    for name in columns.split(","):
        entity, key = named(Pieces(name.strip(), "column"))
        for row in rows:
            row[name] = row.get(key) if entity == "attributes" else row.get(entity, {}).get(key)
        table.append((key.upper() if entity == "attributes" else key, name))
    return table, rows


def short(value: Any) -> str:
    """A value in few characters."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
