"""Trees as flat arrays: what is checked of them, and how they are laid out for either way of asking them.

`quick` (Lucchese et al., QuickScorer, SIGIR 2015) asks no node after another: the values of all features are ranked
among all thresholds in one search, each rank brings a mask of the leaves that stay possible in every tree, and the
leftmost leaf that all masks leave is the answer. It costs the same for any depth, and needs trees of at most 64 leaves.
`walk` follows all trees of all rows level by level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from loopline.adapters.engines.tables.content import damaged

MOST_LEAVES = 64
CATEGORIES = 256
_MOST_MASK_BYTES = 1 << 26
_MOST_RANKS = 1 << 23
Array = Any


@dataclass(frozen=True)
class Nodes:
    """Nodes of all trees, one tree after the other. `left` is -1 at a leaf; `category` is the row of `lefts` (bits of
    256 values that go left) or -1 where `threshold` decides; `nan_left` says where a missing value goes."""

    feature: Array
    threshold: Array
    left: Array
    right: Array
    nan_left: Array
    category: Array
    lefts: Array
    values: Array
    roots: Array

    def check(self, width: int, outputs: int, grouped: bool) -> None:
        """Invalid for a child outside of its tree, a node reached twice or never, or a size that does not fit."""
        count, trees = len(self.feature), len(self.roots)
        same = (self.threshold, self.left, self.right, self.nan_left, self.category, self.values)
        sizes = all(len(array) == count for array in same) and self.lefts.shape[1:] == (CATEGORIES,)
        _must(sizes and trees > 0 and outputs > 0, "sizes of trees differ")
        _must(
            self.values.shape[1:] == (1 if grouped else outputs,) and trees % (outputs if grouped else 1) == 0, "leaves"
        )
        _must(self.roots[0] == 0 and (np.diff(self.roots) > 0).all() and self.roots[-1] < count, "roots")
        ends = np.append(self.roots[1:], count)
        own = np.repeat(np.arange(trees), ends - self.roots)
        inner = np.flatnonzero(self.left != -1)
        for child in (self.left[inner], self.right[inner]):
            _must(((child > inner) & (child < ends[own[inner]])).all(), "a child lies outside of its tree")
        reached = np.bincount(np.concatenate([self.left[inner], self.right[inner], self.roots]), minlength=count)
        _must((reached == 1).all(), "a node is reached twice or never")
        _must(((self.feature[inner] >= 0) & (self.feature[inner] < width)).all(), "a split is on no input")
        _must(((self.category >= -1) & (self.category < len(self.lefts))).all(), "categories")
        _must(not np.isnan(self.threshold[inner]).any(), "a threshold is no number")

    def levels(self) -> list[Array]:
        """The inner nodes of each level, from the roots down."""
        found, level = [], self.roots
        while (level := level[self.left[level] != -1]).size:
            found.append(level)
            level = np.concatenate([self.left[level], self.right[level]])
        return found


def _must(holds: Any, what: str) -> None:
    if not holds:
        raise damaged(what)


class Leaves:
    """For every node how many leaves are below it and which is the first, counted in its own tree from the left."""

    def __init__(self, nodes: Nodes) -> None:
        levels = nodes.levels()
        self.depth = len(levels)
        self.below = np.ones(len(nodes.feature), dtype=np.int64)
        for level in reversed(levels):
            self.below[level] = self.below[nodes.left[level]] + self.below[nodes.right[level]]
        self.first = np.zeros(len(nodes.feature), dtype=np.int64)
        for level in levels:
            self.first[nodes.left[level]] = self.first[level]
            self.first[nodes.right[level]] = self.first[level] + self.below[nodes.left[level]]
        ends = np.append(nodes.roots[1:], len(nodes.feature))
        self.tree = np.repeat(np.arange(len(nodes.roots)), ends - nodes.roots)
        self.most = int(self.below[nodes.roots].max())


class Sum:
    """Leaves to outputs, added tree after tree as the libraries do, so that the sum is theirs to the last bit."""

    def __init__(self, base: Array, outputs: int, grouped: bool, single: bool = False) -> None:
        self._base = base if base.any() else None
        self._type = np.float32 if single else np.float64
        self._outputs, self._grouped = outputs, grouped

    def __call__(self, leaves: Array) -> Array:
        """(rows, trees) or (rows, trees, outputs) to (outputs, rows)."""
        leaves = leaves.astype(self._type, copy=False)
        if self._outputs == 1:
            if self._base is not None:
                leaves[:, 0] += self._base
            return np.add.accumulate(leaves, axis=1, dtype=self._type)[:, -1][None].astype(np.float64)
        if self._grouped:
            leaves = leaves.reshape(len(leaves), -1, self._outputs)
        if self._base is not None:
            leaves[:, 0] += self._base
        return np.ascontiguousarray(np.add.accumulate(leaves, axis=1, dtype=self._type)[:, -1].T, np.float64)


class Quick:
    """Trees of at most 64 leaves, by masks. Called with (features, rows), answers (outputs, rows)."""

    def __init__(self, nodes: Nodes, leaves: Leaves, add: Sum, side: str, single: bool) -> None:
        self._add, self._single = add, single
        self._side: Any = side
        inner = np.flatnonzero(nodes.left != -1)
        self._used = distinct(nodes.feature[inner])
        of = np.searchsorted(self._used, nodes.feature[inner])
        kind = _mask_type(leaves.most)
        size = leaves.below[nodes.roots][leaves.tree[inner]]
        count = leaves.below[nodes.left[inner]]
        shift = (size - leaves.first[inner] - count).astype(np.uint64)
        clear = (~(((np.uint64(1) << count.astype(np.uint64)) - np.uint64(1)) << shift)).astype(kind)
        self._full = _ones(leaves.below[nodes.roots], kind)
        self._rank(nodes, inner, of)
        self._masks = self._filled(nodes, inner, of, leaves.tree[inner], clear)
        self._values(nodes, leaves)
        self._step = max(1, (1 << 18) // max(1, len(self._used) * len(nodes.roots) * kind().itemsize))
        self._plain = kind().itemsize < 8 or leaves.most <= 52

    def _rank(self, nodes: Nodes, inner: Array, of: Array) -> None:
        """All thresholds in order, and for each feature which of its masks belongs to a rank among all."""
        splits = []
        for place in range(len(self._used)):
            mine = inner[of == place]
            categorical = nodes.category[mine] >= 0
            _must(categorical.all() or not categorical.any(), "a feature is both number and category")
            splits.append(_category_edges() if categorical.any() else distinct(nodes.threshold[mine]))
        self._splits = splits
        edges = distinct(np.concatenate([*splits, [np.inf]])) if splits else np.array([np.inf])
        self._edges = np.append(edges, np.nan)
        ranks, start = len(self._edges) + 1, 0
        place_of = np.zeros((len(splits), ranks), dtype=np.intp)
        self._starts = []
        for place, mine in enumerate(splits):
            steps = np.zeros(ranks, dtype=np.intp)
            steps[np.searchsorted(self._edges, mine) + 1] = 1
            place_of[place] = start + np.cumsum(steps)
            place_of[place, ranks - 2 if self._side == "left" else ranks - 1] = start + len(mine) + 1
            self._starts.append(start)
            start += len(mine) + 2
        self._rows = start
        self._offset = np.arange(len(splits))[:, None] * ranks
        self._place = place_of.ravel()

    def _filled(self, nodes: Nodes, inner: Array, of: Array, tree: Array, clear: Array) -> Array:
        masks = np.tile(self._full, (max(1, self._rows), 1))
        for place, (start, mine) in enumerate(zip(self._starts, self._splits, strict=True)):
            here = np.flatnonzero(of == place)
            block = masks[start : start + len(mine) + 2]
            right = here[nodes.nan_left[inner[here]] == 0]
            missing = (tree[right], clear[right])
            np.bitwise_and.at(block[-1], *missing)
            if nodes.category[inner[here[0]]] >= 0:
                lefts = nodes.lefts[nodes.category[inner[here]]] != 0
                row, each = np.nonzero(~lefts.T)
                np.bitwise_and.at(block, (row + 1, tree[here[each]]), clear[here[each]])
                block[0] = block[-2] = block[-1]
            else:
                rank = np.searchsorted(mine, nodes.threshold[inner[here]]) + 1
                np.bitwise_and.at(block, (rank, tree[here]), clear[here])
                np.bitwise_and.accumulate(block[:-1], axis=0, out=block[:-1])
        return masks

    def _values(self, nodes: Nodes, leaves: Leaves) -> None:
        """Values by tree and bit, and what turns the exponent of a mask into that place."""
        most, leaf = leaves.most, np.flatnonzero(nodes.left == -1)
        tree = leaves.tree[leaf]
        bit = leaves.below[nodes.roots][tree] - 1 - leaves.first[leaf]
        table = np.zeros((len(nodes.roots) * most, nodes.values.shape[1]))
        table[tree * most + bit] = nodes.values[leaf]
        self._table = table[:, 0].copy() if table.shape[1] == 1 else table
        small = self._masks.itemsize <= 2
        kinds: Any = (np.float32, np.int32, 23) if small else (np.float64, np.int64, 52)
        self._float, self._int, self._bits = kinds
        self._base = (np.arange(len(nodes.roots)) * most - (127 if small else 1023)).astype(self._int)

    def __call__(self, table: Array) -> Array:
        rows = table.shape[1]
        if rows <= self._step:
            return self._add(self._some(table))
        step = self._step
        return np.concatenate([self._add(self._some(table[:, at : at + step])) for at in range(0, rows, step)], axis=1)

    def _some(self, table: Array) -> Array:
        used = table.take(self._used, axis=0)
        if self._single:
            used = used.astype(np.float32)
        rank = self._edges.searchsorted(used, self._side)
        rank += self._offset
        masks = np.bitwise_and.reduce(self._masks.take(self._place.take(rank), axis=0), axis=0)
        if not self._plain:
            masks &= ~(masks >> np.uint64(1))  # the highest bit alone decides; others must not round it up
        leaf = masks.astype(self._float).view(self._int) >> self._bits
        leaf += self._base
        return self._table.take(leaf, axis=0)


class Walk:
    """Trees of any size, level by level. Called with (features, rows), answers (outputs, rows)."""

    def __init__(self, nodes: Nodes, leaves: Leaves, add: Sum, side: str, single: bool, width: int) -> None:
        _must((nodes.category < 0).all(), "categories need small trees")
        self._add, self._single, self._depth, self._roots = add, single, leaves.depth, nodes.roots.astype(np.intp)
        inner = nodes.left != -1
        self._values = nodes.values[:, 0].copy() if nodes.values.shape[1] == 1 else nodes.values
        here = np.arange(len(nodes.feature))
        self._right = np.where(inner, nodes.right, here).astype(np.intp)
        self._down = np.where(inner, nodes.left - nodes.right, 0).astype(np.intp)
        self._lowered = bool((inner & (nodes.nan_left != 0)).any())
        feature = np.where(inner, nodes.feature, 0)
        self._feature = np.where(inner & (nodes.nan_left != 0), feature + width, feature).astype(np.intp)
        self._threshold = np.where(inner, nodes.threshold, -np.inf)
        if side == "right":  # x < t goes left, which is x <= the number before t
            self._threshold = np.where(inner, np.nextafter(self._threshold, -np.inf), -np.inf)
        self._step = max(1, (1 << 17) // len(self._roots))

    def __call__(self, table: Array) -> Array:
        if self._single:
            table = table.astype(np.float32)
        rows, step = table.shape[1], self._step
        if rows <= step:
            return self._add(self._some(table))
        parts = [np.ascontiguousarray(table[:, at : at + step]) for at in range(0, rows, step)]
        return np.concatenate([self._add(self._some(part)) for part in parts], axis=1)

    def _some(self, table: Array) -> Array:
        rows = table.shape[1]
        if self._lowered:
            table = np.concatenate([table, np.where(np.isnan(table), -np.inf, table)])
        flat = table.ravel()
        node = np.repeat(self._roots[None], rows, axis=0)
        row = np.arange(rows)[:, None]
        for _ in range(self._depth):
            place = self._feature.take(node)
            if rows > 1:
                place *= rows
                place += row
            left = flat.take(place) <= self._threshold.take(node)
            node = self._right.take(node) + self._down.take(node) * left
        return self._values.take(node, axis=0)


def distinct(values: Array) -> Array:
    """Different values in order. (What numpy has for it imports masked arrays, which nothing else here needs.)"""
    ordered = np.sort(values)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


def _mask_type(most: int) -> Any:
    return np.uint8 if most <= 8 else np.uint16 if most <= 16 else np.uint32 if most <= 32 else np.uint64


def _ones(sizes: Array, kind: Any) -> Array:
    """A mask of as many bits as each tree has leaves."""
    return (np.uint64(2**64 - 1) >> (64 - sizes).astype(np.uint64)).astype(kind)


def _category_edges() -> Array:
    """Between which numbers lies each category: a value is cut to the whole number below, as the libraries do."""
    return np.nextafter(np.arange(CATEGORIES + 1, dtype=np.float64), -np.inf)


def fits_masks(most_leaves: int, trees: int, splits: int, features: int) -> bool:
    """Whether masks for so many different splits stay small."""
    itemsize = _mask_type(most_leaves)().itemsize
    small = (splits + 2 * features) * trees * itemsize <= _MOST_MASK_BYTES
    return most_leaves <= MOST_LEAVES and small and features * splits <= _MOST_RANKS
