"""A text classifier of Hugging Face from a folder: weights as safetensors, tokenizer as JSON, no code of the model's own."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from loopline.adapters.runtimes.isolation import Isolated, manifest
from loopline.core.errors import Invalid, Refused, Unavailable
from loopline.core.programs import TransformersModel
from loopline.core.tables import Signature

FOLDER = "model"
CONFIGS = ("config.json", "tokenizer_config.json")
TAKEN = (*CONFIGS, "tokenizer.json", "special_tokens_map.json", "model.safetensors.index.json", "vocab.txt")
NEEDED = ("config.json", "tokenizer.json")
WRITTEN = "Write the folder with `save_pretrained(folder, safe_serialization=True)` of model and fast tokenizer."
BATCH = 32


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Which input holds the text, and of which label the probability is given ("": the likeliest label itself)."""

    FILE: ClassVar[str] = "transformers.json"
    text: str
    label: str


class Transformers(Isolated):
    """The runtime of the format "transformers"."""

    format = "transformers"

    def accepts(self, model: Any) -> bool:
        """Whether it is such a folder described as a model."""
        return isinstance(model, TransformersModel)

    def save(self, model: TransformersModel, folder: Path) -> None:
        """Copy what is data: configuration, tokenizer and weights. Refused for a model that needs code of its own."""
        (folder / FOLDER).mkdir()
        for path in sorted(model.folder.iterdir()):
            if path.name in TAKEN or path.suffix == ".safetensors":
                shutil.copyfile(path, folder / FOLDER / path.name)
        for path in model.lock.values():
            shutil.copyfile(path, folder / "requirements.lock")
        said = Manifest(text=model.text, label=model.label)
        (folder / Manifest.FILE).write_bytes(msgspec.json.encode(said, order="sorted"))
        self.inspect({path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()})

    def inspect(self, files: Mapping[str, Path]) -> int | None:
        """Refused for a model that needs code of its own, Invalid for one that is not whole."""
        said: Manifest = manifest(files.get(Manifest.FILE), Manifest)
        inside = {
            name.removeprefix(f"{FOLDER}/"): path for name, path in files.items() if name.startswith(f"{FOLDER}/")
        }
        missing = [name for name in NEEDED if name not in inside]
        if missing or not any(name.endswith(".safetensors") for name in inside):
            raise Invalid(f"The model has no {missing[0] if missing else 'weights as safetensors'}.", WRITTEN)
        for name in inside:
            if name not in TAKEN and not name.endswith(".safetensors"):
                raise Refused(f"{name} is no file of a classifier that is data alone.", WRITTEN)
        for name in CONFIGS:
            if name in inside and "auto_map" in plain(inside[name]):
                raise Refused(f"{name} names code of the model's own (auto_map), which is never run.", WRITTEN)
        labels = list(plain(inside["config.json"]).get("id2label", {"0": "", "1": ""}).values())
        if said.label and said.label not in labels:
            raise Invalid(f"The model knows no label {said.label!r}.", f"Labels: {', '.join(map(str, labels[:20]))}.")
        for name, path in inside.items():
            if name.endswith(".safetensors"):
                check_header(name, path)
        return len(labels)

    def load_here(self, folder: Path, signature: Signature) -> Classifier:
        """Read it, asking no network."""
        self.inspect({path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()})
        said: Manifest = manifest(folder / Manifest.FILE, Manifest)
        os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
        try:
            import torch
            import transformers
        except ImportError as error:
            hint = "Give the version a lock with torch and transformers in it."
            raise Unavailable(f"The model needs {error.name}, which is not in its environment.", hint) from None
        torch.set_num_threads(1)
        only = {"local_files_only": True, "trust_remote_code": False}
        place = str(folder / FOLDER)
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(place, use_fast=True, **only)
            model = transformers.AutoModelForSequenceClassification.from_pretrained(place, use_safetensors=True, **only)
        except Exception as error:  # the library fails in many ways on what it does not know
            raise Invalid(f"The model cannot be read by transformers: {str(error)[:300]}", WRITTEN) from None
        ask = transformers.pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")
        return Classifier(ask, said)


class Classifier:
    """A classifier in memory, asked as the library's own pipeline asks it. Satisfies `LoadedModel`."""

    def __init__(self, ask: Any, said: Manifest) -> None:
        self._ask = ask
        self._said = said

    def predict(self, columns: Mapping[str, Any]) -> Any:
        """See `LoadedModel.predict`: labels, or probabilities of one. Texts longer than the model takes are cut."""
        import numpy as np

        texts = ["" if text is None else text for text in columns[self._said.text].tolist()]
        found = self._ask(texts, top_k=None, truncation=True, batch_size=min(BATCH, max(1, len(texts))))
        if self._said.label:
            return np.array([score(one, self._said.label) for one in found], dtype=np.float64)
        return np.array([max(one, key=lambda each: each["score"])["label"] for one in found], dtype=object)


def score(scores: list[dict[str, Any]], label: str) -> float:
    """The probability of a label."""
    return float(next(one["score"] for one in scores if one["label"] == label))


def plain(path: Path) -> dict[str, Any]:
    """A JSON file; Invalid for none."""
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Invalid(f"{path.name} is no JSON of settings.", WRITTEN)
    return found


def check_header(name: str, path: Path) -> None:
    """Invalid for what is no whole safetensors file: 8 bytes of length, a JSON header, then the bytes that it names."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 2 <= length <= min(size - 8, 100 << 20):
            raise Invalid(f"{name} is no safetensors file.", WRITTEN)
        try:
            header = json.loads(stream.read(length))
            ends = [one["data_offsets"][1] for key, one in header.items() if key != "__metadata__"]
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
            raise Invalid(f"{name} is no safetensors file.", WRITTEN) from None
    if 8 + length + max(ends, default=0) != size:
        raise Invalid(f"{name} is not whole.", WRITTEN)
