"""What the core weighs: packages, megabytes, the time until a command answers."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution

import pytest
from packaging.requirements import Requirement

DATA_STACK = {"numpy", "pyarrow", "duckdb"}
HEAVY = (
    "sqlalchemy",
    "alembic",
    "pyarrow",
    "duckdb",
    "numpy",
    "pandas",
    "sklearn",
    "rich",
    "cryptography",
    "starlette",
    "uvicorn",
)


def core() -> dict[str, Distribution]:
    """Every distribution that `pip install loopline` brings besides the data stack."""
    found: dict[str, Distribution] = {}
    waiting = ["loopline"]
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in found or name in DATA_STACK:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:  # another platform's
            continue
        waiting += list(needed(found[name]))
    return found


def needed(dist: Distribution) -> Iterator[str]:
    for text in dist.requires or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement.name


def size(dist: Distribution) -> int:
    places = (file.locate() for file in dist.files or () if "__pycache__" not in str(file))
    return sum(os.path.getsize(place) for place in places if os.path.exists(place))


def cpu_ms(*arguments: str) -> float:
    """User and system milliseconds of the quickest of seven runs; byte code is there after the first."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    least = float("inf")
    for _ in range(7):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        least = min(least, 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
    return least


@pytest.mark.unit
def test_the_core_is_small() -> None:
    found = core()
    assert {"loopline", "msgspec", "click"} <= found.keys()
    assert len(found) <= 27, sorted(found)
    assert sum(size(dist) for dist in found.values()) <= 90e6


@pytest.mark.integration
def test_import_and_help_are_instant() -> None:
    bare = cpu_ms("-c", "pass")
    assert cpu_ms("-c", "import loopline") - bare <= 60
    assert cpu_ms("-m", "loopline", "--help") <= 150


@pytest.mark.unit
@pytest.mark.parametrize(
    ("what", "allowed"),
    [
        ("import loopline", ()),
        ("import loopline.shells.cli.group", ()),
        ("import loopline.shells.supervisor", ()),
        ("import loopline.shells.dataplane.__main__", ()),
        ("import loopline.shells.worker.__main__", ()),
        ("import loopline.shells.rpc.__main__", ()),
        ("from loopline import endpoint", ()),
        ("import loopline.shells.http.control", ("starlette",)),
        ("from loopline import step, pipeline, Dataset, Model, Contract, run", ()),
    ],
)
def test_what_starts_often_imports_little(what: str, allowed: tuple[str, ...]) -> None:
    code = f"{what}\nimport sys\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True)
    assert set(eval(done.stdout)) <= set(allowed)


@pytest.mark.unit
def test_nothing_on_the_way_of_a_request_loads_pickles_or_user_code() -> None:
    """The server's processes never import a model library or what could unpickle."""
    code = (
        "import loopline.shells.http.control, loopline.shells.dataplane.__main__, sys\n"
        "print([name for name in ('sklearn', 'skops', 'joblib', 'cloudpickle', 'pandas') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"
