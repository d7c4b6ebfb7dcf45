"""Predictions and ground truth from a program: `loopline.endpoint("late-arrival").predict(rows)`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from loopline.core.errors import CheckFailed, Conflict, Invalid, LooplineError, NotFound, Refused, Unavailable
from loopline.core.ids import checked_name
from loopline.usecases.serving.connections import Answer, Connections
from loopline.usecases.serving.rows_of import answers_in, body_of, pieces_of, stream_of, table_of

CHUNK_ROWS = 5000
TIMEOUT_S = 30.0
KINDS: dict[int, type[LooplineError]] = {
    401: Refused, 403: Refused, 404: NotFound, 408: Unavailable, 409: Conflict, 422: CheckFailed, 429: Unavailable,
    503: Unavailable, 504: Unavailable,
}  # fmt: skip
CHUNK_COLUMNS = 20_000
JSON = {"Content-Type": "application/json"}
ARROW = dict.fromkeys(("Content-Type", "Accept"), "application/vnd.apache.arrow.stream")


class Predictions(list[Any]):
    """One value a row, in their order. `ids[i]` is the id of the i-th, under which it is logged and truth may be told;
    `version` and `revision` say which model answered (the last one, where a swap fell between two chunks). `explanations`
    is filled where they were asked for: {"base": …, "contributions": {input: …}} a row, None where it cannot be told."""

    def __init__(
        self, values: Iterable[Any] = (), ids: Iterable[str] = (), version: int = 0, revision: int = 0
    ) -> None:
        super().__init__(values)
        self.ids = list(ids)
        self.version = version
        self.revision = revision
        self.explanations: list[dict[str, Any] | None] = []


class Endpoint:
    """One endpoint of a data plane. May be used by many threads at once, and by forked children.

    Predictions are asked for again where that is safe: when the server cannot be reached, loses a connection, or says
    that it is busy (429, 503); see `timeout` for how long. Each of its errors is a LooplineError with the server's words.
    """

    def __init__(self, name: str, url: str, token: str, *, timeout: float = TIMEOUT_S, ca: str | None = None) -> None:
        if not token or not (token.isascii() and token.isprintable()):
            raise Refused(
                "Predictions and truth need a token.",
                "Give token=… or set LOOPLINE_TOKEN; `loopline token new` makes one.",
            )
        if not timeout > 0:
            raise Invalid(f"{timeout!r} seconds are no time to wait.", "Give a number above 0.")
        self.name = checked_name("endpoint", name)
        self._connections = Connections(url, token, timeout, ca)

    @property
    def url(self) -> str:
        """The data plane's address."""
        return self._connections.url

    def predict(
        self, rows: Any, *, explain: bool = False, headers: Mapping[str, str] | None = None,
        chunk_rows: int = CHUNK_ROWS,
    ) -> Predictions:  # fmt: skip
        """Predictions for one row (a dict) or many (a list of dicts, a table of pandas, Polars or Arrow).

        Rows travel `chunk_rows` at a time, those of a large table as Arrow columns. `headers` go with each request, as one that a traffic split sticks to. `explain` asks what each input contributed. Raises
        Invalid for rows that the model does not take, CheckFailed for one that it cannot score, NotFound, Refused,
        Unavailable.
        """
        found = Predictions()
        path = f"/v1/endpoints/{quote(self.name, safe='')}/predict"
        path += "?explain=true" if explain else ""
        table = None if explain else table_of(rows)
        if table is not None:
            return self._columns(path, table, headers or {})
        for piece in pieces_of(rows, chunk_rows):
            for answer in self._answers(path, piece, body_of, {**JSON, **(headers or {})}):
                said = self._told(answer)
                found += said["predictions"]
                found.ids += said["ids"]
                found.version, found.revision = said["version"], said["revision"]
                if explain:
                    found.explanations += said.get("explanations") or [None] * len(said["predictions"])
        return found

    def truth(
        self, rows: Any = None, value: Any = None, *, observed_at: Any = None, chunk_rows: int = CHUNK_ROWS
    ) -> dict[str, int]:
        """Tell what turned out to be true: of one prediction by its id (`truth(id, 1.0)`, or a text: `truth(id, "refund")`), or rows with prediction_id (or
        key and event_time), value and maybe observed_at. Answers how many rows were `accepted`, which are on the server's
        disk then. Not sent again when a connection is lost underway; telling the same once more does no harm."""
        if isinstance(rows, str):
            one = {"prediction_id": rows, "value": value, "observed_at": observed_at}
            rows = {name: each for name, each in one.items() if each is not None}
        path = f"/v1/endpoints/{quote(self.name, safe='')}/truth"
        said = [
            self._told(self._connections.ask("POST", path, body_of(piece), JSON, repeatable=False))
            for piece in pieces_of(rows, chunk_rows)
        ]
        accepted = sum(each["accepted"] for each in said)
        return {"accepted": accepted, "first_seq": said[0]["first_seq"], "last_seq": said[-1]["last_seq"]}

    def describe(self) -> dict[str, Any]:
        """Name, live version, inputs and outputs, as the Open Inference Protocol says it."""
        found: dict[str, Any] = self._told(self._connections.ask("GET", f"/v2/models/{quote(self.name, safe='')}"))
        return found

    def ready(self) -> bool:
        """Whether it answers now; NotFound when there is no such endpoint."""
        answer = self._connections.ask("GET", f"/v2/models/{quote(self.name, safe='')}/ready")
        return answer.status != 503 and bool(self._told(answer)["ready"])

    def close(self) -> None:
        """Let go of the connections; they come back when asked again."""
        self._connections.close()

    def __enter__(self) -> Endpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Endpoint({self.name!r}, {self.url!r})"

    def _columns(self, path: str, table: Any, headers: Mapping[str, str]) -> Predictions:
        found = Predictions()
        for start in range(0, table.num_rows, CHUNK_COLUMNS):
            for answer in self._answers(path, table.slice(start, CHUNK_COLUMNS), stream_of, {**ARROW, **headers}):
                if answer.status != 200 or not answer.headers.get("content-type", "").startswith(ARROW["Accept"]):
                    self._told(answer)
                    raise Unavailable(
                        f"What answers at {self.url} knows no Arrow.", "Give the rows as a list of dicts."
                    )
                values, ids, found.version, found.revision = answers_in(answer.body)
                found += values
                found.ids += ids
        return found

    def _answers(
        self, path: str, rows: Any, encode: Callable[[Any], bytes], headers: Mapping[str, str]
    ) -> Iterator[Answer]:
        """The answers for rows that travel together, in halves where they are too many bytes for the server."""
        answer, half = self._connections.ask("POST", path, encode(rows), headers), len(rows) // 2
        if answer.status == 413 and half:
            yield from self._answers(path, rows[:half], encode, headers)
            yield from self._answers(path, rows[half:], encode, headers)
        else:
            yield answer

    def _told(self, answer: Answer) -> Any:
        try:
            said = msgspec.json.decode(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            said = None
        if answer.status == 200 and isinstance(said, dict):
            return said
        if not isinstance(said, dict) or "error" not in said:
            raise Unavailable(
                f"What answers at {self.url} is no data plane.", "Check the address: it is that of serving."
            )
        raise KINDS.get(answer.status, Invalid)(said["error"], said.get("hint", ""))
