"""From the lines of a journal's file to calls: measurements of many calls travel as few batches, each kept once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import msgspec
from blake3 import blake3

from loopline.core.errors import LooplineError, Refused, Unavailable
from loopline.usecases.tracking.journal import Line, lines

MOST_LINES = 2_000  # a portion's bounds decide how a file falls into batches: never change them for files on disk
MOST_VALUES = 4_000


class Client(Protocol):
    """How the verbs are reached. `target` (a text) says where they lead, `reopened()` answers one for a forked child."""

    def call(self, name: str, /, **fields: Any) -> Any: ...


class Sent(msgspec.Struct):
    """Calls that arrived, calls that were refused and put aside, and why the rest still waits (empty: nothing does)."""

    sent: int = 0
    refused: int = 0
    waits: str = ""


class Portion(msgspec.Struct):
    """Lines that travel together: measurements, or a single other call."""

    number: int
    lines: list[tuple[bytes, Line]]


def portions(path: Path) -> Iterator[Portion]:
    """The lines of a file in order, measurements that follow each other together; the same each time."""
    number, values = 0, 0
    waiting: list[tuple[bytes, Line]] = []
    for content, line in lines(path):
        together = measures(line)
        if waiting and (not together or len(waiting) >= MOST_LINES or values >= MOST_VALUES):
            yield Portion(number, waiting)
            number, values, waiting = number + 1, 0, []
        if together:
            waiting.append((content, line))
            values += weight(line.fields)
        else:
            yield Portion(number, [(content, line)])
            number += 1
    if waiting:
        yield Portion(number, waiting)


def measures(line: Line) -> bool:
    """Whether a line holds measurements that may travel with others'."""
    return line.verb == "tracking.log" and not line.fields.get("batch")


def weight(fields: dict[str, Any]) -> int:
    """How many values a line of measurements holds."""
    return sum(len(fields.get(part) or ()) for part in ("metrics", "params", "tags", "links"))


class Sender:
    """Sends the files of journals; what is refused is put aside in the spool's folder."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def send(self, path: Path, begin: int = 0, progress: Any = None) -> Sent:
        """Send the portions of a file from number `begin` on; `progress(number)` is told of each that arrived."""
        found = Sent()
        for portion in portions(path):
            if portion.number < begin:
                continue
            try:
                self._send_portion(path, portion, found)
            except (Unavailable, Refused) as error:
                found.waits = error.message
                return found
            except Exception as error:  # whatever else breaks must not lose what waits
                found.waits = f"Delivery failed ({type(error).__name__}: {error})."
                return found
            if progress is not None:
                progress(portion.number + 1)
        return found

    def _send_portion(self, path: Path, portion: Portion, found: Sent) -> None:
        apart = list(range(len(portion.lines)))
        if measures(portion.lines[0][1]):
            runs = self._send_together(merged(path, portion))
            apart = [place for place, one in enumerate(portion.lines) if one[1].fields["run_id"] in runs]
            found.sent += len(portion.lines) - len(apart)
        for place in apart:  # lines of a run of which one was refused: the others shall arrive all the same
            content, line = portion.lines[place]
            self._send_line(path, content, line, batch_id(path, portion.number, str(place)), found)

    def _send_together(self, batches: list[dict[str, Any]]) -> set[str]:
        """Send batches in one call; answers the runs whose batches were not taken."""
        try:
            refused = self._client.call("tracking.log_many", batches=batches) or ()
        except (Unavailable, Refused):
            raise
        except LooplineError:  # too much at once, or a server that does not know the verb
            return {one["run_id"] for one in batches}
        return {batches[one["place"]]["run_id"] for one in refused}

    def _send_line(self, path: Path, content: bytes, line: Line, batch: str, found: Sent) -> None:
        fields = dict(line.fields)
        try:
            if name := fields.pop("content_file", ""):
                if not (file := path.with_name(Path(name).name)).exists():
                    return  # it arrived before a crash
                self._put(line.verb, fields, file)
            elif line.verb == "tracking.log":
                self._client.call(line.verb, **{"batch": batch, **fields})
            else:
                self._client.call(line.verb, **fields)
            found.sent += 1
        except (Unavailable, Refused):
            raise
        except LooplineError as error:
            found.refused += 1
            aside = path.with_name(f"{fields.get('run_id') or path.name.partition('.')[0]}.refused")
            with open(aside, "ab") as file_aside:
                file_aside.write(content.rstrip(b"\n") + b"  " + str(error).encode() + b"\n")

    def _put(self, verb: str, fields: dict[str, Any], file: Path) -> None:
        upload = getattr(self._client, "upload", None)
        if upload is not None and verb == "tracking.put_artifact":
            upload(file, **fields)
        else:
            self._client.call(verb, **fields, content=file.read_bytes())


def merged(path: Path, portion: Portion) -> list[dict[str, Any]]:
    """The measurements of a portion as one batch for each run, in the order in which the runs appear."""
    of_runs: dict[str, dict[str, Any]] = {}
    for _, line in portion.lines:
        run_id = line.fields["run_id"]
        into = of_runs.get(run_id)
        if into is None:
            batch = batch_id(path, portion.number, run_id)
            into = {"run_id": run_id, "metrics": [], "params": {}, "tags": {}, "links": [], "batch": batch}
            of_runs[run_id] = into
        for name, values in line.fields.items():
            if name in ("metrics", "links"):
                into[name] += values
            elif name in ("params", "tags"):
                into[name].update(values)
    return list(of_runs.values())


def batch_id(path: Path, number: int, part: str) -> str:
    """What a batch is known by when it is sent again: 32 hexadecimal digits."""
    return blake3(f"{path.name}:{number}:{part}".encode()).hexdigest()[:32]
