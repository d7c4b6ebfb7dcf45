"""Drift reports of Loopline and its peers on the same rows, one after the other: time, memory, false alarms.
`python beside.py [--only NAME …] [--large]`

Each tool runs in an environment of its own (`.peers/monitoring-NAME`, made from `peers/NAME.txt`) and reads the same
Parquet files; reading is not timed, making profiles is. Each is used with its defaults (see tools/). Time is the least
of two; memory is the growth of the process's peak while comparing. False alarms: "other day" compares a normal day with
the other days of its month, "shuffled" as many rows of that month at random.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from columns import FIFTEEN, TEXTS, THIRTEEN, flights

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PEERS = ("evidently", "nannyml", "whylogs", "alibi", "frouros")
DISTRIBUTIONS = {"alibi": "alibi-detect"}
LONGEST_S = 900


def python_of(name: str) -> str:
    """The interpreter of a tool, whose environment is made first where it is missing or of another list."""
    if name == "loopline":
        return sys.executable
    wanted, folder = HERE / "peers" / f"{name}.txt", ROOT / ".peers" / f"monitoring-{name}"
    digest, mark = hashlib.sha256(wanted.read_bytes()).hexdigest(), folder / "requirements.sha256"
    python = str(folder / "bin" / "python")
    if not mark.is_file() or mark.read_text() != digest:
        uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
        for command in (
            [uv, "venv", "-q", "--clear", "--python", sys.executable, str(folder)],
            [
                uv,
                "pip",
                "install",
                "-q",
                "--compile-bytecode",
                "--require-hashes",
                "--no-deps",
                "--python",
                python,
                "-r",
                str(wanted),
            ],
        ):
            subprocess.run(command, check=True, timeout=LONGEST_S)
        mark.write_text(digest)
    return python


def version_of(name: str) -> str:
    """The version of a peer as pinned."""
    if name == "loopline":
        return ""
    wanted = DISTRIBUTIONS.get(name, name)
    lines = (HERE / "peers" / f"{name}.txt").read_text().splitlines()
    return next(line.split("==")[1].split()[0] for line in lines if line.startswith(f"{wanted}=="))


def asked(name: str, question: dict[str, Any], folder: Path) -> dict[str, Any] | str:
    """What a tool answers, or why it does not."""
    path = folder / "question.json"
    path.write_text(json.dumps(question))
    try:
        done = subprocess.run(
            [python_of(name), "-W", "ignore", str(HERE / "tools" / f"with_{name}.py"), str(path)],
            capture_output=True, text=True, timeout=LONGEST_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"more than {LONGEST_S} s"
    lines = [line for line in done.stdout.splitlines() if line.startswith("ANSWER ")]
    if not lines:
        return (done.stderr.strip().splitlines() or ["no word"])[-1][:120]
    found: dict[str, Any] = json.loads(lines[-1].removeprefix("ANSWER "))
    return found


def speed(tools: list[str], folder: Path, large: bool) -> None:
    """One half of the rows against the other."""
    sizes = [("flights 336,776 x 15", halves(flights().select([*FIFTEEN, "event_time"]), folder, "flights"))]
    sizes.append(("normal 1,000,000 x 20", halves(normal(1_000_000), folder, "million")))
    if large:
        sizes.append(("normal 10,000,000 x 20", halves(normal(10_000_000), folder, "ten")))
    for title, pair in sizes:
        print(f"\n{title} | CPU s | wall s | MB more | times ours\n---|---|---|---|---", flush=True)
        ours = None
        for name in tools:
            found = asked(name, {"cases": [pair], "texts": list(TEXTS), "times": 2}, folder)
            if isinstance(found, str):
                print(f"{name} {version_of(name)} | {found} | | |", flush=True)
                continue
            cpu, wall = found["cpu_s"][0], found["wall_s"][0]
            ours = cpu if name == "loopline" else ours
            ratio = f"{cpu / ours:.1f}" if ours else ""
            more = found["peak_mb"] - found["read_mb"]
            print(f"{name} {version_of(name)} | {cpu:.2f} | {wall:.2f} | {more:.0f} | {ratio}", flush=True)


def false_alarms(tools: list[str], folder: Path, every: int) -> None:
    """Reports with any alarm where nothing is wrong."""
    kinds = {kind: cases(folder, kind, every) for kind in ("other day", "shuffled")}
    print(
        f"\nreports with any alarm | {' | '.join(f'{kind} ({len(found)})' for kind, found in kinds.items())}\n---|---|---"
    )
    for name in tools:
        shares = []
        for pairs in kinds.values():
            found = asked(name, {"cases": pairs, "texts": list(TEXTS)}, folder)
            shares.append(found if isinstance(found, str) else f"{100 * np.mean(found['alarms']):.0f} %")
        print(f"{name} {version_of(name)} | {' | '.join(shares)}", flush=True)


def cases(folder: Path, kind: str, every: int) -> list[list[str]]:
    """Pairs of files: a month without one of its days, and that day (or as many rows at random)."""
    table, rng = flights().select([*THIRTEEN, "event_time"]), np.random.default_rng(2013)
    day = np.asarray(table["event_time"].cast("int64")) // 86_400_000
    month = table["event_time"].to_numpy().astype("datetime64[M]").astype(int)
    found = []
    for code in np.unique(month)[::3]:
        inside = month == code
        for date in np.unique(day[inside])[::every]:
            chosen = day[inside] == date
            if kind == "shuffled":
                chosen = rng.permutation(chosen)
            rows = table.filter(pa.array(inside))
            sides = [folder / f"{kind[:4].strip()}-{date}-{side}.parquet" for side in ("then", "now")]
            parquet.write_table(rows.filter(pa.array(~chosen)), sides[0])
            parquet.write_table(rows.filter(pa.array(chosen)), sides[1])
            found.append([str(side) for side in sides])
    return found


def halves(table: pa.Table, folder: Path, name: str) -> list[str]:
    """The even and the odd rows as files."""
    paths = [str(folder / f"{name}-{side}.parquet") for side in range(2)]
    for side, path in enumerate(paths):
        parquet.write_table(table.filter(pa.array(np.arange(len(table)) % 2 == side)), path)
    return paths


def normal(rows: int) -> pa.Table:
    """Twenty columns of independent normal numbers."""
    rng = np.random.default_rng(0)
    return pa.table({f"x{place}": rng.normal(size=rows) for place in range(20)})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--large", action="store_true", help="ten million rows too")
    parser.add_argument("--every", type=int, default=4, help="of the days of a month, take each so many")
    arguments = parser.parse_args()
    tools = ["loopline", *(name for name in PEERS if not arguments.only or name in arguments.only)]
    with tempfile.TemporaryDirectory() as made:
        speed(tools, Path(made), arguments.large)
        false_alarms(tools, Path(made), arguments.every)


if __name__ == "__main__":
    main()
