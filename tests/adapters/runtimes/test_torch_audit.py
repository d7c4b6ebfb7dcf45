"""What of PyTorch's and Hugging Face's files is refused before any library sees it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from loopline.adapters.runtimes.torch_audit import check_expression, check_operator, check_tensors, cleaned
from loopline.adapters.runtimes.torch_program import Torch
from loopline.adapters.runtimes.transformers_text import Transformers
from loopline.core.errors import Invalid, Refused
from loopline.core.programs import TransformersModel

pytestmark = pytest.mark.unit

GOOD = {
    "graph_module": {
        "graph": {
            "nodes": [
                {"target": "torch.ops.aten.linear.default", "metadata": {"stack_trace": "secret.py"}},
                {"target": "torch.ops.aten.relu.default", "metadata": {}},
            ]
        }
    },
    "sizes": [{"as_expr": {"expr_str": "Symbol('s77', positive=True, integer=True)"}}, {"as_int": 3}],
}


def test_a_program_of_tensors_is_kept_without_traces() -> None:
    found = cleaned(GOOD)
    assert "secret" not in json.dumps(found)
    assert found["sizes"] == GOOD["sizes"]


@pytest.mark.parametrize(
    "name",
    [
        "os.system", "torch.ops.aten.from_file.default", "torch.ops.custom.run.default", "builtins.eval", "_operator.call",
        "torch.ops.aten.linear.default; x", "torch.ops.aten.save.default", "torch.load", "math.floor",
    ],
)  # fmt: skip
def test_other_operators_are_refused(name: str) -> None:
    with pytest.raises(Refused, match="no operator of ATen"):
        check_operator(name)
    with pytest.raises(Refused):
        cleaned({"nodes": [{"target": name}]})


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('x')",
        "().__class__",
        "exec('x')",
        "Symbol['s1']",
        "lambda: 1",
        "s1 if s2 else s3",
        7,
        "x" * 3000,
    ],
)
def test_expressions_that_are_no_sizes_are_refused(text: Any) -> None:
    with pytest.raises(Refused, match="is no size"):
        check_expression(text)


def test_sizes_pass() -> None:
    for text in ("Symbol('s77', positive=True, integer=True)", "2*s1 + 1", "Max(1, s0)", "FloorDiv(s1, Integer(2))"):
        check_expression(text)


@pytest.mark.parametrize(
    "about",
    [
        {"path_name": "weight_0", "use_pickle": True},
        {"path_name": "weight_0"},
        {"path_name": "../x", "use_pickle": False},
    ],
)
def test_pickled_tensors_are_refused(about: Any) -> None:
    with pytest.raises(Refused, match="kept as a pickle"):
        check_tensors({"a.weight": about})


@pytest.mark.parametrize("key", ["as_custom_obj", "as_graph", "as_operator"])
def test_what_is_no_tensor_is_refused(key: str) -> None:
    with pytest.raises(Refused, match=key):
        cleaned({"inputs": [{key: {"name": "x"}}]})


def test_a_program_with_missing_or_damaged_files_is_refused(tmp_path: Path) -> None:
    for name, content in (("program.json", "{"), ("program.json", "[]"), ("program.json", json.dumps(GOOD))):
        (tmp_path / name).write_text(content)
        with pytest.raises(Invalid):
            Torch().inspect({path.name: path for path in tmp_path.iterdir()})
    assert not Torch().accepts(object())


def safetensors() -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(4)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "classifier"
    made.mkdir()
    (made / "config.json").write_text(json.dumps({"id2label": {"0": "cross", "1": "pleased"}}))
    (made / "tokenizer.json").write_text("{}")
    (made / "model.safetensors").write_bytes(safetensors())
    (made / "training_args.bin").write_bytes(b"\x80\x04.")
    return made


def saved(folder: Path, **more: Any) -> Path:
    target = folder.parent / "saved"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    Transformers().save(TransformersModel(folder, **more), target)
    return target


def files(folder: Path) -> dict[str, Path]:
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}


def test_only_data_of_a_classifier_is_kept(folder: Path) -> None:
    target = saved(folder)
    assert sorted(files(target)) == [
        "model/config.json", "model/model.safetensors", "model/tokenizer.json", "transformers.json",
    ]  # fmt: skip
    assert Transformers().inspect(files(target)) == 2
    assert TransformersModel(folder, label="cross").signature.output.type == "float"
    assert TransformersModel(folder).signature.output.type == "string"


@pytest.mark.parametrize(
    ("name", "content", "kind", "said"),
    [
        ("config.json", b'{"auto_map": {"AutoModel": "code.Model"}}', Refused, "auto_map"),
        ("tokenizer_config.json", b'{"auto_map": {}}', Refused, "auto_map"),
        ("config.json", b"[]", Invalid, "no JSON of settings"),
        ("model.safetensors", b"\x80\x04.nothing", Invalid, "no safetensors"),
        ("model.safetensors", safetensors()[:-1], Invalid, "is not whole"),
        ("model.safetensors", None, Invalid, "no weights as safetensors"),
        ("tokenizer.json", None, Invalid, r"no tokenizer\.json"),
    ],
)
def test_a_classifier_that_is_not_data_alone_is_refused(
    folder: Path, name: str, content: bytes | None, kind: type[Exception], said: str
) -> None:
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    with pytest.raises(kind, match=said):
        saved(folder)


def test_a_stranger_in_the_files_and_an_unknown_label_are_refused(folder: Path) -> None:
    target = saved(folder)
    (target / "model" / "code.py").write_text("import os")
    with pytest.raises(Refused, match=r"code\.py is no file"):
        Transformers().inspect(files(target))
    with pytest.raises(Invalid, match="knows no label 'angry'"):
        saved(folder, label="angry")
