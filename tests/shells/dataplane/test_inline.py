"""Predicting in the router itself: only what holds no code, only what takes no time, and never unproven."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dataplane_router import Router

from loopline.core.errors import LooplineError
from loopline.core.tables import Column, Signature
from loopline.shells.dataplane.inline import loaded
from loopline.usecases.serving.records.columns import made_up, pack

SIGNATURE = Signature((Column("a", "float"), Column("b", "float", True)), Column("late", "float"))
ROWS = np.random.default_rng(3).normal(size=(200, 2))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fitted model, saved as skops."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    from loopline.app.wiring import runtimes

    folder = tmp_path_factory.mktemp("model")
    model = HistGradientBoostingClassifier(max_iter=5).fit(ROWS, ROWS[:, 0] > 0)
    runtimes()["sklearn-skops"].save(model, folder)
    return folder


@pytest.mark.unit
def test_an_engines_bytes_predict_as_the_library_does(saved: Path) -> None:
    from loopline.adapters.engines.tables import Tables
    from loopline.app.wiring import runtimes

    source: Any = runtimes()["sklearn-skops"].load(saved, SIGNATURE)
    content = Tables().compile(source, SIGNATURE)
    assert content is not None
    inline = loaded("tables", content, SIGNATURE, made_up(SIGNATURE))
    assert inline.most_rows >= 1
    packed = [pack("d", ROWS[:, place].tolist()) for place in (0, 1)]
    found, faults = inline.predict(packed)
    assert faults == []
    np.testing.assert_allclose(np.frombuffer(found), source.predict({"a": ROWS[:, 0], "b": ROWS[:, 1]}), atol=1e-9)
    with pytest.raises(LooplineError, match="damaged"):
        loaded("tables", content[:-9], SIGNATURE, made_up(SIGNATURE))


@pytest.mark.unit
def test_other_engines_are_not_run_here() -> None:
    with pytest.raises(LooplineError, match="'onnx' runs in a process of its own"):
        loaded("onnx", b"", SIGNATURE, made_up(SIGNATURE))


@pytest.mark.integration
def test_what_cannot_run_here_runs_in_its_process(live: Router) -> None:
    live.serving.configure("late", {"mode": "inline"}, "tester")
    live.until(lambda: "runs in a process, not inline: no engine was kept" in live.log_text())
    assert live.predict()[1]["predictions"] == [107.5]
    assert 'loopline_model_inline{endpoint="late",revision="1"} 0' in live.ask("GET", "/metrics")[1]


@pytest.fixture
def inline(tmp_path: Path, saved: Path) -> Iterator[Router]:
    """A router on an installation with that model, live at `late` in the mode inline."""
    from loopline.app.wiring import open_home

    router = Router(tmp_path / "home", [])
    router.opened.close()
    router.opened = open_home(tmp_path / "home")
    router.serving = router.opened.serving
    digest = router.opened.registry.keep(saved, "sklearn-skops", SIGNATURE)
    router.opened.registry.register("flights", digest, "tester", {}, None, None, None, {}, "tester")
    router.serving.put("late", "flights", "tester")
    router.serving.configure("late", {"mode": "inline"}, "tester")
    router.start("--installation", "loopline.app.wiring:open_home")
    made = router.serving.deploy("late", 1, "tester", "flights")
    router.serving.wait("late", made.revision, 60)
    yield router
    router.close()


@pytest.mark.integration
def test_the_router_predicts_itself_and_logs_as_ever(inline: Router) -> None:
    assert 'loopline_model_inline{endpoint="late",revision="1"} 1' in inline.ask("GET", "/metrics")[1]
    rows = [{"a": float(a), "b": float(b)} for a, b in ROWS[:20]]
    one_by_one = [inline.predict(row)[1]["predictions"][0] for row in rows]
    status, together = inline.predict(*rows)
    assert (status, together["predictions"]) == (200, pytest.approx(one_by_one))
    status, many = inline.predict(*(rows * 400))
    assert (status, len(many["predictions"])) == (200, 8000)
    assert many["predictions"][:20] == pytest.approx(one_by_one)
    assert inline.logged(at_least=8040).num_rows == 8040
