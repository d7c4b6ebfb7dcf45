"""`loopline init`: a small project that works at once, made from the built-in template."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loopline.core.errors import Invalid, NotFound, Taken, Unavailable
from loopline.core.ids import checked_name

SKELETON = Path(__file__).parent / "skeleton"
ANSWERS = ".loopline-answers.yaml"
PRISTINE = ".loopline-template.zip"
SCHEMA = ".loopline-schema.json"
LONGEST_OWNER = 200
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
LARGEST_PRISTINE = 10_000_000


def make(name: str, folder: Path, owner: str = "", local: bool = False, skeleton: Path = SKELETON) -> list[str]:
    """Make the project `name` in `folder`, with data; answers its files. It appears whole or not at all.

    Raises Taken when the folder holds something, Invalid for a name or an owner that cannot be.
    """
    checked_name("project", name)
    _checked_owner(owner)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Taken(f"{folder} is there already and holds something.", "Choose another name, or --into a new folder.")
    try:
        _placed(folder.absolute(), {"name": name, "owner": owner}, local, skeleton)
    except OSError as error:
        raise Unavailable(
            f"The project cannot be made in {folder} ({error.strerror}).", "Choose another --into."
        ) from None
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def rendered(answers: Mapping[str, Any], skeleton: Path = SKELETON) -> dict[str, bytes]:
    """Every file that the template gives for `answers`, by its name in the project: what copier would give."""
    import jinja2
    import yaml

    said = yaml.safe_load((skeleton / "copier.yml").read_text(encoding="utf-8"))
    root, suffix = skeleton / said["_subdirectory"], said["_templates_suffix"]
    engine = jinja2.Environment(
        loader=jinja2.FileSystemLoader(root),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701  (plain text files; nothing here is a page)
        **said["_envops"],
    )
    asked = {key: question.get("default") for key, question in said.items() if not key.startswith("_")}
    filled = asked | {"loopline": installed(), "python": PYTHON} | dict(answers)
    files = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_file() and "__pycache__" not in path.parts:
            plain = not name.endswith(suffix)
            files[name.removesuffix(suffix)] = (
                path.read_bytes() if plain else engine.get_template(name).render(filled).encode()
            )
    return files


def installed() -> str:
    """The version of Loopline whose template this is."""
    from importlib.metadata import version

    return version("loopline")


def packed(files: Mapping[str, bytes]) -> bytes:
    """The files as a zip archive; the same files are the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name), files[name], zipfile.ZIP_DEFLATED)
    return out.getvalue()


def answers_of(folder: Path) -> dict[str, Any]:
    """What the template was asked for the project in `folder`, and the version of Loopline that asked it."""
    import yaml

    path = folder / ANSWERS
    if not path.is_file():
        raise NotFound(f"There is no {ANSWERS} in {folder}.", "Only a project made by `loopline init` can be updated.")
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
        answers = {key: said[key] for key in ("name", "owner", "_loopline")}
        answers["python"] = said.get("python", PYTHON)
        if not all(isinstance(value, str) for value in answers.values()):
            raise TypeError
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, KeyError):
        raise Invalid(f"{path} does not hold a name, an owner and _loopline as texts.", "Restore it.") from None
    checked_name("project", answers["name"])
    _checked_owner(answers["owner"])
    return answers


def pristine_of(folder: Path) -> dict[str, bytes]:
    """The files as the template gave them to the project in `folder`."""
    path = folder / PRISTINE
    if not path.is_file():
        raise NotFound(f"There is no {PRISTINE} in {folder}.", "Restore it: an update needs to know what was given.")
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            if sum(info.file_size for info in infos) > LARGEST_PRISTINE or not all(_inside(i.filename) for i in infos):
                raise zipfile.BadZipFile
            return {info.filename: archive.read(info) for info in infos}
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError):
        raise Invalid(f"{path} is not what `loopline init` wrote.", "Restore it.") from None


def _inside(name: str) -> bool:
    return not name.startswith("/") and not {"", "..", ".git"} & set(name.split("/")) and "\\" not in name


def schema_file() -> bytes:
    """The JSON schema of loopline.yaml, for editors."""
    import msgspec

    from loopline.usecases.projects.checking import schema

    return msgspec.json.format(msgspec.json.encode(schema()))


def _checked_owner(owner: str) -> None:
    if len(owner) > LONGEST_OWNER or not owner.isprintable():
        raise Invalid("The owner is no line of text.", f"Give a name or an address of at most {LONGEST_OWNER} letters.")


def _placed(folder: Path, answers: dict[str, str], local: bool, skeleton: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".init-", dir=folder.parent))
    try:
        scratch.chmod(0o755)
        _fill(scratch, answers, local, skeleton)
        if folder.exists():  # an empty folder, perhaps the one that the caller stands in: it stays the same
            for path in scratch.iterdir():
                os.rename(path, folder / path.name)
        else:
            os.rename(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _fill(folder: Path, answers: dict[str, str], local: bool, skeleton: Path) -> None:
    from loopline.usecases.projects.checking import checked

    files = rendered(answers, skeleton)
    checked(files["loopline.yaml"].decode())
    for name, content in {**files, SCHEMA: schema_file(), PRISTINE: packed(files)}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    if local:
        (folder / ".loopline").mkdir()
    _bring_data(folder)


def _bring_data(folder: Path) -> None:
    done = subprocess.run([sys.executable, "batches.py"], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise Invalid("The example's data could not be made.", last[0][:200])
