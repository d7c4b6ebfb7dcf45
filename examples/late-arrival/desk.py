"""The airline's desk: asks for a prediction three hours before each departure, tells the truth after each landing.

It plays a stretch of the year in event-time order on an accelerated clock, through real HTTP. It never retries.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import msgspec
import pandas as pd
from features import NUMBERS, TEXTS

TRUTH_EVERY = pd.Timedelta(hours=6)
FLIGHTS_A_REQUEST = 4
WAITING = 64
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Known = list[tuple[pd.Timestamp, dict[str, object]]]


@dataclass
class Tally:
    """What the desk saw. Latencies are in milliseconds."""

    sent: int = 0
    failed: int = 0
    flights: int = 0
    truths: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    by_version: dict[int, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    clock: str = ""
    last_id: str = ""

    def quantile(self, share: float) -> float:
        """A latency quantile; NaN before the first answer."""
        ordered = sorted(self.latencies_ms)
        return ordered[int(share * (len(ordered) - 1))] if ordered else float("nan")

    def failure(self, problem: str) -> None:
        """Count a request that was not answered with 200."""
        self.failed += 1
        if len(self.problems) < 5:
            self.problems.append(problem)


def requests(frame: pd.DataFrame) -> Iterator[tuple[pd.Timestamp, bytes]]:
    """(moment of asking, request body): the inputs of each flight with its key and the moment it is asked about, a few
    flights a request, sent when the last of them is due."""
    columns = [*TEXTS, *NUMBERS]
    texts = frame["event_time"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    given = zip(frame["event_time"], frame["key"], texts, frame[columns].itertuples(index=False), strict=True)
    rows: list[dict[str, object]] = []
    for number, (moment, key, text, values) in enumerate(given, 1):
        rows.append(dict(zip(columns, values, strict=True)) | {"key": key, "event_time": text})
        if len(rows) == FLIGHTS_A_REQUEST or number == len(frame):
            yield moment, msgspec.json.encode({"rows": rows})  # NaN becomes null
            rows = []


def truths(frame: pd.DataFrame) -> Known:
    """(landed at, truth record) of each flight that landed, in order of landing."""
    landed = frame[frame["landed_at"].notna()].sort_values(["landed_at", "key"])
    form = "%Y-%m-%dT%H:%M:%SZ"
    asked, seen = landed["event_time"].dt.strftime(form), landed["landed_at"].dt.strftime(form)
    rows = zip(landed["landed_at"], landed["key"], asked, seen, landed["late"], strict=True)
    return [
        (moment, {"key": key, "event_time": at, "observed_at": known, "value": float(late)})
        for moment, key, at, known, late in rows
    ]


class Desk:
    """Sixteen callers on one endpoint; every fourth opens a new connection for each request."""

    def __init__(self, url: str, endpoint: str, token: str, callers: int = 16) -> None:
        address = urlsplit(url)
        self._host, self._port = str(address.hostname), int(address.port or 80)
        self._path, self._callers = f"/v1/endpoints/{endpoint}", callers
        self._head = f"Host: {address.netloc}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        self.tally = Tally()
        self.pace = 1000.0

    async def play(self, frame: pd.DataFrame, at_week: Callable[[pd.Timestamp], None]) -> None:
        """Ask for each flight of `frame` in order, about `self.pace` requests a second; `at_week(monday)` is called when
        the clock passes a Monday 00:00 UTC, while the requests sent before are still being answered."""
        waiting: asyncio.Queue[bytes | None] = asyncio.Queue(WAITING)
        callers = [asyncio.create_task(self._caller(waiting, fresh=i % 4 == 3)) for i in range(self._callers)]
        known, told, due = truths(frame), 0, time.perf_counter()
        next_truth = week = frame["event_time"].iloc[0]
        week = after_monday(week)
        for moment, body in requests(frame):
            self.tally.clock = f"{moment:%Y-%m-%d %H:%M}"
            if moment >= next_truth:
                told = await self._tell(known, told, moment)
                next_truth = moment.floor("6h") + TRUTH_EVERY
            if moment >= week:
                await asyncio.to_thread(at_week, week)
                week = after_monday(moment)
            due = await self._keep_pace(due)
            await waiting.put(body)
        for _ in callers:
            await waiting.put(None)
        await asyncio.gather(*callers)
        await self._tell(known, told, None)

    async def _keep_pace(self, due: float) -> float:
        """Wait until the next request is due; answers when the one after it is. Lost time is not made up in a burst."""
        now = time.perf_counter()
        if due > now + 0.002:
            await asyncio.sleep(due - now)
        return max(due, now - 0.05) + 1 / self.pace

    async def _tell(self, known: Known, told: int, moment: pd.Timestamp | None) -> int:
        """Send the truth of flights that landed since the last time; answers how many are told now."""
        until = told
        while until < len(known) and (moment is None or known[until][0] <= moment):
            until += 1
        for start in range(told, until, 500):
            records = [record for _, record in known[start : min(start + 500, until)]]
            await self._tell_some(records)
        return until

    async def _tell_some(self, records: list[dict[str, object]]) -> None:
        streams = await asyncio.open_connection(self._host, self._port)
        try:
            body = msgspec.json.encode({"rows": records})
            status, answer = await self._ask(streams, f"{self._path}/truth", body, True)
        finally:
            streams[1].close()
        if status == 200:
            self.tally.truths += len(records)
        else:
            self.tally.failure(f"truth: {status} {answer[:200]!r}")

    async def _caller(self, waiting: asyncio.Queue[bytes | None], fresh: bool) -> None:
        streams: Streams | None = None
        while (body := await waiting.get()) is not None:
            begun = time.perf_counter()
            self.tally.sent += 1
            try:
                if streams is None:
                    streams = await asyncio.open_connection(self._host, self._port)
                status, answer = await self._ask(streams, f"{self._path}/predict", body, fresh)
            except (OSError, asyncio.IncompleteReadError, ValueError) as error:
                streams = None
                self.tally.failure(f"{type(error).__name__}: {error}")
                continue
            self._count(status, answer, (time.perf_counter() - begun) * 1000)
            if fresh or status != 200:
                streams[1].close()
                streams = None
        if streams is not None:
            streams[1].close()

    def _count(self, status: int, answer: bytes, milliseconds: float) -> None:
        if status != 200:
            self.tally.failure(f"{status} {answer[:200]!r}")
            return
        said = msgspec.json.decode(answer)
        self.tally.latencies_ms.append(milliseconds)
        self.tally.by_version[said["version"]] = self.tally.by_version.get(said["version"], 0) + 1
        self.tally.flights += len(said["ids"])
        self.tally.last_id = said["ids"][0]

    async def _ask(self, streams: Streams, path: str, body: bytes, closing: bool) -> tuple[int, bytes]:
        reader, writer = streams
        close = "Connection: close\r\n" if closing else ""
        writer.write(f"POST {path} HTTP/1.1\r\n{self._head}{close}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.split("content-length:")[1].split("\r\n")[0])
        return int(head[9:12]), await reader.readexactly(length)


def after_monday(moment: pd.Timestamp) -> pd.Timestamp:
    """The next Monday 00:00 UTC."""
    return moment.floor("D") + pd.Timedelta(days=7 - moment.dayofweek)
