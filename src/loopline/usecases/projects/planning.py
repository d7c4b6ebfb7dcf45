"""What applying a folder would change: against what was applied last, and against what stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from loopline.ports.blobs import Blobs
from loopline.ports.database import Transaction
from loopline.usecases.projects import cadence, code, store
from loopline.usecases.projects.checking_policies import refuse_circles
from loopline.usecases.projects.model import Declared, Project
from loopline.usecases.projects.needs import Monitoring
from loopline.usecases.projects.plans import Change, Plan, differences
from loopline.usecases.projects.standing import Owners


def planned(
    tx: Transaction, owners: Owners, blobs: Blobs, declared: Declared, manifest: code.Manifest,
    monitoring: Monitoring | None = None,
) -> Plan:  # fmt: skip
    """The plan for a folder, seen from inside one transaction: nobody applies in between."""
    name = str(declared.config["project"])
    refuse_circles(name, {**{each.name: each.config for each in store.projects(tx)}, name: declared.config})
    standing, things = store.project(tx, name), store.things(tx, name)
    wishes = owners.wishes(declared)
    changes = merged(applied_changes(blobs, standing, declared, manifest), owners.changes(tx, wishes, things))
    leftovers = tuple(owners.leftovers(tx, name, wishes, things))
    return Plan(
        project=name,
        code_digest=code.digest(manifest),
        changes=tuple(changes),
        leftovers=leftovers,
        notes=(*owners.notes(tx, declared, wishes, things), *cadence.flagged(tx, declared.config, monitoring)),
        after=standing.seq if standing else 0,
        state="differs" if changes else "leftovers" if leftovers else "in_step",
    )


def merged(applied: Iterable[Change], standing: Iterable[Change]) -> list[Change]:
    """One change a thing: what the file says, and what stands otherwise than it says."""
    found = {(change.kind, change.name): change for change in applied}
    for change in standing:
        known = found.get((change.kind, change.name))
        if known is None:
            found[change.kind, change.name] = change
        elif change.what == "changed_by_hand":
            details = (*change.details, *(line for line in known.details if line not in change.details))
            found[change.kind, change.name] = msgspec.structs.replace(change, details=details)
    return list(found.values())


def applied_changes(
    blobs: Blobs, standing: Project | None, declared: Declared, manifest: code.Manifest
) -> Iterator[Change]:
    """What differs from the last application: configuration, contracts, folder, files."""
    yield from differences(standing.config if standing else {}, declared.config)
    contracts = standing.contracts if standing else {}
    for name in sorted(contracts.keys() | declared.contracts.keys()):
        if contracts.get(name) != declared.contracts.get(name):
            yield Change(kind="contract", name=name, what=_what(name, contracts, declared.contracts))
    if standing is not None and standing.folder != declared.folder:
        yield Change(kind="project", name="folder", what="changed", details=(f"{standing.folder} → {declared.folder}",))
    if standing is None or standing.code_digest != code.digest(manifest):
        yield _code_change(blobs, standing, manifest)


def _code_change(blobs: Blobs, standing: Project | None, manifest: code.Manifest) -> Change:
    before, after = code.listed(blobs, standing.code_digest) if standing else {}, manifest.files
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    details = tuple(f"{name}: {_what(name, before, after)}" for name in names)
    what: Any = "changed" if standing else "new"
    return Change(kind="code", name=code.digest(manifest)[:16], what=what, details=details)


def _what(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Any:
    return "new" if name not in before else "gone" if name not in after else "changed"
