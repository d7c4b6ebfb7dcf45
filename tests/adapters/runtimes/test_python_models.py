"""A Python class as a model: what is kept of it, what is refused, and that its code runs in a process of its own alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loopline import PythonModel
from loopline.adapters.runtimes.python import Made, Python
from loopline.core.errors import Invalid, Refused
from loopline.core.tables import Column, Signature

pytestmark = pytest.mark.integration

SIGNATURE = Signature(
    (Column("hour", "integer"), Column("distance", "float", True), Column("carrier", "string", True)),
    Column("late", "float"),
)
COLUMNS = {
    "hour": np.array([7, 9, 11, 13]),
    "distance": np.array([100.0, np.nan, 300.0, 400.0]),
    "carrier": np.array(["UA", None, "B6", "UA"], dtype=object),
}
FRAME = """
import os
import pandas as pd
from shared.sums import total

class Late:
    def load(self, folder):
        self.factor = float((folder / "factor.txt").read_text())

    def predict(self, frame: pd.DataFrame):
        return total(frame["hour"], frame["distance"].fillna(0.0)) * self.factor + frame["carrier"].isna()
"""


def project(folder: Path, source: str = FRAME) -> Path:
    (folder / "shared").mkdir(parents=True)
    (folder / "shared" / "__init__.py").touch()
    (folder / "shared" / "sums.py").write_text(
        "from . import deeper\n\ndef total(a, b):\n    return deeper.add(a, b)\n"
    )
    (folder / "shared" / "deeper.py").write_text("def add(a, b):\n    return a + b\n")
    (folder / "shared" / "unused.py").write_text("raise RuntimeError\n")
    (folder / "late_model.py").write_text(source)
    (folder / "factor.txt").write_text("2")
    return folder


def saved(model: PythonModel, folder: Path) -> list[str]:
    folder.mkdir()
    Python().save(model, folder)
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def late(folder: Path, source: str = FRAME, **more: Any) -> PythonModel:
    place = project(folder, source)
    return PythonModel(f"{place}/late_model.py:Late", files=[place / "factor.txt"], **more)


def test_its_modules_and_files_are_kept_and_it_predicts_in_another_process(tmp_path: Path) -> None:
    assert saved(late(tmp_path / "project"), tmp_path / "model") == [
        "code/late_model.py", "code/shared/__init__.py", "code/shared/deeper.py", "code/shared/sums.py",
        "files/factor.txt", "python.json",
    ]  # fmt: skip
    loaded = Python().load(tmp_path / "model", SIGNATURE)
    assert loaded.predict(COLUMNS).tolist() == [214.0, 19.0, 622.0, 826.0]
    assert "late_model" not in sys.modules
    loaded.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("note", "what", "answer"),
    [
        ("list[dict]", "[row['distance'] or row['hour'] for row in rows]", [100.0, 9.0, 300.0, 400.0]),
        ("dict", "rows['hour'] * 2", [14.0, 18.0, 22.0, 26.0]),
        ("'pa.Table'", "rows.column('hour').to_pylist()", [7.0, 9.0, 11.0, 13.0]),
        ("pl.DataFrame", "rows['hour'] + 1", [8.0, 10.0, 12.0, 14.0]),
    ],
)
def test_what_predict_gets_follows_from_its_annotation(tmp_path: Path, note: str, what: str, answer: Any) -> None:
    source = f"from __future__ import annotations\n\nclass Late:\n    def predict(self, rows: {note}):\n        return {what}\n"
    saved(late(tmp_path / "project", source), tmp_path / "model")
    loaded = Python().load(tmp_path / "model", SIGNATURE)
    assert loaded.predict(COLUMNS).tolist() == answer


def test_an_error_of_its_code_is_told_and_the_next_batch_is_answered(tmp_path: Path) -> None:
    source = "class Late:\n    def predict(self, rows: list):\n        print('noise')\n        return [1 / (r['hour'] - 7) for r in rows]\n"
    saved(late(tmp_path / "project", source), tmp_path / "model")
    loaded = Python().load(tmp_path / "model", SIGNATURE)
    with pytest.raises(ValueError, match="ZeroDivisionError"):
        loaded.predict(COLUMNS)
    assert loaded.predict({name: values[1:2] for name, values in COLUMNS.items()}).tolist() == [0.5]


def test_a_class_that_cannot_be_loaded_says_why(tmp_path: Path) -> None:
    source = "class Late:\n    def load(self, folder):\n        open(folder / 'nothing')\n    def predict(self, frame):\n        pass\n"
    saved(late(tmp_path / "project", source), tmp_path / "model")
    with pytest.raises(Invalid, match="late_model cannot be loaded"):
        Python().load(tmp_path / "model", SIGNATURE)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("class Other:\n    pass\n", "no class 'Late'"),
        ("class Late:\n    pass\n", "no method predict"),
        ("class Late\n", "is no Python"),
    ],
)
def test_what_is_no_model_is_refused_before_it_is_kept(tmp_path: Path, source: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        saved(late(tmp_path / "project", source), tmp_path / "model")


def test_a_pickle_beside_it_is_refused(tmp_path: Path) -> None:
    place = project(tmp_path / "project")
    (place / "weights.bin").write_bytes(b"\x80\x05\x95....")
    with pytest.raises(Refused, match=r"weights\.bin is a pickle"):
        saved(PythonModel(f"{place}/late_model.py:Late", files=[place / "weights.bin"]), tmp_path / "model")


def test_a_manifest_that_names_nothing_is_refused(tmp_path: Path) -> None:
    saved(late(tmp_path / "project"), tmp_path / "model")
    file = tmp_path / "model" / "python.json"
    for change in ({"module": "os.path;x"}, {"takes": "pickle"}, {"module": "missing"}, {"name": "Nobody"}):
        file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
        with pytest.raises(Invalid):
            Python().inspect({p.relative_to(tmp_path / "model").as_posix(): p for p in (tmp_path / "model").rglob("*")})


class Here:
    """A class of this test."""

    def predict(self, rows: list[Any]) -> list[int]:
        return [row["hour"] for row in rows]


def test_a_class_is_found_by_its_module(tmp_path: Path) -> None:
    kept = saved(PythonModel(Here), tmp_path / "model")
    assert [Path(name).name for name in kept] == ["test_python_models.py", "python.json"]


def test_a_class_in_a_function_is_refused(tmp_path: Path) -> None:
    class Local:
        pass

    with pytest.raises(Invalid, match="inside a function"):
        saved(PythonModel(Local), tmp_path / "other")


def test_descriptions_name_what_cannot_be() -> None:
    with pytest.raises(Invalid, match="cannot take 'csv'"):
        PythonModel(Here, takes="csv")
    with pytest.raises(Invalid, match="no file"):
        PythonModel(Here, files=["nowhere.txt"])


def test_a_model_that_calls_exit_fails_its_row_and_ends_nothing() -> None:
    class Leaves:
        def predict(self, rows: Any) -> Any:
            raise SystemExit(3)

    with pytest.raises(RuntimeError, match=r"called exit\(3\)"):
        Made(Leaves(), lambda columns: columns).predict({"x": [1.0]})
