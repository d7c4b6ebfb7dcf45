"""`command`: a step that is a program in any language. Inputs and outputs are files, parameters are JSON."""

from __future__ import annotations

import inspect
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from loopline.core.errors import Invalid
from loopline.core.ids import checked_name
from loopline.ports.executor import scratch
from loopline.usecases.pipelines.formats import FORMATS, TABLES, checked_format
from loopline.usecases.pipelines.options import options_from
from loopline.usecases.pipelines.programs import Program
from loopline.usecases.pipelines.steps import Step, tracing

_OPEN = inspect.Parameter.KEYWORD_ONLY


def command(
    name: str,
    run: str | Sequence[str],
    outputs: Mapping[str, str],
    *,
    inputs: Mapping[str, str] = {},
    files: Sequence[str] = (),
    shell: bool = False,
    **options: Any,
) -> Command:
    """A step that runs a program, as in `score = command("score", run="Rscript score.R", outputs={"scores": "csv"})`.

    In a pipeline it is called with keyword arguments alone: numbers, texts and the like are its parameters, everything
    else is an input. The program runs in the project's folder and finds `$LOOPLINE_INPUTS/<name>.<format>`,
    `$LOOPLINE_PARAMS` (a JSON file) and `$LOOPLINE_OUTPUTS`, where it writes `<name>.<format>`. Formats are parquet, csv,
    arrow, json, folder, or an ending as ".png" for any file; an input that `inputs` does not name comes as parquet when it
    is a table, as json when JSON can say it, as itself when it is a file or folder. One output is the step's result;
    several are a dict.

    `run` is split as a shell would, but no shell is involved unless `shell` is true. `files` are files and folders of the
    project that the program reads; those that the command itself names count too. The other options are those of `step`.
    Raises Invalid for a format or option that cannot be.
    """
    frame = sys._getframe(1)
    module, file = str(frame.f_globals.get("__name__", "")), str(frame.f_globals.get("__file__", ""))
    program = Program(checked_name("step", name), split(run, shell), inputs, outputs, files, root_of(module, file))
    return Command(program, module, options)


class Command(Step[Any, Any]):
    """A step whose function is a program."""

    def __init__(self, program: Program, module: str, options: Mapping[str, Any]) -> None:
        for kind, formats in (("input", program.inputs), ("output", program.outputs)):
            for one, form in formats.items():
                checked_format(f"The {kind} {one!r} of {program.name}", one, form)
        if not program.outputs:
            raise Invalid(f"The command {program.name!r} has no outputs.", f"Name some: {', '.join(FORMATS)}.")
        self.name = program.name
        self.function = program
        program.__annotations__ = annotated(program.inputs, program.outputs)
        self.options = options_from(options)
        self._module = module

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program, or note the call where a pipeline is traced. Refused inside another step, whose key knows
        nothing of the program."""
        if tracing.get() is None and scratch():
            raise Invalid(
                f"The command {self.name!r} is called inside another step, where a change of it would not be noticed.",
                "Call it in the pipeline and hand its result to the step.",
            )
        return super().__call__(*args, **kwargs) if tracing.get() else self.function(**self.bound(args, kwargs))

    @property
    def signature(self) -> inspect.Signature:
        """Any keyword arguments."""
        return Open()

    def bound(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments by name, in the order of their names; Invalid for others, or without an input that is declared."""
        if args:
            raise Invalid(f"The command {self.name!r} takes arguments by name only.", f"Write {self.name}(name=value).")
        missing = sorted(self.function.inputs.keys() - kwargs.keys())
        if missing:
            raise Invalid(f"The command {self.name!r} needs the input {missing[0]!r}.", f"Write {missing[0]}=….")
        for name in kwargs:
            if not name.isidentifier():
                raise Invalid(f"{name!r} cannot be the name of an input.", "Use letters, digits and underscores.")
        return dict(sorted(kwargs.items()))

    def code(self, territory: Any) -> tuple[Any, dict[str, str]]:
        """What the command is made of: its text, files and program."""
        return self.function.code()  # type: ignore[no-any-return]

    def target(self) -> str:
        """Where a worker process finds it: the variable of the module that holds it."""
        for name, value in vars(sys.modules.get(self._module, inspect)).items():
            if value is self:
                return f"{self._module}:{name}"
        raise Invalid(
            f"The command {self.name!r} stands in no variable of its module.",
            f"Write {self.name} = command({self.name!r}, …) at the top of the file.",
        )


class Open(inspect.Signature):
    """The signature of what takes any keyword arguments."""

    @property
    def parameters(self) -> Any:
        """A parameter for every name."""
        return Every()

    def __str__(self) -> str:
        return "(**inputs and parameters)"


class Every(dict[str, inspect.Parameter]):
    """A map that has a keyword parameter for every name that is asked for."""

    def __missing__(self, name: str) -> inspect.Parameter:
        return inspect.Parameter(name, _OPEN)

    def __contains__(self, name: object) -> bool:
        return True


def annotated(inputs: Mapping[str, str], outputs: Mapping[str, str]) -> dict[str, Any]:
    """Annotations that say what is known of a command's inputs and of its result."""
    known: dict[str, Any] = {name: "pyarrow.Table" for name, form in inputs.items() if form in TABLES}
    if len(outputs) > 1:
        known["return"] = dict[str, Any]
    return known


def root_of(module: str, file: str) -> Path:
    """The project's folder, from which `module` was imported as `file`."""
    path = Path(file or ".").resolve()
    if not file or module in ("__main__", "__mp_main__"):
        return path.parent if file else path
    parts = module.count(".") + (path.name == "__init__.py")
    return path.parents[parts]


def split(run: str | Sequence[str], shell: bool) -> list[str]:
    """The command as a list of words, the program first."""
    if shell:
        if not isinstance(run, str):
            raise Invalid("A command for the shell is one text, not a list.", 'Write run="…", shell=True.')
        return ["sh", "-c", run]
    try:
        words = shlex.split(run) if isinstance(run, str) else [str(word) for word in run]
    except ValueError as error:
        raise Invalid(f"The command {str(run)[:60]!r} cannot be split: {error}.", "Quote it as in a shell.") from None
    if not words:
        raise Invalid("A command has no words.", 'Write run="Rscript score.R".')
    return words
