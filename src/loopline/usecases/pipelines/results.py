"""`Model`: what a step returns when it made a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loopline.core.errors import Invalid
from loopline.core.tables import Column, Signature


class Model:
    """A fitted estimator with what must be known about it.

    `example` is a frame of input rows (pandas, Polars, Arrow) from which the signature follows unless `signature` says
    it; `metrics` are plain numbers; `evaluation` is a frame of held-out rows (inputs, label, event_time, slice columns)
    on which a gate compares models; `profile` is the rows of which a profile is kept that monitoring compares live rows with
    (default: the example; with a column `prediction` scores are compared, too, with `event_time` its own days are learned);
    `name` is the registered model's name; `metadata` may say trained_from and trained_until (ISO times).
    """

    def __init__(
        self,
        estimator: Any,
        *,
        example: Any = None,
        signature: Signature | None = None,
        metrics: Mapping[str, float] | None = None,
        evaluation: Any = None,
        profile: Any = None,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self.estimator = estimator
        self.example = example
        self.signature = signature or (None if example is None else signature_of(example))
        self.metrics = {key: float(value) for key, value in (metrics or {}).items()}
        self.evaluation = evaluation
        self.profile = example if profile is None else profile
        self.name = name
        self.metadata = dict(metadata or {})

    def __repr__(self) -> str:
        return f"Model({type(self.estimator).__name__}, metrics={self.metrics})"


def signature_of(example: Any) -> Signature:
    """The signature that a frame of input rows shows; a column with a null (or NaN) in it is nullable.

    The output is a float column "prediction". Raises Invalid for a column whose type no signature knows.
    """
    from loopline.usecases.pipelines.values.tables import as_arrow

    table = as_arrow(example)
    if table is None:
        raise Invalid(f"{type(example).__name__} is no frame of example rows.", "Give a pandas, Polars or Arrow frame.")
    inputs = tuple(column_of(name, table.column(name)) for name in table.column_names)
    return Signature(inputs, Column("prediction", "float"))


def column_of(name: str, column: Any) -> Column:
    """One column of a signature."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    nullable = column.null_count > 0
    if pa.types.is_floating(kind):
        return Column(name, "float", nullable or bool(pc.any(pc.is_nan(column)).as_py()))
    if pa.types.is_integer(kind):
        return Column(name, "integer", nullable)
    if pa.types.is_boolean(kind):
        return Column(name, "boolean", nullable)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return Column(name, "timestamp", nullable)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return Column(name, "string", nullable)
    raise Invalid(
        f"The column {name!r} has the type {kind}, which a signature does not know.",
        "Make it a float, integer, boolean, string or timestamp column.",
    )
