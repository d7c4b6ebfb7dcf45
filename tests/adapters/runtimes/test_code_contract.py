"""Models that are code keep the promises of every format, each in a process of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from loopline import CommandModel, PythonModel
from loopline.adapters.runtimes.command import Command
from loopline.adapters.runtimes.python import Python
from loopline.core.tables import Column, Signature
from loopline.ports.runtime import Runtime
from loopline.testing.contracts.runtimes import Fitted, RuntimeContract

pytestmark = pytest.mark.integration

SIGNATURE = Signature(
    (Column("hour", "integer"), Column("distance", "float", True), Column("carrier", "string", True)),
    Column("late", "float"),
)
HOURS = np.arange(24)
COLUMNS = {
    "hour": HOURS, "distance": np.where(HOURS % 5 == 0, np.nan, HOURS * 100.0),
    "carrier": np.array(["UA", None, "B6", "Ü"] * 6, dtype=object),
}  # fmt: skip
TWICE = """import pandas as pd


class Twice:
    def predict(self, frame: pd.DataFrame):
        frame["hour"] *= 2
        return frame["hour"]
"""


class CodeContract(RuntimeContract):
    """Code knows no signature of its own: what it cannot do with rows, it says when it gets them."""

    def test_a_signature_without_its_columns_is_invalid(self, runtime: Runtime, fitted: Fitted, tmp_path: Path) -> None:
        runtime.save(fitted.model, tmp_path)
        other = Signature((Column("something else", "float"),), fitted.signature.output)
        loaded = runtime.load(tmp_path, other)
        with pytest.raises(ValueError, match=r"KeyError|no numbers"):
            loaded.predict({"something else": np.array(["text"], dtype=object)})


class TestPython(CodeContract):
    @pytest.fixture
    def runtime(self) -> Runtime:
        return Python()

    @pytest.fixture
    def fitted(self, tmp_path_factory: pytest.TempPathFactory) -> Fitted:
        place = tmp_path_factory.mktemp("code") / "twice.py"
        place.write_text(TWICE)
        return Fitted(PythonModel(f"{place}:Twice"), SIGNATURE, COLUMNS, (HOURS * 2.0).tolist())


class TestCommand(CodeContract):
    @pytest.fixture
    def runtime(self) -> Runtime:
        return Command()

    @pytest.fixture
    def fitted(self) -> Fitted:
        model = CommandModel(["python", "program.py"], files=[Path(__file__).with_name("program.py")])
        return Fitted(model, SIGNATURE, COLUMNS, (HOURS * 2.0).tolist())
