"""The same chain with a peer, inside the peer's environment: `python peers.py NAME ROUNDS STEPS…` prints JSON."""

from __future__ import annotations

import json
import sys
import tempfile
import time
import types
from collections.abc import Callable


def salted(steps: int, number: int) -> int:
    """A start from which no other chain's sums are reached."""
    return 10**9 * steps + 10**7 * (number + 1)


def cpu_ms(work: Callable[[], object]) -> float:
    """CPU milliseconds of this process."""
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000


def joblib_chain(place: str) -> Callable[[int, int], object]:
    """A function cached with `joblib.Memory`, called in a chain."""
    import joblib

    memory = joblib.Memory(place, verbose=0)

    @memory.cache
    def link(before: int, number: int) -> int:
        return before + number

    def chain(steps: int, salt: int) -> int:
        total = salt
        for number in range(steps):
            total = link(total, number)
        return total

    return chain


def hamilton_chain(place: str) -> Callable[[int, int], object]:
    """A Hamilton driver with its cache over a generated module of one function per step."""
    from hamilton import driver

    built: dict[int, object] = {}

    def chain(steps: int, salt: int) -> object:
        if steps not in built:
            lines = ["def step_0(salt: int) -> int:\n    return salt + 0"]
            lines += [
                f"def step_{n}(step_{n - 1}: int) -> int:\n    return step_{n - 1} + {n}" for n in range(1, steps)
            ]
            path = f"{place}/chain_{steps}.py"
            with open(path, "w") as file:
                file.write("\n\n\n".join(lines) + "\n")
            module = types.ModuleType(f"chain_{steps}")
            module.__file__ = path
            sys.modules[module.__name__] = module
            exec(compile("\n\n\n".join(lines) + "\n", path, "exec"), vars(module))
            built[steps] = driver.Builder().with_modules(module).with_cache(path=f"{place}/cache").build()
        return built[steps].execute([f"step_{steps - 1}"], inputs={"salt": salt})

    return chain


def main() -> None:
    """Measure one peer."""
    name, rounds, steps = sys.argv[1], int(sys.argv[2]), [int(text) for text in sys.argv[3:]]
    found = {}
    with tempfile.TemporaryDirectory() as place:
        chain = {"joblib": joblib_chain, "hamilton": hamilton_chain}[name](place)
        chain(2, -1)
        for count in steps:
            if name == "hamilton" and count > 100:
                sys.setrecursionlimit(50 * count)
            cold = [cpu_ms(lambda s=salt, c=count: chain(c, salted(c, s))) for salt in range(rounds)]
            warm = [cpu_ms(lambda c=count: chain(c, salted(c, 0))) for _ in range(rounds)]
            found[str(count)] = {"run": min(cold) / count, "again": min(warm) / count}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
