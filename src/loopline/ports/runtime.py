"""What turns the files of a model version into predictions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from loopline.core.tables import Signature


class LoadedModel(Protocol):
    """A model in memory."""

    def predict(self, columns: Mapping[str, Any]) -> Any:
        """`columns`: one numpy array of n values per input of the signature (float64, int64, object of str|None, bool).
        Answers a float64 or object array of n predictions; for a binary classifier the probability of class 1."""


class Runtime(Protocol):
    """One model format. Errors: Refused for content that could execute code; Invalid for a damaged file."""

    format: str

    def save(self, model: Any, folder: Path) -> None:
        """Write the model's files into an empty folder."""

    def load(self, folder: Path, signature: Signature) -> LoadedModel:
        """Read them back without running anything stored in them."""

    def inspect(self, files: Mapping[str, Path]) -> int | None:
        """Raise what `load` would raise for these files (by their names) as far as that shows without building or
        running anything of them. Answers how many classes the model chooses from, None when that cannot be told."""

    def accepts(self, model: Any) -> bool:
        """Whether this runtime can save that object."""
