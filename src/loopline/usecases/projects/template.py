"""`loopline init`: a small project that works at once, made from the built-in template."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from loopline.core.errors import Invalid, Taken, Unavailable
from loopline.core.ids import checked_name

SKELETON = Path(__file__).parent / "skeleton"
ANSWERS = ".loopline-answers.yaml"
SCHEMA = ".loopline-schema.json"
RENAMED = {"gitignore": ".gitignore"}


def make(name: str, folder: Path, owner: str = "", local: bool = False) -> list[str]:
    """Make the project `name` in `folder`, with data; answers its files. It appears whole or not at all.

    Raises Taken when the folder holds something, Invalid for a name that cannot be a model's.
    """
    checked_name("project", name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Taken(f"{folder} is there already and holds something.", "Choose another name, or --into a new folder.")
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".init-", dir=folder.absolute().parent))
        scratch.chmod(0o755)
        _fill(scratch, {"name": name, "owner": owner}, local)
        if folder.exists():
            folder.rmdir()
        os.rename(scratch, folder)
    except OSError as error:
        raise Unavailable(
            f"The project cannot be made in {folder} ({error.strerror}).", "Choose another --into."
        ) from None
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _fill(folder: Path, answers: dict[str, str], local: bool) -> None:
    import jinja2
    import msgspec

    from loopline.usecases.projects.checking import checked, schema

    engine = jinja2.Environment(
        loader=jinja2.FileSystemLoader(SKELETON),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        autoescape=False,  # noqa: S701  (plain text files; nothing here is a page)
    )
    for source in sorted(engine.list_templates(extensions=["j2"])):
        name = source.removesuffix(".j2")
        target = folder / RENAMED.get(name, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(engine.get_template(source).render(answers), encoding="utf-8")
    checked((folder / "loopline.yaml").read_text(encoding="utf-8"))
    (folder / SCHEMA).write_bytes(msgspec.json.format(msgspec.json.encode(schema())))
    (folder / ANSWERS).write_text(_answers_file(answers), encoding="utf-8")
    if local:
        (folder / ".loopline").mkdir()
    _bring_data(folder)


def _answers_file(answers: dict[str, str]) -> str:
    from importlib.metadata import version

    import yaml

    lines = yaml.safe_dump({"_template": "built-in", "_loopline": version("loopline"), **answers}, sort_keys=False)
    return f"# What the template was asked; kept for updates.\n{lines}"


def _bring_data(folder: Path) -> None:
    done = subprocess.run([sys.executable, "batches.py"], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Invalid("The example's data could not be made.", done.stderr.strip().splitlines()[-1][:200])
