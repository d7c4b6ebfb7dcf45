"""Which frame a value is, or an annotation asks for, by the names of classes: nothing is imported for that."""

from __future__ import annotations

from typing import Any

FRAMES = {
    ("pyarrow", "Table"): "pyarrow",
    ("pyarrow", "RecordBatch"): "pyarrow.RecordBatch",
    ("pandas", "DataFrame"): "pandas",
    ("polars", "DataFrame"): "polars",
    ("polars", "LazyFrame"): "polars.LazyFrame",
}
COLUMNS = {
    ("pyarrow", "ChunkedArray"): "pyarrow.ChunkedArray",
    ("pandas", "Series"): "pandas.Series",
    ("polars", "Series"): "polars.Series",
}
SCALARS = {("pandas", name): "pandas.scalar" for name in ("Timestamp", "Timedelta", "Period", "Interval", "NaTType")}
_KNOWN = FRAMES | COLUMNS | SCALARS
_SHORT = {"pd": "pandas", "pl": "polars", "pa": "pyarrow"}


def frame_kind(value: Any) -> str:
    """How a table, frame, column or pandas scalar is called in a leaf ("pandas", "polars.Series", …); empty for anything
    else, also for classes derived from these."""
    cls = type(value)
    root = cls.__module__.partition(".")[0]
    if root == "pyarrow" and any(base.__name__ == "Array" for base in cls.__mro__[1:]):
        return "pyarrow.Array"
    return _KNOWN.get((root, cls.__name__), "")


def annotated_kind(annotation: Any) -> str:
    """The frame that an annotation asks for, also as text ("pd.DataFrame" counts by the usual short names)."""
    if isinstance(annotation, str):
        root, _, name = annotation.rpartition(".")
        return FRAMES.get((_SHORT.get(root, root), name), "")
    if not isinstance(annotation, type):
        return ""
    return FRAMES.get((annotation.__module__.partition(".")[0], annotation.__name__), "")


def is_whole(kind: str) -> bool:
    """Whether a kind is a frame of columns, which an annotation may turn into another library's."""
    return kind in FRAMES.values()
