"""`loopline lock`, `loopline release`, and what other commands do when they are given a release."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from loopline.core.errors import CheckFailed, Invalid, NotFound
from loopline.core.times import from_text, to_text

MARKS = {"passed": "passed ", "failed": "FAILED ", "not_run": "not run"}
_COMMON = {"--home", "--url"}


@click.command()
@click.option("--project", "folder", default=None, metavar="DIR", help="The project's folder (default: this one's).")
@click.option("--check", is_flag=True, help="Only say whether the lock is there and up to date; asks no network.")
@click.option("--upgrade", is_flag=True, help="Take the newest versions, not those in use here.")
@click.pass_obj
def lock(obj: Any, folder: str | None, check: bool, upgrade: bool) -> None:
    """Write requirements.lock: what pyproject.toml asks for, as names, versions and hashes."""
    releases, place = locally(obj), project_folder(folder)
    if check:
        found, changed = releases.check_lock(place), False
    else:
        found, changed = releases.lock(place, upgrade=upgrade)
    text = f"{len(found.pins)} distributions, {'written' if changed else 'up to date'}  {found.sha256[:12]}"
    obj.show({"sha256": found.sha256, "changed": changed, "distributions": found.versions}, text=text)


class Sealing(click.Group):
    """A group whose first word may be a pipeline: `loopline release training` seals it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        first = 0
        while first < len(args) and (args[first] == "--json" or args[first].partition("=")[0] in _COMMON):
            first += 2 if args[first] in _COMMON else 1
        if first < len(args) and args[first] not in {*self.commands, "-h", "--help"}:
            args = [*args[:first], "seal", *args[first:]]
        return super().parse_args(ctx, args)


@click.group(cls=Sealing, subcommand_metavar="PIPELINE | COMMAND")
def release() -> None:
    """Seal PIPELINE as a release, or look at releases."""


@release.command()
@click.argument("pipeline")
@click.option("-p", "--param", "params", multiple=True, metavar="KEY=VALUE", help="For a parameter without a default.")
@click.option("--project", "folder", default=None, metavar="DIR", help="The project's folder (default: this one's).")
@click.option("--tests-again", is_flag=True, help="Run the tests also when they passed on exactly these files.")
@click.pass_obj
def seal(obj: Any, pipeline: str, params: tuple[str, ...], folder: str | None, tests_again: bool) -> None:
    """Test PIPELINE of the project, sign all that it is, and keep it under its digest."""
    if pipeline in release.commands:
        raise Invalid(
            f"A pipeline named {pipeline!r} cannot be told from a command.",
            "Rename it in loopline.yaml; `function` says what it is called in the code.",
        )
    made = locally(obj).seal(
        project_folder(folder),
        pipeline,
        actor=obj.client.caller.name,
        progress=lambda text: click.echo(f"  {text}", err=True),
        params=parsed(params),
        tests_again=tests_again,
    )
    tested = f"{made.manifest.tests.passed} tests passed"
    text = f"{made.project}/{made.pipeline} {made.digest[:12]}  {len(made.manifest.files)} files, {tested}"
    obj.show(msgspec.to_builtins(made), text=text)


@release.command("list")
@click.argument("pipeline", default="")
@click.pass_obj
def list_(obj: Any, pipeline: str) -> None:
    """List releases, newest first."""
    found = obj.client.call("releases.list", pipeline=pipeline)
    rows = [{**one, "short": one["digest"][:12], "stands": ", ".join(one["stands_in"])} for one in found]
    columns = [("release", "short"), ("project", "project"), ("pipeline", "pipeline"), ("stands in", "stands")]
    obj.show(rows, [*columns, ("sealed", "created_at"), ("by", "created_by")], title="Releases")


@release.command()
@click.argument("ref")
@click.pass_obj
def show(obj: Any, ref: str) -> None:
    """Show a release: REF is six or more digits of its digest, or PIPELINE@ENVIRONMENT."""
    found = obj.client.call("releases.get", ref=ref)
    moves = obj.client.call("releases.history", pipeline=found["pipeline"])
    obj.show(found, text="\n".join([*head(found), *graph(found), *stood(found, moves), *judged(obj, found)]))


@release.command()
@click.argument("pipeline", default="")
@click.option("--env", "environment", default="", metavar="ENVIRONMENT", help="Only there.")
@click.option("--at", default="", metavar="TIME", help="Only what stood at that time, as 2013-05-03T14:00:00Z.")
@click.pass_obj
def history(obj: Any, pipeline: str, environment: str, at: str) -> None:
    """Say what stood where, and when."""
    project, _, name = pipeline.rpartition("/")
    moves = obj.client.call("releases.history", project=project, pipeline=name, environment=environment)
    rows = stood_at(moves, to_text(from_text(at))) if at else moves
    rows = [{**one, "short": one["release"][:12]} for one in rows]
    columns = [("since" if at else "when", "moved_at"), ("environment", "environment"), ("pipeline", "pipeline")]
    columns += [("project", "project"), ("release", "short"), ("why", "reason"), ("by", "moved_by")]
    obj.show(rows, columns, title="Moves", text=None if rows or not at else "Nothing stood there then.")


@release.command()
@click.argument("a")
@click.argument("b")
@click.pass_obj
def diff(obj: Any, a: str, b: str) -> None:
    """Say what differs between the releases A and B."""
    found = obj.client.call("releases.diff", a=a, b=b)
    count = len(found["changes"])
    lines = [f"{found['a'][:12]} and {found['b'][:12]}: {count or 'no'} difference{'' if count == 1 else 's'}"]
    for one in found["changes"]:
        lines.append(f"  {one['what']} {one['name']}: {one['was'] or 'none'} -> {one['now'] or 'none'}")
    obj.show(found, text="\n".join(lines))


@release.command()
@click.argument("ref")
@click.option("--run", "again", is_flag=True, help="Run the sealed tests once more, in the release's environment.")
@click.pass_obj
def verify(obj: Any, ref: str, again: bool) -> None:
    """Compare all bytes of a release with its signed digest."""
    if again:
        found = msgspec.to_builtins(locally(obj).verify(ref, run=True, actor=obj.client.caller.name))
    else:
        found = obj.client.call("releases.verify", ref=ref)
    lines = [f"{one['where']} {one['what']}" for one in found["problems"]]
    tested = f", {found['tests']['passed']} tests passed again" if found["tests"] else ""
    whole = f"{found['digest'][:12]} is as it was sealed: signature and {found['files']} files{tested}"
    obj.show(found, text="\n".join(lines) or whole)
    if lines:
        raise CheckFailed(f"The release {found['digest'][:12]} is not as it was sealed.", "Nothing of it will be run.")


def locally(obj: Any) -> Any:
    """The releases of an installation that lies here."""
    local = getattr(obj.client, "loopline", None)
    if local is None:
        raise Invalid(
            "That is done where the project's files are, not on a server.", "Leave out --url and LOOPLINE_URL."
        )
    return local.get("releases")


def project_folder(named: str | None) -> Path:
    """The folder named, else the nearest one upwards with a loopline.yaml; the one you are in with a pyproject.toml."""
    if named is not None:
        return Path(named).resolve()
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "loopline.yaml").is_file() or (folder == here and (folder / "pyproject.toml").is_file()):
            return folder
    raise NotFound(f"{here} is no project.", "Go to a folder with a loopline.yaml, or name it with --project.")


def parsed(params: tuple[str, ...]) -> dict[str, str]:
    """KEY=VALUE as a map; Invalid for anything else."""
    found = dict(text.partition("=")[::2] for text in params)
    if "" in found or any("=" not in text for text in params):
        raise Invalid("A parameter is written KEY=VALUE.", "Write -p learning_rate=0.1.")
    return found


def stood_at(moves: list[dict[str, Any]], moment: str) -> list[dict[str, Any]]:
    """The last move of each place until a moment."""
    last = {(one["project"], one["pipeline"], one["environment"]): one for one in moves if one["moved_at"] <= moment}
    return list(last.values())


def head(found: dict[str, Any]) -> list[str]:
    """What a release is, in a few lines."""
    manifest = found["manifest"]
    tests, files = manifest["tests"], manifest["files"]
    size = sum(one["size"] for one in files.values())
    return [
        f"{found['project']}/{found['pipeline']}  {found['digest']}",
        f"  sealed {found['created_at'][:19].replace('T', ' ')} UTC by {found['created_by']}, "
        f"Loopline {manifest['loopline']}, Python {manifest['python']}",
        f"  {len(files)} files, {size / 1e3:.1f} KB; {len(manifest['lock']['distributions'])} distributions locked; "
        f"{tests['passed']} tests passed, {tests['skipped']} skipped",
        f"  signed by the key {found['public_key'][:12]}; `loopline release verify {found['digest'][:12]}` compares",
    ]


def graph(found: dict[str, Any]) -> list[str]:
    """Parameters and steps."""
    seen = found["manifest"]["graph"]
    lines = ["parameters"] if seen["parameters"] else []
    for name, one in seen["parameters"].items():
        lines.append(f"  {name}: {one.get('type') or 'any'} = {one.get('default', 'none')}")
    lines.append("steps")
    for step in seen["steps"]:
        needs = [*step.get("needs", ()), *(f"dataset {name}" for name in step.get("datasets", ()))]
        lines.append(f"  {step['label']}" + (f" after {', '.join(needs)}" if needs else ""))
    return lines


def stood(found: dict[str, Any], moves: list[dict[str, Any]]) -> list[str]:
    """Where a release stands and stood."""
    own = [move for move in moves if found["digest"] in (move["release"], move["from_release"])]
    own = [move for move in own if move["project"] == found["project"]]
    lines = ["history"] if own else []
    for move in own:
        what = "came to" if move["release"] == found["digest"] else "left"
        lines.append(f"  {move['moved_at'][:19].replace('T', ' ')}  {what} {move['environment']}  {move['moved_by']}")
    return lines


def judged(obj: Any, found: dict[str, Any]) -> list[str]:
    """The newest judgement on a release."""
    gates = obj.client.call("releases.gates", ref=found["digest"])
    return drawn(gates[0]) if gates else []


def drawn(gate: dict[str, Any]) -> list[str]:
    """A gate as lines, one for each check."""
    lines = [f"gate for {gate['environment']}: {gate['verdict'].replace('_', ' ')}"]
    return lines + [f"  {MARKS[one['verdict']]}  {one['name']}  {one['reason']}" for one in gate["checks"]]
