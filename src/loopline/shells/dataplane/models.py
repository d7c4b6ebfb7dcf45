"""A loaded model between packed columns and predictions, wherever it runs."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from loopline.core.errors import LooplineError
from loopline.core.tables import Signature
from loopline.ports.runtime import LoadedModel
from loopline.usecases.serving.records.columns import as_numpy, kind_of

FEW = 32  # so many numbers are looked at faster one by one


class Model:
    """A loaded model that takes and gives packed columns. Imports numpy."""

    def __init__(self, loaded: LoadedModel, signature: Signature) -> None:
        import numpy as np

        self._np = np
        self._loaded = loaded
        types = {"d": np.dtype(np.float64), "q": np.dtype(np.int64), "?": np.dtype(np.bool_), "s": None}
        self._columns = [(column.name, types[kind_of(column)]) for column in signature.inputs]
        # Where all are float64, one array is made and cut: one for each column takes longer than small models do.
        self._same = [name for name, kind in self._columns if kind is types["d"]]  # None == float64 to numpy
        self._same = self._same if len(self._same) == len(self._columns) else []
        self._text = signature.output.type in ("string", "timestamp")
        self.told: dict[str, Any] = {"explains": self.explains}  # what the router learns when it is ready

    def predict(self, packed: Sequence[Any]) -> tuple[Any, list[tuple[int, str]]]:
        """Predictions for packed columns (float64 bytes or a list of text), and the rows that could not be scored:
        (row, reason). One bad row does not spoil its batch."""
        columns = self._unpacked(packed)
        rows = len(next(iter(columns.values()))) if columns else 0
        faults: list[tuple[int, str]] = []
        try:
            values = self._checked(columns, rows)
        except Exception as error:  # whatever a model raises belongs to a row, not to us
            values = self._halves(columns, 0, rows, error, faults)
        return self._packed(values), faults

    @property
    def explains(self) -> bool:
        """Whether it can tell how much each input contributed."""
        return callable(getattr(self._loaded, "explain", None))

    def explain(self, packed: Sequence[Any]) -> tuple[bytes, list[bytes]] | None:
        """The base of each row and, for each input, its contributions (float64 bytes); None when that cannot be told."""
        np = self._np
        if not self.explains:
            return None
        columns = self._unpacked(packed)
        rows = len(next(iter(columns.values()))) if columns else 0
        try:
            contributions, base = self._loaded.explain(columns)  # type: ignore[attr-defined]
            matrix = np.asarray(contributions, dtype=np.float64).reshape(rows, len(self._columns))
            bases = np.broadcast_to(np.asarray(base, dtype=np.float64), (rows,))
        except Exception:  # the prediction stands without it
            return None
        return bases.tobytes(), [column.tobytes() for column in matrix.T]

    def close(self) -> None:
        """Let go of what the model holds besides memory."""
        close = getattr(self._loaded, "close", None)
        if callable(close):
            close()

    def _unpacked(self, packed: Sequence[Any]) -> dict[str, Any]:
        frombuffer = self._np.frombuffer
        if self._same and len(packed) == len(self._same):
            table = frombuffer(b"".join(packed)).reshape(len(packed), -1)
            return dict(zip(self._same, table, strict=True))
        return {
            name: as_numpy("s", part) if kind is None else frombuffer(part, kind)
            for (name, kind), part in zip(self._columns, packed, strict=True)
        }

    def _halves(
        self, columns: dict[str, Any], start: int, stop: int, error: Exception, faults: list[tuple[int, str]]
    ) -> Any:
        """Rows start to stop failed together: halves are tried until the bad row is found."""
        if stop - start == 1:
            faults.append((start, said(error)))
            return [None if self._text else 0.0]
        middle = (start + stop) // 2
        first = self._some(columns, start, middle, faults)
        return [*first, *self._some(columns, middle, stop, faults)]

    def _some(self, columns: dict[str, Any], start: int, stop: int, faults: list[tuple[int, str]]) -> Any:
        try:
            return self._checked({name: values[start:stop] for name, values in columns.items()}, stop - start)
        except Exception as error:
            return self._halves(columns, start, stop, error, faults)

    def _checked(self, columns: dict[str, Any], rows: int) -> Any:
        np = self._np
        found = self._loaded.predict(columns)
        if self._text:
            return _texts(found, rows)
        values = np.ascontiguousarray(found, dtype=np.float64).ravel()
        _counted(len(values), rows)
        if not (all(map(isfinite, values.tolist())) if rows <= FEW else np.isfinite(values).all()):
            raise ValueError("the model answered something that is not a finite number")
        return values

    def _packed(self, values: Any) -> Any:
        return list(values) if self._text else self._np.asarray(values, dtype=self._np.float64).tobytes()


def _texts(found: Any, rows: int) -> list[str | None]:
    texts = [None if value is None else str(value) for value in found]
    _counted(len(texts), rows)
    try:
        "".join(filter(None, texts)).encode()
    except UnicodeEncodeError:
        raise ValueError("the model answered what is no text in UTF-8") from None
    return texts


def _counted(values: int, rows: int) -> None:
    if values != rows:
        raise ValueError(f"the model answered {values} values for {rows} rows")


def said(error: Exception) -> str:
    """Why a row could not be scored: a refusal in its own words."""
    if isinstance(error, LooplineError):
        return error.message
    return f"{type(error).__name__}: {str(error).strip()[:300]}"
