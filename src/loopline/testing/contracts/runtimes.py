"""What every model format must prove. Subclass `RuntimeContract`, or `DataContract` for a format whose files are plain
data, and give it fixtures `runtime`, `fitted`."""

from __future__ import annotations

import os
import pickle
import shutil
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from loopline.core.errors import Invalid, Refused
from loopline.core.tables import Column, Signature
from loopline.ports.runtime import Runtime


@dataclass(frozen=True)
class Fitted:
    """A fitted model, its signature, rows for it as columns, and what it must predict for them. `within`: by which share a
    row alone may differ from itself among many, for libraries that add up in another order then."""

    model: Any
    signature: Signature
    columns: Mapping[str, Any]
    expected: Any
    within: float = 0.0


class RuntimeContract:
    """The guarantees of `ports.runtime.Runtime`."""

    def test_accepts_its_own_models_and_no_other_object(self, runtime: Runtime, fitted: Fitted) -> None:
        assert runtime.accepts(fitted.model)
        assert not any(runtime.accepts(other) for other in (None, "model", {}, object()))

    def test_a_model_read_back_predicts_the_same(self, runtime: Runtime, fitted: Fitted, tmp_path: Path) -> None:
        runtime.save(fitted.model, tmp_path)
        loaded = runtime.load(tmp_path, fitted.signature)
        assert loaded.predict(fitted.columns).tolist() == list(fitted.expected)

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
            written.append({file: path.read_bytes() for file, path in inside(tmp_path / name).items()})
        assert written[0] == written[1]

    def test_a_truncated_file_is_refused(self, runtime: Runtime, fitted: Fitted, tmp_path: Path) -> None:
        runtime.save(fitted.model, tmp_path)
        for path in inside(tmp_path).values():
            path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
        with pytest.raises((Invalid, Refused)):
            runtime.load(tmp_path, fitted.signature)

    def test_an_empty_folder_is_refused(self, runtime: Runtime, fitted: Fitted, tmp_path: Path) -> None:
        with pytest.raises(Invalid):
            runtime.load(tmp_path, fitted.signature)

    def test_every_row_alone_gets_what_it_gets_among_many(
        self, runtime: Runtime, fitted: Fitted, tmp_path: Path
    ) -> None:
        runtime.save(fitted.model, tmp_path)
        loaded = runtime.load(tmp_path, fitted.signature)
        alone = [
            loaded.predict({name: values[row : row + 1] for name, values in fitted.columns.items()}).tolist()[0]
            for row in range(20)
        ]
        wanted = list(fitted.expected[:20])
        assert alone == (pytest.approx(wanted, rel=fitted.within, abs=0.0) if fitted.within else wanted)

    def test_several_threads_get_the_same(self, runtime: Runtime, fitted: Fitted, tmp_path: Path) -> None:
        runtime.save(fitted.model, tmp_path)
        loaded = runtime.load(tmp_path, fitted.signature)
        with ThreadPoolExecutor(4) as pool:
            found = [pool.submit(loaded.predict, fitted.columns) for _ in range(12)]
            assert all(one.result().tolist() == list(fitted.expected) for one in found)

    def test_the_columns_that_it_was_given_stay_as_they_were(
        self, runtime: Runtime, fitted: Fitted, tmp_path: Path
    ) -> None:
        runtime.save(fitted.model, tmp_path)
        given = {name: values.copy() for name, values in fitted.columns.items()}
        for values in given.values():
            values.flags.writeable = False  # as those that come from a request
        runtime.load(tmp_path, fitted.signature).predict(given)
        for name, values in given.items():
            assert repr(values.tolist()) == repr(fitted.columns[name].tolist())

    def test_inspecting_good_files_tells_how_many_classes(
        self, runtime: Runtime, fitted: Fitted, tmp_path: Path
    ) -> None:
        runtime.save(fitted.model, tmp_path)
        found = runtime.inspect(inside(tmp_path))
        assert found is None or found == len(getattr(fitted.model, "classes_", range(found)))

    def test_a_signature_without_its_columns_is_invalid(self, runtime: Runtime, fitted: Fitted, tmp_path: Path) -> None:
        runtime.save(fitted.model, tmp_path)
        other = Signature((Column("something else", "float"),), fitted.signature.output)
        if len(fitted.signature.inputs) > 1:
            with pytest.raises(Invalid):
                runtime.load(tmp_path, other)

    def test_inspecting_nothing_is_invalid(self, runtime: Runtime) -> None:
        with pytest.raises(Invalid):
            runtime.inspect({})


class DataContract(RuntimeContract):
    """For formats whose files are plain data: whatever lies in them, it is refused before anything is built of it, and
    nothing in it runs."""

    @pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9])
    def test_a_file_that_ends_too_early_is_refused_by_inspecting_it(
        self, runtime: Runtime, fitted: Fitted, tmp_path: Path, share: float
    ) -> None:
        runtime.save(fitted.model, tmp_path)
        for path in inside(tmp_path).values():
            whole = path.read_bytes()
            path.write_bytes(whole[: int(len(whole) * share)])
            refused(runtime, fitted, tmp_path)
            path.write_bytes(whole)
        runtime.load(tmp_path, fitted.signature)

    @pytest.mark.parametrize("kind", ["noise", "text", "pickle", "archive", "bomb", "lengths"])
    def test_something_else_in_a_file_is_refused_and_nothing_runs(
        self, runtime: Runtime, fitted: Fitted, tmp_path: Path, kind: str
    ) -> None:
        folder = tmp_path / "model"
        folder.mkdir()
        runtime.save(fitted.model, folder)
        for path in inside(folder).values():
            whole = path.read_bytes()
            path.write_bytes(hostile(kind, tmp_path))
            refused(runtime, fitted, folder)
            path.write_bytes(whole)
        assert not (tmp_path / "sprung").exists()

    def test_what_comes_after_the_end_is_refused_or_changes_nothing(
        self, runtime: Runtime, fitted: Fitted, tmp_path: Path
    ) -> None:
        runtime.save(fitted.model, tmp_path)
        for path in inside(tmp_path).values():
            path.write_bytes(path.read_bytes() + trap(tmp_path / "sprung"))
        try:
            found = runtime.load(tmp_path, fitted.signature).predict(fitted.columns).tolist()
        except (Invalid, Refused):
            found = list(fitted.expected)
        assert found == list(fitted.expected)
        assert not (tmp_path / "sprung").exists()


def inside(folder: Path) -> dict[str, Path]:
    """The files of a folder by name."""
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}


def refused(runtime: Runtime, fitted: Fitted, folder: Path) -> None:
    """Neither looked at nor loaded."""
    with pytest.raises((Invalid, Refused)):
        runtime.inspect(inside(folder))
    with pytest.raises((Invalid, Refused)):
        runtime.load(folder, fitted.signature)


def trap(mark: Path) -> bytes:
    """A pickle that makes the folder `mark` when it is loaded."""

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(mark),)

    return pickle.dumps(Trap())


def hostile(kind: str, folder: Path) -> bytes:
    """What a file of a model should not be."""
    if kind == "pickle":
        return trap(folder / "sprung")
    if kind in ("archive", "bomb"):
        target = folder / "archive.zip"
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("../../sprung", b"\0" * (20_000_000 if kind == "bomb" else 10))
        return target.read_bytes()
    return {"noise": bytes(range(256)) * 40, "text": b"[]", "lengths": b"\xff" * 4096}[kind]
