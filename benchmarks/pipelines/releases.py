"""What publishing and promoting a release cost: seconds beyond the tests themselves, milliseconds a promotion.

`python benchmarks/pipelines/releases.py` prints one JSON line. The project has 30 modules and a test for each; its lock
names what is installed here, so no environment is built (`--environment` builds one from a real lock and times that).
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from loopline.kit.installed import installed
from loopline.testing.factories import installation
from loopline.usecases.releases.locking import Pin, declared_in, written

MODULES, ROUNDS, MOVES = 30, 5, 20
CONFIG = "project: sums\npipelines:\n  sums: {}\nenvironments:\n  prod: {}\n"
MODULE = "def add(value):\n    return value + {number}\n"
TEST = "from parts.part{number} import add\n\n\ndef test_add():\n    assert add(1) == 1 + {number}\n"


def project(folder: Path, dependencies: str = "") -> Path:
    """A project of many small files."""
    for name in ("parts", "tests"):
        (folder / name).mkdir(parents=True)
    for number in range(MODULES):
        (folder / "parts" / f"part{number}.py").write_text(MODULE.format(number=number))
        (folder / "tests" / f"test_part{number}.py").write_text(TEST.format(number=number))
    imports = "".join(f"from parts.part{number} import add as add{number}\n" for number in range(MODULES))
    calls = "".join(f"    value = add{number}(value)\n" for number in range(MODULES))
    (folder / "pipeline.py").write_text(
        f"from loopline import pipeline, step\n{imports}\n\n@step\ndef summed(value: int) -> int:\n{calls}"
        "    return value\n\n\n@pipeline\ndef sums(value: int = 1):\n    return summed(value)\n"
    )
    (folder / "loopline.yaml").write_text(CONFIG)
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "sums"\nversion = "1"\ndependencies = [{dependencies}]\n'
    )
    return folder


def locked_here(folder: Path) -> None:
    pins = [Pin(name, version, ("sha256:" + "0" * 64,)) for name, version in installed().items() if name != "loopline"]
    (folder / "requirements.lock").write_bytes(written(declared_in(folder), pins))


def timed(work: Callable[[], object]) -> tuple[float, object]:
    began = time.perf_counter()
    answer = work()
    return time.perf_counter() - began, answer


def of(name: str, found: list[float]) -> dict[str, float]:
    """Median and least: on a busy machine the least is what the work itself takes."""
    return {name: round(statistics.median(found), 4), f"{name}_least": round(min(found), 4)}


def measured() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as place, installation(Path(place)) as home:
        folder, releases = project(Path(place, "sums")), home.releases
        locked_here(folder)
        home.projects.apply(folder, "bench")
        beyond, again, digests = [], [], []
        for number in range(ROUNDS + 1):
            (folder / "parts" / "part0.py").write_text(MODULE.format(number=0) + f"\n\nEDIT = {number}\n")
            took, release = timed(lambda: releases.seal(folder, "sums", actor="bench"))
            beyond.append(took - releases.tests(release.digest).seconds)
            again.append(timed(lambda: releases.seal(folder, "sums", actor="bench"))[0])
            digests.append(release.digest)
        moves = [
            timed(lambda number=number: releases.promote(digests[number % 2], "prod", "bench"))[0]
            for number in range(MOVES)
        ]
        releases.run(digests[0], actor="bench")
        hits = [timed(lambda: releases.run(digests[0], actor="bench"))[0] for _ in range(ROUNDS)]
    return {
        **of("publish_beyond_tests_s", beyond[1:]),
        "publish_first_beyond_tests_s": round(beyond[0], 4),
        **of("publish_known_s", again),
        **of("promote_ms", [1000 * seconds for seconds in moves[2:]]),
        **of("run_from_cache_ms", [1000 * seconds for seconds in hits]),
        "load": round(os.getloadavg()[0], 1),
    }


def environment() -> dict[str, float]:
    """Seconds to lock a project and to build its environment; asks the package index."""
    with tempfile.TemporaryDirectory() as place, installation(Path(place)) as home:
        folder = project(Path(place, "sums"), '"iniconfig==2.0.0"')
        locking, (lock, _) = timed(lambda: home.releases.lock(folder))  # type: ignore[misc]
        home.releases.seal(folder, "sums", actor="bench")
        (fact,) = home.ledger.since(0, kind="environment.built")
    return {
        "lock_s": round(locking, 2),
        "environment_s": round(fact.body["seconds"], 2),
        "distributions": len(lock.pins),
    }


if __name__ == "__main__":
    print(json.dumps({**measured(), **(environment() if "--environment" in sys.argv else {})}))
