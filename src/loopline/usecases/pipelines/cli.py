"""`loopline run`, `why` and `cache`."""

from __future__ import annotations

import re
import sys
from datetime import date
from pathlib import Path
from shlex import quote
from typing import Any

import click
import msgspec

from loopline.core.errors import CheckFailed, Invalid, NotFound
from loopline.usecases.pipelines.screen import MARKS, Screen, watched

_DIGEST = re.compile(r"[0-9a-f]{6,64}\Z")


@click.command()
@click.argument("pipeline")
@click.option("-p", "--param", "params", multiple=True, metavar="KEY=VALUE", help="A parameter; may be repeated.")
@click.option(
    "--project", "folder", default=None, metavar="DIR", help="The project's folder (default: the one you are in)."
)
@click.option(
    "--params", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Parameters (YAML)."
)
@click.option("--environment", default="", metavar="NAME", help="With the data, parameters and secrets of NAME.")
@click.option("--executor", default="processes", show_default=True, help="Where steps run: inline, processes, ray.")
@click.option("--inline", is_flag=True, help="Run the steps in this process, to debug them.")
@click.option("--from", "since", default="", metavar="STEP", help="Run STEP and all that needs it anew.")
@click.option("--no-cache", is_flag=True, help="Run every step anew.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, help="Where random numbers start.")
@click.option("-v", "--logs", is_flag=True, help="Show every line that a step prints, after the step's name.")
@click.pass_obj
def run(
    obj: Any,
    pipeline: str,
    params: tuple[str, ...],
    folder: str | None,
    file: Path | None,
    environment: str,
    executor: str,
    inline: bool,
    since: str,
    no_cache: bool,
    seed: int,
    logs: bool,
) -> None:
    """Run PIPELINE of the project; steps whose code and inputs did not change are taken from the cache.

    PIPELINE may be a release: six or more digits of its digest, or PIPELINE@ENVIRONMENT. Then its sealed files run, in
    its own environment.
    """
    local = here(obj, "A pipeline runs where its files are, not on a server.")
    sealed = release_named(local, pipeline)
    if sealed:
        if since or no_cache or seed or folder:
            raise Invalid("A release runs as it was sealed.", "Leave out --project, --from, --no-cache and --seed.")
        given = {**(from_yaml(file) if file else {}), **parsed(params)}
        with watched(sys.stderr, local.get("pipelines"), logs, moving=not inline) as screen:
            done = local.get("releases").run(
                sealed,
                environment=environment,
                params=given,
                actor=obj.client.caller.name,
                progress=screen.tell,
                executor="inline" if inline else executor,
                tell=lambda text: screen.say(f"  {text}"),
            )
        shown(obj, done)
        return
    place = project_folder(folder)
    actor = obj.client.caller.name
    declared = declaration(local.get("projects"), place, pipeline, actor, environment)
    given = {**declared.pop("params", {}), **(from_yaml(file) if file else {}), **parsed(params)}
    with watched(sys.stderr, local.get("pipelines"), logs, moving=not inline) as screen:
        done = local.get("pipelines").run(
            place,
            params=given,
            actor=actor,
            progress=screen.tell,
            executor="inline" if inline else executor,
            force=["*"] if no_cache else [],
            since=since,
            seed=seed,
            **declared,
        )
    shown(obj, done)


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("--from", "since", default="", metavar="STEP", help="Run STEP and all that needs it anew.")
@click.option("-v", "--logs", is_flag=True, help="Show every line that a step prints, after the step's name.")
@click.pass_obj
def rerun(obj: Any, run_id: str, since: str, logs: bool) -> None:
    """Run what RUN ran once more; what it finished is not run again, so that this also takes up a run that was killed."""
    local = here(obj, "A pipeline runs where its files are, not on a server.")
    actor = obj.client.caller.name

    def declared(folder: str, pipeline: str, environment: str) -> dict[str, Any]:
        return declaration(local.get("projects"), Path(folder), pipeline, actor, environment)

    with watched(sys.stderr, local.get("pipelines"), logs) as screen:
        done = local.get("pipelines").again(run_id, actor=actor, progress=screen.tell, since=since, declared=declared)
    shown(obj, done)


@click.command()
@click.argument("run_id", metavar="RUN")
@click.pass_obj
def cancel(obj: Any, run_id: str) -> None:
    """End a running pipeline; what it finished is kept."""
    found = obj.client.call("pipelines.cancel", run_id=run_id)
    obj.show(found, text=f"The run {found['run_id'][:8]} of {found['pipeline']} is being cancelled.")


def here(obj: Any, why: str) -> Any:
    """The installation of this machine; Invalid when a server was named."""
    local = getattr(obj.client, "loopline", None)
    if local is None:
        raise Invalid(why, "Leave out --url and LOOPLINE_URL.")
    return local


def shown(obj: Any, done: Any) -> None:
    """Show a run that ended; CheckFailed when it did not finish."""
    obj.show(msgspec.to_builtins(done), text=summary(done))
    if done.status == "killed":
        again = f"run {done.release[:12]}" if done.release else f"rerun {done.run_id[:8]}"
        raise CheckFailed(done.error, f"What ended is kept; `loopline {again}` takes the run up.")
    if done.status != "finished":
        failed = next((step.label for step in done.steps if step.status == "failed" and step.log), "STEP")
        raise CheckFailed(done.error, f"`loopline why {done.run_id[:8]} {quote(failed)} --log` shows what it printed.")


def from_yaml(path: Path) -> dict[str, Any]:
    """Parameters from a file; Invalid unless it is a map."""
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} cannot be read: {' '.join(str(error).split())}.", "Mend the file.") from None
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise Invalid(f"{path} is no map of parameters.", "Write lines like learning_rate: 0.1")
    return {name: plain(value) for name, value in found.items()}


def plain(value: Any) -> Any:
    """Dates and times as texts, which a parameter annotated as such is made from again."""
    return value.isoformat() if isinstance(value, date) else value


@click.command()
@click.argument("run_id", metavar="RUN")
@click.argument("step")
@click.option("--log", is_flag=True, help="Show what the step printed and logged instead.")
@click.pass_obj
def why(obj: Any, run_id: str, step: str, log: bool) -> None:
    """Say why STEP of RUN was taken from the cache, or what differed so that it ran."""
    if log:
        found = obj.client.call("pipelines.log", run_id=run_id, step=step)
        obj.show(found, text=found["log"].rstrip("\n"))
        return
    answer = obj.client.call("pipelines.why", run_id=run_id, step=step)
    lines = [answer["sentence"]]
    for one in answer["differences"]:
        where = f" ({one['file']})" if one.get("file") else ""
        change = f": {one['was'] or 'none'} -> {one['now'] or 'none'}" if not one.get("patch") else ""
        lines.append(f"  {one['what']} {one['name']}{where}{change}")
        lines += [f"    {line}" for line in one.get("patch", "").splitlines()]
    obj.show(answer, text="\n".join([*lines, *(f"  {note}" for note in answer["notes"])]))


@click.command()
@click.argument("a", metavar="RUN")
@click.argument("b", metavar="RUN")
@click.pass_obj
def diff(obj: Any, a: str, b: str) -> None:
    """Compare two pipeline runs wholly: parameters, code, data, environment, metrics, model versions, steps."""
    found = obj.client.call("pipelines.diff", a=a, b=b)
    told(obj, found, "of_comparison")


@click.command()
@click.argument("pipeline")
@click.option("-p", "--param", "params", multiple=True, metavar="KEY=VALUE", help="A parameter; may be repeated.")
@click.option(
    "--project", "folder", default=None, metavar="DIR", help="The project's folder (default: the one you are in)."
)
@click.option("--environment", default="", metavar="NAME", help="With the data, parameters and secrets of NAME.")
@click.option("--executor", default="processes", show_default=True, help="Where steps run: inline, processes, ray.")
@click.pass_obj
def verify(
    obj: Any, pipeline: str, params: tuple[str, ...], folder: str | None, environment: str, executor: str
) -> None:
    """Run PIPELINE twice without the cache and name the steps that do not give the same again.

    Its runs, results and model versions are thrown away. Exit code 1 when a step is not deterministic.
    """
    import tempfile

    local = here(obj, "A pipeline runs where its files are, not on a server.")
    place, actor = project_folder(folder), obj.client.caller.name
    how = declaration(local.get("projects"), place, pipeline, actor, environment)
    how["params"] = {**how.get("params", {}), **parsed(params)}
    with (
        tempfile.TemporaryDirectory(prefix="loopline-verify-") as scratch,
        local.get("installations")(Path(scratch)) as beside,
        Screen(sys.stderr) as screen,
    ):
        found = local.get("pipelines").verify(
            beside, place, **how, actor=actor, executor=executor, progress=screen.tell
        )
    told(obj, msgspec.to_builtins(found), "of_verification")
    if not found.deterministic:
        wrong = ", ".join(one.label for one in found.steps if one.verdict == "differs")
        raise CheckFailed(
            found.error or f"{found.pipeline} does not give the same again: {wrong}.", "Mend what is named."
        )


def told(obj: Any, found: Any, how: str) -> None:
    """Show an answer as JSON, or in coloured lines."""
    if obj.json:
        obj.show(found)
        return
    from loopline.usecases.pipelines import telling

    for line, colour in getattr(telling, how)(found):
        style = {"bold": True} if colour == "bold" else {"fg": colour or None}
        click.secho(telling.clean(line), **style)


def release_named(local: Any, text: str) -> str:
    """The reference, when it means a release and no pipeline; what could be either is a release when there is one."""
    if "@" in text:
        return text
    if not _DIGEST.match(text):
        return ""
    try:
        local.get("releases").get(text)
    except NotFound:
        return ""
    return text


def project_folder(named: str | None) -> Path:
    """The folder named, else the nearest one upwards that has a loopline.yaml or a pipeline.py."""
    if named is not None:
        return Path(named).resolve()
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "loopline.yaml").is_file() or (folder == here and (folder / "pipeline.py").is_file()):
            return folder
    raise NotFound(f"{here} is no project.", "Go to a folder with a loopline.yaml, or name it with --project.")


def declaration(projects: Any, folder: Path, pipeline: str, actor: str, environment: str = "") -> dict[str, Any]:
    """What loopline.yaml says of a pipeline, as arguments of `Pipelines.run`: pipeline_name, file, project, registers,
    and of an environment its name, bindings, params and variables.

    A folder without one has its pipelines in pipeline.py, and no environments.
    """
    if not (folder / "loopline.yaml").is_file():
        if environment:
            raise NotFound(f"{folder} declares no environment {environment!r}.", "Declare it in a loopline.yaml.")
        return {"pipeline_name": pipeline}
    found: dict[str, Any] = projects.pipeline(folder, pipeline, actor=actor, environment=environment)
    return found


def parsed(params: tuple[str, ...]) -> dict[str, str]:
    """KEY=VALUE as a map; Invalid for anything else."""
    found: dict[str, str] = {}
    for text in params:
        key, sign, value = text.partition("=")
        if not sign or not key:
            raise Invalid(f"{text!r} is no parameter.", "Write -p learning_rate=0.1.")
        found[key] = value
    return found


def summary(done: Any) -> str:
    """A run in two lines."""
    counts = ", ".join(f"{done.count(status)} {status}" for status in MARKS if done.count(status))
    lines = [f"{done.pipeline} {done.status} in {done.seconds:.2f} s ({counts or 'no steps'})   run {done.run_id[:8]}"]
    if done.version is not None:
        lines.append(f"{done.model} version {done.version}")
    return "\n".join(lines)
