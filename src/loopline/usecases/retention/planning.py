"""What goes with a thing: everything below it, counted; what stands against it; and what room that frees."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from loopline.core.belongings import Belongings, Block, Going, Thing
from loopline.core.errors import Invalid, NotFound
from loopline.kit.rows import portions
from loopline.ports.database import Transaction
from loopline.usecases.retention.model import MOST_NAMES, Node, word

Things = dict[str, list[str]]
NAMED = ("model", "endpoint", "dataset", "experiment")


class Planning:
    """Asks all who own something."""

    def __init__(self, owners: Mapping[str, Belongings], home: Path) -> None:
        self.owners = owners
        self.home = home
        self.by_kind = {kind: owner for owner in owners.values() for kind in owner.kinds}

    def find(self, tx: Transaction, kind: str, name: str) -> Thing:
        """The thing that a person names; Invalid for a kind that cannot be removed, NotFound."""
        return self.owner(kind).find(tx, kind, name)

    def owner(self, kind: str) -> Belongings:
        """Who answers for a kind."""
        if kind not in self.by_kind:
            raise Invalid(
                f"{kind!r} is no kind of thing that can be removed.", f"Use one of {', '.join(sorted(self.by_kind))}."
            )
        return self.by_kind[kind]

    def going(self, tx: Transaction, thing: Thing) -> Things:
        """All things that go with one, by kind, in the order in which one was found below the other."""
        found: Things = {thing.kind: [thing.name]}
        fresh: list[tuple[str, list[str]]] = [(thing.kind, [thing.name])]
        while fresh:
            kind, names = fresh.pop(0)
            for below, more in self.below(tx, kind, names).items():
                known = set(found.get(below, ()))
                new = [name for name in dict.fromkeys(more) if name not in known and self.there(tx, below, name)]
                if new:
                    found.setdefault(below, []).extend(new)
                    fresh.append((below, new))
        return found

    def below(self, tx: Transaction, kind: str, names: Sequence[str]) -> Things:
        """What is directly below things."""
        found: Things = {}
        for owner in self.owners.values():
            for some in portions(names):
                for below, more in owner.below(tx, kind, some).items():
                    found.setdefault(below, []).extend(more)
        return found

    def there(self, tx: Transaction, kind: str, name: str) -> bool:
        """Whether a thing that was only named exists; parts of a thing do."""
        if kind not in NAMED:
            return True
        try:
            return bool(self.find(tx, kind, name))
        except NotFound:
            return False

    def blocks(self, tx: Transaction, going: Going) -> list[Block]:
        """What stands against it."""
        found = (block for owner in self.owners.values() for block in owner.blocks(tx, going))
        return list(dict.fromkeys(found))

    def tree(self, tx: Transaction, thing: Thing, going: Things) -> tuple[Node, dict[str, int]]:
        """The tree for people, and everything counted."""
        nodes, counts = [], {word(kind, 2): len(names) for kind, names in going.items() if kind != thing.kind}
        own = self.counted(tx, thing.kind, going[thing.kind])
        for kind, names in going.items():
            if kind == thing.kind:
                continue
            inner = self.counted(tx, kind, names)
            counts = added(counts, inner)
            children = [Node(worded(what, count), count) for what, count in inner.items()]
            nodes.append(
                Node(word(kind, len(names)), len(names), [shown(kind, each) for each in names[:MOST_NAMES]], children)
            )
        top = Node(
            f"{thing.kind} {thing.title or thing.name}",
            1,
            [],
            nodes + [Node(worded(what, count), count) for what, count in own.items()],
        )
        return top, {what: count for what, count in added(counts, own).items() if count}

    def counted(self, tx: Transaction, kind: str, names: Sequence[str]) -> dict[str, int]:
        """What belongs to things of one kind, counted by its word."""
        found: dict[str, int] = {}
        for owner in self.owners.values():
            for some in portions(names):
                for rows in owner.rows(kind, some):
                    if rows.what:
                        row = tx.row(f'SELECT COUNT(*) AS n FROM "{rows.table}" WHERE {rows.where}', rows.params)
                        found[rows.what] = found.get(rows.what, 0) + (row["n"] if row else 0)
        return {what: count for what, count in found.items() if count}

    def folders(self, going: Going) -> list[str]:
        """Folders that go, as paths inside the installation's."""
        named = (
            one for owner in self.owners.values() for kind, names in going.items() for one in owner.folders(kind, names)
        )
        return [one for one in named if (self.home / one).is_dir()]

    def room(
        self, tx: Transaction, going: Going, closed: Callable[[Iterable[str]], Mapping[str, int]]
    ) -> tuple[int, int]:
        """Bytes that become free, and those that stay because something else refers to them. `closed` answers, for
        digests, the sizes of their blobs and of all that documents among them name."""
        sets = {kind: set(names) for kind, names in going.items()}
        mine: set[str] = set()
        others: set[str] = set()
        for owner in self.owners.values():
            for each in owner.references(tx):
                (mine if each.name in sets.get(each.kind, ()) else others).add(each.digest)
        sizes = closed(mine)
        elsewhere = closed(others) if sizes else {}
        logs = sum(bytes_in(self.home / one) for one in self.folders(going))
        freed = sum(size for digest, size in sizes.items() if digest not in elsewhere)
        return freed + logs, sum(sizes.values()) - freed


def added(counts: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """Two counts in one."""
    return {
        what: counts.get(what, 0) + more.get(what, 0) for what in (*counts, *(one for one in more if one not in counts))
    }


def worded(what: str, count: int) -> str:
    """A plural, or its singular for one; what is more than one word stays as it is."""
    if count != 1 or " " in what:
        return what
    return what.removesuffix("es") if what in ("batches", "aliases") else what.removesuffix("s")


def shown(kind: str, name: str) -> str:
    """A name as people read it."""
    if kind in ("run", "release"):
        return name[:8]
    owner, slash, digest = name.rpartition("/")
    return f"{owner} {digest[:8]}" if kind == "snapshot" and slash else name


def bytes_in(folder: Path) -> int:
    """The bytes of all files in a folder."""
    return sum(os.lstat(Path(place, name)).st_size for place, _, names in os.walk(folder) for name in names)
