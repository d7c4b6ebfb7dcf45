"""A walk: the things that were passed and how one came from the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from loopline.core.facts import Fact

Kind = Literal["prediction", "revision", "version", "run", "code", "snapshot", "batch"]


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One thing on a walk. `lines` say about it what a person wants to know; `facts` are those that moved it (who
    deployed, promoted, judged, approved, took). `ref` names it for programs: {"run": …}, {"model": …, "version": …}."""

    id: str
    kind: Kind
    title: str
    lines: list[str] = []
    at: str = ""
    ref: dict[str, Any] = {}
    facts: list[Fact] = []


class Edge(msgspec.Struct, frozen=True):
    """`source` led to `target`, in words: "trained on", "serves"."""

    source: str
    target: str
    what: str


class Walk(msgspec.Struct, frozen=True, kw_only=True):
    """From `subject` along `edges`, in the order in which a person reads it."""

    subject: str
    nodes: list[Node]
    edges: list[Edge]


class Drawing:
    """Gathers a walk; a thing reached twice is one node."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._nodes: dict[str, Node] = {}
        self._edges: dict[tuple[str, str, str], Edge] = {}

    def add(self, node: Node, source: str = "", what: str = "") -> bool:
        """Add a node and the edge by which it was reached; whether the node is new."""
        new = node.id not in self._nodes
        if new:
            self._nodes[node.id] = node
        if source:
            self._edges.setdefault((source, node.id, what), Edge(source, node.id, what))
        return new

    def done(self) -> Walk:
        return Walk(subject=self._subject, nodes=list(self._nodes.values()), edges=list(self._edges.values()))


def sentence(fact: Fact) -> str:
    """A fact as a line: what happened, by whom, when, and what it says."""
    about = {
        "gate.decided": ("verdict", "alias"),
        "alias.moved": ("alias", "from", "to", "reason"),
        "approval.given": ("alias", "note"),
        "deployment.requested": ("how",),
        "dataset.snapshot_taken": ("rows",),
    }.get(fact.kind, ())
    told = ", ".join(f"{name} {fact.body[name]}" for name in about if fact.body.get(name) not in (None, ""))
    return f"{fact.kind} by {fact.actor} at {fact.at}{': ' if told else ''}{told}"


def told(facts: Iterable[Fact]) -> list[str]:
    """Facts as lines."""
    return [sentence(fact) for fact in facts]


def figures(metrics: Mapping[str, Any], most: int = 6) -> str:
    """`auc 0.75, brier 0.15`: the first few."""
    parts = [
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in metrics.items()
    ]
    return ", ".join(parts[:most]) + (f" and {len(parts) - most} more" if len(parts) > most else "")


def short(digest: str) -> str:
    return digest[:12]
