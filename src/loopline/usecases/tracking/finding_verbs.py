"""The verbs for the table of experiments and runs."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.tracking.completion import Suggestions
from loopline.usecases.tracking.finding_store import Group, Listed
from loopline.usecases.tracking.model import Page
from loopline.usecases.tracking.views import View


class Nothing(msgspec.Struct):
    pass


class Search(msgspec.Struct):
    filter: str = ""
    order_by: list[str] = []
    experiment: str = ""
    limit: int = 100
    page: str = ""
    states: tuple[str, ...] = ("active",)


class Complete(msgspec.Struct):
    """`cursor` counts characters."""

    text: str = ""
    cursor: int = 0
    experiment: str = ""


class InExperiment(msgspec.Struct):
    experiment: str = ""


class Groups(msgspec.Struct):
    by: str
    filter: str = ""
    metric: str = ""
    experiment: str = ""
    states: tuple[str, ...] = ("active",)


class Runs(msgspec.Struct):
    """A list of ids, or one text with commas between them as a form sends it."""

    runs: list[str] | str = ""


class TagRuns(msgspec.Struct):
    runs: list[str] | str = ""
    key: str = ""
    value: str = ""


class InStates(msgspec.Struct):
    states: tuple[str, ...] = ("active",)


class OfExperiment(msgspec.Struct):
    number: int


class Rename(msgspec.Struct):
    number: int
    name: str


class Save(msgspec.Struct):
    name: str
    query: str = ""


class Drop(msgspec.Struct):
    name: str


def search(tracking: Any, request: Search, caller: Caller) -> Page:
    found: Page = tracking.search(
        request.filter, request.order_by, request.experiment, request.limit, request.page, request.states
    )
    return found


def complete(tracking: Any, request: Complete, caller: Caller) -> Suggestions:
    found: Suggestions = tracking.complete(request.text, request.cursor, numbers(tracking, request.experiment))
    return found


def names(tracking: Any, request: InExperiment, caller: Caller) -> dict[str, list[str]]:
    found: dict[str, list[str]] = tracking.names(numbers(tracking, request.experiment))
    return found


def groups(tracking: Any, request: Groups, caller: Caller) -> list[Group]:
    return list(
        tracking.groups(
            request.by,
            request.filter,
            metric=request.metric,
            experiments=numbers(tracking, request.experiment),
            states=request.states,
        )
    )


def tag_runs(tracking: Any, request: TagRuns, caller: Caller) -> int:
    return int(tracking.tag_runs(listed(request.runs), {request.key: request.value}))


def archive_runs(tracking: Any, request: Runs, caller: Caller) -> int:
    return int(tracking.archive_runs(listed(request.runs), actor=caller.name))


def delete_runs(tracking: Any, request: Runs, caller: Caller) -> int:
    return int(tracking.delete_runs(listed(request.runs), actor=caller.name))


def restore_runs(tracking: Any, request: Runs, caller: Caller) -> int:
    return int(tracking.restore_runs(listed(request.runs), actor=caller.name))


def list_experiments(tracking: Any, request: InStates, caller: Caller) -> list[Listed]:
    return list(tracking.listed_experiments(request.states))


def rename_experiment(tracking: Any, request: Rename, caller: Caller) -> None:
    tracking.rename_experiment(request.number, request.name, actor=caller.name)


def delete_experiment(tracking: Any, request: OfExperiment, caller: Caller) -> None:
    tracking.delete_experiment(request.number, actor=caller.name)


def restore_experiment(tracking: Any, request: OfExperiment, caller: Caller) -> None:
    tracking.restore_experiment(request.number, actor=caller.name)


def views(tracking: Any, request: Nothing, caller: Caller) -> list[View]:
    return list(tracking.views())


def save_view(tracking: Any, request: Save, caller: Caller) -> View:
    view: View = tracking.save_view(request.name, request.query, actor=caller.name)
    return view


def drop_view(tracking: Any, request: Drop, caller: Caller) -> None:
    tracking.drop_view(request.name, actor=caller.name)


def listed(runs: list[str] | str) -> list[str]:
    """Ids of runs, however they came."""
    return [one.strip() for one in runs.split(",") if one.strip()] if isinstance(runs, str) else runs


def numbers(tracking: Any, experiment: str) -> list[int] | None:
    """The number of an experiment; None, for all of them, when no name is given."""
    return tracking.experiment_numbers([experiment]) if experiment else None


_EXPERIMENT = "/tracking/experiments/{number}"
VERBS = (
    Verb("tracking.search", "GET", "/tracking/runs", Role.VIEWER, Search, search, "Find runs"),
    Verb("tracking.complete", "GET", "/tracking/complete", Role.VIEWER, Complete, complete, "Go on with a filter"),
    Verb("tracking.names", "GET", "/tracking/names", Role.VIEWER, InExperiment, names, "Metrics, params and tags"),
    Verb("tracking.groups", "GET", "/tracking/groups", Role.VIEWER, Groups, groups, "Runs by a param or tag"),
    Verb("tracking.tag_runs", "POST", "/tracking/tag", Role.EDITOR, TagRuns, tag_runs, "Set a tag of several runs"),
    Verb("tracking.archive_runs", "POST", "/tracking/archive", Role.EDITOR, Runs, archive_runs, "Archive several runs"),
    Verb("tracking.delete_runs", "POST", "/tracking/delete", Role.EDITOR, Runs, delete_runs, "Put runs into the trash"),
    Verb("tracking.restore_runs", "POST", "/tracking/restore", Role.EDITOR, Runs, restore_runs, "Take runs out again"),
    Verb(
        "tracking.list_experiments",
        "GET",
        "/tracking/listed-experiments",
        Role.VIEWER,
        InStates,
        list_experiments,
        "List experiments with how many runs each has",
    ),
    Verb(
        "tracking.rename_experiment",
        "POST",
        f"{_EXPERIMENT}/rename",
        Role.EDITOR,
        Rename,
        rename_experiment,
        "Rename an experiment",
    ),
    Verb(
        "tracking.delete_experiment",
        "POST",
        f"{_EXPERIMENT}/delete",
        Role.EDITOR,
        OfExperiment,
        delete_experiment,
        "Put an experiment and its runs into the trash",
    ),
    Verb(
        "tracking.restore_experiment",
        "POST",
        f"{_EXPERIMENT}/restore",
        Role.EDITOR,
        OfExperiment,
        restore_experiment,
        "Take an experiment and its runs out of the trash",
    ),
    Verb("tracking.views", "GET", "/tracking/views", Role.VIEWER, Nothing, views, "List saved views"),
    Verb("tracking.save_view", "POST", "/tracking/views", Role.EDITOR, Save, save_view, "Save a view under a name"),
    Verb("tracking.drop_view", "POST", "/tracking/views/drop", Role.EDITOR, Drop, drop_view, "Forget a saved view"),
)
