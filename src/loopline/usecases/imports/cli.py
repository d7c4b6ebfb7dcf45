"""`loopline import` and `loopline export`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from loopline.core.errors import Invalid

HERE = "Things are brought in and out where the installation's files are."


@click.group("import")
def import_() -> None:
    """Bring in runs, models and artifacts from another system."""


@import_.command("mlflow")
@click.argument("source")
@click.option(
    "--artifacts", type=click.Path(path_type=Path), default=None, metavar="DIR", help="The folder that holds artifacts."
)
@click.option("--prefix", default="", metavar="TEXT", help="Put this before the name of each experiment and model.")
@click.option("--dry-run", is_flag=True, help="Only say what would come in.")
@click.pass_obj
def import_mlflow(obj: Any, source: str, artifacts: Path | None, prefix: str, dry_run: bool) -> None:
    """Bring in all that MLflow keeps at SOURCE.

    SOURCE is a server (http://…; MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and _PASSWORD), an mlruns folder,
    an SQLite file, or postgresql://…. Doing it again brings in only what is new.
    """
    imports = here(obj).get("imports")
    with progress(obj, "Runs") as tell:
        report = imports.mlflow(
            source, actor=obj.client.caller.name, artifacts=artifacts, prefix=prefix, dry_run=dry_run, tell=tell
        )
    show(obj, report, "would come in" if dry_run else "came in")


@click.group("export")
def export() -> None:
    """Take runs, models and artifacts to another system."""


@export.command("mlflow")
@click.argument("target")
@click.option("--experiment", default="", help="Only this experiment.")
@click.option("--filter", "where", default="", help="Only runs that match, as metrics.auc > 0.7.")
@click.option("--model", "model_name", default="", help="Only this registered model, with the runs of its versions.")
@click.option("--dry-run", is_flag=True, help="Only say what would go out.")
@click.pass_obj
def export_mlflow(obj: Any, target: str, experiment: str, where: str, model_name: str, dry_run: bool) -> None:
    """Write runs and models to TARGET: an mlruns folder, or an MLflow server (http://…).

    Doing it again writes only what is new or has changed.
    """
    imports = here(obj).get("imports")
    with progress(obj, "Runs") as tell:
        report = imports.to_mlflow(
            target, experiment=experiment, where=where, model_name=model_name, dry_run=dry_run, tell=tell
        )
    show(obj, report, "would go out" if dry_run else "went out")


def here(obj: Any) -> Any:
    """The installation of this machine; Invalid when a server was named."""
    local = getattr(obj.client, "loopline", None)
    if local is None:
        raise Invalid(HERE, "Leave out --url and LOOPLINE_URL.")
    return local


@contextlib.contextmanager
def progress(obj: Any, what: str) -> Iterator[Callable[[int, int | None, str], None] | None]:
    """What draws a bar on a terminal; None elsewhere."""
    if obj.json or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as drawn:
        task = drawn.add_task(what, total=None)
        yield lambda done, total, name: drawn.update(task, completed=done, total=total, description=printable(name))


def printable(name: str) -> str:
    """A name as a bar may show it."""
    from rich.markup import escape

    return escape("".join(one for one in name if one.isprintable())[:40])


def show(obj: Any, report: Any, done: str) -> None:
    """A report for people or programs."""
    import msgspec

    obj.show(msgspec.to_builtins(report), text="\n".join(lines(report, done)))


def lines(report: Any, done: str) -> list[str]:
    """A report in lines."""
    counts = (
        (report.experiments, "experiments"),
        (report.runs, "runs"),
        (report.runs_changed, "changed runs"),
        (report.points, "points of metrics"),
        (report.logged_models, "logged models"),
        (report.models, "registered models"),
        (report.versions, "versions"),
        (report.aliases, "aliases"),
    )
    told = [f"{count:,} {what}" for count, what in counts if count]
    told += [f"{report.artifacts:,} artifacts ({report.artifact_bytes / 1e6:,.1f} MB)"] if report.artifacts else []
    found = [
        f"{', '.join(told) or 'Nothing new'} {done} in {report.seconds:.1f} s; {report.runs_known:,} runs were there."
    ]
    if report.lost:
        found.append(f"{report.lost:,} things did not come as they were:")
        found += [f"  {one.kind} {one.name}: {one.reason}" for one in report.losses[:20]]
        found += [f"  … {report.lost - 20:,} more with --json"] if report.lost > 20 else []
    return found
