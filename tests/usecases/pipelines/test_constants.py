"""Values that a pipeline's body makes itself: part of the plan while they are small, refused when they are large."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loopline.core.errors import Invalid
from loopline.testing.factories import installation
from loopline.usecases.pipelines.project import forget

pytestmark = pytest.mark.integration
CODE = """
from loopline import pipeline, step


@step
def total(numbers: list) -> int:
    return sum(numbers)


@step
def length(content: bytes) -> int:
    return len(content)


@pipeline
def numbers(n: int) -> int:
    return total(list(range(n)))


@pipeline
def content(n: int) -> int:
    return length(b"x" * n)
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "pipeline.py").write_text(CODE)
    with installation(tmp_path) as loopline:
        yield (
            lambda name, n: (
                loopline.pipelines.run(tmp_path / "made", name, {"n": n}, actor="ada", executor="inline").status
            )
        )
    forget({str(tmp_path / "made")})


@pytest.mark.parametrize(("name", "n"), [("numbers", 10), ("numbers", 3000), ("content", 4000)])
def test_a_value_of_some_size_is_handed_on(run: Any, name: str, n: int) -> None:
    assert run(name, n) == "finished"


@pytest.mark.parametrize(("name", "n"), [("numbers", 30_000), ("content", 5000)])
def test_a_large_one_is_refused_and_nothing_is_written_anywhere(run: Any, name: str, n: int) -> None:
    with pytest.raises(Invalid, match="too large to be part of the pipeline itself"):
        run(name, n)
    assert not Path("/nonexistent").exists()
