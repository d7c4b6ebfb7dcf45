"""Commands of alerts: what is wrong, who looks after it, whether it was real, and where messages go."""

from __future__ import annotations

from typing import Any

import click


@click.command()
@click.argument("endpoint", required=False, default="")
@click.option("--all", "everything", is_flag=True, help="Resolved ones too.")
@click.option("--show", "one", default="", metavar="ALERT", help="All that this alert tells.")
@click.option("--precision", is_flag=True, help="What share of past alerts was real, by endpoint.")
@click.pass_obj
def alerts(obj: Any, endpoint: str, everything: bool, one: str, precision: bool) -> None:
    """List alerts, newest first."""
    if one:
        found = obj.client.call("monitoring.alert", alert=one)
        obj.show(found, text=story(found))
        return
    if precision:
        found = obj.client.call("monitoring.precision", endpoint=endpoint)
        columns = [("ENDPOINT", "endpoint"), ("ALERTS", "alerts"), ("JUDGED", "judged"), ("REAL", "real")]
        obj.show(found, table=[*columns, ("PRECISION", "share")], title="Precision of past alerts")
        return
    found = obj.client.call("monitoring.alerts", endpoint=endpoint, state="" if everything else "open")
    columns = [("ALERT", "id"), ("STATE", "state"), ("ENDPOINT", "endpoint"), ("CAUSE", "cause"), ("WHAT", "message")]
    obj.show(found, table=columns, title="Alerts")


def story(alert: dict[str, Any]) -> str:
    """An alert as people read it."""
    import msgspec

    from loopline.usecases.monitoring.model.alerts import Alert
    from loopline.usecases.monitoring.model.messages import facts_of

    found = msgspec.convert(alert, Alert)
    head = f"{found.id}: {found.cause.replace('_', ' ')} on {found.endpoint or 'the installation'}, {found.state}"
    judged = [f"Judged {found.verdict} by {found.judged_by}."] if found.verdict else []
    noted = [f"{found.changed_by}: {found.note}"] if found.note else []
    commands = [f"  {command}" for command in found.details.get("commands") or ()]
    return "\n".join([head, found.message, *facts_of(found), *noted, *judged, *(["Next:"] * bool(commands)), *commands])


@click.command()
@click.argument("alert")
@click.option("--note", default="", help="What you know about it.")
@click.option("--resolve", "resolved", is_flag=True, help="Close it instead.")
@click.pass_obj
def ack(obj: Any, alert: str, note: str, resolved: bool) -> None:
    """Acknowledge an alert, or close it."""
    verb = "resolve" if resolved else "acknowledge"
    found = obj.client.call(f"monitoring.{verb}", alert=alert, note=note)
    obj.show(found, text=f"Alert {found['id']} on {found['endpoint'] or 'the installation'} is {found['state']}.")


@click.command()
@click.argument("alert")
@click.argument("verdict", type=click.Choice(["real", "false", "unsaid"]))
@click.option("--note", default="", help="How you know.")
@click.pass_obj
def judge(obj: Any, alert: str, verdict: str, note: str) -> None:
    """Say whether an alert was real or false; `unsaid` takes it back."""
    said = "" if verdict == "unsaid" else verdict
    found = obj.client.call("monitoring.judge", alert=alert, verdict=said, note=note)
    obj.show(found, text=f"Alert {found['id']} on {found['endpoint'] or 'the installation'} counts as {verdict}.")


@click.command()
@click.option("--test", "name", default="", metavar="NAME", help="Send a test message to this channel.")
@click.option("--messages", is_flag=True, help="List messages and what became of them.")
@click.pass_obj
def channels(obj: Any, name: str, messages: bool) -> None:
    """List the channels that alerts go to; try one."""
    if name:
        found = obj.client.call("monitoring.try_channel", channel=name)
        obj.show(found, text=f"The channel {found['name']} took a test message.")
        return
    if messages:
        columns = [
            ("MESSAGE", "id"),
            ("CHANNEL", "channel"),
            ("STATE", "state"),
            ("TRIES", "tries"),
            ("ERROR", "error"),
        ]
        obj.show(obj.client.call("monitoring.deliveries"), table=columns, title="Messages")
        return
    columns = [("CHANNEL", "name"), ("PROJECT", "project"), ("ADDRESS IN", "address"), ("AN HOUR", "per_hour")]
    columns += [("WAITING", "waiting"), ("GIVEN UP", "dead"), ("LAST SENT", "last_sent"), ("TROUBLE", "error")]
    obj.show(obj.client.call("monitoring.channels"), table=columns, title="Channels")
