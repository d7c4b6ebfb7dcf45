"""`loopline report`: one file that says how a model is doing, or how two tables differ."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from loopline.core.errors import Invalid, NotFound, Unavailable

FEATURES = [
    ("FEATURE", "name"),
    ("CHANGE", "change"),
    ("P", "p_value"),
    ("TIMES USUAL", "times_usual"),
    ("BY", "strongest"),
]


@click.command()
@click.argument("endpoint", required=False, default="")
@click.option("--start", default="", help="First moment of the window; the newest complete one otherwise.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write one HTML file (or JSON: FILE.json).")
@click.option(
    "--reference",
    default="",
    metavar="FILE",
    help="Compare with this table, or with the rows that MODEL/VERSION was trained on.",
)
@click.option(
    "--current",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The table to compare: Parquet, CSV, or a profile that `loopline score` left.",
)
@click.option("--event-time", default="", metavar="COLUMN", help="Its days (or weeks) say how much is usual.")
@click.option(
    "--by",
    "window",
    type=click.Choice(["hour", "day", "week", "month"]),
    default="day",
    help="Periods of --event-time.",
)
@click.pass_obj
def report(
    obj: Any, endpoint: str, start: str, output: Path | None, reference: str, current: Path | None, event_time: str, window: str
) -> None:  # fmt: skip
    """Report on ENDPOINT, or on how the table --current differs from --reference."""
    if bool(endpoint) == bool(reference or current) or bool(reference) != bool(current):
        raise Invalid(
            "A report is on an endpoint, or on two tables.",
            "Write `loopline report ENDPOINT`, or `loopline report --reference a.parquet --current b.parquet`.",
        )
    if current is not None:
        found = of_files(obj, reference, current, event_time, window)
    else:
        from loopline.usecases.monitoring.reports.content import on_endpoint

        found = on_endpoint(obj.client.call, endpoint, start)
    if output is not None:
        written(obj, found, output)
    elif obj.json:
        obj.show(found)
    else:
        told(obj, found)


def of_files(obj: Any, reference: str, current: Path, event_time: str, window: str) -> dict[str, Any]:
    """How a table differs from another one, or from the training rows of a registered version."""
    from loopline.usecases.monitoring.reports import tables

    if (
        Path(reference).exists()
        or not ("/" in reference or "@" in reference)
        or Path(reference).suffix in (".parquet", ".csv")
    ):
        return tables.compared(Path(reference), current, event_time, window)
    signature, profile = trained(obj, reference)
    return {**tables.against(profile, current, signature, window), "reference": reference, "current": current.name}


def trained(obj: Any, reference: str) -> tuple[Any, Any]:
    """Signature and training profile of the version MODEL/NUMBER or MODEL@ALIAS. NotFound without a profile."""
    from loopline.usecases.monitoring.drifting import profile_in

    opened = getattr(obj.client, "loopline", None)
    if opened is None:
        raise Invalid("Files are compared where the installation is.", "Leave out --url and name it with --home.")
    version = opened.registry.find(reference)
    content = opened.registry.profile(version.model, version.version)
    if content is None:
        raise NotFound(
            f"{reference} was registered without a training profile.", "Name the table that it was trained on."
        )
    return version.signature, profile_in(content, version.signature)


def written(obj: Any, found: dict[str, Any], output: Path) -> None:
    """Write the report as the file's name says, and tell how large it is."""
    import json

    made_at = datetime.now(UTC).isoformat()
    if output.suffix == ".json":
        text = json.dumps({**found, "made_at": made_at}, ensure_ascii=False)
    else:
        from loopline.usecases.monitoring.reports import html

        text = html.of_endpoint(found, made_at) if "endpoint" in found else html.of_tables(found, made_at)
    content = text.encode()
    try:
        output.write_bytes(content)
    except OSError as error:
        raise Unavailable(f"{output} cannot be written ({error.strerror}).", "Name another file.") from None
    size = {"file": str(output), "bytes": len(content)}
    obj.show(size, text=f"{output}: {len(content) / 1024:.0f} KB.")


def told(obj: Any, found: dict[str, Any]) -> None:
    """The report on a terminal: what changed, the most unusual first."""
    if not found["columns"]:
        obj.say(found.get("drift_missing") or "Nothing to compare.")
        return
    obj.say(opening(found))
    if found["p_value"] is not None:
        judged = f"judged by {found['periods']} of the reference"
        share = "fewer than 0.01" if found["p_value"] < 0.0001 else f"{100 * found['p_value']:.2g}"
        obj.say(f"As unusual as this: {share} % of normal {found['window']}s, {judged}")
    obj.show([line(column) for column in found["columns"]], table=FEATURES, title="Features")


def line(column: dict[str, Any]) -> dict[str, Any]:
    """One column as a row of the table."""
    chance = column.get("p_value")
    told = "" if chance is None else "< 0.0001" if chance < 0.0001 else f"{chance:.2g}"
    return {**column, "p_value": told, "change": f"{'! ' if column.get('alarm') else ''}{column['change']}"}


def opening(found: dict[str, Any]) -> str:
    """What was compared with what."""
    if "endpoint" in found:
        then = found.get("reference") or f"{found['rows_then']} training rows of version {found['version']}"
        return f"{found['rows_now']} predictions of the {found['window']} of {found['start'][:10]} against {then}"
    gone = [f"; only in {found['reference']}: {', '.join(found['gone'])}"] if found.get("gone") else []
    new = [f"; only in {found['current']}: {', '.join(found['new'])}"] if found.get("new") else []
    return (
        f"{found['rows_now']} rows of {found['current']} against {found['rows_then']} of {found['reference']}"
        + "".join(gone + new)
    )
