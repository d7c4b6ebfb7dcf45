"""Pages of projects: all that were applied, and how one stands: its environments, and what differs from its folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loopline.core.pages import Call, Page, attempted

WORDS = {"in_step": "in step", "differs": "differs", "leftovers": "leftovers"}
SECTIONS = ("datasets", "pipelines", "gates", "endpoints", "monitors")


def projects(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """All applied projects and how they stand."""
    found = []
    for one in call("projects.projects"):
        stands = attempted(call, "projects.stands", name=one["name"])
        found.append({**one, "stands": state(stands), "environments": list(one["config"].get("environments") or {})})
    return {"projects": found}


def project(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """One project: environments with what stands there, the plan, what starts by itself."""
    name = params["name"]
    found, stands = call("projects.project", name=name), attempted(call, "projects.stands", name=name)
    pipelines = list(found["config"].get("pipelines") or {})
    environments = call("projects.environments", name=name)
    for one in environments:
        one["releases"] = standing(call, name, one["name"], pipelines)
        one["params"] = flat(one["params"])
        one["elsewhere"] = {dataset: read for dataset, read in one["datasets"].items() if dataset != read}
    policies = attempted(call, "automation.policies") or []
    return {
        "project": found,
        "stands": stands,
        "state": state(stands),
        "environments": environments,
        "pipelines": pipelines,
        "policies": [one for one in policies if one["policy"]["project"] == name],
        "counts": {section: len(found["config"].get(section) or {}) for section in SECTIONS},
    }


def flat(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of one pipeline beside those of all: training.trees."""
    found: dict[str, Any] = {}
    for name, value in params.items():
        found |= {f"{name}.{key}": one for key, one in value.items()} if isinstance(value, Mapping) else {name: value}
    return found


def state(stands: Mapping[str, Any] | None) -> str:
    """How a project stands, in a word: in step, differs, leftovers; unreadable where its folder cannot be compared."""
    if stands is None:
        return "unreadable"
    word = WORDS[stands["plan"]["state"]]
    return "unreadable" if stands["reason"] and word == "in step" else word


def standing(call: Call, project_name: str, environment: str, pipelines: list[str]) -> list[dict[str, Any]]:
    """The release of each pipeline that stands in an environment; None where nothing does."""
    return [
        {
            "pipeline": pipeline,
            "release": attempted(
                call, "releases.standing", project=project_name, pipeline=pipeline, environment=environment
            ),
        }
        for pipeline in pipelines
    ]


PAGES = (
    Page("/projects", "projects.html", projects, tab="projects"),
    Page("/projects/{name}", "project.html", project, tab="projects"),
)
