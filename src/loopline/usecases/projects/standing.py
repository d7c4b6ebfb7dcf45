"""What a project puts into the installation, thing by thing, and how it compares with what stands there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from loopline.ports.database import Transaction
from loopline.usecases.projects import environments, noting, store
from loopline.usecases.projects.model import Declared
from loopline.usecases.projects.needs import Datasets, Ledger, Serving
from loopline.usecases.projects.plans import Change, Leftover, Note, Thing, shown

Key = tuple[str, str]
DATASET, ENDPOINT = "dataset", "endpoint"
OWNED = (DATASET, ENDPOINT)
SOURCE, ADDRESS = ("folder", "url", "query"), ("model", "alias", "key", "event_time")


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """A thing as the project wants it: `fields` to compare with what stands, `contract` of a dataset beside."""

    kind: str
    name: str
    fields: dict[str, Any]
    contract: dict[str, Any] | None = None

    @property
    def key(self) -> Key:
        return self.kind, self.name


class Owners:
    """The use-cases that own what projects declare, asked thing by thing."""

    def __init__(self, ledger: Ledger, datasets: Datasets, serving: Serving) -> None:
        self._ledger = ledger
        self._datasets = datasets
        self._serving = serving

    def wishes(self, declared: Declared) -> dict[Key, Wish]:
        """All that a project declares. Invalid for a wrong contract."""
        found = [*self._dataset_wishes(declared), *self._endpoint_wishes(declared)]
        return {wish.key: wish for wish in found}

    def _dataset_wishes(self, declared: Declared) -> Iterator[Wish]:
        for name, made, entry in _sources(declared.config):
            source = {key: entry[key] for key in ("url", "query") if key in entry}
            if "folder" in entry:
                source["folder"] = str(Path(declared.folder, entry["folder"]))
            contract = declared.contracts.get(name)
            fields = self._datasets.wish(made, source, contract)
            yield Wish(kind=DATASET, name=made, fields=fields, contract=contract)

    def _endpoint_wishes(self, declared: Declared) -> Iterator[Wish]:
        for name, entry in (declared.config.get("endpoints") or {}).items():
            fields = {key: entry.get(key) for key in ADDRESS}
            if entry.get("options") is not None:
                fields["options"] = self._serving.wished_options(entry["options"])
            yield Wish(kind=ENDPOINT, name=name, fields=fields)

    def standing(self, tx: Transaction, key: Key) -> dict[str, Any] | None:
        """What stands in the installation under that name, or None."""
        owner: Any = self._datasets if key[0] == DATASET else self._serving
        found: dict[str, Any] | None = owner.standing_in(tx, key[1])
        return found

    def keeps_datasets(self, tx: Transaction, project: str) -> bool:
        """Whether the datasets stand as the project declared them when it was last applied."""
        things = [thing for thing in store.things(tx, project).values() if thing.kind == DATASET and not thing.left_at]
        return all(thing.wish is None or self._datasets.standing_in(tx, thing.name) == thing.wish for thing in things)

    def put(self, tx: Transaction, wish: Wish, actor: str) -> None:
        """Make a thing as the project wants it; nothing is written when it is so."""
        if wish.kind == DATASET:
            source = {key: wish.fields[key] for key in SOURCE if wish.fields[key]}
            self._datasets.declare_in(tx, wish.name, source, wish.contract, actor)
        else:
            fields = {key: wish.fields[key] for key in ADDRESS if key != "model"}
            self._serving.put_in(tx, wish.name, wish.fields["model"], actor, **fields)
            if "options" in wish.fields:
                self._serving.put_options_in(tx, wish.name, wish.fields["options"], actor)

    def retire(self, tx: Transaction, key: Key, actor: str) -> None:
        """Take a thing off; its data stay."""
        owner: Any = self._datasets if key[0] == DATASET else self._serving
        owner.retire_in(tx, key[1], actor)

    def changes(self, tx: Transaction, wishes: Mapping[Key, Wish], things: Mapping[Key, Thing]) -> Iterator[Change]:
        """Where what stands is not what the project wants."""
        for key, wish in wishes.items():
            found, thing = self.standing(tx, key), things.get(key)
            standing = _told(found, wish.fields)
            if standing == wish.fields:
                continue
            last = thing.wish if thing is not None and thing.left_at is None else None
            details = tuple(_details(standing or {}, wish.fields)) if standing or last else ()
            if last is not None and _told(found, last) != last:
                by, at = self._who(key)
                yield Change(kind=key[0], name=key[1], what="changed_by_hand", details=details, by=by, at=at)
            else:
                yield Change(kind=key[0], name=key[1], what="changed" if standing else "new", details=details)

    def leftovers(self, tx: Transaction, project: str, wishes: Mapping[Key, Wish], things: Mapping[Key, Thing]) -> Iterator[Leftover]:  # fmt: skip
        """What the project put there and no longer names, as far as it stands and belongs to nobody else."""
        for key, thing in things.items():
            standing = None if key in wishes or key[0] not in OWNED else self.standing(tx, key)
            if standing is not None and not store.claimed(tx, *key, project):
                details = tuple(f"{name} {value}" for name, value in standing.items() if value and name != "contract")
                by, at = thing.left_by or "", thing.left_at or ""
                yield Leftover(kind=key[0], name=key[1], details=details, by=by, at=at)

    def notes(
        self, tx: Transaction, declared: Declared, wishes: Mapping[Key, Wish], things: Mapping[Key, Thing]
    ) -> Iterator[Note]:
        """What applying leaves alone. Deployments by hand: an endpoint that follows an alias and serves something else.
        Releases and firings that nothing in the file explains."""
        for kind, name in wishes:
            revision = self._serving.by_hand_in(tx, name) if kind == ENDPOINT else None
            if revision is not None:
                asked = self._ledger.latest(1, kind="deployment.requested", subject=f"endpoint:{name}")
                by, at = (asked[0].actor, asked[0].at) if asked else (revision.requested_by, revision.live_at or "")
                text = f"serves version {revision.version} by hand; the next move of its alias deploys again"
                yield Note(kind="deployment", name=name, text=text, by=by, at=at)
        gone = {key for key in things if key[0] not in OWNED} - set(noting.named(declared.config))
        yield from noting.notes(self._ledger, str(declared.config["project"]), gone)

    def _who(self, key: Key) -> tuple[str, str]:
        """Who changed a thing last, and when, as the ledger knows it."""
        kind, name = key
        subject = name if kind == DATASET else f"endpoint:{name}"
        kinds: tuple[str, ...] = ("endpoint.changed", "endpoint.configured", "endpoint.retired")
        if kind == DATASET:
            kinds = ("dataset.declared", "dataset.retired")
        found = [fact for each in kinds for fact in self._ledger.latest(1, kind=each, subject=subject)]
        newest = max(found, key=lambda fact: fact.seq, default=None)
        return ("", "") if newest is None else (newest.actor, newest.at)


def remember(
    tx: Transaction, declared: Declared, wishes: Mapping[Key, Wish], at: str, actor: str, pruned: set[Key]
) -> None:
    """Note what the project put there and what it no longer names; nothing is written when that is known."""
    project = str(declared.config["project"])
    things = store.things(tx, project)
    wanted = {key: wish.fields for key, wish in wishes.items()} | {key: {} for key in noting.named(declared.config)}
    for key, fields in wanted.items():
        known = things.get(key)
        if known is None or known.wish != fields or known.left_at is not None:
            thing = Thing(kind=key[0], name=key[1], wish=fields, put_at=at, put_by=actor)
            store.put_thing(tx, project, thing)
    for key, thing in things.items():
        if key in pruned:
            store.forget_thing(tx, project, *key)
        elif key not in wanted and thing.left_at is None:
            store.put_thing(tx, project, msgspec.structs.replace(thing, left_at=at, left_by=actor))


def _sources(config: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Every dataset to declare: the name in the file, its own name, where it comes from."""
    for name, entry in (config.get("datasets") or {}).items():
        yield name, name, entry
    for environment, replaced in environments.declared(config).items():
        for name, binding in (replaced.get("datasets") or {}).items():
            yield name, environments.bound(name, environment), binding


def _told(standing: dict[str, Any] | None, wish: Mapping[str, Any]) -> dict[str, Any] | None:
    """What stands, as far as the wish says anything about it."""
    return None if standing is None else {name: value for name, value in standing.items() if name in wish}


def _details(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name in after:
        was, will = before.get(name) or None, after[name] or None
        if was != will and name == "contract":
            yield f"contract: {'new' if was is None else 'gone' if will is None else 'changed'}"
        elif was != will:
            yield f"{name}: {shown(was)} → {shown(will)}"
