"""Promotion on a real installation: stored models, the ledger, the verbs and the commands."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from loopline.core.tables import Column, Signature
from loopline.shells.cli import run
from loopline.testing.factories import installation

pytestmark = pytest.mark.integration
SIGNATURE = Signature(inputs=(Column("strong", "float"), Column("weak", "float")), output=Column("prediction", "float"))


def frame(seed: int, days: int = 12) -> pa.Table:
    rng = np.random.default_rng(seed)
    count = days * 200
    logit = rng.normal(size=count) * 1.5 - 0.5
    return pa.table(
        {
            "strong": logit + rng.normal(size=count) * 0.5,
            "weak": logit + rng.normal(size=count) * 3,
            "late": (rng.random(count) < 1 / (1 + np.exp(-logit))).astype("int64"),
            "event_time": pa.array(np.repeat(np.arange(days), 200) * 86_400_000, pa.timestamp("ms", tz="UTC")),
            "carrier": np.array(["AA", "B6"])[rng.integers(0, 2, count)],
        }
    )


def registered(loopline: Any, folder: Path, blind_to: str, actor: str = "ada") -> int:
    """A logistic regression that sees only one of the two inputs."""
    from sklearn.linear_model import LogisticRegression

    rows, held_out = frame(0), frame(1)
    inputs = {name: rows[name].to_numpy() * (name != blind_to) for name in ("strong", "weak")}
    model = LogisticRegression().fit(np.column_stack(list(inputs.values())), rows["late"].to_numpy())
    model.coef_[0, ["strong", "weak"].index(blind_to)] = 0.0
    (runtime,) = (one for one in loopline.runtimes.values() if one.accepts(model))
    place = folder / f"model-{blind_to}-{actor}"
    place.mkdir()
    runtime.save(model, place)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, held_out.schema) as writer:
        writer.write_table(held_out)
    version = loopline.registry.register(
        "late",
        loopline.registry.keep(place, runtime.format, SIGNATURE),
        f"{blind_to}-{actor}",
        {"auc": 0.7},
        SIGNATURE,
        loopline.blobs.put(sink.getvalue().to_pybytes()),
        None,
        {"trained_until": "1969-12-31T00:00:00Z"},
        actor,
    )
    return int(version.version)


Shell = Callable[..., tuple[int, Any]]


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    with installation(tmp_path) as loopline:
        registered(loopline, tmp_path, "strong")
        registered(loopline, tmp_path, "weak")

    def loop(*words: str) -> tuple[int, Any]:
        capsys.readouterr()
        code = run([*words, "--home", str(tmp_path / "home"), "--json"])
        out, err = capsys.readouterr()
        return code, json.loads(out) if out.strip() else err

    return loop


def test_a_candidate_passes_its_gate_and_a_worse_one_is_kept_out(shell: Shell) -> None:
    code, gate = shell("gate", "1", "--to", "production")
    assert (code, gate["verdict"], gate["champion"]) == (0, "passed", None)
    assert shell("promote", "late:1", "--to", "production")[1]["promoted"]
    code, gate = shell("gate", "late:2", "--to", "production")
    assert (code, gate["verdict"], gate["champion"]) == (0, "passed", 1)
    assert gate["evidence"]["gain"]["value"] > 0.05
    assert shell("promote", "2", "--to", "production")[0] == 0
    assert shell("gate", "1", "--to", "production")[0] == 1
    code, said = shell("promote", "1", "--to", "production")
    assert (code, "may not become production: its gate failed (gain in auc -0." in said) == (1, True)


def test_promoting_runs_the_gate_when_none_has(shell: Shell) -> None:
    code, standing = shell("promote", "2", "--to", "production")
    assert (code, standing["gate"]["verdict"], standing["promoted"]) == (0, "passed", True)


def test_every_decision_is_a_fact_and_the_ledger_bears_it_out(shell: Shell, tmp_path: Path) -> None:
    for words in (["gate", "1"], ["promote", "1", "--to", "production"], ["promote", "2", "--to", "production"]):
        assert shell(*words)[0] == 0
    with installation(tmp_path) as loopline:
        assert loopline.promotion.rollback("late", "production", "ada", "errors") == 1
        kinds = [fact.kind for fact in loopline.ledger.since(0)]
        promoted = ["gate.decided", "card.written", "alias.moved"]
        assert kinds[-7:] == [*promoted, *promoted, "alias.moved"]
        gate = loopline.promotion.gates("late")[0]
        assert loopline.ledger.about("late/2", ["gate.decided"])[-1].body["gate"] == gate.id
    assert shell("audit", "verify")[0] == 0


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["gate", "late:9"], 3, "no version 9"),
        (["gate", "nothing:1"], 3, "no version 1 of the model 'nothing'"),
        (["gate", "newest"], 2, "names no version"),
        (["promote", "1", "--to", "production", "--no-gate"], 4, "no gate has judged it"),
        (["approve", "1"], 2, "No gate has passed late:1"),
        (["gate", "1", "--to", "a/b"], 2, "cannot be the name of an alias"),
    ],
)
def test_wrong_use_is_one_sentence_with_the_way_out(shell: Shell, words: list[str], code: int, expected: str) -> None:
    found, said = shell(*words)
    assert (found, expected in said) == (code, True), said
