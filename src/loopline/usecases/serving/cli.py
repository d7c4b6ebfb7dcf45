"""`loopline endpoints`, `predict`, `truth` and `score`."""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path
from typing import Any

import click

from loopline.core.errors import Invalid

POLL_S = 0.1


@click.command()
@click.argument("endpoint", required=False)
@click.option("--history", "past", is_flag=True, help="Show what was live when.")
@click.option("--at", default="", metavar="TIME", help="Show what was live then (2013-05-03T14:00:00Z).")
@click.pass_obj
def endpoints(obj: Any, endpoint: str | None, past: bool, at: str) -> None:
    """List endpoints, or the deployments of ENDPOINT."""
    if endpoint is None:
        found = obj.client.call("serving.endpoints")
        rows = [{**each, "live": _told(each["live"]), "wanted": _told(each["wanted"])} for each in found]
        columns = [
            ("ENDPOINT", "name"),
            ("MODEL", "model"),
            ("FOLLOWS", "alias"),
            ("LIVE", "live"),
            ("WANTED", "wanted"),
        ]
        obj.show(found if obj.json else rows, table=columns, title="Endpoints")
    elif at:
        then = obj.client.call("serving.live_at", endpoint=endpoint, at=at)
        obj.show(then, text=f"{_told(then)} since {then['from_at']}" if then else f"Nothing was live at {at}.")
    elif past:
        columns = [("FROM", "from_at"), ("UNTIL", "until_at"), ("REVISION", "revision"), ("VERSION", "version")]
        obj.show(obj.client.call("serving.history", endpoint=endpoint), table=columns, title="History")
    else:
        columns = [("REVISION", "revision"), ("VERSION", "version"), ("STATUS", "status"), ("REQUESTED", "requested_at"),
                   ("BY", "requested_by"), ("LIVE", "live_at"), ("REASON", "reason")]  # fmt: skip
        obj.show(obj.client.call("serving.revisions", endpoint=endpoint), table=columns, title="Deployments")


@click.command()
@click.argument("endpoint")
@click.argument("fields", nargs=-1, metavar="[FIELD=VALUE]...")
@click.option("--rows", metavar="FILE", help="A file of rows instead: JSON, CSV or Parquet; - for standard input.")
@click.option("--serving-url", metavar="URL", help="The data plane's address, where it is on another machine.")
@click.option("--timeout", default=60.0, show_default=True, metavar="SECONDS", help="How long to wait for an answer.")
@click.option("--explain", is_flag=True, help="Say what each input contributed, too.")
@click.pass_obj
def predict(
    obj: Any, endpoint: str, fields: tuple[str, ...], rows: str | None, serving_url: str | None, timeout: float,
    explain: bool,
) -> None:  # fmt: skip
    """Ask ENDPOINT for predictions. The token comes from LOOPLINE_TOKEN."""
    from loopline.usecases.serving.row_files import rows_in

    if rows and fields:
        raise Invalid("There are fields and a file of rows.", "Give one of them.")
    with _endpoint(obj, endpoint, serving_url, timeout) as asked:
        given = [dict(_field(text) for text in fields)]
        if rows:
            given = rows_in(_content(rows), rows, lambda: asked.describe()["inputs"])
        found = asked.predict(given, explain=explain)
    answer = {"predictions": list(found), "ids": found.ids, "version": found.version, "revision": found.revision}
    columns = [("PREDICTION", "prediction"), ("ID", "id")]
    told = [{"id": name, "prediction": value} for name, value in zip(found.ids, found, strict=True)]
    if explain:
        answer["explanations"] = found.explanations
        columns.append(("BECAUSE", "because"))
        told = [{**row, "because": _because(each)} for row, each in zip(told, found.explanations, strict=True)]
    obj.show(answer if obj.json else told, table=columns)


@click.command()
@click.argument("endpoint")
@click.argument("prediction_id", required=False)
@click.argument("value", required=False)
@click.option("--observed-at", metavar="TIME", help="When it became known (default: now).")
@click.option(
    "--rows", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A JSON file of rows instead."
)
@click.option("--serving-url", metavar="URL", help="The data plane's address, where it is on another machine.")
@click.pass_obj
def truth(
    obj: Any, endpoint: str, prediction_id: str | None, value: str | None, observed_at: str | None,
    rows: Path | None, serving_url: str | None,
) -> None:  # fmt: skip
    """Send ground truth to ENDPOINT: for one prediction, or --rows with prediction_id (or key and event_time) and value.

    VALUE is a number, true or false, or the text of a class.
    """
    from loopline.usecases.serving.row_files import from_json

    if rows is None and (prediction_id is None or value is None):
        raise Invalid("Say which prediction and its true value.", "`loopline truth ENDPOINT ID VALUE`, or --rows FILE.")
    one = {"prediction_id": prediction_id, "value": value and true_value(value), "observed_at": observed_at}
    given = from_json(rows.read_bytes(), str(rows)) if rows else [{k: v for k, v in one.items() if v is not None}]
    with _endpoint(obj, endpoint, serving_url, 60.0) as asked:
        answer = asked.truth(given)
    obj.show(answer, text=f"{answer['accepted']} rows of ground truth are on disk.")


@click.command()
@click.argument("version")
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUTPUT", type=click.Path(path_type=Path))
@click.option("--key", metavar="COLUMN", help="The column that identifies an entity, for the log.")
@click.option("--event-time", metavar="COLUMN", help="The column with the event's time, for the log.")
@click.pass_obj
def score(obj: Any, version: str, source: Path, target: Path, key: str | None, event_time: str | None) -> None:
    """Score the Parquet or CSV file INPUT with VERSION (MODEL/NUMBER or MODEL@ALIAS) into OUTPUT.parquet."""
    opened = getattr(obj.client, "loopline", None)
    if opened is None:
        raise Invalid("Files are scored where the installation is.", "Leave out --url and name it with --home.")
    done = opened.serving.score(version, source.absolute(), target.absolute(), key, event_time)
    obj.show(done, text=f"{done['rows']} rows scored by {done['model']}/{done['version']} into {target}.")


def true_value(text: str) -> float | bool | str:
    """What was written on the command line, as a number where it is one."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def _told(revision: dict[str, Any] | None) -> str:
    return "-" if revision is None else f"revision {revision['revision']} ({revision['model']}/{revision['version']})"


def _field(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise Invalid(f"{text!r} is not FIELD=VALUE.", "Write it as distance=1400.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _because(explanation: dict[str, Any] | None) -> str:
    """The three inputs that contributed most."""
    if explanation is None:
        return "-"
    most = sorted(explanation["contributions"].items(), key=lambda each: -abs(each[1]))[:3]
    return ", ".join(f"{name} {value:+.3g}" for name, value in most)


def _content(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise Invalid(
            f"{name} cannot be read ({error.strerror}).", "Name a file of rows, or - for standard input."
        ) from None


def _endpoint(obj: Any, name: str, serving_url: str | None, timeout: float) -> Any:
    """The endpoint at the address given, else where the installation or server says."""
    from loopline.usecases.serving.client import Endpoint
    from loopline.usecases.serving.connections import seen_from

    url = serving_url or os.environ.get("LOOPLINE_SERVING_URL")
    if not url:
        url, server = obj.client.call("serving.address")["url"], obj.client.target
        url = seen_from(server, url) if "://" in server else url
    return Endpoint(name, url, os.environ.get("LOOPLINE_TOKEN", ""), timeout=timeout)
