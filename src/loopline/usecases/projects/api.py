"""The verbs of projects for people and programs."""

from __future__ import annotations

import os
from typing import Any

import msgspec

from loopline.core.errors import Invalid
from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.projects.checking import checked_data, schema
from loopline.usecases.projects.model import Declared, Project
from loopline.usecases.projects.plans import Plan, Stands

LONGEST_FOLDER = 1000


class Nothing(msgspec.Struct):
    """Nothing to say."""


class Named(msgspec.Struct):
    name: str


class Given(msgspec.Struct):
    """A project's folder as it was read where it lies: see `Declared`."""

    config: dict[str, Any]
    folder: str
    contracts: dict[str, dict[str, Any]] = {}
    files: dict[str, bytes] = {}


class Applied(Given):
    """A folder to apply; `prune` retires what it no longer names, `after` is `Plan.after` of the plan that was looked
    at: when somebody applied the project since, nothing is done."""

    prune: bool = False
    after: int | None = None


def projects(service: Any, request: Nothing, caller: Caller) -> list[Project]:
    return list(service.projects())


def project(service: Any, request: Named, caller: Caller) -> Any:
    return service.project(request.name)


def plan(service: Any, request: Given, caller: Caller) -> Plan:
    made: Plan = service.plan_of(declared(request))
    return made


def apply(service: Any, request: Applied, caller: Caller) -> Plan:
    made: Plan = service.apply_declared(declared(request), caller.name, request.prune, request.after)
    return made


def stands(service: Any, request: Named, caller: Caller) -> Stands:
    made: Stands = service.stands(request.name)
    return made


def environments(service: Any, request: Named, caller: Caller) -> list[dict[str, Any]]:
    return list(service.environments(request.name))


def declared(request: Given) -> Declared:
    """What was sent, checked again: a server trusts no client's reading."""
    folder = request.folder
    if not os.path.isabs(folder) or "\0" in folder or len(os.fsencode(folder)) > LONGEST_FOLDER:
        raise Invalid(
            f"{folder[:200]!r} is no whole path of a folder.", "Name it from the root, as `loopline apply` does."
        )
    return Declared(
        config=checked_data(request.config),
        contracts=request.contracts,
        files=request.files,
        folder=request.folder,
    )


def config_schema(service: Any, request: Nothing, caller: Caller) -> dict[str, Any]:
    return schema()


_HERE = "Show a project's environments"
# Applying names folders and databases that the server will read from, and code that it will run.
VERBS = (
    Verb("projects.projects", "GET", "/projects", Role.VIEWER, Nothing, projects, "List applied projects"),
    Verb("projects.schema", "GET", "/project-schema", Role.VIEWER, Nothing, config_schema, "Show the JSON schema"),
    Verb("projects.project", "GET", "/projects/{name}", Role.VIEWER, Named, project, "Show one project"),
    Verb("projects.plan", "POST", "/project-plans", Role.EDITOR, Given, plan, "Show what applying would change"),
    Verb("projects.apply", "POST", "/projects", Role.ADMIN, Applied, apply, "Apply a project"),
    Verb("projects.stands", "GET", "/projects/{name}/stands", Role.VIEWER, Named, stands, "Compare with its folder"),
    Verb("projects.environments", "GET", "/projects/{name}/environments", Role.VIEWER, Named, environments, _HERE),
)
