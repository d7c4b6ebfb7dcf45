"""The verbs of projects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from loopline.core.errors import Conflict, NotFound
from loopline.ports.blobs import Blobs
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.usecases.projects import code, model, store
from loopline.usecases.projects.model import APPLIED, Change, Declared, Plan, Project
from loopline.usecases.projects.needs import Datasets, Ledger, Serving


class Projects:
    """What project folders declare, as it was last applied."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        blobs: Blobs,
        clock: Clock,
        datasets: Datasets,
        serving: Serving,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._blobs = blobs
        self._clock = clock
        self._datasets = datasets
        self._serving = serving

    def plan(self, folder: Path) -> Plan:
        """What applying a project's folder would change. Invalid lists every mistake in its loopline.yaml."""
        from loopline.usecases.projects import folders

        return self.plan_of(folders.declared(folder))

    def apply(self, folder: Path, actor: str) -> Plan:
        """Make the installation as the folder says: its configuration, contracts and files are kept as data."""
        from loopline.usecases.projects import folders

        return self.apply_declared(folders.declared(folder), actor)

    def plan_of(self, declared: Declared) -> Plan:
        """`plan` for a folder that was read elsewhere."""
        name = str(declared.config["project"])
        digest = code.keep(self._blobs, declared.files)
        standing = self._database.read(lambda tx: store.project(tx, name))
        return Plan(project=name, code_digest=digest, changes=tuple(self._changes(standing, declared, digest)))

    def apply_declared(self, declared: Declared, actor: str) -> Plan:
        """`apply` for a folder that was read elsewhere. Applying the same again changes nothing and writes no fact."""
        plan = self.plan_of(declared)
        if plan.changes:
            self._database.write(lambda tx: self._write(tx, declared, plan, actor))
        self._declare(declared, actor)
        return msgspec.structs.replace(plan, applied=True)

    def _changes(self, standing: Project | None, declared: Declared, digest: str) -> list[Change]:
        before = standing.config if standing else {}
        changes = model.differences(before, declared.config)
        contracts = standing.contracts if standing else {}
        for name in sorted(contracts.keys() | declared.contracts.keys()):
            if contracts.get(name) != declared.contracts.get(name):
                changes.append(Change(kind="contract", name=name, what=_what(name, contracts, declared.contracts)))
        if standing is not None and standing.folder != declared.folder:
            details = (f"{standing.folder} → {declared.folder}",)
            changes.append(Change(kind="project", name="folder", what="changed", details=details))
        if standing is None or standing.code_digest != digest:
            changes.append(self._code_change(standing, declared, digest))
        return changes

    def _code_change(self, standing: Project | None, declared: Declared, digest: str) -> Change:
        before = code.listed(self._blobs, standing.code_digest) if standing else {}
        after = code.listed(self._blobs, digest)
        details = [f"{name}: {_what(name, before, after)}" for name in sorted(before.keys() | after.keys())
                   if before.get(name) != after.get(name)]  # fmt: skip
        return Change(kind="code", name=digest[:16], what="changed" if standing else "new", details=tuple(details))

    def _write(self, tx: Transaction, declared: Declared, plan: Plan, actor: str) -> None:
        config = declared.config
        changed = [f"{change.kind} {change.name} {change.what}" for change in plan.changes]
        body = {"project": plan.project, "code": plan.code_digest, "changes": changed}
        fact = self._ledger.append(tx, APPLIED, f"project:{plan.project}", actor, body)
        project = Project(
            name=plan.project,
            owner=str(config.get("owner", "")),
            folder=declared.folder,
            config=config,
            contracts=declared.contracts,
            code_digest=plan.code_digest,
            applied_at=fact.at,
            applied_by=actor,
        )
        store.put(tx, project, fact.seq)

    def _declare(self, declared: Declared, actor: str) -> None:
        """Datasets and endpoints; each call changes nothing when it is so already, so a crash is mended by applying."""
        for name, entry in declared.config.get("datasets", {}).items():
            source = {key: entry[key] for key in ("url", "query") if key in entry}
            if "folder" in entry:
                source["folder"] = str(Path(declared.folder, entry["folder"]))
            self._datasets.declare_from(name, source, declared.contracts.get(name), actor)
        for name, entry in declared.config.get("endpoints", {}).items():
            fields = {key: entry.get(key) for key in ("alias", "key", "event_time")}
            self._serving.put(name, entry["model"], actor, **fields)

    def projects(self) -> list[Project]:
        """All applied projects by name. Their schedules stand among the policies."""
        return [_with_schedules(project) for project in self._database.read(store.projects)]

    def project(self, name: str) -> Project:
        """One project; NotFound when it was never applied."""
        found = self._database.read(lambda tx: store.project(tx, name))
        if found is None:
            raise NotFound(f"No project {name!r} was applied.", "Run `loopline apply` in its folder.")
        return _with_schedules(found)

    def ready(self, folder: Path, actor: str) -> Project:
        """The project of a folder, for running its pipelines: applied when it never was, datasets declared.

        Conflict when the project was applied from another folder: its datasets lie there.
        """
        standing = self._unchanged(folder)
        if standing is not None:
            return _with_schedules(standing)
        from loopline.usecases.projects import folders

        config = folders.config_of(folder)
        standing = self._database.read(lambda tx: store.project(tx, str(config["project"])))
        if standing is None:
            self.apply(folder, actor)
            return self.project(str(config["project"]))
        if Path(standing.folder) != folder.absolute():
            raise Conflict(
                f"The project {standing.name!r} was applied from {standing.folder}.",
                "Run `loopline apply` here to move it, or use another --home.",
            )
        if standing.config.get("datasets") != config.get("datasets"):
            self._declare(folders.declared(folder), actor)
        return _with_schedules(standing)

    def _unchanged(self, folder: Path) -> Project | None:
        """The project applied from this folder, when its loopline.yaml has the bytes that were applied: then nothing
        needs to be read and checked again."""
        standing = self._database.read(lambda tx: store.project_in(tx, str(folder.absolute())))
        path = folder / model.CONFIG_FILE
        if standing is None or not path.is_file():
            return None
        from blake3 import blake3

        applied = code.listed(self._blobs, standing.code_digest).get(model.CONFIG_FILE)
        return standing if blake3(path.read_bytes()).hexdigest() == applied else None

    def pipeline(self, folder: Path, name: str, actor: str) -> dict[str, str]:
        """What a run of the pipeline `name` needs to know: pipeline_name, project, and as far as declared file and
        registers. The project is made ready, and its datasets take in what their sources hold now."""
        project = self.ready(folder, actor)
        for dataset in project.config.get("datasets", {}):
            self._datasets.snapshot(dataset, actor)
        entry = (project.config.get("pipelines") or {}).get(name) or {}
        found = {"pipeline_name": entry.get("function", name), "project": project.name}
        return found | {key: entry[key] for key in ("file", "registers") if key in entry}

    def gate(self, model_name: str, alias: str) -> dict[str, Any] | None:
        """The rules of the gate that guards an alias of a model, or None. Conflict when two projects declare one."""
        found = [
            (project.name, model.gate_rules(project.config, gate))
            for project in self.projects()
            for gate in project.config.get("gates", {}).values()
            if (gate["model"], gate["promote_to"]) == (model_name, alias)
        ]
        return _only(found, f"gate of {model_name}@{alias}")

    def monitor(self, endpoint: str) -> dict[str, Any] | None:
        """The rules of the monitor on an endpoint, or None. Conflict when there are two."""
        found = [
            (project.name, model.monitor_rules(monitor))
            for project in self.projects()
            for monitor in project.config.get("monitors", {}).values()
            if monitor["endpoint"] == endpoint
        ]
        return _only(found, f"monitor of the endpoint {endpoint}")

    def materialize_code(self, digest: str, folder: Path) -> Path:
        """Write a project's files, as they were applied, into `folder`; answers it. NotFound for an unknown digest."""
        return code.write(self._blobs, digest, folder)


def _with_schedules(project: Project) -> Project:
    return msgspec.structs.replace(project, config={**project.config, "policies": model.policies_of(project.config)})


def _what(name: str, before: Any, after: Any) -> Any:
    return "new" if name not in before else "gone" if name not in after else "changed"


def _only(found: list[tuple[str, dict[str, Any]]], what: str) -> dict[str, Any] | None:
    if len(found) > 1:
        names = ", ".join(name for name, _ in found)
        raise Conflict(f"The {what} is declared {len(found)} times (in {names}).", "Keep it in one loopline.yaml.")
    return found[0][1] if found else None
