"""Commands of promotion."""

from __future__ import annotations

from typing import Any

import click

from loopline.core.errors import CheckFailed

MARKS = {"passed": "passed ", "failed": "FAILED ", "not_run": "not run"}


@click.command()
@click.argument("version")
@click.option("--to", "alias", default="production", show_default=True, help="The alias that the gate guards.")
@click.pass_obj
def gate(obj: Any, version: str, alias: str) -> None:
    """Compare a candidate with the champion behind an alias.

    VERSION is model:3, or 3 when there is only one model. Ends with 1 when the gate did not pass.
    """
    model, number = named(obj, version)
    found = obj.client.call("promotion.gate", model=model, version=number, alias=alias)
    obj.show(found, text=drawn(found))
    if found["verdict"] != "passed":
        said = {"failed": "failed", "not_run": "could not run"}[found["verdict"]]
        raise CheckFailed(f"The gate of {model}:{number} for {alias} {said}.", "The reasons stand beside each check.")


@click.command()
@click.argument("version")
@click.option("--to", "alias", default="", help="The alias, when the version was judged for several.")
@click.option("--env", "environment", default="", metavar="ENVIRONMENT", help="Approve a release for an environment.")
@click.option("--note", default="", help="Why.")
@click.pass_obj
def approve(obj: Any, version: str, alias: str, environment: str, note: str) -> None:
    """Approve a candidate whose gate passed, or with --env the release VERSION for an environment."""
    if environment:
        given = obj.client.call("releases.approve", ref=version, environment=environment, note=note)
        obj.show(given, text=f"{given['given_by']} approved {given['release'][:12]} for {environment}.")
        return
    model, number = named(obj, version)
    given = obj.client.call("promotion.approve", model=model, version=number, alias=alias, note=note)
    obj.show(given, text=f"{given['given_by']} approved {model}:{number} for {given['alias']}.")


@click.command()
@click.argument("version")
@click.option("--to", "alias", default="", help="The alias to move.")
@click.option("--env", "environment", default="", metavar="ENVIRONMENT", help="Have a release stand there instead.")
@click.option("--gate/--no-gate", "judged", default=True, help="Run the gate first when none has judged the version.")
@click.pass_obj
def promote(obj: Any, version: str, alias: str, environment: str, judged: bool) -> None:
    """Point an alias at a version whose gate passed, or with --env have the release VERSION stand in an environment."""
    if bool(alias) == bool(environment):
        raise click.UsageError("Give --to ALIAS for a model's version, or --env ENVIRONMENT for a release.")
    if environment:
        promote_release(obj, version, environment)
        return
    model, number = named(obj, version)
    target = {"model": model, "version": number, "alias": alias}
    if judged and obj.client.call("promotion.standing", **target)["gate"] is None:
        obj.say(drawn(obj.client.call("promotion.gate", **target)))
    standing = obj.client.call("promotion.standing", **target)
    if not standing["promoted"]:
        standing = obj.client.call("promotion.promote", **target)
    obj.show(standing, text=f"{alias} of {model} points at version {number}.")


@click.command()
@click.argument("model")
@click.option("--alias", default="production", show_default=True, help="The alias to move back.")
@click.option("--reason", default="", help="Why.")
@click.pass_obj
def rollback(obj: Any, model: str, alias: str, reason: str) -> None:
    """Move an alias back to where it pointed before."""
    found = obj.client.call("promotion.rollback", model=model, alias=alias, reason=reason)
    obj.show(found, text=f"{alias} of {model} points at version {found['version']} again.")


def promote_release(obj: Any, ref: str, environment: str) -> None:
    """Move a release into an environment, and draw what its gate found."""
    done = obj.client.call("releases.promote", ref=ref, environment=environment)
    checks = (done["gate"] or {}).get("checks", ())
    lines = [f"  {MARKS[check['verdict']]}  {check['name']}  {check['reason']}" for check in checks]
    lines.append(f"{done['release'][:12]} stands in {environment} as {done['project']}/{done['pipeline']}.")
    obj.show(done, text="\n".join(lines))


def named(obj: Any, version: str) -> tuple[str, int]:
    """(model, version) that a person means."""
    found = obj.client.call("promotion.resolve", version=version)
    return found["model"], found["version"]


def drawn(gate: dict[str, Any]) -> str:
    """The gate as lines, one for each check."""
    against = "no champion" if gate["champion"] is None else f"version {gate['champion']}"
    lines = [f"{gate['model']}:{gate['version']} against {against} for {gate['alias']}: {gate['verdict']}"]
    lines += [f"  {MARKS[check['verdict']]}  {check['name']}  {check['reason']}".rstrip() for check in gate["checks"]]
    return "\n".join(lines)
