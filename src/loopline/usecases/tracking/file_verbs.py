"""Verbs for files in folders and for logged models. Bytes travel beside them: GET and PUT /api/v1/tracking/runs/RUN/files/NAME."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.tracking.file_rows import Entry
from loopline.usecases.tracking.logged_model_rows import LoggedModel
from loopline.usecases.tracking.logged_models import Ordering


class Folder(msgspec.Struct):
    """`run_id` is a run's, or the id of a logged model."""

    run_id: str
    folder: str = ""


class Models(msgspec.Struct):
    """The newest logged models of an experiment (0 is the default one), or those that a filter finds."""

    experiment_id: int = 0
    filter: str = ""
    order_by: list[Ordering] = []
    limit: int = 100
    offset: int = 0


class OfModel(msgspec.Struct):
    model_id: str


def files(tracking: Any, request: Folder, caller: Caller) -> list[Entry]:
    return list(tracking.listed(tracking.owner(request.run_id), request.folder))


def models(tracking: Any, request: Models, caller: Caller) -> list[LoggedModel]:
    limit, offset = max(1, min(request.limit, 1_000)), max(0, request.offset)
    order_by = request.order_by
    found, _ = tracking.search_models(
        [request.experiment_id], request.filter, order_by=order_by, limit=limit, offset=offset
    )
    return list(found)


def logged_model(tracking: Any, request: OfModel, caller: Caller) -> LoggedModel:
    found: LoggedModel = tracking.logged_model(request.model_id)
    return found


VERBS = (
    Verb(
        "tracking.files", "GET", "/tracking/runs/{run_id}/folder", Role.VIEWER, Folder, files, "List a folder of files"
    ),
    Verb("tracking.models", "GET", "/tracking/models", Role.VIEWER, Models, models, "List logged models"),
    Verb(
        "tracking.model",
        "GET",
        "/tracking/models/{model_id}",
        Role.VIEWER,
        OfModel,
        logged_model,
        "Show a logged model",
    ),
)
