"""What makes a model's answers without the library that trained it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from loopline.core.tables import Signature
from loopline.ports.runtime import LoadedModel


class UnknownForm(Exception):
    """The model, or a part of it, is of a form that an engine does not know; the text names that part."""


class Source(Protocol):
    """A model in memory as its runtime loaded it, with the library's own object in reach. Satisfied by scikit-learn's; those
    of boosters say by `library` which one, and have `booster`, `order`, `coded` and `labels` instead of `table`."""

    model: Any

    def table(self, columns: Mapping[str, Any]) -> Any:
        """What the library's object is given for columns as `LoadedModel.predict` takes them."""


class Ready(LoadedModel, Protocol):
    """A model that an engine loaded. `tolerance` says how far its numbers may lie from the library's, relative to the
    larger of 1e-3 and the number: 1e-12 where both compute in float64, 1e-6 in float32. Labels must be equal."""

    tolerance: float


class Engine(Protocol):
    """One way to run models. What it made for a model is data: arrays and names, nothing that runs.

    An engine promises nothing about its numbers: whoever compiles compares them with the library's before use.
    """

    name: str
    version: int
    """Counts forms of content: what another version made is not read."""

    def compile(self, source: Source, signature: Signature) -> bytes:
        """The model in this engine's form; UnknownForm for one that the engine does not know. Runs where the library is
        imported anyway."""

    def load(self, content: bytes, signature: Signature) -> Ready:
        """What `compile` made, ready to predict; imports numpy (and the engine's own package), never the library.

        Invalid for content that is damaged, forged or made by another version of the engine, or that does not fit the
        signature; whatever the bytes, nothing is run, nothing is read outside of them and it ends in bounded time.
        """
