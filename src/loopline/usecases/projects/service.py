"""The verbs of projects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from loopline.core.errors import Conflict, Invalid, LooplineError, NotFound
from loopline.ports.blobs import Blobs
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.usecases.projects import code, environments, model, places, store
from loopline.usecases.projects.environments import Environment
from loopline.usecases.projects.model import APPLIED, Declared, Project
from loopline.usecases.projects.needs import Datasets, Ledger, Monitoring, Serving
from loopline.usecases.projects.plans import Plan, Stands, State
from loopline.usecases.projects.standing import DATASET, Owners, remember

if TYPE_CHECKING:
    from loopline.usecases.projects.starting import Starting


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
        monitoring: Monitoring | None = None,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._blobs = blobs
        self._clock = clock
        self._datasets = datasets
        self._monitoring = monitoring
        self._owners = Owners(ledger, datasets, serving)

    def plan(self, folder: Path) -> Plan:
        """What applying a project's folder would change. Invalid lists every mistake in its loopline.yaml."""
        from loopline.usecases.projects import folders

        return self.plan_of(folders.declared(folder))

    def apply(self, folder: Path, actor: str, prune: bool = False, after: int | None = None) -> Plan:
        """Make the installation as the folder says (see `apply_declared`): its configuration, contracts and files are
        kept as data."""
        from loopline.usecases.projects import folders

        return self.apply_declared(folders.declared(folder), actor, prune, after)

    def plan_of(self, declared: Declared) -> Plan:
        """`plan` for a folder that was read elsewhere; it changes nothing, not even in the store of blobs."""
        manifest = code.manifest(declared.files)
        return self._database.read(lambda tx: self._planned(tx, declared, manifest))

    def apply_declared(self, declared: Declared, actor: str, prune: bool = False, after: int | None = None) -> Plan:
        """`apply` for a folder that was read elsewhere: all of it or nothing, in one transaction, planned anew inside
        it. Applying the same again changes nothing and writes no fact.

        `prune` retires the leftovers. With `after` (`Plan.after`) Conflict when somebody applied the project since.
        """
        manifest = code.keep(self._blobs, declared.files)

        def work(tx: Transaction) -> Plan:
            plan = self._planned(tx, declared, manifest)
            if after is not None and after != plan.after:
                raise Conflict(
                    f"The project {plan.project!r} was applied by somebody else since it was planned.",
                    "Look at `loopline plan` again.",
                )
            return self._write(tx, declared, plan, actor, prune)

        return self._database.write(work)

    def _write(self, tx: Transaction, declared: Declared, plan: Plan, actor: str, prune: bool) -> Plan:
        pruned = {(each.kind, each.name) for each in plan.leftovers} if prune else set()
        if plan.changes or pruned:
            plan = msgspec.structs.replace(plan, after=self._record(tx, declared, plan, actor, sorted(pruned)))
        wishes = self._owners.wishes(declared)
        for wish in wishes.values():
            self._owners.put(tx, wish, actor)
        for key in sorted(pruned):
            self._owners.retire(tx, key, actor)
        remember(tx, declared, wishes, self._clock.text(), actor, pruned)
        left = () if prune else plan.leftovers
        now: State = "leftovers" if left else "in_step"
        return msgspec.structs.replace(plan, applied=True, pruned=bool(pruned), leftovers=left, state=now)

    def _planned(self, tx: Transaction, declared: Declared, manifest: code.Manifest) -> Plan:
        from loopline.usecases.projects.planning import planned

        return planned(tx, self._owners, self._blobs, declared, manifest, self._monitoring)

    def _record(
        self, tx: Transaction, declared: Declared, plan: Plan, actor: str, pruned: list[tuple[str, str]]
    ) -> int:
        """The fact that tells of an application, and the project as it is applied."""
        config = declared.config
        changed = [f"{change.kind} {change.name} {change.what}" for change in plan.changes]
        body = {"project": plan.project, "code": plan.code_digest, "changes": changed}
        if pruned:
            body["pruned"] = [" ".join(key) for key in pruned]
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
            seq=fact.seq,
        )
        store.put(tx, project)
        return fact.seq

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
        """The project of a folder as it stands there, for running its pipelines: applied when it never was, its
        datasets declared.

        Conflict when the project was applied from another folder: its datasets lie there.
        """
        standing = self._unchanged(folder)
        if standing is not None and self._keeps_datasets(standing.name):
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
        declares = any(standing.config.get(each) != config.get(each) for each in ("datasets", "environments"))
        if declares or not self._keeps_datasets(standing.name):
            self._declare_datasets(folders.declared(folder), actor)
        return _with_schedules(msgspec.structs.replace(standing, config=config))

    def _keeps_datasets(self, project: str) -> bool:
        return self._database.read(lambda tx: self._owners.keeps_datasets(tx, project))

    def _declare_datasets(self, declared: Declared, actor: str) -> None:
        """The datasets of a folder that is worked on and was not applied again yet."""
        wishes = self._owners.wishes(declared)

        def work(tx: Transaction) -> None:
            for wish in wishes.values():
                if wish.kind == DATASET:
                    self._owners.put(tx, wish, actor)

        self._database.write(work)

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

    def pipeline(self, folder: Path, name: str, actor: str, environment: str = "") -> dict[str, Any]:
        """What a run of the pipeline `name` from a working copy needs to know: pipeline_name, project, as far as declared
        file and registers; and in an environment its name, and as far as declared bindings, params and variables.

        The project is made ready, and the datasets of the environment (default: dev where declared, else the file as it
        stands) take in what their sources hold now. Unavailable for a missing secret, before anything else happens.
        """
        config = self._config_of(folder)
        places.checked_links(folder, config)
        found = environments.made(config, folder, environment, environments.DEV)
        project = self.ready(folder, actor)
        self.take_in(found, actor)
        entry = (project.config.get("pipelines") or {}).get(name) or {}
        answer: dict[str, Any] = {"pipeline_name": entry.get("function", name), "project": project.name}
        answer |= {key: entry[key] for key in ("file", "registers") if key in entry}
        return answer | _of_environment(found, name)

    def _config_of(self, folder: Path) -> dict[str, Any]:
        """What the folder's loopline.yaml says now; one that was applied as it is needs no reading."""
        standing = self._unchanged(folder)
        if standing is not None:
            return standing.config
        from loopline.usecases.projects import folders

        return folders.config_of(folder)

    def sources(self, folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
        """What a folder's loopline.yaml says now, and the project's own files by name; nothing of it is run."""
        from loopline.usecases.projects import folders

        config = self._config_of(folder)
        return config, dict(folders.files_of(folder, config))

    def contracts(self, folder: Path, config: Mapping[str, Any], python: str = "") -> dict[str, Any]:
        """The contracts of the datasets that name one, as data; the folder's code is run in a process of its own, by the
        interpreter `python` ("": this one)."""
        from loopline.usecases.projects import folders

        named = {name: entry["contract"] for name, entry in config.get("datasets", {}).items() if "contract" in entry}
        return folders.contracts_of(folder, named, python) if named else {}

    def starting(self) -> Starting:
        """What starts what in all applied projects."""
        from loopline.usecases.projects.starting import starting

        return starting({project.name: project.config for project in self.projects()})

    def environment(self, project: str, name: str = "", live: bool = True) -> Environment:
        """An environment of an applied project, its secrets as they are now. Without a name: the only one declared,
        else prod, else the file as it stands; where nothing `live` is meant dev, else the file as it stands. NotFound
        lists those declared, Unavailable names missing secrets."""
        found = self.project(project)
        otherwise = environments.PROD if live else environments.DEV
        return environments.made(found.config, Path(found.folder), name, otherwise)

    def environments(self, project: str) -> list[dict[str, Any]]:
        """The environments of an applied project as declared; of secrets only where they come from."""
        config = self.project(project).config
        return [environments.shown(config, name) for name in environments.names(config)]

    def take_in(self, environment: Environment, actor: str) -> dict[str, str]:
        """Take in what the sources of an environment's datasets hold now; answers the snapshots' digests by the
        pipeline's name of the dataset."""
        return {
            name: self._datasets.snapshot(read, actor, environment.variables or None).digest
            for name, read in environment.datasets.items()
        }

    def stands(self, name: str) -> Stands:
        """How an applied project stands against its folder, without running anything of it: contracts count as they
        were applied. Where the folder cannot be read, against what was applied."""
        project, reason = self.project(name), ""
        declared, manifest = self._as_applied(project)
        try:
            declared, manifest = self._in_folder(project)
        except (LooplineError, OSError) as error:
            reason = str(error)
        plan = self._database.read(lambda tx: self._planned(tx, declared, manifest))
        return Stands(project=name, folder=project.folder, plan=plan, reason=reason)

    def _as_applied(self, project: Project) -> tuple[Declared, code.Manifest]:
        stored = self._database.read(lambda tx: store.project(tx, project.name)) or project
        declared = Declared(config=stored.config, contracts=stored.contracts, files={}, folder=stored.folder)
        return declared, code.Manifest(code.listed(self._blobs, stored.code_digest))

    def _in_folder(self, project: Project) -> tuple[Declared, code.Manifest]:
        from loopline.usecases.projects import folders

        folder = Path(project.folder)
        config = folders.config_of(folder)
        if config["project"] != project.name:
            raise Invalid(f"{folder} holds the project {config['project']!r} by now.", "Apply it from its new place.")
        named = {name for name, entry in config.get("datasets", {}).items() if "contract" in entry}
        contracts = {each: contract for each, contract in project.contracts.items() if each in named}
        files = dict(folders.files_of(folder, config))
        declared = Declared(config=config, contracts=contracts, files=files, folder=project.folder)
        return declared, code.manifest(files)

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

    def channels(self) -> list[dict[str, Any]]:
        """The channels that applied projects declare: project, name, what is written of it, and `endpoints`, those
        whose monitors name it."""
        return [
            {**(entry or {}), "project": project.name, "name": name, "endpoints": model.telling(project.config, name)}
            for project in self.projects()
            for name, entry in (project.config.get("channels") or {}).items()
        ]

    def blobs_in_use(self) -> Iterator[str]:
        """The digests of all blobs that an application, of today or before, refers to: whoever clears up leaves these."""
        for digest in self._database.read(store.code_digests):
            yield digest
            try:
                yield from code.listed(self._blobs, digest).values()
            except NotFound:  # it was lost long ago; there is nothing left to spare
                continue

    def materialize_code(self, digest: str, folder: Path) -> Path:
        """Write a project's files, as they were applied, into `folder`; answers it. NotFound for an unknown digest."""
        return code.write(self._blobs, digest, folder)


def _with_schedules(project: Project) -> Project:
    return msgspec.structs.replace(project, config={**project.config, "policies": model.policies_of(project.config)})


def _of_environment(found: Environment, pipeline: str) -> dict[str, Any]:
    fields = {
        "environment": found.name,
        "bindings": found.bindings,
        "params": found.params_of(pipeline),
        "variables": found.variables,
    }
    return {name: value for name, value in fields.items() if value}


def _only(found: list[tuple[str, dict[str, Any]]], what: str) -> dict[str, Any] | None:
    if len(found) > 1:
        names = ", ".join(name for name, _ in found)
        raise Conflict(f"The {what} is declared {len(found)} times (in {names}).", "Keep it in one loopline.yaml.")
    return found[0][1] if found else None
