"""`loopline register`: a model that is code, or lies in files, becomes the next version of a registered model."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from loopline.core.errors import Invalid, Unavailable

PATIENCE_S = 120.0
EXISTING = click.Path(exists=True, path_type=Path)
AS_CODE = "It is code: it runs in a process of its own wherever the model is used, with the rights of the server."


@click.command()
@click.argument("model")
@click.argument("path", required=False, type=EXISTING)
@click.option("--python", "python_class", metavar="FILE.py:CLASS", help="A Python class with `predict`.")
@click.option("--command", metavar="WORDS", help='A program that answers the protocol, as "Rscript serve.R".')
@click.option("--transformers", "folder", type=EXISTING, help="A folder with a Hugging Face text classifier.")
@click.option("--file", "files", multiple=True, type=EXISTING, help="A file or folder that belongs to it; repeat it.")
@click.option("--signature", type=EXISTING, help="What a row holds: a JSON file with inputs and output.")
@click.option("--example", type=EXISTING, help="Or a CSV or Parquet file of rows that shows it.")
@click.option("--like", metavar="MODEL/VERSION", help="Or the signature of that version.")
@click.option("--takes", default="", help="What the class's predict gets: pandas, polars, arrow, rows, columns.")
@click.option("--door", default="socket", show_default=True, help="Where the program listens: socket or port.")
@click.option("--ready", "ready_s", default=30.0, show_default=True, metavar="SECONDS", help="Until it must be ready.")
@click.option("--lock", type=EXISTING, help="requirements.lock of the environment that it runs in.")
@click.option("--evaluation", type=EXISTING, help="Held-out rows with their truth: a Parquet or Arrow file.")
@click.option("--label", default="", metavar="COLUMN", help="The column of --evaluation that holds the truth.")
@click.pass_obj
def register(
    obj: Any, model: str, path: Path | None, python_class: str | None, command: str | None, folder: Path | None, files: tuple[Path, ...],
    signature: Path | None, example: Path | None, like: str | None, takes: str, door: str, ready_s: float,
    lock: Path | None, evaluation: Path | None, label: str,
) -> None:  # fmt: skip
    """Register a model as the next version of MODEL: the file or folder at PATH, a Python class, a program in any
    language, or a text classifier.

    PATH is a native file of LightGBM, XGBoost, CatBoost, ONNX or skops, or the folder of an MLflow model. Code is kept
    with its files and runs in a process of its own alone.
    """
    from loopline.core.programs import CommandModel, PythonModel, TransformersModel

    given = [one for one in (path, python_class, command, folder) if one]
    if len(given) != 1:
        raise click.UsageError("Say one of PATH, --python FILE.py:CLASS, --command WORDS and --transformers FOLDER.")
    made: Any
    if path:
        from loopline.app.wiring import runtimes
        from loopline.shells.cli.model_files import stored

        made = stored(path, runtimes())
    elif python_class:
        made = PythonModel(python_class, files=files, takes=takes, lock=lock)
    elif command:
        made = CommandModel(words(command), files=files, door=door, ready_s=ready_s, lock=lock)
    else:
        assert folder is not None
        made = TransformersModel(folder, lock=lock)
    told = described(obj.client, signature, example, like, made)
    if path and evaluation and not (signature or example or like):
        from loopline.shells.cli.model_files import refined

        told = refined(told, table(evaluation))
    version = registered(obj.client, model, made, told, evaluation, label)
    code = "" if folder or path else f" {AS_CODE}"
    obj.show(version, text=f"{version['model']}/{version['version']} is registered.{code}")


def words(command: str) -> list[str]:
    """The words of a command line."""
    try:
        return shlex.split(command)
    except ValueError as error:
        raise Invalid(f"{command[:80]!r} is no command line ({error}).", "Close its quotes.") from None


def described(client: Any, file: Path | None, example: Path | None, like: str | None, made: Any) -> Any:
    """The signature, from a file, from rows, from another version, or the one that the model has by nature."""
    import msgspec

    from loopline.core.tables import Signature

    if sum(one is not None for one in (file, example, like)) > 1:
        raise click.UsageError("Say one of --signature, --example and --like.")
    if like is not None:
        return msgspec.convert(client.call("registry.find", reference=like)["signature"], Signature)
    if file is not None:
        try:
            return msgspec.json.decode(file.read_bytes(), type=Signature)
        except msgspec.DecodeError as error:
            raise Invalid(
                f"{file} holds no signature ({error}).", 'Write {"inputs": [{"name": …, "type": …}], "output": …}.'
            ) from None
    if example is not None:
        from loopline.usecases.pipelines.results import signature_of

        known = getattr(made, "signature", None)
        shown = signature_of(table(example))
        return shown if known is None else Signature(shown.inputs, known.output)
    if getattr(made, "signature", None) is not None:
        return made.signature
    raise click.UsageError("Say what a row holds: --signature FILE, --example FILE, or --like MODEL/VERSION.")


def table(file: Path) -> Any:
    """The rows of a CSV or Parquet file."""
    import pyarrow as pa

    try:
        if file.suffix == ".csv":
            from pyarrow import csv

            return csv.read_csv(file)
        import pyarrow.parquet as pq

        return pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise Invalid(f"{file} cannot be read ({str(error)[:200]}).", "Name a CSV or Parquet file.") from None


def registered(
    client: Any, model: str, made: Any, signature: Any, evaluation: Path | None = None, label: str = ""
) -> dict[str, Any]:
    """The version that a run made for this holds."""
    from loopline.shells.sdk.runs import run

    with run(f"register {model}", capture=False, client=client) as begun:
        if evaluation is not None:
            begun.artifact(evaluation, f"evaluation{evaluation.suffix}")
        if label:
            begun.tags({"loopline.label": label})
        begun.model("model", made, signature=signature, register=model)
        begun.flush(PATIENCE_S)
    found = client.call("registry.of_run", run_id=begun.id)
    if not found:
        raise Unavailable(f"{model} is not registered yet.", "`loopline sync` goes on where this stopped.")
    version: dict[str, Any] = found[-1]
    if not version["servable"]:
        reason = version["metadata"].get("not_servable", "It cannot be loaded.")
        raise Invalid(
            f"{model}/{version['version']} is kept, but cannot be served: {reason}", "Mend it, and register it again."
        )
    return version
