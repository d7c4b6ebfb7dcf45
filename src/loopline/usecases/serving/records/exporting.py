"""Records in a file of their own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.core.errors import Invalid
from loopline.kit.durable import sync_folder, temporary_name
from loopline.usecases.serving.records.tables import EXPLANATION

if TYPE_CHECKING:
    import pyarrow as pa


def export(table: pa.Table, target: Path) -> int:
    """Write a table as Parquet or CSV, whole or not at all; answers how many rows. In CSV an explanation is JSON."""
    import pyarrow.csv as csv
    import pyarrow.parquet as pq

    if not target.parent.is_dir():
        raise Invalid(f"There is no folder {str(target.parent)!r}.", "Make it first.")
    hidden = target.with_name(temporary_name(target.name))
    try:
        if target.suffix == ".csv":
            csv.write_csv(_flat(table), hidden)
        else:
            pq.write_table(table, hidden, compression="zstd")
        os.replace(hidden, target)
    finally:
        hidden.unlink(missing_ok=True)
    sync_folder(target.parent)
    return int(table.num_rows)


def _flat(table: pa.Table) -> pa.Table:
    import pyarrow as pa

    if EXPLANATION not in table.column_names:
        return table
    texts = [None if value is None else json.dumps(dict(value)) for value in table[EXPLANATION].to_pylist()]
    return table.set_column(table.column_names.index(EXPLANATION), EXPLANATION, pa.array(texts, pa.string()))
