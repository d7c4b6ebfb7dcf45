"""The verbs of tracking."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.tracking import file_verbs, finding_verbs, trace_verbs
from loopline.usecases.tracking.comparing import Code
from loopline.usecases.tracking.comparison import Comparison
from loopline.usecases.tracking.drawing import Asked, Axis, Best, Curve
from loopline.usecases.tracking.model import Artifact, Compared, Experiment, Link, Measured, Point, Run
from loopline.usecases.tracking.previews import Preview


class Nothing(msgspec.Struct):
    pass


class Start(msgspec.Struct):
    name: str = ""
    experiment: str = "Default"
    run_id: str = ""
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    surroundings: dict[str, Any] = {}
    process: str = ""
    started_at: str = ""


class Log(msgspec.Struct):
    run_id: str
    metrics: list[Point] = []
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    links: list[Link] = []
    batch: str = ""


class LogMany(msgspec.Struct):
    """Each batch is all or nothing by itself."""

    batches: list[Log]


class Resume(msgspec.Struct):
    run_id: str
    process: str = ""


class Finish(msgspec.Struct):
    run_id: str
    status: str = "finished"
    error: str = ""
    ended_at: str = ""


class OfRun(msgspec.Struct):
    run_id: str


class History(msgspec.Struct):
    run_id: str
    key: str
    limit: int = 1_000_000
    offset: int = 0


class PutArtifact(msgspec.Struct):
    """`content` travels as base64 in JSON."""

    run_id: str
    name: str
    content: bytes
    media_type: str = ""


class Named(msgspec.Struct):
    run_id: str
    name: str


class Content(msgspec.Struct):
    artifact: Artifact
    content: bytes


class Several(msgspec.Struct):
    runs: list[str]


class CurveOf(msgspec.Struct):
    run_id: str
    key: str
    x: Axis = "step"
    first: float | None = None
    last: float | None = None
    points: int = 1000
    smooth: float = 0.0
    best: Best = ""


class Curves(msgspec.Struct):
    runs: list[str]
    keys: list[str]
    x: Axis = "step"
    first: float | None = None
    last: float | None = None
    points: int = 1000
    smooth: float = 0.0
    best: Best = ""


class Look(msgspec.Struct):
    run_id: str
    name: str
    tail: bool = False


class Edit(msgspec.Struct):
    """What is None stays as it is."""

    run_id: str
    name: str | None = None
    note: str | None = None


class Tagged(msgspec.Struct):
    run_id: str
    key: str
    value: str = ""


class Untag(msgspec.Struct):
    run_id: str
    key: str


class Compare(msgspec.Struct):
    runs: list[str]
    target: str = ""
    base: str = ""
    against: str = ""


def experiments(tracking: Any, request: Nothing, caller: Caller) -> list[Experiment]:
    return list(tracking.experiments())


def start(tracking: Any, request: Start, caller: Caller) -> Run:
    run: Run = tracking.start(**msgspec.structs.asdict(request), actor=caller.name)
    return run


def log(tracking: Any, request: Log, caller: Caller) -> None:
    tracking.log(**msgspec.structs.asdict(request))


def log_many(tracking: Any, request: LogMany, caller: Caller) -> list[Any]:
    return list(tracking.log_many(request.batches))


def resume(tracking: Any, request: Resume, caller: Caller) -> None:
    tracking.resume(request.run_id, caller.name, request.process)


def finish(tracking: Any, request: Finish, caller: Caller) -> Run:
    run: Run = tracking.finish(**msgspec.structs.asdict(request), actor=caller.name)
    return run


def get(tracking: Any, request: OfRun, caller: Caller) -> Run:
    run: Run = tracking.get(request.run_id)
    return run


def history(tracking: Any, request: History, caller: Caller) -> list[Measured]:
    return list(tracking.history(request.run_id, request.key, request.limit, request.offset))


def compare(tracking: Any, request: Several, caller: Caller) -> Compared:
    compared: Compared = tracking.compare(request.runs)
    return compared


def put_artifact(tracking: Any, request: PutArtifact, caller: Caller) -> Artifact:
    kept: Artifact = tracking.put_artifact(request.run_id, request.name, request.content, request.media_type)
    return kept


def artifacts(tracking: Any, request: OfRun, caller: Caller) -> list[Artifact]:
    return list(tracking.artifacts(request.run_id))


def artifact(tracking: Any, request: Named, caller: Caller) -> Content:
    return Content(*tracking.artifact(request.run_id, request.name))


def curve(tracking: Any, request: CurveOf, caller: Caller) -> Curve:
    found: Curve = tracking.curve(**msgspec.structs.asdict(request))
    return found


def curves(tracking: Any, request: Curves, caller: Caller) -> list[Curve]:
    asked = msgspec.structs.asdict(request)
    runs, keys = asked.pop("runs"), asked.pop("keys")
    return list(tracking.curves(runs, keys, Asked(**asked)))


def comparison(tracking: Any, request: Compare, caller: Caller) -> Comparison:
    found: Comparison = tracking.comparison(**msgspec.structs.asdict(request))
    return found


def code(tracking: Any, request: OfRun, caller: Caller) -> Code:
    found: Code = tracking.code(request.run_id)
    return found


def drawable(tracking: Any, request: OfRun, caller: Caller) -> list[str]:
    return list(tracking.drawable(request.run_id))


def preview(tracking: Any, request: Look, caller: Caller) -> Preview:
    found: Preview = tracking.preview(request.run_id, request.name, tail=request.tail)
    return found


def edit(tracking: Any, request: Edit, caller: Caller) -> None:
    tracking.edit(request.run_id, name=request.name, note=request.note, actor=caller.name)


def tag(tracking: Any, request: Tagged, caller: Caller) -> None:
    tracking.log(request.run_id, tags={request.key: request.value})


def untag(tracking: Any, request: Untag, caller: Caller) -> None:
    tracking.untag_run(tracking.resolved(request.run_id), request.key)


def archive(tracking: Any, request: OfRun, caller: Caller) -> None:
    tracking.archive_run(tracking.resolved(request.run_id), actor=caller.name)


def delete(tracking: Any, request: OfRun, caller: Caller) -> None:
    tracking.delete_run(tracking.resolved(request.run_id), actor=caller.name)


def restore(tracking: Any, request: OfRun, caller: Caller) -> None:
    tracking.restore_run(tracking.resolved(request.run_id), actor=caller.name)


_RUN = "/tracking/runs/{run_id}"
VERBS = (
    Verb("tracking.experiments", "GET", "/tracking/experiments", Role.VIEWER, Nothing, experiments, "List experiments"),
    Verb("tracking.start", "POST", "/tracking/runs", Role.EDITOR, Start, start, "Begin a run"),
    *finding_verbs.VERBS,
    *trace_verbs.VERBS,
    *file_verbs.VERBS,
    Verb("tracking.compare", "GET", "/tracking/compare", Role.VIEWER, Several, compare, "Say where runs differ"),
    Verb("tracking.get", "GET", _RUN, Role.VIEWER, OfRun, get, "Show a run"),
    Verb("tracking.log", "POST", f"{_RUN}/log", Role.EDITOR, Log, log, "Keep metrics, params and tags of a run"),
    Verb(
        "tracking.log_many", "POST", "/tracking/log", Role.EDITOR, LogMany, log_many, "Keep what several runs measured"
    ),
    Verb("tracking.resume", "POST", f"{_RUN}/resume", Role.EDITOR, Resume, resume, "Have a run go on"),
    Verb("tracking.finish", "POST", f"{_RUN}/finish", Role.EDITOR, Finish, finish, "End a run"),
    Verb("tracking.history", "GET", f"{_RUN}/history", Role.VIEWER, History, history, "All points of a metric"),
    Verb("tracking.curve", "GET", f"{_RUN}/curve", Role.VIEWER, CurveOf, curve, "A metric in few points"),
    Verb("tracking.curves", "POST", "/tracking/curves", Role.VIEWER, Curves, curves, "Metrics of runs in few points"),
    Verb("tracking.comparison", "POST", "/tracking/comparison", Role.VIEWER, Compare, comparison, "Runs side by side"),
    Verb("tracking.drawable", "GET", f"{_RUN}/drawable", Role.VIEWER, OfRun, drawable, "Metrics that make a curve"),
    Verb("tracking.preview", "GET", f"{_RUN}/preview", Role.VIEWER, Look, preview, "What can be shown of a file"),
    Verb("tracking.edit", "POST", f"{_RUN}/edit", Role.EDITOR, Edit, edit, "Rename a run, or change its note"),
    Verb("tracking.tag", "POST", f"{_RUN}/tag", Role.EDITOR, Tagged, tag, "Set a tag of a run"),
    Verb("tracking.untag", "POST", f"{_RUN}/untag", Role.EDITOR, Untag, untag, "Take a tag off a run"),
    Verb("tracking.archive", "POST", f"{_RUN}/archive", Role.EDITOR, OfRun, archive, "Put a run out of sight"),
    Verb("tracking.delete", "POST", f"{_RUN}/delete", Role.EDITOR, OfRun, delete, "Put a run into the trash"),
    Verb("tracking.restore", "POST", f"{_RUN}/restore", Role.EDITOR, OfRun, restore, "Take a run out again"),
    Verb("tracking.code", "GET", f"{_RUN}/code", Role.VIEWER, OfRun, code, "A run's changes and packages"),
    Verb("tracking.put_artifact", "POST", f"{_RUN}/artifacts", Role.EDITOR, PutArtifact, put_artifact, "Keep a file"),
    Verb("tracking.artifacts", "GET", f"{_RUN}/artifacts", Role.VIEWER, OfRun, artifacts, "List a run's files"),
    Verb("tracking.artifact", "GET", f"{_RUN}/artifact", Role.VIEWER, Named, artifact, "One file of a run"),
)
