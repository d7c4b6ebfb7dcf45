"""The verbs of pipelines. Running one is not among them: it takes the project's files, which no server is given."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.pipelines.model import CacheStats, PipelineRun, Why


class Nothing(msgspec.Struct):
    pass


class Newest(msgspec.Struct):
    limit: int = 100


class OfRun(msgspec.Struct):
    run_id: str


class OfStep(msgspec.Struct):
    run_id: str
    step: str


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


def log(pipelines: Any, request: OfStep, caller: Caller) -> Log:
    return Log(pipelines.log(request.run_id, request.step))


def cache(pipelines: Any, request: Nothing, caller: Caller) -> CacheStats:
    stats: CacheStats = pipelines.cache_stats()
    return stats


_RUN = "/pipelines/runs/{run_id}"
VERBS = (
    Verb("pipelines.runs", "GET", "/pipelines/runs", Role.VIEWER, Newest, runs, "List pipeline runs"),
    Verb("pipelines.cache", "GET", "/pipelines/cache", Role.VIEWER, Nothing, cache, "Show the cache in numbers"),
    Verb("pipelines.get", "GET", _RUN, Role.VIEWER, OfRun, get, "Show a pipeline run with its steps"),
    Verb("pipelines.why", "GET", f"{_RUN}/steps/{{step}}/why", Role.VIEWER, OfStep, why, "Say why a step ran or not"),
    Verb("pipelines.log", "GET", f"{_RUN}/steps/{{step}}/log", Role.VIEWER, OfStep, log, "What a step printed"),
)
