"""Large values are written piece by piece: a table of 300 MB takes little more memory than holding it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

WRITE = """
import sys
from pathlib import Path
import numpy as np
import pyarrow as pa
from loopline.usecases.pipelines.values.reading import Reader
from loopline.usecases.pipelines.values.writing import Writer


def memory(field):
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines()
                if line.startswith(field)) / 1024


kind, folder = sys.argv[1:]
rows = 2_000_000
numbers = np.random.default_rng(0).random(rows)
if kind == "array":
    value = np.asfortranarray(np.tile(numbers, (19, 1)).T)
else:
    hidden = np.arange(rows) % 5 == 0
    columns = {f"c{n}": numbers + n for n in range(16)} | {"gaps": pa.array(numbers, mask=hidden)}
    words = pa.array([f"word {n}" for n in range(1000)]).take(pa.array((numbers * 1000).astype("i4")))
    table = pa.table(columns | {"words": words})
    value = pa.concat_tables([table.slice(0, 700_001), table.slice(700_001)])
    del columns, words, table
writer = Writer(folder, {})
writer.tree(pa.table({"a": range(9000)}))
Path("/proc/self/clear_refs").write_text("5")
held = memory("VmRSS")
leaf = writer.tree(value)
print(leaf.size, memory("VmHWM") - held)
back = Reader(folder, writer.files, {}).value(leaf)
assert back.equals(value) if kind == "table" else (back == value).all()
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory can be counted anew on Linux only")
@pytest.mark.parametrize("kind", ["table", "array"])
def test_writing_a_large_value_takes_little_more_memory_than_holding_it(kind: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITE, kind, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    size, more = (float(number) for number in done.stdout.split())
    assert size > 290e6
    assert more < 150
