"""Changes planted in copies of logged rows, to see how soon rules would tell of them. Imports numpy when one is planted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from loopline.core.errors import Invalid
from loopline.core.times import from_text, to_text

if TYPE_CHECKING:
    import pyarrow as pa

KINDS = ("shift", "missing", "unit", "labels", "noise")
FORM = re.compile(r"^(?P<kind>[a-z]+):(?:(?P<column>[^:]*):)?(?P<size>[^:@]+)@(?P<at>.+)$")
HOW = "Write it like shift:wind:0.5@2013-07-01; labels:2@… and noise:1@… name no column."


class Plant(msgspec.Struct, frozen=True, kw_only=True):
    """A change from a moment on. `shift`: a column moves by `size` of its standard deviations; `missing`: the share `size`
    of a column is lost; `unit`: a column is multiplied by `size`; `labels`: the odds of a positive truth are multiplied
    by `size`; `noise`: predictions (log odds of probabilities) get noise of `size` of their standard deviations."""

    kind: str
    column: str
    size: float
    at: str

    @property
    def told(self) -> str:
        """In words."""
        return {
            "shift": f"{self.column} moved by {self.size:+g} sd",
            "missing": f"{100 * self.size:g} % of {self.column} missing",
            "unit": f"{self.column} times {self.size:g}",
            "labels": f"odds of a positive truth times {self.size:g}",
            "noise": f"noise of {self.size:g} sd in predictions",
        }[self.kind]


def plant_in(text: str) -> Plant:
    """`KIND:COLUMN:SIZE@DATE` as a plant; Invalid for anything else."""
    found = FORM.match(text)
    if found is None or found["kind"] not in KINDS:
        raise Invalid(f"{text!r} is no change that can be planted; kinds are {', '.join(KINDS)}.", HOW)
    kind, column = found["kind"], found["column"] or ""
    try:
        size = float(found["size"])
    except ValueError:
        raise Invalid(f"{found['size']!r} in {text!r} is no size.", HOW) from None
    if (kind in ("shift", "missing", "unit")) != bool(column):
        raise Invalid(f"{text!r} {'names no column' if not column else 'names a column'}.", HOW)
    if (kind == "missing" and not 0 < size <= 1) or (kind in ("labels", "noise") and not 0 < size < 1e6):
        raise Invalid(f"{found['size']} is no size for {kind!r}.", HOW)
    return Plant(kind=kind, column=column, size=size, at=to_text(from_text(found["at"])))


def in_predictions(table: pa.Table, times_ms: Any, plant: Plant, at_ms: int) -> pa.Table:
    """A copy of logged predictions with the change in the rows from `at_ms` on. Invalid for a column that is not there or
    not of numbers."""
    import numpy as np
    import pyarrow as pa

    if plant.kind == "labels":
        return table
    name = "prediction" if plant.kind == "noise" else plant.column
    name = f"input.{name}" if f"input.{name}" in table.column_names and plant.kind != "noise" else name
    if name not in table.column_names:
        raise Invalid(f"The log has no column {plant.column!r}.", "`loopline log` shows what it has.")
    after, column = np.asarray(times_ms) >= at_ms, table[name].combine_chunks()
    rng = np.random.default_rng(1)
    if plant.kind == "missing":
        lost = after & (rng.random(len(table)) < plant.size)
        changed = pa.array(column.to_pylist(), column.type, mask=lost | np.asarray(column.is_null()))
    else:
        changed = pa.array(_changed(_numbers(plant, column), after, plant, rng), from_pandas=True)
    return table.set_column(table.column_names.index(name), name, changed)


def _numbers(plant: Plant, column: Any) -> Any:
    import numpy as np
    import pyarrow as pa

    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise Invalid(f"{plant.column or 'prediction'!r} holds no numbers.", "Plant `missing` in it, or name another.")
    return np.asarray(column.cast("float64", safe=False).to_numpy(zero_copy_only=False), dtype=float).copy()


def _changed(values: Any, after: Any, plant: Plant, rng: Any) -> Any:
    import numpy as np

    before = values[~after & np.isfinite(values)] if (~after).any() else values[np.isfinite(values)]
    if plant.kind == "unit":
        return np.where(after, values * plant.size, values)
    if plant.kind == "shift":
        return np.where(after, values + plant.size * (before.std() if len(before) else 0.0), values)
    shares = bool(len(before)) and before.min() >= 0 and before.max() <= 1
    if not shares:
        return np.where(after, values + plant.size * before.std() * rng.normal(size=len(values)), values)
    odds = np.log(np.clip(values, 1e-6, 1 - 1e-6) / (1 - np.clip(values, 1e-6, 1 - 1e-6)))
    known = odds[~after & np.isfinite(odds)] if (~after).any() else odds[np.isfinite(odds)]
    noisy = odds + plant.size * known.std() * rng.normal(size=len(odds))
    return np.where(after, 1 / (1 + np.exp(-noisy)), values)


def in_truth(table: pa.Table, times_ms: Any, plant: Plant, at_ms: int) -> pa.Table:
    """A copy of the truth whose labels of events from `at_ms` on have other odds; labels that are not 0 and 1 stay."""
    import numpy as np
    import pyarrow as pa

    if plant.kind != "labels" or not pa.types.is_floating(table["value"].type):
        return table
    values = np.asarray(table["value"].to_numpy(), dtype=float).copy()
    after, known = np.asarray(times_ms) >= at_ms, np.isin(values, (0.0, 1.0))
    share = float(values[known].mean()) if known.any() else 0.0
    wanted = plant.size * share / (1 - share + plant.size * share) if 0 < share < 1 else share
    rng = np.random.default_rng(2)
    if wanted > share:
        flipped = known & after & (values == 0) & (rng.random(len(values)) < (wanted - share) / (1 - share))
    else:
        flipped = known & after & (values == 1) & (rng.random(len(values)) < (share - wanted) / max(share, 1e-12))
    return table.set_column(
        table.column_names.index("value"), "value", pa.array(np.where(flipped, 1 - values, values), from_pandas=True)
    )
