"""`loopline plan`, `loopline apply`, `loopline init`, `loopline project`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

SIGNS = {"new": "+", "changed": "~", "gone": "-"}


@click.command()
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option("--schema", is_flag=True, help="Print the JSON schema of loopline.yaml, for editors.")
@click.pass_obj
def plan(obj: Any, folder: Path | None, schema: bool) -> None:
    """Check the project in FOLDER (default: here) and show what `apply` would change."""
    if schema:
        import json

        from loopline.usecases.projects.checking import schema as made

        obj.show(made(), text=json.dumps(made(), indent=2))
        return
    planned = obj.client.call("projects.plan", **read(folder))
    obj.show(planned, text=drawn(planned, "would change", "nothing would change"))


@click.command()
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.pass_obj
def apply(obj: Any, folder: Path | None) -> None:
    """Make the installation as the loopline.yaml in FOLDER (default: here) says."""
    done = obj.client.call("projects.apply", **read(folder))
    obj.show(done, text=drawn(done, "changed", "nothing to change"))


@click.command()
@click.argument("name")
@click.option("--into", type=click.Path(file_okay=False, path_type=Path), help="Where to make it (default: ./NAME).")
@click.option("--owner", default="", help="Who answers for the model.")
@click.option("--local", is_flag=True, help="Keep the installation in the project too (./.loopline).")
@click.pass_obj
def init(obj: Any, name: str, into: Path | None, owner: str, local: bool) -> None:
    """Make a project NAME that works at once: data, contract, pipeline, gate, endpoint, tests."""
    from loopline.usecases.projects.template import make

    folder = into or Path(name)
    files = make(name, folder, owner=owner, local=local)
    text = f"made {folder} with {len(files)} files\n  cd {folder}\n  loopline run training"
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


def drawn(planned: Mapping[str, Any], done: str, nothing: str) -> str:
    """A plan as lines: a sign, the thing, what of it."""
    if not planned["changes"]:
        return f"{planned['project']}: {nothing}"
    lines = [f"{planned['project']}: {len(planned['changes'])} {done}"]
    for change in planned["changes"]:
        lines.append(f"  {SIGNS[change['what']]} {change['kind']} {change['name']}")
        lines += [f"      {detail}" for detail in change["details"][:12]]
        if len(change["details"]) > 12:
            lines.append(f"      and {len(change['details']) - 12} more")
    return "\n".join(lines)
