"""`loopline log`, `erase` and `explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from loopline.core.errors import CheckFailed, Invalid

WIDTH = 40
KNOWN = ("id", "at", "arm", "caller", "key", "version", "prediction")


@click.command()
@click.argument("endpoint")
@click.option("--since", metavar="TIME", help="From this time on (2013-05-03T14:00:00Z).")
@click.option("--until", metavar="TIME", help="Before this time.")
@click.option("--by", type=click.Choice(("at", "event_time")), default="at", show_default=True, help="Which time.")
@click.option("--where", default="", metavar="CONDITION", help="As in: carrier = 'UA' and dep_hour >= 6")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many to show.")
@click.option(
    "--to", "target", type=click.Path(dir_okay=False, path_type=Path), help="Write all to a file: .parquet or .csv"
)
@click.option("--check", is_flag=True, help="Compare the log's files with what the ledger says of them instead.")
@click.pass_obj
def log(
    obj: Any, endpoint: str, since: str | None, until: str | None, by: str, where: str, limit: int,
    target: Path | None, check: bool,
) -> None:  # fmt: skip
    """Show the newest logged predictions of ENDPOINT, or write all that are meant to a file."""
    if check:
        found = obj.client.call("serving.check_log", endpoint=endpoint)
        obj.show(
            found,
            text="\n".join(
                [f"{found['files']} sealed files", *(f"{one['file']}: {one['problem']}" for one in found["wrong"])]
            ),
        )
        if found["wrong"]:
            raise CheckFailed(f"{len(found['wrong'])} files of the log of {endpoint!r} are not as sealed.")
    elif target is not None:
        rows = written(obj, endpoint, target, since, until, by, where)
        obj.show({"rows": rows, "file": str(target)}, text=f"{rows} predictions are in {target}.")
    else:
        asked = {"endpoint": endpoint, "by": by, "where": where, "limit": limit, "since": since, "until": until}
        found = obj.client.call("serving.log", **{name: value for name, value in asked.items() if value is not None})
        obj.show(found, table=[(name.upper(), name) for name in KNOWN], title=f"Predictions of {endpoint}")


def written(obj: Any, endpoint: str, target: Path, since: str | None, until: str | None, by: str, where: str) -> int:
    """All records that are meant, in a file; answers how many."""
    opened = getattr(obj.client, "loopline", None)
    if opened is None:
        raise Invalid(
            "The log is written to a file where the installation is.", "Leave out --url and name it with --home."
        )
    if target.suffix not in (".parquet", ".csv"):
        raise Invalid(f"{target.name!r} says no known form.", "End it in .parquet or .csv.")
    opened.serving.endpoint(endpoint)
    return int(opened.serving.export(endpoint, target.absolute(), since, until, by, where))


@click.command()
@click.argument("endpoint")
@click.option("--subject", metavar="VALUE", help="The person: the value of the endpoint's `subject`, or of its key.")
@click.option("--list", "listed", is_flag=True, help="Show what was erased, by hashes.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def erase(obj: Any, endpoint: str, subject: str | None, listed: bool, yes: bool) -> None:
    """Take every record of a person out of ENDPOINT's log, with explanations and ground truth. It cannot be undone."""
    if listed:
        columns = [("ASKED", "asked_at"), ("BY", "asked_by"), ("FIELD", "field"), ("SUBJECT", "subject_hash"),
                   ("PREDICTIONS", "predictions"), ("TRUTH", "truth"), ("FINISHED", "finished_at")]  # fmt: skip
        obj.show(obj.client.call("serving.erasures", endpoint=endpoint), table=columns, title="Erasures")
        return
    if not subject:
        raise Invalid("Say whose records shall go.", f"`loopline erase {endpoint} --subject VALUE`.")
    if not yes:
        click.confirm(f"Erase all records of this person from {endpoint}, for good?", abort=True, err=True)
    done = obj.client.call("serving.erase", endpoint=endpoint, subject=subject)
    obj.show(done, text=f"{done['predictions']} predictions and {done['truth']} rows of ground truth are gone.")


@click.command()
@click.argument("prediction_id")
@click.pass_obj
def explain(obj: Any, prediction_id: str) -> None:
    """Show what each input contributed to PREDICTION_ID, by the version that made it."""
    found = obj.client.call("serving.explain", prediction=prediction_id)
    obj.show(found, text="\n".join(bars(found)))


def bars(found: dict[str, Any]) -> list[str]:
    """One line for each input, the largest contribution first, with a bar to either side."""
    parts = sorted(found["contributions"].items(), key=lambda part: -abs(part[1]))
    most = max((abs(value) for _, value in parts), default=0.0) or 1.0
    width = max((len(name) for name, _ in parts), default=0)
    lines = [f"{found['prediction']}: {found['value']:.6g} by {found['model']}/{found['version']}, in {found['scale']}"]
    lines.append(f"{'(base)':<{width}}  {found['base']:+.4g}")
    for name, value in parts:
        bar = "█" * max(round(abs(value) / most * WIDTH / 2), value != 0)
        left, right = (bar, "") if value < 0 else ("", bar)
        lines.append(f"{name:<{width}}  {value:+.4g}  {left:>{WIDTH // 2}}│{right}".rstrip())
    return lines
