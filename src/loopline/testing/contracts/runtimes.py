"""What every model format must prove. Subclass `RuntimeContract` and give it fixtures `runtime`, `fitted`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from loopline.core.errors import Invalid, Refused
from loopline.core.tables import Signature
from loopline.ports.runtime import Runtime


@dataclass(frozen=True)
class Fitted:
    """A fitted model, its signature, rows for it as columns, and what it must predict for them."""

    model: Any
    signature: Signature
    columns: Mapping[str, Any]
    expected: Any


class RuntimeContract:
    """The guarantees of `ports.runtime.Runtime`."""

    def test_accepts_its_own_models_and_no_other_object(self, runtime: Runtime, fitted: Fitted) -> None:
        assert runtime.accepts(fitted.model)
        assert not any(runtime.accepts(other) for other in (None, "model", {}, object()))

    def test_a_model_read_back_predicts_the_same(self, runtime: Runtime, fitted: Fitted, tmp_path: Path) -> None:
        runtime.save(fitted.model, tmp_path)
        loaded = runtime.load(tmp_path, fitted.signature)
        assert loaded.predict(fitted.columns).tolist() == list(fitted.expected)

    def test_one_row_gets_the_prediction_that_it_gets_among_many(
        self, runtime: Runtime, fitted: Fitted, tmp_path: Path
    ) -> None:
        runtime.save(fitted.model, tmp_path)
        loaded = runtime.load(tmp_path, fitted.signature)
        third = {name: values[3:4] for name, values in fitted.columns.items()}
        assert loaded.predict(third).tolist() == [fitted.expected[3]]

    def test_the_folder_may_move(self, runtime: Runtime, fitted: Fitted, tmp_path: Path) -> None:
        (tmp_path / "there").mkdir()
        runtime.save(fitted.model, tmp_path / "there")
        shutil.move(tmp_path / "there", tmp_path / "here")
        loaded = runtime.load(tmp_path / "here", fitted.signature)
        assert loaded.predict(fitted.columns).tolist() == list(fitted.expected)

    def test_the_same_model_gives_the_same_bytes(self, runtime: Runtime, fitted: Fitted, tmp_path: Path) -> None:
        written = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            runtime.save(fitted.model, tmp_path / name)
            written.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
        assert written[0] == written[1]

    def test_a_truncated_file_is_refused(self, runtime: Runtime, fitted: Fitted, tmp_path: Path) -> None:
        runtime.save(fitted.model, tmp_path)
        for path in tmp_path.iterdir():
            path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
        with pytest.raises((Invalid, Refused)):
            runtime.load(tmp_path, fitted.signature)

    def test_an_empty_folder_is_refused(self, runtime: Runtime, fitted: Fitted, tmp_path: Path) -> None:
        with pytest.raises(Invalid):
            runtime.load(tmp_path, fitted.signature)
