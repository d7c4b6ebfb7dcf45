"""What randomness a run began with: PYTHONHASHSEED, and the states of the generators that are loaded."""

from __future__ import annotations

import os
import sys
from typing import Any

from blake3 import blake3


def seeds() -> dict[str, str]:
    """By generator 16 hexadecimal digits of its state (equal states, equal digits); a generator that nobody loaded is
    not loaded for this."""
    found = {"PYTHONHASHSEED": os.environ.get("PYTHONHASHSEED", "random")}
    for name, ask in (("random", of_random), ("numpy", of_numpy), ("torch", of_torch)):
        if module := sys.modules.get(name):
            try:
                found[name] = ask(module)
            except Exception:  # noqa: S112  (half imported, or another module of that name)
                continue
    return {name: state for name, state in found.items() if state}


def of_random(module: Any) -> str:
    """The state of Python's generator."""
    return digits(repr(module.getstate()).encode())


def of_numpy(module: Any) -> str:
    """The state of numpy's global generator, if it is loaded."""
    if "numpy.random" not in sys.modules:
        return ""
    state = module.random.get_state(legacy=False)
    return digits(state["state"]["key"].tobytes() + str(state["state"]["pos"]).encode())


def of_torch(module: Any) -> str:
    """The seed of torch's generator and its state."""
    return f"{module.initial_seed()} {digits(module.get_rng_state().numpy().tobytes())}"


def digits(state: bytes) -> str:
    """16 hexadecimal digits."""
    return str(blake3(state).hexdigest())[:16]
