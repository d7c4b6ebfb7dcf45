"""What a profile costs, how large it is, and how near its distances are to those of raw rows. `python profiles.py [rows]`

CPU seconds of this process (best of three), flat memory in a process of its own that reads a Parquet file batch by batch
(10,000,000 x 20 unless `rows` says otherwise; the file of 1.6 GB is made in a temporary folder and removed). KS and
Wasserstein are compared with scipy's on the raw values, for shifts drawn at random.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from columns import FIFTEEN, flights, signature

from loopline.core.tables import Column, Signature
from loopline.usecases.monitoring.model import cells, reservoir, sketching
from loopline.usecases.monitoring.model.profile import NumericColumn, Profile, decode, encode, encode_small
from loopline.usecases.monitoring.model.rolling import rolled

WIDTH = 20
OUTPUT = Column("prediction", "float")
TWENTY = Signature(tuple(Column(f"x{i}", "float", True) for i in range(WIDTH)), OUTPUT)
MINUTE = 60_000
COLUMNS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "air pressure": lambda rng, n: 1013 + rng.normal(0, 7, n),
    "epoch seconds": lambda rng, n: 1.36e9 + rng.random(n) * 86400 * 30,
    "ids": lambda rng, n: rng.integers(10**12, 10**12 + 10**7, n).astype(float),
    "log-normal amounts": lambda rng, n: np.exp(rng.normal(3, 1.5, n)),
}


def one(kind: str) -> Signature:
    return Signature((Column("x", kind, True),), OUTPUT)  # type: ignore[arg-type]


def rows(count: int, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    return pa.table({f"x{i}": rng.normal(10 * i, 1 + i, count) for i in range(WIDTH)})


def cost(work: Callable[[], Any]) -> float:
    """CPU seconds, the best of three."""
    found = []
    for _ in range(3):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def speed() -> None:
    table, flown, taken = rows(1_000_000), flights(), signature(FIFTEEN)
    first = sketching.profile(table, TWENTY)
    rng = np.random.default_rng(1)
    ids = pa.table({"x": rng.integers(0, 10**12, 1_000_000)})
    users = pa.table({"x": [f"user-{i}" for i in range(1_000_000)]})
    minutes = {MINUTE * i: sketching.profile(rows(200, i), TWENTY, first) for i in range(120)}
    log = pa.table({"id": [f"01J{i:020d}-{i % 9}" for i in range(1_000_000)], "x": np.arange(1_000_000)})
    content, small = encode(first), encode_small(first)
    told = {
        "1,000,000 x 20 floats, encoded": lambda: encode(sketching.profile(table, TWENTY)),
        "336,776 x 15 flights with four columns of text, encoded": lambda: encode(sketching.profile(flown, taken)),
        "the same with its own days and weeks": lambda: sketching.profile(flown, taken, event_time="event_time"),
        "1,000,000 different whole numbers (distinct count too)": lambda: sketching.profile(ids, one("integer")),
        "1,000,000 different texts": lambda: sketching.profile(users, one("string")),
        "two profiles of 20 columns added up": lambda: sketching.merged(first, first),
        "120 minutes of 20 columns rolled up to 2 hours": lambda: rolled(minutes, "hour"),
        "20 columns read from JSON": lambda: decode(content),
        "20 columns read from the small form": lambda: decode(small),
        "2,000 rows drawn from 1,000,000": lambda: reservoir.drawn(log),
    }
    print("| | CPU seconds |\n|---|---|")
    for name, work in told.items():
        print(f"| {name} | {cost(work):.4g} |", flush=True)


def sizes() -> None:
    print("\n| column | JSON, bytes | small form, bytes | cells |\n|---|---|---|---|")
    rng = np.random.default_rng(2)
    columns = {name: draw(rng, 1_000_000) for name, draw in COLUMNS.items()}
    columns["normal"] = rng.normal(size=1_000_000)
    columns["Cauchy"] = rng.standard_cauchy(1_000_000)
    columns["all 250 octaves of float32, both signs"] = np.exp(rng.uniform(-86, 86, 1_000_000)) * rng.choice([-1, 1])
    for name, values in columns.items():
        made = sketching.profile(pa.table({"x": values}), one("float"))
        column = made.columns[0]
        assert isinstance(column, NumericColumn)
        print(told_size(made, name), f"{len(cells.unpacked(column.cells)[0])} |")
    texts = {
        "tail numbers of flights (4,043)": flights()["tailnum"],
        "1,000,000 different texts": pa.array([f"user-{i}" for i in range(1_000_000)]),
        "1,000 texts of 3,000 letters": pa.array(["x" * 3000 + str(i) for i in range(1000)]),
    }
    for name, values in texts.items():
        print(told_size(sketching.profile(pa.table({"x": values}), one("string")), name), "|")


def told_size(made: Profile, name: str) -> str:
    return f"| {name} | {len(encode(made)):,} | {len(encode_small(made)):,} |"


def accuracy() -> None:
    from scipy.stats import ks_2samp, wasserstein_distance

    print("\n| column | rows | KS: median, largest error | Wasserstein over spread: largest error |\n|---|---|---|---|")
    rng = np.random.default_rng(3)
    for name, draw in COLUMNS.items():
        for count in (50_000, 1_000_000):
            found = []
            for _ in range(12):
                then = draw(rng, count)
                now = draw(rng, count) + rng.uniform(-0.3, 0.3) * then.std()
                ks, moved = from_cells(then, now)
                raw = ks_2samp(then, now, method="asymp").statistic
                found.append((abs(ks - raw), abs(moved - wasserstein_distance(then, now)) / then.std()))
            ks_errors, moves = np.array(found).T
            print(
                f"| {name} | {count:,} | {np.median(ks_errors):.1g}, {ks_errors.max():.1g} | {moves.max():.1g} |",
                flush=True,
            )


def from_cells(then: np.ndarray, now: np.ndarray) -> tuple[float, float]:
    """KS and Wasserstein distance read from two profiles."""
    first = sketching.profile(pa.table({"x": then}), one("float"))
    second = sketching.profile(pa.table({"x": now}), one("float"), first)
    before, after = first.columns[0], second.columns[0]
    assert isinstance(before, NumericColumn)
    assert isinstance(after, NumericColumn)
    found, table = cells.side_by_side(before.cells, after.cells)
    gap = np.abs(np.diff(np.cumsum(table, axis=1) / table.sum(axis=1, keepdims=True), axis=0))[0]
    return float(gap.max()), float((gap[:-1] * np.diff(cells.cell_values(found, before.centre, before.scale))).sum())


def flat(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        with pq.ParquetWriter(path, rows(1).schema, compression="none", use_dictionary=False) as writer:
            for part in range(count // 100_000):
                writer.write_table(rows(100_000, part))
        print(
            f"\n{count:,} x {WIDTH} floats from Parquet, {path.stat().st_size / 1e9:.2f} GB, batch by batch:",
            flush=True,
        )
        subprocess.run([sys.executable, __file__, "--read", str(path)], check=True)


def read(path: str) -> None:
    bare = peak()
    start, wall = time.process_time(), time.perf_counter()
    with pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False) as file:
        profiler = sketching.Profiler(TWENTY)
        for batch in file.iter_batches(batch_size=65_536):
            profiler.add(batch)
    made = encode(profiler.finish())
    spent = f"{time.process_time() - start:.2f} CPU seconds with reading ({time.perf_counter() - wall:.2f} s)"
    print(f"{spent}, {peak():.0f} MB at most ({bare:.0f} MB of them imports), {len(made):,} bytes")


def peak() -> float:
    """The largest memory of this process so far, in MB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> None:
    if sys.argv[1:2] == ["--read"]:
        read(sys.argv[2])
        return
    speed()
    sizes()
    accuracy()
    flat(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000)


if __name__ == "__main__":
    main()
