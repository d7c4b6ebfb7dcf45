"""Each edit of a project changes the keys of exactly the steps that it matters to."""

from __future__ import annotations

import ast
import json
import os
import random
import shutil
import subprocess
import sys
import time
import tokenize
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopline.usecases.pipelines.hashing import digest
from loopline.usecases.pipelines.identity import Territory, code_of
from loopline.usecases.pipelines.identity.externals import fingerprint
from loopline.usecases.pipelines.model import Code
from loopline.usecases.pipelines.project import forget, imported, project_code
from loopline.usecases.pipelines.steps import Step

pytestmark = pytest.mark.unit

PIPELINE = '''"""The pipeline of late arrivals."""
from __future__ import annotations

import functools
import operator
import random
import warnings
from math import floor as whole

import fakelib
import plotlib
import finding
import settings
import shapes.inner.deep
from cleaning import cleaned, dated as when, timed as then
from loopline import File, pipeline, step
from rules import REGISTRY, Plugin, by_kind, checked, retried, scaled_by
from settings import HIGH as upper, LIMITS, LOW as lower, Mode
from shapes import Box, Circle, Config, Row

warnings.filterwarnings("ignore")
random.seed(1)
plotlib.use("Agg")
fakelib.Frame.total = cleaned


def prepare():
    fakelib.mean(4)


def announce():
    len("late")


prepare()
announce()
FACTOR = 3
OFFSET = 4
UNUSED = 5
RATES = {"a": 1, "b": [1, 2], "c": (3.5, None)}
half = functools.partial(scaled_by, by=0.5)
twice = lambda value: value * 2
thrice = lambda value: value * 3  # noqa
first = operator.itemgetter(0)
CIRCLE = Circle(2)
PICK = CIRCLE.scaled
ACTIONS = {"up": cleaned, "down": when}


def adder(amount):
    def add(value):
        return value + amount

    return add


plus, minus = adder(7), adder(-7)
more, less = lambda v: v + 8, lambda v: v - 8


def boxed(size):
    class Boxed:
        def get(self):
            return size

    return Boxed


BOXED = boxed(5)


def near(value: int, by: int = FACTOR, *, shift: int = 0) -> int:
    """Near."""
    total = value * by
    return total + shift


@retried(3)
@checked
def careful(value):
    return value - 1


@fakelib.register("late")
class Late:
    hours = 1


def unrelated(value):
    local = value
    return local


@functools.lru_cache(maxsize=8)
def remembered(value):
    return value + OFFSET


@step(uses=[File("rates.csv")], retries=1)
def load(folder: str = "."):
    with open(folder + "/rates.csv") as file:
        return file.read()


@step
def clean(value: int) -> int:
    # a comment
    rows = [near(row) for row in cleaned(value)]
    return sum(rows) + len(RATES) + LIMITS[0]


@step(timeout="5m")
def shape(value: int) -> float:
    OFFSET = value
    box = Box(OFFSET)
    if (found := box.area) > 3:
        return found + shapes.inner.deep.deepest(value)
    return Config(name="x").limit + Row(1, 2).total


@step
def bind(value: int) -> float:
    return plus(value) - minus(value) + half(value) + twice(value) + whole(value) + first([more(value) - less(value) + BOXED().get()])


@step
def guard(value: int) -> int:
    return careful(value) + remembered(value) + upper - lower + PICK(value)


@step
def choose(value: int, mode: str = "fast") -> int:
    action = ACTIONS["up" if Mode(mode) is Mode.FAST else "down"]
    return action(value) or then(value)


@step
def library(value: int) -> int:
    import lazylib

    return fakelib.mean(value) + lazylib.median(value)


@step
def registered(kind: str) -> object:
    return REGISTRY[kind](1) or by_kind(kind)


@step
def plugged(kind: str) -> object:
    return Plugin.make(kind)


@step
def blind(name: str) -> object:
    return finding.found(name)


@step
def dynamic(name: str) -> object:
    import importlib

    return importlib.import_module(f"extra.{name}").value


@step
def alone(value: int) -> int:
    return value + 1


@pipeline
def whole_flow(value: int = 1):
    return alone(clean(value))
'''
CLEANING = """
from __future__ import annotations

from typing import TYPE_CHECKING

from words import strip

if TYPE_CHECKING:
    from shapes import Box

LETTERS = frozenset({"a", "b", "c"})


def cleaned(value) -> list[int]:
    return [letter for letter in strip(value) if letter in LETTERS]


def dated(value, box: Box | None = None):
    return value % 7


def timed(value):
    return value % 24


def nobody(value):
    return strip(value) * 2
"""
WORDS = """
SPACE = " "


def strip(value):
    return lowered(value).strip(SPACE)


def lowered(value):
    return str(value).lower()


def raised(value):
    return str(value).upper()
"""
SETTINGS = """
import enum

LIMITS = (1, 2)
LOW, HIGH = 1, 9
DEPTH = 3


class Mode(enum.Enum):
    FAST = "fast"
    SLOW = "slow"
"""
FINDING = """
import settings


def found(name):
    return getattr(settings, name)
"""
RULES = '''
import functools

REGISTRY = {}
TRIES = 2


def register(kind):
    def put(function):
        REGISTRY[kind] = function
        return function

    return put


@register("one")
def first_rule(value):
    return value + 1


@register("two")
def second_rule(value):
    return value + 2


@functools.singledispatch
def by_kind(value):
    return 0


@by_kind.register
def _(value: str):
    return len(value)


@by_kind.register
def _(value: list):
    return value[0]


def checked(function):
    @functools.wraps(function)
    def inner(*args):
        """Check."""
        return function(*args)

    return inner


def retried(times):
    def around(function):
        def again(*args):
            for _ in range(times * TRIES):
                found = function(*args)
            return found

        return again

    return around


def scaled_by(value, by):
    return value * by


class Plugin:
    kinds = {}

    def __init_subclass__(cls):
        Plugin.kinds[cls.__name__] = cls

    @classmethod
    def make(cls, kind):
        return cls.kinds[kind]() or Sized.__subclasses__()


class Small(Plugin):
    size = 1


class Sized:
    pass


class Large(Sized):
    size = 9
'''
SHAPES = """
from .base import Shape
from .boxes import Box, Circle, Config, Row

__all__ = ["Box", "Circle", "Config", "Row", "Shape"]
"""
BASE = """
import abc

SCALE = 2


class Meta(abc.ABCMeta):
    def __call__(cls, *args, **kwargs):
        return super().__call__(*args, **kwargs)


class Shape(metaclass=Meta):
    sides = 0

    def scaled(self, value):
        return value * self.sides * SCALE
"""
BOXES = """
from collections import namedtuple
from dataclasses import dataclass
from typing import NamedTuple

from . import base
from .base import Shape

Pair = namedtuple("Pair", "left right")


class Box(Shape):
    sides = 4

    def __init__(self, width):
        self.width = width

    @property
    def area(self):
        return self.width**2 + self.edge()

    @staticmethod
    def edge():
        return 1


class Circle(Shape):
    sides = 1

    def __init__(self, radius):
        self.radius = radius


@dataclass
class Config:
    name: str
    limit: int = 10


class Row(NamedTuple):
    left: int
    right: int = 2

    @property
    def total(self):
        return self.left + self.right + len(Pair(1, 2))


Circle.colour = "red"
"""
DEEP = """
from ...shapes import base as ground
from .. import base


def deepest(value):
    return value + base.SCALE
"""
FILES = {
    "pipeline.py": PIPELINE,
    "cleaning.py": CLEANING,
    "words.py": WORDS,
    "settings.py": SETTINGS,
    "finding.py": FINDING,
    "rules.py": RULES,
    "shapes/__init__.py": SHAPES,
    "shapes/base.py": BASE,
    "shapes/boxes.py": BOXES,
    "shapes/inner/__init__.py": "",
    "shapes/inner/deep.py": DEEP.replace("from ...shapes import base as ground\n", ""),
    "extra/__init__.py": "",
    "extra/one.py": "value = 1\n",
    "rates.csv": "a,1\n",
    "notes.txt": "nothing\n",
}
LIBRARIES = {
    "fakelib/__init__.py": (
        "class Frame:\n    pass\n\n\ndef mean(value):\n    return value\n\n\n"
        "def register(name):\n    return lambda cls: cls\n"
    ),
    "lazylib.py": "def median(value):\n    return value\n",
    "plotlib.py": "def use(name):\n    pass\n",
    "fakelib-1.0.dist-info/METADATA": "Name: fakelib\nVersion: 1.0\n",
    "lazylib-1.0.dist-info/METADATA": "Name: lazylib\nVersion: 1.0\n",
    "plotlib-1.0.dist-info/METADATA": "Name: plotlib\nVersion: 1.0\n",
}
STEPS = (
    "load", "clean", "shape", "bind", "guard", "choose", "library", "registered", "plugged", "blind", "dynamic", "alone",
)  # fmt: skip
Edit = tuple[str, str, str, str]
P = "pipeline.py"
EDITS: dict[str, Edit] = {
    # what matters to none
    "comment": (P, "# a comment", "# another comment", ""),
    "comment gone": (P, "    # a comment\n", "", ""),
    "docstring of the module": (P, "The pipeline of late", "A pipeline for late", ""),
    "docstring changed": (P, '"""Near."""', '"""Very near."""', ""),
    "docstring gone": (P, '    """Near."""\n', "", ""),
    "docstring added": (P, "def careful(value):\n", 'def careful(value):\n    """Take one."""\n', ""),
    "docstring of an inner function": ("rules.py", '"""Check."""', '"""Check it all."""', ""),
    "blanks in an expression": (P, "total = value * by", "total = ( value*by )", ""),
    "a line broken": (P, "return plus(value) - minus(value)", "return plus(\n        value,\n    ) - minus(value)", ""),
    "quotes": (P, '"up" if Mode', "'up' if Mode", ""),
    "empty lines": (P, "def unrelated", "\n\n\ndef unrelated", ""),
    "a number written otherwise": (P, "adder(7)", "adder(0x7)", ""),
    "reordering of functions": ("words.py", "", "reverse", ""),
    "unrelated function": (P, "return local", "return -local", ""),
    "renamed local in an unrelated function": (
        P,
        "local = value\n    return local",
        "other = value\n    return other",
        "",
    ),
    "a new function": (P, "def unrelated", "def newcomer(x):\n    return FACTOR\n\n\ndef unrelated", ""),
    "a new import": (P, "import operator", "import operator\nimport json", ""),
    "unused constant": (P, "UNUSED = 5", "UNUSED = 6", ""),
    "a constant hidden by a local": (P, "    OFFSET = value", "    OFFSET = (value)", ""),
    "function of a module that nobody calls": ("words.py", "upper()", "title()", ""),
    "caller of a shared helper": ("cleaning.py", "strip(value) * 2", "strip(value) * 3", ""),
    "option retries": (P, "retries=1", "retries=5, backoff=2.0", ""),
    "option timeout": (P, '@step(timeout="5m")', "@step(no_cache=True, max_age='7d', cpu=2)", ""),
    "options taken away": (P, '@step(timeout="5m")', "@step", ""),
    "the pipeline itself": (P, "return alone(clean(value))", "return clean(alone(value))", ""),
    "annotation of a helper": ("words.py", "def lowered(value)", "def lowered(value: object) -> str", ""),
    "annotation of a local": (P, "    total = value * by", "    total: int = value * by", ""),
    "another file": ("notes.txt", "nothing", "something", ""),
    "a package that is only set up": ("plotlib-1.0.dist-info", "", "plotlib-2.0.dist-info", ""),
    "statement for a library that no step uses": (P, 'plotlib.use("Agg")', 'plotlib.use("SVG")', ""),
    "type alias of what nobody names": ("shapes/__init__.py", '"Row", "Shape"', '"Shape", "Row"', ""),
    "how warnings are shown": (P, 'filterwarnings("ignore")', 'filterwarnings("error")', ""),
    # what matters
    "body": (P, "return sum(rows) +", "return sum(rows) -", "clean"),
    "helper in the same module": (P, "return total + shift", "return total - shift", "clean"),
    "helper in another module": (
        "cleaning.py",
        "if letter in LETTERS",
        "if letter not in LETTERS",
        "clean choose library",
    ),
    "helper of a helper": (
        "words.py",
        "return lowered(value).strip(SPACE)",
        "return lowered(value)",
        "clean choose library",
    ),
    "helper of a helper of a helper": ("words.py", ".lower()", ".casefold()", "clean choose library"),
    "constant": (P, "FACTOR = 3", "FACTOR = 30", "clean"),
    "constant in a map": (P, '"b": [1, 2]', '"b": [1, 3]', "clean"),
    "order of a map": (P, '"a": 1, "b": [1, 2]', '"b": [1, 2], "a": 1', "clean"),
    "constant of a helper's module": ("words.py", 'SPACE = " "', 'SPACE = "_"', "clean choose library"),
    "set of a helper's module": ("cleaning.py", '{"a", "b", "c"}', '{"a", "b", "d"}', "clean choose library"),
    "imported constant": ("settings.py", "LIMITS = (1, 2)", "LIMITS = (2, 2)", "clean blind"),
    "default of a helper": (P, "by: int = FACTOR", "by: int = 9", "clean"),
    "default by keyword of a helper": (P, "shift: int = 0", "shift: int = 1", "clean"),
    "default of the step": (P, 'mode: str = "fast"', 'mode: str = "slow"', "choose"),
    "annotation of the step": (P, "def alone(value: int) -> int", "def alone(value: float) -> int", "alone"),
    "annotation of a function that is handed on": ("cleaning.py", "box: Box | None", "box: object", "choose"),
    "inner function": (P, "return value + amount", "return value - amount", "bind"),
    "value in a closure": (P, "adder(7)", "adder(8)", "bind"),
    "closures exchanged": (P, "plus, minus = adder(7), adder(-7)", "plus, minus = adder(-7), adder(7)", "bind"),
    "argument of a partial": (P, "by=0.5", "by=0.25", "bind"),
    "function of a partial": ("rules.py", "return value * by", "return by * value", "bind"),
    "lambda": (P, "value * 2", "value * 4", "bind"),
    "lambdas on one line exchanged": (
        P,
        "lambda v: v + 8, lambda v: v - 8",
        "lambda v: v - 8, lambda v: v + 8",
        "bind",
    ),
    "value in a class made by a call": (P, "boxed(5)", "boxed(6)", "bind"),
    "lambda that nobody calls": (P, "value * 3  #", "value * 5  #", ""),
    "function of the standard library": (
        P,
        "from math import floor as whole",
        "from math import ceil as whole",
        "bind",
    ),
    "object of the standard library": (P, "operator.itemgetter(0)", "operator.itemgetter(-1)", "bind"),
    "body of a decorator": ("rules.py", "return function(*args)", "return 2 * function(*args)", "guard"),
    "body of a decorator with arguments": ("rules.py", "range(times * TRIES)", "range(times + TRIES)", "guard"),
    "argument of a decorator": (P, "@retried(3)", "@retried(4)", "guard"),
    "decorator taken away": (P, "@checked\n", "", "guard"),
    "order of decorators": (P, "@retried(3)\n@checked", "@checked\n@retried(3)", "guard"),
    "decorated function": (P, "return value - 1", "return value - 2", "guard"),
    "constant of a decorator": ("rules.py", "TRIES = 2", "TRIES = 4", "guard"),
    "cached function": (P, "return value + OFFSET", "return OFFSET - value", "guard"),
    "constant of a cached function": (P, "OFFSET = 4", "OFFSET = 40", "guard"),
    "state of a bound method's object": (P, "CIRCLE = Circle(2)", "CIRCLE = Circle(3)", "guard"),
    "which method is bound": (P, "PICK = CIRCLE.scaled", "PICK = CIRCLE.__init__", "guard"),
    "base class": ("shapes/base.py", "self.sides * SCALE", "self.sides / SCALE", "shape guard"),
    "other base class": ("shapes/boxes.py", "class Box(Shape)", "class Box(object)", "shape"),
    "metaclass": (
        "shapes/base.py",
        "return super().__call__(*args",
        "return 1 and super().__call__(*args",
        "shape guard",
    ),
    "class attribute of a base": ("shapes/base.py", "sides = 0", "sides = 1", "shape guard"),
    "class attribute": ("shapes/boxes.py", "sides = 4", "sides = 5", "shape"),
    "class attribute set later": ("shapes/boxes.py", 'Circle.colour = "red"', 'Circle.colour = "blue"', "guard"),
    "constant of a class's module": ("shapes/base.py", "SCALE = 2", "SCALE = 4", "shape guard"),
    "method": ("shapes/boxes.py", "self.width = width", "self.width = -width", "shape"),
    "property": ("shapes/boxes.py", "self.width**2", "self.width**3", "shape"),
    "static method": ("shapes/boxes.py", "return 1\n", "return 2\n", "shape"),
    "default of a dataclass": ("shapes/boxes.py", "limit: int = 10", "limit: int = 11", "shape"),
    "field of a dataclass": ("shapes/boxes.py", "    name: str\n", "    name: bytes\n", "shape"),
    "default of a named tuple": ("shapes/boxes.py", "right: int = 2", "right: int = 3", "shape"),
    "made named tuple": ("shapes/boxes.py", '"left right")', '"left right", defaults=[1])', "shape"),
    "module of a nested package": ("shapes/inner/deep.py", "value + base", "value - base", "shape"),
    "member of an enum": ("settings.py", 'FAST = "fast"', 'FAST = "quick"', "choose blind"),
    "function in a container": (P, '"up": cleaned', '"up": when', "choose"),
    "functions in a container exchanged": (P, '"up": cleaned, "down": when', '"up": when, "down": cleaned', "choose"),
    "names of imports exchanged": (P, "dated as when, timed as then", "dated as then, timed as when", "choose"),
    "constants of imports exchanged": (
        P,
        "HIGH as upper, LIMITS, LOW as lower",
        "LOW as upper, LIMITS, HIGH as lower",
        "guard",
    ),
    "version of a package": ("fakelib-1.0.dist-info", "", "fakelib-1.1.dist-info", "library"),
    "version of a package imported late": ("lazylib-1.0.dist-info", "", "lazylib-1.1.dist-info", "library"),
    "registered function": ("rules.py", "return value + 1", "return value + 3", "registered"),
    "name of a registered function": ("rules.py", '@register("two")', '@register("three")', "registered"),
    "implementation of a generic function": ("rules.py", "return len(value)", "return -len(value)", "registered"),
    "implementations of a generic function exchanged": (
        "rules.py",
        "len(value)\n\n\n@by_kind.register\ndef _(value: list):\n    return value[0]",
        "value[0]\n\n\n@by_kind.register\ndef _(value: list):\n    return len(value)",
        "registered",
    ),
    "type of a generic function": ("rules.py", "(value: list)", "(value: tuple)", "registered"),
    "subclass that is noted": ("rules.py", "size = 1", "size = 2", "plugged"),
    "subclass that is asked for": ("rules.py", "size = 9", "size = 8", "plugged"),
    "module behind getattr": ("settings.py", "DEPTH = 3", "DEPTH = 4", "blind"),
    "module imported by a computed name": ("extra/one.py", "value = 1", "value = 2", "dynamic"),
    "function put into a library": (P, "Frame.total = cleaned", "Frame.total = when", "library"),
    "class registered at a library": (P, "hours = 1", "hours = 2", "library"),
    "name under which it is registered": (P, 'register("late")', 'register("later")', "library"),
    "function that prepares a library on import": (P, "fakelib.mean(4)", "fakelib.mean(5)", "library"),
    "function that is only called on import": (P, 'len("late")', 'len("later")', ""),
    "data file": ("rates.csv", "a,1", "a,2", "load"),
    "use of a data file": (P, 'uses=[File("rates.csv")]', 'uses=[File("notes.txt")]', "load"),
    "step's name of another function": (P, "def alone(value", "def lone(value", "alone"),
    "setting of the standard library": (P, "random.seed(1)", "random.seed(2)", " ".join(STEPS)),
}


class Project:
    """A project and the libraries that it uses, imported anew whenever its keys are asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "late"
        self.libraries = folder / "site-packages"
        self._asked = 0
        for place, files in ((self.folder, FILES), (self.libraries, LIBRARIES)):
            for name, content in files.items():
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (place / name).write_text(content)

    def codes(self) -> dict[str, tuple[Step[..., object], Code]]:
        self._asked += 1
        with project_code(str(self.folder), f"{self.folder} {self._asked}"):
            module = imported("pipeline.py", str(self.folder))
            territory = Territory(self.folder)
            steps = [one for one in vars(module).values() if isinstance(one, Step)]
            return {STEPS[at]: (one, code_of(one.function, territory)[0]) for at, one in enumerate(steps)}

    def keys(self) -> dict[str, str]:
        return {
            name: digest(code.digest, *(fingerprint(one, self.folder) for one in step.options.externals))
            for name, (step, code) in self.codes().items()
        }

    def edit(self, file: str, old: str, new: str) -> None:
        if file.endswith(".dist-info"):
            (self.libraries / file).rename(self.libraries / new)
            return
        path = self.folder / file
        text = path.read_text()
        if new == "reverse":
            head, *functions = text.split("\n\n\n")
            path.write_text("\n\n\n".join([head, *(one.strip("\n") for one in reversed(functions))]) + "\n")
            return
        assert text.count(old) == 1, f"{old!r} must be there once in {file}"
        path.write_text(text.replace(old, new))

    def undo(self, file: str, new: str) -> None:
        if file.endswith(".dist-info"):
            (self.libraries / new).rename(self.libraries / file)
        else:
            (self.folder / file).write_text(FILES[file])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", True)  # a file edited within its time stamp's grain is read anew
        made = Project(tmp_path_factory.mktemp("mutations"))
        patch.syspath_prepend(str(made.libraries))
        yield made
    forget({str(made.folder)})
    for name in ("fakelib", "lazylib", "plotlib"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def before(project: Project) -> dict[str, str]:
    return project.keys()


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edit_changes_exactly_the_keys_it_should(project: Project, before: dict[str, str], edit: Edit) -> None:
    file, old, new, expected = edit
    project.edit(file, old, new)
    try:
        after = project.keys()
    finally:
        project.undo(file, new)
    assert {name for name in before if after[name] != before[name]} == set(expected.split())


def test_undone_edits_leave_the_keys_as_they_were(project: Project, before: dict[str, str]) -> None:
    assert project.keys() == before


def disturbed(text: str, seed: int) -> str:
    """The same program with comments, blanks, empty and broken lines put in at random."""
    choose = random.Random(seed)
    lines = text.splitlines(keepends=True)
    inserts: list[tuple[int, int, str]] = []
    depth, first = 0, True
    for token in tokenize.generate_tokens(StringIO(text).readline):
        (row, column), word = token.end, token.string
        depth += (word in "([{") - (word in ")]}") if token.type == tokenize.OP else 0
        if token.type == tokenize.OP and word in (",", "=", "+", "*", "(", "[", ")", "]") and choose.random() < 0.2:
            inserts.append((row, column, choose.choice([" ", "  ", "  # note\n   " if depth else " "])))
        elif token.type == tokenize.NEWLINE:
            inserts.append((*token.start, choose.choice(["", "  # note", "   "])))
            first = True
        elif first and token.type not in (tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT):
            inserts.append((token.start[0], 0, choose.choice(["", "\n", "# note\n", "\n\n        # note\n"])))
            first = False
    for row, column, new in sorted(inserts, reverse=True):
        if row <= len(lines):
            lines[row - 1] = lines[row - 1][:column] + new + lines[row - 1][column:]
    return "".join(lines)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), name=st.sampled_from([name for name in FILES if name.endswith(".py")]))
def test_blanks_and_comments_never_change_a_key(project: Project, before: dict[str, str], seed: int, name: str) -> None:
    path = project.folder / name
    path.write_text(disturbed(FILES[name], seed))
    try:
        assert project.keys() == before
    finally:
        path.write_text(FILES[name])


def test_a_reformatted_project_has_the_same_keys(project: Project, before: dict[str, str]) -> None:
    for name in [name for name in FILES if name.endswith(".py")]:
        (project.folder / name).write_text(ast.unparse(ast.parse(FILES[name])))
    try:
        assert project.keys() == before
    finally:
        for name, content in FILES.items():
            (project.folder / name).write_text(content)


def test_another_process_and_another_folder_give_the_same_keys(
    project: Project, before: dict[str, str], tmp_path: Path
) -> None:
    here = {name: code.digest for name, (_, code) in project.codes().items()}
    shutil.copytree(project.folder, tmp_path / "elsewhere")
    asked = (
        "import sys, json; from pathlib import Path; sys.path[:0] = sys.argv[1:]\n"
        "import pipeline; from loopline.usecases.pipelines.identity import Territory, code_of\n"
        "from loopline.usecases.pipelines.steps import Step\n"
        "steps = [one for one in vars(pipeline).values() if isinstance(one, Step)]\n"
        "print(json.dumps([code_of(one.function, Territory(Path(sys.argv[1])))[0].digest for one in steps]))"
    )
    places = [str(tmp_path / "elsewhere"), str(project.libraries)]
    found = subprocess.run(
        [sys.executable, "-c", asked, *places],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert dict(zip(STEPS, json.loads(found.stdout), strict=True)) == here


def test_rekeying_in_a_warm_process_is_quick(project: Project) -> None:
    codes = project.codes()
    territory, took = Territory(project.folder), []
    with project_code(str(project.folder), f"{project.folder} {project._asked}"):
        for _ in range(10):
            began = time.process_time()
            for step, _ in codes.values():
                code_of(step.function, territory)
            took.append((time.process_time() - began) / len(codes))
    assert min(took) < 0.002 * (4 if "coverage" in sys.modules else 1)
