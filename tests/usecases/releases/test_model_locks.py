"""A version knows the lock that its step ran with."""

from __future__ import annotations

import pytest

from loopline.usecases.releases import resolving

pytestmark = pytest.mark.integration

PIPELINE = """from loopline import Column, Model, PythonModel, Signature, pipeline, step


class Late:
    def predict(self, rows: list):
        return [row["hour"] for row in rows]


@step(lock="locks/old/requirements.lock")
def train() -> Model:
    signature = Signature((Column("hour", "float"),), Column("late", "float"))
    return Model(PythonModel(Late), signature=signature, name="late")


@pipeline
def training():
    return train()
"""


def test_a_version_carries_the_lock_of_its_step(home, tmp_path, monkeypatch):
    few = ("msgspec", "blake3", "packaging")
    monkeypatch.setattr(resolving, "own_requirements", lambda extras: iter(few))
    folder, old = tmp_path / "mixed", tmp_path / "mixed" / "locks" / "old"
    old.mkdir(parents=True)
    (old / "pyproject.toml").write_text('[project]\ndependencies = ["loopline", "iniconfig==2.0.0"]\n')
    (folder / "pipeline.py").write_text(PIPELINE)
    home.releases.lock(old)
    text = (old / "requirements.lock").read_bytes()
    run = home.pipelines.run(folder, "training", actor="ada")
    assert (run.error, run.model, run.version) == ("", "late", 1)
    assert home.registry.version("late", 1).format == "python"
    assert home.registry.lock_of("late", 1) == text
    again = home.pipelines.run(folder, "training", actor="ada")
    assert again.version == 1
