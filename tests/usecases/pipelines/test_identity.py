"""Which edits change the identity of a step's code, and which do not."""

from __future__ import annotations

import py_compile
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loopline.usecases.pipelines.identity import Territory, code_of
from loopline.usecases.pipelines.model import Code
from loopline.usecases.pipelines.project import forget, imported, project_code

pytestmark = pytest.mark.unit

PIPELINE = '''
from __future__ import annotations

import functools
import math
from collections import namedtuple

import flows.inner
import helpers
from helpers import LIMITS, Scaler, logged, remote

from loopline import step

FACTOR = 3
TABLE = {"a": 1, "b": [1, 2]}
BOUND = functools.partial(remote, y=5)
SCALER = Scaler(2)


def near(x, by=FACTOR):
    """Near."""
    return x * by + TABLE["a"]


def outer(k):
    def inner(x):
        return x + k

    return inner


closed = outer(7)


@logged
def decorated(x):
    return x - 1


def unrelated(x):
    return x ** 9


@step
def train(x: int, rate: float = 0.1):
    """Train it."""
    # a comment
    y = near(x) + helpers.far(x) + closed(x) + decorated(x)
    z = Scaler(LIMITS[0]).scaled(y) + BOUND(x) + SCALER.scaled(x)
    return math.floor(z) + flows.inner.deep(x)


@step
def lazy(x: int):
    from helpers import late

    return late(x)


@step
def blind(x: int, name: str = "far"):
    return getattr(helpers, name)(x)


@step
def alone(x: int):
    return x + 1
'''
HELPERS = """
import functools
import numpy as np

LIMITS = (1, 2)
OFFSET = 10
OTHER = 11


def logged(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)

    return wrapper


def far(x):
    return x + OFFSET


def remote(x, y):
    return x * y


def late(x):
    return np.abs(x)


class Base:
    shift = 1

    def scaled(self, x):
        return x * self.by + self.shift


class Scaler(Base):
    extra = OTHER

    def __init__(self, by):
        self.by = by
"""
INNER = """
from . import deeper


def deep(x):
    return deeper.deepest(x)
"""
DEEPER = """
def deepest(x):
    return x
"""
FILES = {
    "pipeline.py": PIPELINE,
    "helpers.py": HELPERS,
    "flows/__init__.py": "",
    "flows/inner.py": INNER,
    "flows/deeper.py": DEEPER,
}
CHANGING = {
    "body": ("pipeline.py", "y = near(x) +", "y = near(x) -"),
    "helper in the same module": ("pipeline.py", "return x * by +", "return x / by +"),
    "helper in another module": ("helpers.py", "return x + OFFSET", "return x - OFFSET"),
    "constant in the same module": ("pipeline.py", "FACTOR = 3", "FACTOR = 4"),
    "constant inside a container": ("pipeline.py", '"b": [1, 2]', '"b": [1, 3]'),
    "constant of a helper": ("helpers.py", "OFFSET = 10", "OFFSET = 12"),
    "imported constant": ("helpers.py", "LIMITS = (1, 2)", "LIMITS = (3, 2)"),
    "default of the step": ("pipeline.py", "rate: float = 0.1", "rate: float = 0.2"),
    "default of a helper": ("pipeline.py", "def near(x, by=FACTOR)", "def near(x, by=5)"),
    "value in a closure": ("pipeline.py", "closed = outer(7)", "closed = outer(8)"),
    "code of a closure": ("pipeline.py", "return x + k", "return x - k"),
    "decorator": ("helpers.py", "return function(*args)", "return 2 * function(*args)"),
    "decorated function": ("pipeline.py", "return x - 1", "return x - 2"),
    "decorator taken away": ("pipeline.py", "@logged\n", ""),
    "method": ("helpers.py", "self.by = by", "self.by = -by"),
    "method of a base class": ("helpers.py", "return x * self.by +", "return x * self.by -"),
    "class attribute of a base": ("helpers.py", "shift = 1", "shift = 2"),
    "class attribute by name": ("helpers.py", "OTHER = 11", "OTHER = 13"),
    "argument of a partial": ("pipeline.py", "partial(remote, y=5)", "partial(remote, y=6)"),
    "function of a partial": ("helpers.py", "return x * y", "return x / y"),
    "state of an object": ("pipeline.py", "SCALER = Scaler(2)", "SCALER = Scaler(4)"),
    "module of a package": ("flows/inner.py", "deepest(x)", "deepest(-x)"),
    "module behind a relative import": ("flows/deeper.py", "return x", "return -x"),
}
SAME = {
    "comment": ("pipeline.py", "# a comment", "# another comment"),
    "docstring": ("pipeline.py", '"""Train it."""', '"""Train it well."""'),
    "docstring gone": ("pipeline.py", '    """Near."""\n', ""),
    "formatting": ("pipeline.py", "return math.floor(z)", "return   math.floor( z )"),
    "empty lines": ("pipeline.py", "def unrelated", "\n\n\ndef unrelated"),
    "unrelated function": ("pipeline.py", "x ** 9", "x ** 8"),
    "another step": ("pipeline.py", "return late(x)", "return -late(x)"),
    "helper of another step": ("helpers.py", "np.abs(x)", "np.sqrt(x)"),
    "comment in a helper's file": ("helpers.py", "import functools", "# functools\nimport functools"),
    "quotes": ("pipeline.py", 'TABLE["a"]', "TABLE['a']"),
}


class Project:
    """A project in a folder, imported anew whenever it is asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.edits = 0
        for name, content in FILES.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(content)

    def code(self, step: str = "train") -> Code:
        self.edits += 1
        with project_code(str(self.folder), f"{self.folder} {self.edits}"):
            module = imported("pipeline.py", str(self.folder))
            return code_of(getattr(module, step).function, Territory(self.folder))[0]

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text()
        assert text.count(old) == 1, f"{old!r} must be there once"
        path.write_text(text.replace(old, new))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a file edited within its time stamp's grain is read anew
    yield Project(tmp_path)
    forget({str(tmp_path)})


@pytest.mark.parametrize("edit", CHANGING.values(), ids=CHANGING)
def test_an_edit_that_matters_changes_the_code(project: Project, edit: tuple[str, str, str]) -> None:
    before = project.code()
    project.edit(*edit)
    assert project.code().digest != before.digest


@pytest.mark.parametrize("edit", SAME.values(), ids=SAME)
def test_an_edit_that_does_not_matter_changes_nothing(project: Project, edit: tuple[str, str, str]) -> None:
    before = project.code()
    project.edit(*edit)
    assert project.code() == before


@pytest.mark.parametrize("edit", CHANGING.values(), ids=CHANGING)
def test_an_edit_of_one_step_leaves_another_alone(project: Project, edit: tuple[str, str, str]) -> None:
    before = project.code("alone")
    project.edit(*edit)
    assert project.code("alone") == before


def test_the_piece_that_changed_is_named(project: Project) -> None:
    before = {piece.name: piece.digest for piece in project.code().pieces}
    project.edit("helpers.py", "return x + OFFSET", "return x - OFFSET")
    after = {piece.name: piece.digest for piece in project.code().pieces}
    assert [name for name in after if after[name] != before.get(name)] == ["far"]


def test_imports_inside_a_function_are_followed(project: Project) -> None:
    before = project.code("lazy")
    assert list(before.distributions) == ["numpy"]
    project.edit("helpers.py", "np.abs(x)", "np.sqrt(x)")
    assert project.code("lazy").digest != before.digest


def test_what_cannot_be_followed_takes_the_whole_file_and_says_so(project: Project) -> None:
    before = project.code("blind")
    assert any("getattr" in piece.note for piece in before.pieces)
    project.edit("pipeline.py", "x ** 9", "x ** 8")
    assert project.code("blind").digest != before.digest


def test_a_module_used_as_a_value_counts_whole(project: Project) -> None:
    project.edit(
        "pipeline.py", "return x + 1", "return x + len(vars_of(helpers))\n\n\ndef vars_of(m):\n    return m.__doc__"
    )
    before = project.code("alone")
    assert any("helpers is used as a value" in piece.note for piece in before.pieces)
    project.edit("helpers.py", "OTHER = 11", "OTHER = 13")
    assert project.code("alone").digest != before.digest


def test_the_version_of_a_library_counts(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from loopline.usecases.pipelines.identity import territory

    before = project.code("lazy")
    monkeypatch.setattr(territory, "installed", lambda: {"numpy": "99.0"})
    after = project.code("lazy")
    assert after.distributions == {"numpy": "99.0"}
    assert after.digest != before.digest


def test_libraries_of_other_steps_do_not_count(project: Project) -> None:
    assert project.code("alone").distributions == {}


def test_a_lambda_is_its_own_code(project: Project) -> None:
    project.edit("pipeline.py", "FACTOR = 3", "FACTOR = 3\nsmall = lambda v: v + 1")
    project.edit("pipeline.py", "def alone(x: int):\n    return x + 1", "def alone(x: int):\n    return small(x)")
    before = project.code("alone")
    project.edit("pipeline.py", "lambda v: v + 1", "lambda v: v + 2")
    assert project.code("alone").digest != before.digest


def test_functions_that_call_each_other_end(project: Project) -> None:
    project.edit(
        "helpers.py",
        "def late(x):\n    return np.abs(x)",
        "def late(x):\n    return later(x)\n\n\ndef later(x):\n    return late(x)",
    )
    assert {"late", "later"} <= {piece.name for piece in project.code("lazy").pieces}


def test_unchanged_code_is_hashed_quickly(project: Project) -> None:
    import time

    with project_code(str(project.folder), "timing"):
        module = imported("pipeline.py", str(project.folder))
        find: Callable[[], Code] = lambda: code_of(module.train.function, Territory(project.folder))[0]  # noqa: E731
        first, territory = find(), Territory(project.folder)
        took = []
        for _ in range(20):
            began = time.perf_counter()
            code_of(module.train.function, territory)
            took.append(time.perf_counter() - began)
    assert first == find()
    assert min(took) < 0.002


SCALES = """
import contextvars, fractions, functools, itertools, random, threading
import click, msgspec
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from loopline import step


class Node:
    def __init__(self, weight):
        self.weight, self.others = weight, []


class Slotted(msgspec.Struct):
    weight: int = 1


class Named(dict):
    pass


@click.command()
def asked():
    return 1


def ring():
    one, two = Node(1), Node(2)
    one.others.append(two)
    two.others.append(one)
    return one


ARRAY = np.array([1.0, 2.0])
FRAME = pd.DataFrame({"a": [1, 2]})
SERIES = pd.Series([1, 2])
MODEL = LogisticRegression(C=2.0)
SLOTTED = Slotted(3)
NAMED = Named(a=1)
RING = ring()
VECTOR = np.vectorize(lambda v: v + 1)
SEEDED = random.Random(3)
HALF = fractions.Fraction(1, 2)
LOCK = threading.Lock()
CURRENT = contextvars.ContextVar("current")
JOINED = ", ".join
LOOP = [1]
LOOP.append(LOOP)
STREAM = open(__file__)
STREAM.close()


@step
def array(x: int): return ARRAY, FRAME, SERIES
@step
def model(x: int): return MODEL
@step
def objects(x: int): return SLOTTED, NAMED, RING
@step
def vector(x: int): return VECTOR(x)
@step
def command(x: int): return asked
@step
def library(x: int): return SEEDED, HALF, JOINED, CURRENT, LOCK, LOOP
@step
def stream(x: int): return STREAM
"""


@pytest.mark.parametrize(
    ("step", "old", "new"),
    [
        ("array", "[1.0, 2.0]", "[1.0, 3.0]"),
        ("array", '{"a": [1, 2]}', '{"a": [1, 3]}'),
        ("array", "Series([1, 2])", "Series([2, 2])"),
        ("model", "C=2.0", "C=3.0"),
        ("objects", "Slotted(3)", "Slotted(4)"),
        ("objects", "weight: int = 1", "weight: int = 2"),
        ("objects", "Named(a=1)", "Named(a=2)"),
        ("objects", "Node(2)", "Node(3)"),
        ("vector", "v + 1", "v - 1"),
        ("command", "    return 1", "    return 2"),
        ("library", "Random(3)", "Random(4)"),
        ("library", "Fraction(1, 2)", "Fraction(1, 3)"),
        ("library", '", ".join', '"; ".join'),
        ("library", "LOOP = [1]", "LOOP = [2]"),
        ("stream", 'CURRENT = contextvars.ContextVar("current")', "CURRENT = 5"),
    ],
)
def test_objects_count_by_what_is_in_them(project: Project, step: str, old: str, new: str) -> None:
    (project.folder / "pipeline.py").write_text(SCALES)
    before = project.code(step)
    assert project.code(step) == before
    project.edit("pipeline.py", old, new)
    assert project.code(step).digest != before.digest
    assert any("STREAM is a TextIOWrapper" in piece.note for piece in before.pieces) == (step == "stream")


def test_compiled_code_of_the_project_counts_by_its_bytes(project: Project) -> None:
    def compiled(text: str) -> None:
        (project.folder / "quick.py").write_text(text)
        py_compile.compile(str(project.folder / "quick.py"), str(project.folder / "quick.pyc"))
        (project.folder / "quick.py").unlink()

    compiled("VALUE = [1]")
    project.edit("pipeline.py", "return x + 1", "import quick\n    return quick.VALUE")
    before = project.code("alone")
    assert "quick is compiled" in {piece.note for piece in before.pieces}
    assert not before.distributions
    compiled("VALUE = [12]")
    assert project.code("alone").digest != before.digest


def test_a_module_that_asks_for_all_of_itself_counts_whole(project: Project) -> None:
    project.edit("pipeline.py", "return x + 1", "return eval('x + 1')")
    before = project.code("alone")
    assert "alone uses eval, which cannot be followed" in {piece.note for piece in before.pieces}
    project.edit("helpers.py", "return x + OFFSET", "return x - OFFSET")  # what the module names counts as well
    assert project.code("alone").digest != before.digest


def test_a_path_in_the_project_is_the_same_in_another_folder(project: Project, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    code = "from pathlib import Path\nfrom loopline import step\nHERE = Path(__file__).parent / 'data'\n\n\n@step\ndef alone(x: int):\n    return HERE\n"
    (project.folder / "pipeline.py").write_text(code)
    second = Project(other)
    (other / "pipeline.py").write_text(code)
    assert project.code("alone") == second.code("alone")


def test_a_long_chain_of_helpers_and_a_deep_object_are_followed_to_the_end(project: Project) -> None:
    helpers = "".join(f"def h{n}(x):\n    return h{n + 1}(x) + DEEP\n\n\n" for n in range(1500))
    deep = "class Node:\n    def __init__(self, n):\n        self.n = n\n\n\nDEEP = None\nfor _ in range(1500):\n    DEEP = Node(DEEP)\n\n\n"
    (project.folder / "pipeline.py").write_text(
        f"from loopline import step\n\n\n{deep}{helpers}def h1500(x):\n    return x\n\n\n@step\ndef alone(x: int):\n    return h0(x)\n"
    )
    before = project.code("alone")
    assert len(before.pieces) > 3000
    project.edit("pipeline.py", "def h1500(x):\n    return x", "def h1500(x):\n    return -x")
    assert project.code("alone").digest != before.digest


def test_an_object_that_refuses_to_be_looked_into_takes_its_module(project: Project) -> None:
    shy = "class Shy:\n    def __getattr__(self, name):\n        raise RuntimeError(name)\n\n\nSHY = Shy()"
    project.edit("pipeline.py", "FACTOR = 3", f"FACTOR = 3\n\n\n{shy}")
    project.edit("pipeline.py", "def alone(x: int):\n    return x + 1", "def alone(x: int):\n    return SHY")
    assert "SHY is a Shy, whose content cannot be followed" in {piece.note for piece in project.code("alone").pieces}
