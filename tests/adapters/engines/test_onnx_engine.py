"""The engine that runs a model as an ONNX graph: for forms that the tables do not know, and checked before it is run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from loopline.adapters.engines import engines
from loopline.adapters.runtimes import RUNTIMES
from loopline.adapters.runtimes.skops import Estimator
from loopline.core.errors import Invalid, Refused
from loopline.core.tables import Column, Signature
from loopline.ports.engine import UnknownForm

pytestmark = pytest.mark.integration
ENGINES = engines(RUNTIMES)
ROWS = np.random.default_rng(2).normal(size=(200, 3))
TAKEN = Signature(tuple(Column(name, "float") for name in "abc"), Column("y", "float"))
GIVEN = {name: np.ascontiguousarray(ROWS[:, place]) for place, name in enumerate("abc")}


def source() -> Any:
    return Estimator(make_pipeline(Normalizer(), Ridge()).fit(ROWS, ROWS[:, 0] * 2), TAKEN)


def compiled() -> bytes:
    return ENGINES["onnx"].compile(source(), TAKEN)


def test_it_answers_what_the_library_answers_within_its_tolerance() -> None:
    with pytest.raises(UnknownForm, match="the transformer Normalizer"):
        ENGINES["tables"].compile(source(), TAKEN)
    ready = ENGINES["onnx"].load(compiled(), TAKEN)
    assert np.allclose(ready.predict(GIVEN), source().predict(GIVEN), rtol=ready.tolerance)


def test_other_content_is_refused() -> None:
    content = compiled()
    for forged in (b"", b"no graph", content[: len(content) // 2]):
        with pytest.raises((Invalid, Refused)):
            ENGINES["onnx"].load(forged, TAKEN)


def test_a_model_of_another_library_is_left_to_others() -> None:
    class Odd:
        model = object()

    with pytest.raises(UnknownForm):
        ENGINES["onnx"].compile(Odd(), TAKEN)  # type: ignore[arg-type]


def test_a_graph_needs_no_scikit_learn(tmp_path: Path) -> None:
    (tmp_path / "content").write_bytes(compiled())
    script = f"""
import sys
from pathlib import Path
import numpy as np
from loopline.adapters.engines import engines
from loopline.adapters.runtimes import RUNTIMES
from loopline.core.tables import Column, Signature
ready = engines(RUNTIMES)["onnx"].load(Path({str(tmp_path / "content")!r}).read_bytes(), {TAKEN!r})
assert len(ready.predict({{name: np.array([1.0]) for name in "abc"}})) == 1
assert not {{"sklearn", "scipy", "skops", "skl2onnx", "pandas"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
