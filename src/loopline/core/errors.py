"""The few kinds of refusal. Each names the thing and says what to do next."""

from __future__ import annotations


class LooplineError(Exception):
    """A refusal that a person can act on.

    `message` is one sentence naming the thing; `hint` says the way out. Raised before any state changed.
    """

    kind = "invalid"
    exit_code = 2
    http_status = 400

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class Invalid(LooplineError):
    """What was given cannot be right (exit code 2, HTTP 400)."""


class NotFound(LooplineError):
    """The thing named does not exist (exit code 3, HTTP 404)."""

    kind = "not_found"
    exit_code = 3
    http_status = 404


class Taken(LooplineError):
    """The name already stands for something else (exit code 2, HTTP 409)."""

    kind = "taken"
    http_status = 409


class Conflict(LooplineError):
    """The thing changed meanwhile, or its state does not allow this (exit code 2, HTTP 409)."""

    kind = "conflict"
    http_status = 409


class Refused(LooplineError):
    """Rights or a policy forbid it (exit code 4, HTTP 403)."""

    kind = "refused"
    exit_code = 4
    http_status = 403


class Unavailable(LooplineError):
    """A component is not there just now; trying again later may work (exit code 5, HTTP 503)."""

    kind = "unavailable"
    exit_code = 5
    http_status = 503


class CheckFailed(LooplineError):
    """A check, contract or gate answered no (exit code 1, HTTP 422)."""

    kind = "failed"
    exit_code = 1
    http_status = 422


KINDS: dict[str, type[LooplineError]] = {
    error.kind: error for error in (Invalid, NotFound, Taken, Conflict, Refused, Unavailable, CheckFailed)
}
