"""`loopline plan`, `loopline apply`, `loopline init`, `loopline project`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="End with exit code 1 when something differs or is left over (for CI).")
@click.option("--schema", is_flag=True, help="Print the JSON schema of loopline.yaml, for editors.")
@click.pass_obj
def plan(obj: Any, folder: Path | None, check: bool, schema: bool) -> None:
    """Check the project in FOLDER (default: here) and show what `apply` would change: what the file says against what
    stands, with what is left over and what was changed by hand."""
    if schema:
        import json

        from loopline.usecases.projects.checking import schema as made

        obj.show(made(), text=json.dumps(made(), indent=2))
        return
    from loopline.usecases.projects.drawing import drawn, verdict

    planned = obj.client.call("projects.plan", **read(folder))
    obj.show(planned, text=drawn(planned))
    if check and planned["state"] != "in_step":
        from loopline.core.errors import CheckFailed

        raise CheckFailed(*verdict(planned))


@click.command()
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option("--prune", is_flag=True, help="Retire what belongs to the project and is no longer named; data stay.")
@click.option("--after", type=int, metavar="N", help="Refuse when the project was applied after plan N.")
@click.pass_obj
def apply(obj: Any, folder: Path | None, prune: bool, after: int | None) -> None:
    """Make the installation as the loopline.yaml in FOLDER (default: here) says: all of it, or nothing."""
    from loopline.usecases.projects.drawing import drawn

    done = obj.client.call("projects.apply", **read(folder), prune=prune, after=after)
    obj.show(done, text=drawn(done))


@click.command()
@click.argument("name")
@click.option("--into", type=click.Path(file_okay=False, path_type=Path), help="Where to make it (default: ./NAME).")
@click.option("--owner", default="", help="Who answers for the model.")
@click.option("--local", is_flag=True, help="Keep the installation in the project too (./.loopline).")
@click.pass_obj
def init(obj: Any, name: str, into: Path | None, owner: str, local: bool) -> None:
    """Make a project NAME that works at once: data, contract, pipeline, gate, endpoint, tests."""
    import shlex

    from loopline.usecases.projects.template import make

    folder = into or Path(name)
    files = make(name, folder, owner=owner, local=local)
    text = f"made {folder} with {len(files)} files\n  cd {shlex.quote(str(folder))}\n  loopline run training"
    obj.show({"folder": str(folder.absolute()), "files": files}, text=text)


@click.group()
def project() -> None:
    """What concerns a project as a whole."""


@project.command()
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="Only say what would be done, and how the project deviates.")
@click.pass_obj
def update(obj: Any, folder: Path | None, check: bool) -> None:
    """Merge the newest template into the project in FOLDER (default: here), and keep what was changed there."""
    import msgspec

    from loopline.core.errors import CheckFailed
    from loopline.usecases.projects.folders import found_folder
    from loopline.usecases.projects.updating import told
    from loopline.usecases.projects.updating import update as updated

    done = updated(found_folder(folder), check)
    obj.show(msgspec.to_builtins(done), text=told(done))
    conflicts = done.named("conflict")
    if conflicts and not check:
        raise CheckFailed(
            f"Both the template and the project changed the same lines of {', '.join(conflicts)}.",
            "Choose between the marked lines.",
        )


def read(folder: Path | None) -> dict[str, Any]:
    """The project's folder as the verbs take it."""
    import msgspec

    from loopline.usecases.projects.folders import declared, found_folder

    place = found_folder(folder)
    return dict(msgspec.structs.asdict(declared(place)))
