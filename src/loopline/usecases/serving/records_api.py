"""The verbs of the log of predictions: show and check it, and erase a person's records."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.errors import Invalid
from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.serving.erased import Erased

MOST = 10_000


class Log(msgspec.Struct):
    """The newest records with since <= `by` < until that `where` means (`carrier = 'UA' and dep_hour >= 6`)."""

    endpoint: str
    since: str | None = None
    until: str | None = None
    by: str = "at"
    where: str = ""
    limit: int = 100


class Of(msgspec.Struct):
    """An endpoint."""

    endpoint: str


class Erase(msgspec.Struct):
    """A person, by the value of the endpoint's `subject` (else of its key)."""

    endpoint: str
    subject: str


class Identified(msgspec.Struct):
    """A prediction."""

    prediction: str


def log(serving: Any, request: Log, caller: Caller) -> list[dict[str, Any]]:
    if not 0 < request.limit <= MOST:
        raise Invalid(
            f"{request.limit} records cannot be shown.", f"Ask for 1 to {MOST}; `loopline log --to` writes all."
        )
    serving.endpoint(request.endpoint)
    found: list[dict[str, Any]] = serving.newest(
        request.endpoint, request.limit, request.since, request.until, request.by, request.where
    )
    return found


def check(serving: Any, request: Of, caller: Caller) -> dict[str, Any]:
    serving.endpoint(request.endpoint)
    found: dict[str, Any] = serving.check_log(request.endpoint)
    return found


def erase(serving: Any, request: Erase, caller: Caller) -> Erased:
    made: Erased = serving.erase(request.endpoint, request.subject, caller.name)
    return made


def erasures(serving: Any, request: Of, caller: Caller) -> list[dict[str, Any]]:
    serving.endpoint(request.endpoint)
    return list(serving.erasures(request.endpoint))


def explain(serving: Any, request: Identified, caller: Caller) -> dict[str, Any]:
    found: dict[str, Any] = serving.explain(request.prediction)
    return found


def explainable(serving: Any, request: Identified) -> None:
    serving.find_prediction(request.prediction)


ONE = "/serving/endpoints/{endpoint}"
VERBS = (
    Verb("serving.log", "GET", f"{ONE}/log", Role.VIEWER, Log, log, "Show logged predictions"),
    Verb("serving.check_log", "GET", f"{ONE}/log/check", Role.VIEWER, Of, check, "Compare the log's files with the ledger"),
    Verb("serving.erase", "POST", f"{ONE}/erase", Role.APPROVER, Erase, erase, "Erase a person's records"),
    Verb("serving.erasures", "GET", f"{ONE}/erasures", Role.VIEWER, Of, erasures, "List erasures"),
    Verb(
        "serving.explain", "POST", "/serving/predictions/{prediction}/explain", Role.VIEWER, Identified, explain,
        "Say what each input contributed to a prediction", explainable,
    ),
)  # fmt: skip
