"""Versions that MLflow's clients register: kept whole, loaded only when they are plain data, from sources that are theirs."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from loopline.app.wiring import Loopline, audit
from loopline.core.errors import Invalid, NotFound, Refused
from loopline.core.tables import Column, Signature
from loopline.testing.factories import installation
from loopline.usecases.registry import flavors
from loopline.usecases.registry.model import NO_SIGNATURE

pytestmark = pytest.mark.integration
TWO = [{"type": "double", "name": "a", "required": True}, {"type": "long", "name": "b", "required": False}]
OUT = [{"type": "long", "required": True}]
MLMODEL = """\
flavors:
  python_function: {{env: {{conda: conda.yaml}}, loader_module: {loader}, model_path: model.skops}}
  sklearn: {{code: {code}, pickled_model: model.skops, serialization_format: {kind}, sklearn_version: 1.0.0}}
mlflow_version: 3.17.2
signature: {signature}
"""


@pytest.fixture(scope="module")
def loopline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopline]:
    with installation(tmp_path_factory.mktemp("arriving")) as opened:
        opened.registry.create("late", actor="ada")
        yield opened


@pytest.fixture(scope="module")
def skops(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A logistic regression on two columns as the file that clients send."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    from loopline.adapters.runtimes import RUNTIMES

    folder = tmp_path_factory.mktemp("skops")
    x = np.arange(20.0).reshape(10, 2)
    RUNTIMES["sklearn-skops"].save(LogisticRegression().fit(x, (x[:, 0] > 9).astype(int)), folder)
    return (folder / "model.skops").read_bytes()


def described(
    inputs: Any = TWO, outputs: Any = OUT, loader: str = "mlflow.sklearn", code: str = "null", kind: str = "skops"
) -> bytes:
    sides = {"inputs": inputs, "outputs": outputs}
    signature = {name: msgspec.json.encode(side).decode() for name, side in sides.items() if side is not None}
    written = msgspec.json.encode(signature).decode() if signature else "null"
    return MLMODEL.format(loader=loader, code=code, kind=kind, signature=written).encode()


def logged(loopline: Loopline, files: dict[str, bytes]) -> tuple[str, str]:
    """A run with a logged model of these files."""
    run = loopline.tracking.start("r", actor="ada").id
    found = loopline.tracking.create_model(0, "m", actor="ada", source_run_id=run)
    for name, content in files.items():
        loopline.tracking.put_bytes(found.id, name, content)
    return run, found.id


def arrive(loopline: Loopline, files: dict[str, bytes], **fields: Any) -> Any:
    _, model_id = logged(loopline, files)
    return loopline.registry.arrive("late", f"models:/{model_id}", model_id=model_id, actor="ada", **fields)


def test_plain_data_is_loaded_and_predicts(loopline: Loopline, skops: bytes) -> None:
    version = arrive(loopline, {"MLmodel": described(), "model.skops": skops, "größe.txt": b"x"})
    assert version.servable
    assert (version.format, version.metadata["sklearn_version"]) == ("sklearn-skops", "1.0.0")
    assert version.signature == Signature(
        (Column("a", "float"), Column("b", "integer", nullable=True)), Column("prediction", "float")
    )
    import numpy as np

    answer = loopline.registry.load("late", version.version).predict(
        {"a": np.array([0.0, 18.0]), "b": np.array([1, 19])}
    )
    assert answer.round().tolist() == [0.0, 1.0]
    assert sorted(loopline.registry.files_of("late", version.version)) == ["MLmodel", "größe.txt", "model.skops"]
    [fact] = loopline.ledger.about(f"late/{version.version}")
    assert (fact.kind, fact.body["digest"], fact.body["servable"]) == ("model.version_registered", version.digest, True)


def test_the_files_of_a_version_stay_when_those_of_the_model_change(loopline: Loopline, skops: bytes) -> None:
    version = arrive(loopline, {"MLmodel": described(), "model.skops": skops})
    loopline.tracking.put_bytes(version.model_id, "MLmodel", b"other")
    loopline.tracking.delete_model(version.model_id, "ada")
    address = loopline.registry.download_address("late", version.version)
    place = loopline.tracking.address(address)
    assert loopline.tracking.content(loopline.tracking.file(place.owner, "MLmodel").digest, 10_000) == described()
    again = loopline.registry.arrive("late", f"models:/late/{version.version}", actor="ada")
    assert (again.digest, again.source) == (version.digest, f"models:/late/{version.version}")
    for number in (version.version, again.version):
        assert loopline.tracking.files(place.owner)
        loopline.registry.delete_version("late", number, "ada")
    assert loopline.tracking.files(place.owner) == []


def test_its_logged_model_knows_the_version_and_gives_its_metrics(loopline: Loopline) -> None:
    _, model_id = logged(loopline, {"MLmodel": described()})
    row = {"model_id": model_id, "key": "auc", "at_ms": 1, "step": 0, "value": 0.5, "is_nan": 0, "run_id": "r"}
    rows = [{**row, "dataset_name": "", "dataset_digest": ""}]
    loopline.get("database").write(lambda tx: loopline.tracking.add_metrics_in(tx, rows))
    version = loopline.registry.arrive("late", f"models:/{model_id}", model_id=model_id, actor="ada")
    assert version.metrics == {"auc": 0.5}
    told = msgspec.json.decode(loopline.tracking.logged_model(model_id).tags["mlflow.modelVersions"])
    assert told == [{"name": "late", "version": str(version.version)}]


SKOPS = "model.skops"
UNSAFE = {
    "cloudpickle": ({"MLmodel": described(kind="cloudpickle")}, "cloudpickle"),
    "code": ({"MLmodel": described(code="code")}, "code of its own"),
    "loader": ({"MLmodel": described(loader="mine")}, "module of its own"),
    "a pickle beside": ({"MLmodel": described(), "x.bin": pickle.dumps({})}, "pickle"),
    "a pickle by name": ({"MLmodel": described(), "x.pkl": b"x"}, "pickle"),
    "no signature": ({"MLmodel": described(None, None)}, "no signature"),
    "no outputs": ({"MLmodel": described(outputs=None)}, "what it gives"),
    "times": ({"MLmodel": described(outputs=[{"type": "datetime"}])}, "times"),
    "two outputs": ({"MLmodel": described(outputs=OUT * 2)}, "2 columns"),
    "an image": (
        {"MLmodel": described([{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2, 2]}}])},
        "no table",
    ),
    "binary": ({"MLmodel": described([{"type": "binary", "name": "a"}])}, "binary"),
    "doubled": ({"MLmodel": described([TWO[0], TWO[0]])}, "twice"),
    "a list": ({"MLmodel": b"- 1"}, "no description"),
    "no yaml": ({"MLmodel": b"a: [", SKOPS: b""}, "cannot be read"),
    "no text": ({"MLmodel": b"\xff\xfe"}, "cannot be read"),
    "a tag": ({"MLmodel": b"!!python/object/apply:os.system ['true']"}, "cannot be read"),
    "large": ({"MLmodel": b"#" * (flavors.LARGEST_DESCRIPTION + 1)}, "too large"),
    "another flavor": (
        {
            "MLmodel": b'flavors: {prophet: {}}\nsignature: {inputs: \'[{"type": "double"}]\', outputs: \'[{"type": "double"}]\'}'
        },
        "prophet",
    ),
    "odd flavors": ({"MLmodel": b"flavors: [1]"}, "no signature"),
    "nothing": ({"x": b""}, "no MLmodel"),
    "a broken file": ({"MLmodel": described(), SKOPS: b"PK broken"}, "no readable model file"),
    "a lost file": ({"MLmodel": described(), SKOPS: None}, "which is not there"),
}


@pytest.mark.parametrize("case", UNSAFE)
def test_anything_else_is_kept_and_never_loaded(loopline: Loopline, skops: bytes, case: str) -> None:
    files, reason = UNSAFE[case]
    given = {name: content for name, content in {SKOPS: skops, **files}.items() if content is not None}
    version = arrive(loopline, given)
    assert not version.servable
    assert reason in version.metadata["not_servable"]
    assert sorted(loopline.registry.files_of("late", version.version)) == sorted(given)
    with pytest.raises(Refused, match="never loaded"):
        loopline.registry.load("late", version.version)


def test_a_type_that_is_not_on_the_list_is_found_by_looking(loopline: Loopline, tmp_path: Path) -> None:
    import numpy as np
    import skops.io
    from sklearn.neighbors import RadiusNeighborsClassifier

    skops.io.dump(RadiusNeighborsClassifier().fit(np.arange(20.0).reshape(10, 2), [0, 1] * 5), tmp_path / "m")
    version = arrive(loopline, {"MLmodel": described(), "model.skops": (tmp_path / "m").read_bytes()})
    assert not version.servable
    assert "not on the list" in version.metadata["not_servable"]


def test_an_array_becomes_columns_named_as_scikit_learn_names_them(loopline: Loopline, skops: bytes) -> None:
    array = [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]
    one = [{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]
    version = arrive(loopline, {"MLmodel": described(array, one), "model.skops": skops})
    assert version.servable
    assert version.signature == Signature((Column("x0", "float"), Column("x1", "float")), Column("prediction", "float"))


def test_sources_of_runs_and_places_elsewhere(loopline: Loopline) -> None:
    run, _ = logged(loopline, {})
    loopline.tracking.put_bytes(run, "deep/model/MLmodel", described())
    for source in (
        f"runs:/{run}/deep/model",
        f"mlflow-artifacts:/0/{run}/artifacts/deep/model",
        f"http://127.0.0.1:1/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/deep/model/",
    ):
        version = loopline.registry.arrive("late", source, run_id=run, actor="ada")
        assert (list(loopline.registry.files_of("late", version.version)), version.source) == (["MLmodel"], source)
    elsewhere = loopline.registry.arrive("late", "s3://bucket/model", run_id="unknown", actor="ada")
    assert elsewhere.signature == NO_SIGNATURE
    assert "not kept here" in elsewhere.metadata["not_servable"]
    assert loopline.registry.download_address("late", elsewhere.version) == "s3://bucket/model"
    with pytest.raises(NotFound):
        loopline.registry.arrive("nothing", "s3://bucket/model", actor="ada")


@pytest.mark.parametrize(
    "source",
    [
        "",
        "/etc/passwd",
        "file:///etc/passwd",
        "relative/path",
        "C:\\x",
        "s3://b/../x",
        "s3://b/%2e%2e/x",
        "s3://b/..%252fx",
        "s3://b/x?a=..",
        "s3://b/\0",
        "s3://b/%00x",
        "s3://[b/x",
        "models:/m-00000000000000000000000000000000",
        "models:/late/999",
        "models:/late@nowhere",
        "models:/nothing/1",
        "models://other/late/1",
        "models:/",
        "runs:/RUN/x",
        "mlflow-artifacts:/0/RUN/artifacts/x",
        "mlflow-artifacts:/0/models/m-00000000000000000000000000000000/artifacts",
        "mlflow-artifacts:/elsewhere",
        "x" * 9000,
    ],
)
@pytest.mark.parametrize("given", [{}, {"run_id": "f" * 32}, {"model_id": "m-" + "f" * 32}])
def test_sources_that_lead_elsewhere_are_refused(loopline: Loopline, source: str, given: dict[str, str]) -> None:
    with pytest.raises((Invalid, NotFound)):
        loopline.registry.arrive("late", source.replace("RUN", "e" * 32), **given, actor="ada")


def test_a_path_on_a_disk_is_noted_when_it_is_the_runs_own(loopline: Loopline) -> None:
    run = loopline.tracking.start("r", actor="ada").id
    row = {"id": run, "root": "/data/mlruns/0/x/artifacts"}
    loopline.get("database").write(
        lambda tx: tx.run("UPDATE tracking_runs SET artifact_root = :root WHERE id = :id", row)
    )
    for source in ("/data/mlruns/0/x/artifacts/model", "file:///data/mlruns/0/x/artifacts"):
        version = loopline.registry.arrive("late", source, run_id=run, actor="ada")
        assert "not kept here" in version.metadata["not_servable"]
    for source in ("/data/mlruns/0/x/artifacts-other", "/data/mlruns/0/x/artifacts/../../y"):
        with pytest.raises(Invalid):
            loopline.registry.arrive("late", source, run_id=run, actor="ada")


def test_removing_the_last_version_takes_its_files_along(loopline: Loopline) -> None:
    first = arrive(loopline, {"MLmodel": described(), "only.txt": b"here"})
    second = loopline.registry.arrive("late", f"models:/late/{first.version}", actor="ada")
    owner = f"version {first.digest}"
    for version, left in ((first, 2), (second, 0)):
        loopline.retention.remove("version", f"late/{version.version}", "ada")
        assert len(loopline.tracking.files(owner)) == left
    loopline.retention.restore("version", f"late/{second.version}", "ada")
    assert [one.name for one in loopline.tracking.files(owner)] == ["MLmodel", "only.txt"]
    assert not audit(loopline).problems


@pytest.mark.parametrize("place", ["model", "run"])
def test_held_out_rows_that_come_along_are_what_a_gate_judges_on(
    loopline: Loopline, skops: bytes, tmp_path: Path, place: str
) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    a = np.arange(400.0) % 20
    rows = {"a": a, "b": (a + 1).astype("int64"), "late": (a > 9).astype("int64")}
    at = pa.array(np.datetime64("2013-01-01", "ms") + np.arange(400) * np.timedelta64(2, "h"))
    pq.write_table(pa.table({**rows, "event_time": at}), tmp_path / "e")
    run, model_id = logged(loopline, {"MLmodel": described(), "model.skops": skops})
    owner = model_id if place == "model" else run
    loopline.tracking.put_bytes(owner, "evaluation.parquet", (tmp_path / "e").read_bytes())
    tags = {"loopline.label": "late", "loopline.trained_until": "2012-12-31T00:00:00Z"}
    source = f"models:/{model_id}"
    version = loopline.registry.arrive("late", source, model_id=model_id, tags=tags, actor="ada").version
    gate = loopline.promotion.gate("late", version, "production", "ada")
    assert gate.evidence.score == pytest.approx(1.0)
    assert gate.evidence.not_scored == ""


def test_held_out_rows_that_are_none_are_refused_in_words(loopline: Loopline) -> None:
    for content in (b"PAR1 broken", b"broken"):
        version = arrive(loopline, {"MLmodel": described(), "evaluation.arrow": content}).version
        with pytest.raises(Invalid, match="held-out rows cannot be read"):
            loopline.registry.evaluation("late", version)


@pytest.mark.parametrize("labels", [["no", "yes"], ["a", "b", "c"], []])
@pytest.mark.parametrize("kind", ["str", "object"])
def test_classes_with_names_give_a_text_or_a_probability(
    loopline: Loopline, tmp_path: Path, labels: list[str], kind: str
) -> None:
    import numpy as np
    import skops.io
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x = np.arange(60.0).reshape(30, 2)
    inner = GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=2) if labels else LinearRegression()
    y = np.array((labels * 30)[:30], dtype=kind) if labels else x[:, 0]
    model = make_pipeline(StandardScaler(), inner).fit(x, y)
    skops.io.dump(model, tmp_path / "m")
    files = {"MLmodel": described(outputs=[{"type": "string"}]), "model.skops": (tmp_path / "m").read_bytes()}
    version = arrive(loopline, files)
    if not labels:
        assert "how many classes" in version.metadata["not_servable"]
        return
    assert version.signature.output.type == ("float" if len(labels) == 2 else "string")
    answer = loopline.registry.load("late", version.version).predict({"a": x[:3, 0], "b": x[:3, 1].astype("int64")})
    assert answer.dtype == (np.float64 if len(labels) == 2 else object)
