"""The verbs of pipelines. Running one is not among them: it takes the project's files, which no server is given."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.pipelines.comparing import Comparison
from loopline.usecases.pipelines.model import CacheStats, Code, Graph, PipelineRun, Why
from loopline.usecases.pipelines.overview import Overview


class Nothing(msgspec.Struct):
    pass


class Newest(msgspec.Struct):
    limit: int = 100


class OfRun(msgspec.Struct):
    run_id: str


class Watched(msgspec.Struct):
    run_id: str
    most: int = 50


class OfStep(msgspec.Struct):
    run_id: str
    step: str


class OfFile(msgspec.Struct):
    run_id: str
    file: str


class OfRuns(msgspec.Struct):
    a: str
    b: str


class Source(msgspec.Struct):
    file: str
    source: str


class Log(msgspec.Struct):
    log: str


def runs(pipelines: Any, request: Newest, caller: Caller) -> list[PipelineRun]:
    return list(pipelines.runs(request.limit))


def get(pipelines: Any, request: OfRun, caller: Caller) -> PipelineRun:
    run: PipelineRun = pipelines.get(request.run_id)
    return run


def why(pipelines: Any, request: OfStep, caller: Caller) -> Why:
    answer: Why = pipelines.why(request.run_id, request.step)
    return answer


def diff(pipelines: Any, request: OfRuns, caller: Caller) -> Comparison:
    found: Comparison = pipelines.diff(request.a, request.b)
    return found


def log(pipelines: Any, request: OfStep, caller: Caller) -> Log:
    return Log(pipelines.log(request.run_id, request.step))


def code(pipelines: Any, request: OfStep, caller: Caller) -> Code:
    found: Code = pipelines.code(request.run_id, request.step)
    return found


def source(pipelines: Any, request: OfFile, caller: Caller) -> Source:
    return Source(request.file, pipelines.source(request.run_id, request.file))


def graph(pipelines: Any, request: OfRun, caller: Caller) -> Graph:
    found: Graph = pipelines.graph(request.run_id)
    return found


def overview(pipelines: Any, request: Watched, caller: Caller) -> Overview:
    found: Overview = pipelines.overview(request.run_id, request.most)
    return found


def cancel(pipelines: Any, request: OfRun, caller: Caller) -> PipelineRun:
    run: PipelineRun = pipelines.cancel(request.run_id, caller.name)
    return run


def cache(pipelines: Any, request: Nothing, caller: Caller) -> CacheStats:
    stats: CacheStats = pipelines.cache_stats()
    return stats


_RUN = "/pipelines/runs/{run_id}"
VERBS = (
    Verb("pipelines.runs", "GET", "/pipelines/runs", Role.VIEWER, Newest, runs, "List pipeline runs"),
    Verb("pipelines.cache", "GET", "/pipelines/cache", Role.VIEWER, Nothing, cache, "Show the cache in numbers"),
    Verb("pipelines.diff", "GET", "/pipelines/diff", Role.VIEWER, OfRuns, diff, "Compare two pipeline runs wholly"),
    Verb("pipelines.get", "GET", _RUN, Role.VIEWER, OfRun, get, "Show a pipeline run with its steps"),
    Verb(
        "pipelines.graph",
        "GET",
        f"{_RUN}/graph",
        Role.VIEWER,
        OfRun,
        graph,
        "Show a run as a graph, also while it runs",
    ),
    Verb(
        "pipelines.overview",
        "GET",
        f"{_RUN}/overview",
        Role.VIEWER,
        Watched,
        overview,
        "Show a run as it stands, its maps counted, with what it prints",
    ),
    Verb("pipelines.cancel", "POST", f"{_RUN}/cancel", Role.EDITOR, OfRun, cancel, "End a running pipeline"),
    Verb("pipelines.why", "GET", f"{_RUN}/steps/{{step}}/why", Role.VIEWER, OfStep, why, "Say why a step ran or not"),
    Verb("pipelines.code", "GET", f"{_RUN}/steps/{{step}}/code", Role.VIEWER, OfStep, code, "What a step's code was"),
    Verb("pipelines.source", "GET", f"{_RUN}/source", Role.VIEWER, OfFile, source, "A file as it was in a run"),
    Verb("pipelines.log", "GET", f"{_RUN}/steps/{{step}}/log", Role.VIEWER, OfStep, log, "What a step printed"),
)
