"""Eight kinds of edits in a small project, and what each should make run again."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
LIBRARY = "def edge(value):\n    return value + {step}\n"
METADATA = "Metadata-Version: 2.1\nName: edgelib\nVersion: {version}\n"
DECORATORS = {
    "loopline": "from loopline import step as step\n",
    "zenml": "from zenml import step as step\n",
    "": "def step(function):\n    return function\n",
}
NOTING = """import os


def note(name):
    with open(os.environ["NOTES"], "a") as file:
        file.write(name + "\\n")
"""
PIPELINE = """
from loopline import pipeline

import steps


@pipeline
def edits() -> int:
    for name in steps.NAMES[:-1]:
        getattr(steps, name)()
    return steps.bystander()
"""


@dataclass(frozen=True)
class Edit:
    """A change of one text in one file; `runs` names the steps whose result may differ."""

    kind: str
    file: str
    old: str
    new: str
    runs: tuple[str, ...]


EDITS = (
    Edit("comment", "steps.py", "# a comment", "# another comment, longer", ()),
    Edit("body", "steps.py", "return 1\n", "return 1 + 1\n", ("own_body",)),
    Edit("helper, same module", "steps.py", "return value * 2", "return value * 3", ("same_helper",)),
    Edit("helper, other module", "helpers.py", "return value + 2", "return value + 3", ("other_helper",)),
    Edit("constant, same module", "steps.py", "OFFSET = 3", "OFFSET = 4", ("same_constant",)),
    Edit("constant, other module", "helpers.py", "FACTOR = 2", "FACTOR = 3", ("other_constant",)),
    Edit("unrelated function", "helpers.py", "return value - 1", "return value - 2", ()),
    Edit("package version", "", "1.0.0", "2.0.0", ("library",)),
)


def write_project(folder: Path, tool: str) -> None:
    """The project as it is before any edit, with the library of its first version beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("steps.py", "helpers.py"):
        shutil.copy(HERE / "edits" / name, folder / name)
    (folder / "stepping.py").write_text(DECORATORS.get(tool, DECORATORS[""]))
    (folder / "noting.py").write_text(NOTING)
    if tool == "loopline":
        (folder / "pipeline.py").write_text(PIPELINE)
    install(folder.parent / "site-packages", "1.0.0")


def install(site: Path, version: str) -> None:
    """The library as an installed distribution of that version."""
    shutil.rmtree(site, ignore_errors=True)
    about = site / f"edgelib-{version}.dist-info"
    about.mkdir(parents=True)
    (site / "edgelib.py").write_text(LIBRARY.format(step=version[0]))
    (about / "METADATA").write_text(METADATA.format(version=version))
    (about / "INSTALLER").write_text("pip\n")
    (about / "top_level.txt").write_text("edgelib\n")
    (about / "RECORD").write_text(
        f"edgelib.py,,\nedgelib-{version}.dist-info/METADATA,,\nedgelib-{version}.dist-info/RECORD,,\n"
    )


def apply(edit: Edit, folder: Path) -> None:
    """Make the edit; SystemExit when the text is not there exactly once."""
    if not edit.file:
        install(folder.parent / "site-packages", edit.new)
        return
    text = (folder / edit.file).read_text()
    if text.count(edit.old) != 1:
        raise SystemExit(f"{edit.old!r} is in {edit.file} {text.count(edit.old)} times")
    (folder / edit.file).write_text(text.replace(edit.old, edit.new))
