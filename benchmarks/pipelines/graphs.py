"""The graphs that are run: nodes of plain functions, which each tool makes its own pipeline of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Of:
    """The value of another node."""

    name: str


SALT = Of("salt")  # what a run is given: another one, and nothing is known yet


@dataclass(frozen=True)
class Node:
    """One step: a function and its arguments by name, values or other nodes."""

    name: str
    function: Callable[..., Any]
    arguments: Mapping[str, Any]

    @property
    def needs(self) -> dict[str, str]:
        """Argument → node."""
        return {key: value.name for key, value in self.arguments.items() if isinstance(value, Of)}

    @property
    def given(self) -> dict[str, Any]:
        """Argument → value."""
        return {key: value for key, value in self.arguments.items() if not isinstance(value, Of)}


def chain(size: int, function: str = "link") -> list[Node]:
    """Each step needs the one before."""
    import bodies

    body = getattr(bodies, function)
    return [
        Node(f"n{number}", body, {"before": Of(f"n{number - 1}") if number else SALT, "number": number})
        for number in range(size)
    ]


def diamond(layers: int) -> list[Node]:
    """Layers of ten steps, each of which needs all ten of the layer before; then one that needs the last ten."""
    import bodies

    nodes = [Node(f"n0_{number}", bodies.link, {"before": SALT, "number": number}) for number in range(10)]
    for layer in range(1, layers):
        above = {key: Of(f"n{layer - 1}_{number}") for number, key in enumerate("abcdefghij")}
        nodes += [Node(f"n{layer}_{number}", bodies.knot, {**above, "number": number}) for number in range(10)]
    last = {key: Of(f"n{layers - 1}_{number}") for number, key in enumerate("abcdefghij")}
    return [*nodes, Node("end", bodies.knot, {**last, "number": 0})]


def edits() -> list[Node]:
    """The steps of the project whose edits are to be noticed."""
    import steps

    return [Node(name, getattr(steps, name), {}) for name in steps.NAMES]


def flights() -> list[Node]:
    """Load, validate, join and featurize, train, evaluate: the late-arrival example as plain functions."""
    import flow

    return [
        Node("raw_flights", flow.load, {"name": "flights"}),
        Node("raw_weather", flow.load, {"name": "weather"}),
        Node("valid", flow.validate, {"flights": Of("raw_flights")}),
        Node("frame", flow.featurize, {"flights": Of("valid"), "weather": Of("raw_weather")}),
        Node("model", flow.train, {"frame": Of("frame")}),
        Node("quality", flow.evaluate, {"model": Of("model"), "frame": Of("frame")}),
    ]


GRAPHS: dict[str, Callable[[int], list[Node]]] = {
    "chain": chain,
    "slow": lambda size: chain(size, "slow"),
    "diamond": diamond,
    "edits": lambda _: edits(),
    "flights": lambda _: flights(),
}


def called(nodes: list[Node], salt: int) -> dict[str, Any]:
    """The graph as plain calls: every node's value."""
    values: dict[str, Any] = {"salt": salt}
    for node in nodes:
        inputs = {key: values[name] for key, name in node.needs.items()}
        values[node.name] = node.function(**inputs, **node.given)
    return values
