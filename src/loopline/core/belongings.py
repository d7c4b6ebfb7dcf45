"""What belongs to what, as each use-case answers for its own rows, so that a thing can go whole and come back whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

Kind = Literal["run", "experiment", "model", "version", "dataset", "snapshot", "release", "endpoint", "project"]
KINDS: tuple[Kind, ...] = (
    "run", "experiment", "model", "version", "dataset", "snapshot", "release", "endpoint", "project",
)  # fmt: skip
Going = Mapping[str, Sequence[str]]
"""Things that go together: names by kind. A run is named by its id, a version "model/3", a snapshot "dataset/digest", a
release by its digest."""


class Thing(msgspec.Struct, frozen=True):
    """One thing by its full name, with what a person calls it."""

    kind: str
    name: str
    title: str = ""


class Block(msgspec.Struct, frozen=True):
    """Why a thing cannot go: what needs it, and the way out. `stops` says that taking it off first is offered."""

    kind: str
    name: str
    why: str
    way_out: str
    stops: bool = False


class Hidden(msgspec.Struct, frozen=True):
    """A thing that is in the trash where it stands, marked as deleted."""

    kind: str
    name: str
    title: str
    removed_at: str


class Rows(NamedTuple):
    """Rows of one table: those that `where` (with `params`) finds. `what` is the word under which they are counted for
    people; rows without one are too many or too small to speak of."""

    table: str
    where: str
    params: Mapping[str, Any]
    what: str = ""


class Reference(NamedTuple):
    """A thing needs the bytes kept under a digest. `under` is the (kind, name) that its room is counted for."""

    kind: str
    name: str
    digest: str
    under: tuple[str, str]


class Candidate(NamedTuple):
    """A run of which a policy decides: whether it goes."""

    name: str
    title: str
    at: str
    ended: bool
    value: float | None
    tags: Mapping[str, str]


class Swept(msgspec.Struct, frozen=True):
    """What was cleared up of one sort: how many, and their bytes."""

    what: str
    count: int
    size: int = 0


class Belongings:
    """What one use-case answers about its rows. The answers here are those of one that has nothing to say.

    `kinds` can be named by a person; `hides` are those of them whose rows stay in their place while they are in the
    trash, marked as deleted. `unrelated` names tables whose texts refer to no bytes, with a condition for the rows of
    which that holds ("" for all).
    """

    kinds: tuple[str, ...] = ()
    hides: tuple[str, ...] = ()
    unrelated: Mapping[str, str] = {}

    def __init__(self, service: Any = None) -> None:
        self.service = service

    def find(self, tx: Any, kind: str, name: str) -> Thing:
        """The thing that a person names, also by the beginning of an id; NotFound."""
        raise NotImplementedError(kind)

    def below(self, tx: Any, kind: str, names: Sequence[str]) -> Going:
        """What goes with things: their parts that have names of their own."""
        return {}

    def rows(self, kind: str, names: Sequence[str]) -> Iterable[Rows]:
        """The rows that belong to things, those first that others refer to by a foreign key last."""
        return ()

    def blocks(self, tx: Any, going: Going) -> Iterable[Block]:
        """What stands against these things going; what goes itself does not."""
        return ()

    def stop(self, tx: Any, kind: str, name: str, actor: str) -> None:
        """Take a thing off, so that it may go."""

    def part(self, tx: Any, kind: str, names: Sequence[str], at: str) -> None:
        """Things are about to go: hand over, or note, what others still need of them."""

    def references(self, tx: Any) -> Iterable[Reference]:
        """Which bytes its things need."""
        return ()

    def folders(self, kind: str, names: Sequence[str]) -> Sequence[str]:
        """Folders of things, as paths inside the installation's."""
        return ()

    def hide(self, tx: Any, kind: str, names: Sequence[str], at: str) -> None:
        """Mark things as deleted."""

    def show(self, tx: Any, kind: str, names: Sequence[str], at: str) -> None:
        """Take the mark off."""

    def hidden(self, tx: Any) -> Sequence[Hidden]:
        """What is marked as deleted, newest first; runs of an experiment that is deleted itself are left out."""
        return ()

    def sweep(self, now: float, dry_run: bool) -> Iterable[Swept]:
        """Clear up what only time makes needless. `now` in Unix seconds."""
        return ()


class Standing:
    """What a replay of facts finds standing, as things go to the trash and come back. `belongs(kind, name)` answers
    whether the key of an entry belongs to a thing that goes."""

    def __init__(self, belongs: Callable[[str, str, str], bool]) -> None:
        self.now: dict[str, Any] = {}
        self._belongs = belongs
        self._gone: dict[tuple[str, str], dict[str, Any]] = {}

    def heard(self, fact: Any) -> bool:
        """Whether the fact tells of a removal or restoration; if so it has been followed."""
        found = removal(fact)
        if found is None:
            return False
        for kind, names in found[1].items():
            for name in names:
                self._follow(found[0] == "removed", kind, name)
        return True

    def _follow(self, gone: bool, kind: str, name: str) -> None:
        if gone:
            keys = [key for key in self.now if self._belongs(kind, name, key)]
            self._gone[kind, name] = {key: self.now.pop(key) for key in keys}
        else:
            self.now |= self._gone.pop((kind, name), {})


def removal(fact: Any) -> tuple[str, Mapping[str, Sequence[str]]] | None:
    """What a fact says of things that went or came back; None for any other fact."""
    kind, _, what = fact.kind.partition(".")
    if kind in KINDS and what in ("removed", "restored") and isinstance(fact.body.get("things"), Mapping):
        return what, fact.body["things"]
    return None
