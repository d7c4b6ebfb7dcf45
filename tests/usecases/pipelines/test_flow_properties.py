"""Whatever a pipeline is made of, a run gives what plain calls give, and makes each call once."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopline.app.wiring import Loopline
from loopline.testing.factories import installation
from loopline.usecases.pipelines.project import forget

pytestmark = pytest.mark.integration

CODE = """
import os

from loopline import branch, pipeline, step


def noted(*call):
    with open(os.environ["FLOW_CALLS"], "a") as file:
        file.write(repr(call) + "\\n")


@step
def start(k: int) -> int:
    noted("start", k)
    return k


@step
def mix(a: int, b: int, k: int) -> int:
    noted("mix", a, b, k)
    return (3 * a + 5 * b + k) % 97


@step
def spread(a: int, k: int) -> list[int]:
    noted("spread", a, k)
    return [(a + n) % 7 for n in range(k)]


@step
def one(x: int, k: int) -> int:
    noted("one", x, k)
    return x * k


@step
def summed(xs: list[int]) -> int:
    noted("summed", tuple(xs))
    return sum(xs)


@step
def odd(a: int) -> bool:
    noted("odd", a)
    return a % 2 == 1


@pipeline
def inner(a: int, k: int) -> int:
    return mix(a, start(k), 1)


@pipeline
def interpreted(program: list) -> int:
    values = [start(0)]
    for kind, i, j, k in program:
        a, b = values[i % len(values)], values[j % len(values)]
        if kind == "mix":
            values.append(mix(a, b, k))
        elif kind == "map":
            values.append(summed(one.map(over="x", x=spread(a, k), k=k)))
        elif kind == "inner":
            values.append(inner(a, k))
        else:
            values.append(branch(odd(a), lambda b=b, k=k: mix(b, b, k), lambda b=b: start(k)))
    return values[-1]
"""
OPERATION = st.tuples(
    st.sampled_from(["mix", "map", "inner", "branch"]), st.integers(0, 9), st.integers(0, 9), st.integers(0, 4)
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Loopline]]:
    folder = tmp_path_factory.mktemp("properties") / "flow"
    folder.mkdir()
    (folder / "interpreting.py").write_text(CODE)
    notes(folder).write_text("")
    os.environ["FLOW_CALLS"] = str(notes(folder))
    with installation(tmp_path_factory.mktemp("home")) as loopline:
        yield folder, loopline
    forget({str(folder)})
    del os.environ["FLOW_CALLS"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(program=st.lists(OPERATION, max_size=7), again=st.lists(OPERATION, max_size=2))
def test_a_run_gives_what_plain_calls_give_and_makes_each_call_once(
    place: tuple[Path, Loopline], program: list[Any], again: list[Any]
) -> None:
    folder, loopline = place
    for one in (program, program + again, program):
        wanted = plain(folder, one)
        made = calls(folder)
        run = loopline.pipelines.run(
            folder,
            "interpreted",
            {"program": [list(each) for each in one]},
            actor="ann",
            executor="inline",
            file="interpreting.py",
        )
        assert (run.status, run.error) == ("finished", "")
        assert run.outputs == (digest_of(wanted),)
        assert len(calls(folder)) - len(made) == run.count("ran") - len(wholes(run))
        assert len(set(calls(folder))) == len(calls(folder))


def wholes(run: Any) -> list[Any]:
    """Maps that ran: they stand for their calls."""
    parents = {step.part_of for step in run.steps}
    return [step for step in run.steps if step.label in parents and step.status == "ran"]


def module(folder: Path) -> Any:
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module("interpreting")
    finally:
        sys.path.remove(str(folder))


def plain(folder: Path, program: list[Any]) -> int:
    before = calls(folder)
    value: int = module(folder).interpreted([list(each) for each in program])
    notes(folder).write_text("".join(f"{one}\n" for one in before))
    return value


def notes(folder: Path) -> Path:
    return folder.parent / "calls"


def calls(folder: Path) -> list[str]:
    return notes(folder).read_text().splitlines()


def digest_of(value: Any) -> str:
    from blake3 import blake3

    return blake3(str(value).encode()).hexdigest()
