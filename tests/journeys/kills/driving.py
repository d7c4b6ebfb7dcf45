"""What an installation is busy with when it is killed: everything that it acknowledges, at once, over its own doors."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
from acknowledged import Journal
from batches import write_batches, write_weather
from desk import requests, truths
from grounds import ENDPOINT, FIRST_DAY, Grounds

import loopline
from loopline.core.errors import Invalid, LooplineError, Unavailable

PATIENCE_S = 15.0
POINTS = 20
TOLD = re.compile(r"  \S (\S+)  (hit|ran|failed|skipped)")


class Gate:
    """Lets threads take turns, or none while closed."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._busy = 0
        self._changed = threading.Condition()

    def open(self) -> None:
        self._open.set()

    def close(self) -> None:
        """Returns when no turn is under way."""
        self._open.clear()
        with self._changed:
            assert self._changed.wait_for(lambda: not self._busy, 60), "a request hangs"

    @contextmanager
    def turn(self) -> Iterator[None]:
        while True:
            self._open.wait()
            with self._changed:
                if self._open.is_set():
                    self._busy += 1
                    break
        try:
            yield
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()


class Driving:
    """Threads that ask, tell, write, take snapshots, train and deploy until `end`."""

    def __init__(self, grounds: Grounds, journal: Journal, url: str, serving_url: str, seed: int) -> None:
        self.grounds, self.journal, self.gate = grounds, journal, Gate()
        self._chance = random.Random(seed)
        self._host = urlsplit(serving_url).netloc
        self.client: Any = loopline.connect(url=url, token=grounds.token)
        self.training: subprocess.Popen[str] | None = None
        self._ended = False
        self._rows = self._requests()
        self._one = next(self._rows)[0]
        self._truths = self._records()
        self._next = threading.Lock()
        self._extras = 0
        turns: list[tuple[Callable[[], None], float]] = [(self._ask, 0.01)] * 3 + [(self._tell, 0.05)] * 2
        turns += [(self._track, 0.02)] * 2 + [(self._token, 0.1), (self._snapshot, 0.3), (self._move, 1.5)]
        self._threads = [threading.Thread(target=self._repeat, args=turn, daemon=True) for turn in turns]
        self._threads.append(threading.Thread(target=self._train, daemon=True))

    def start(self) -> None:
        self.gate.open()
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Stop all; a training under way is ended."""
        self._ended = True
        self.gate.open()
        if self.training is not None:
            self.training.terminate()
        for thread in self._threads:
            thread.join(60)

    def _repeat(self, do: Callable[[], None], rest_s: float) -> None:
        while not self._ended:
            try:
                with self.gate.turn():
                    do()
            except (OSError, http.client.HTTPException, LooplineError) as error:
                self.journal.failed(f"{do.__name__.strip('_')}: {type(error).__name__}")
                if not isinstance(error, (OSError, http.client.HTTPException, Unavailable)) and do != self._move:
                    self.journal.problem(f"{do.__name__}: {error}")
                time.sleep(0.05)
            time.sleep(rest_s)
        self.client.close()  # this thread's connection

    # Predictions and truth

    def _requests(self) -> Iterator[tuple[bytes, list[str]]]:
        while True:
            for _, body in requests(self.grounds.frame):
                yield body, [row["key"] for row in json.loads(body)["rows"]]

    def _records(self) -> Iterator[dict[str, Any]]:
        """Truth, each record another than all before: when the flights are used up they come again as corrections."""
        for again in range(1000):
            for moment, record in truths(self.grounds.frame):
                observed = moment + pd.Timedelta(seconds=again)
                yield record | {"observed_at": observed.strftime("%Y-%m-%dT%H:%M:%SZ")}

    def _post(self, path: str, body: bytes) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self._host, timeout=PATIENCE_S)
        try:
            headers = {"Authorization": f"Bearer {self.grounds.token}", "Content-Type": "application/json"}
            connection.request("POST", f"/v1/endpoints/{ENDPOINT}/{path}", body, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            if answer.status != 503:
                self.journal.problem(f"{path} was answered with {answer.status}: {content[:200]!r}")
            raise ConnectionError(f"{answer.status} {content[:200]!r}")
        said: dict[str, Any] = json.loads(content)
        return said

    def _ask(self) -> None:
        with self._next:
            body, keys = next(self._rows)
        asked = time.monotonic()
        said = self.ask(body)
        self.journal.add("prediction", ids=said["ids"], keys=keys, asked=asked)

    def ask(self, body: bytes | None = None) -> dict[str, Any]:
        """A prediction of some rows."""
        return self._post("predict", body or self._one)

    def _tell(self) -> None:
        with self._next:
            records = [next(self._truths) for _ in range(10)]
        name = uuid.uuid4().hex
        self.journal.add("truth tried", name=name, records=records)
        said = self._post("truth", json.dumps({"rows": records}).encode())
        self.journal.add("truth", name=name, first=said["first_seq"], last=said["last_seq"])

    # Control plane

    def _again(self, verb: str, **fields: Any) -> Any:
        """A call that may be repeated until it is answered: it changes nothing the second time."""
        until = time.monotonic() + 2 * PATIENCE_S
        while True:
            try:
                return self.client.call(verb, **fields)
            except Unavailable:
                self.journal.failed(verb)
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def _track(self) -> None:
        run_id = uuid.uuid4().hex
        self._again("tracking.start", run_id=run_id, name="under fire", experiment="kills", params={"run": run_id})
        self.journal.add("run", run_id=run_id)
        for batch in range(3):
            points = [{"key": "loss", "value": float(i), "step": batch * POINTS + i} for i in range(POINTS)]
            self._again("tracking.log", run_id=run_id, metrics=points, batch=f"{run_id[:24]}{batch}")
            self.journal.add("batch", run_id=run_id, batch=batch)
        content = os.urandom(3000)
        self._again("tracking.put_artifact", run_id=run_id, name="weights.bin", content=content)
        self.journal.add("artifact", run_id=run_id, sha256=hashlib.sha256(content).hexdigest())
        self._again("tracking.finish", run_id=run_id)
        self.journal.add("run finished", run_id=run_id)

    def _token(self) -> None:
        name = f"robot-{uuid.uuid4().hex[:12]}"
        made = self.client.call("access.new", name=name, role="viewer")
        self.journal.add("token", name=name, secret=made["secret"])

    def _snapshot(self) -> None:
        self._extras += 1
        self.grounds.add_extra(self._extras)
        taken = self._again("datasets.snapshot", name="extra")
        self.journal.add("snapshot", dataset="extra", digest=taken["digest"], rows=taken["rows"])

    def _move(self) -> None:
        """Change what is served, in one of the ways there are; mostly only once the last change is in place."""
        shown = self.client.call("serving.endpoint", endpoint=ENDPOINT)
        if shown["live"] != shown["wanted"] and self._chance.random() < 0.9:
            return
        way, number = self._chance.choice(("deploy", "route", "rollback", "promote")), self._chance.choice((1, 2))
        try:
            if way in ("deploy", "route"):
                field = {"version": number} if way == "deploy" else {"revision": number}
                made = self.client.call(f"serving.{way}", endpoint=ENDPOINT, **field)
                self.journal.add("deployment", revision=made["revision"])
            elif way == "rollback":
                moved = self.client.call("promotion.rollback", model=ENDPOINT, alias="production")
                self.journal.add("alias", version=moved["version"], how=way)
            else:
                self.client.call("promotion.promote", model=ENDPOINT, version=number, alias="production")
                self.journal.add("alias", version=number, how=way)  # where it points there already, nothing moves
        except Unavailable:
            raise
        except LooplineError as error:  # a rule forbids it just now
            self.journal.failed(f"{way}: {type(error).__name__}")

    # Training beside it

    def _train(self) -> None:
        """`loopline run` again and again: the same until it ends well, then with a week more and another parameter."""
        days, weeks, done = 30, 0, set()
        while not self._ended:
            with self.gate.turn():
                self.training = self._run(days)
            with self.training as process:
                done = self._follow(process, done)
            if self.training.returncode == 0:
                done = set()
                days += 1
                weeks += 1
                if weeks % 2 == 0:
                    self._week(weeks // 2)
            time.sleep(0.1)
        self.client.close()

    def _run(self, days: int) -> subprocess.Popen[str]:
        words = ["run", "training", "-p", f"days={days}", "-p", "iterations=20", "--json"]
        command = ["nice", "-n", "15", sys.executable, "-m", "loopline", *words, "--home", str(self.grounds.home)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.grounds.project, stdout=pipe, stderr=pipe, text=True)

    def _follow(self, process: subprocess.Popen[str], done: set[str]) -> set[str]:
        """Read what a run tells; the steps that it has told as done by now, in this attempt or one before."""
        assert process.stdout is not None
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if told := TOLD.match(line):
                label, status = told.groups()
                if label in done and status != "hit":
                    self.journal.problem(f"the finished step {label} was {status} again")
                if status in ("hit", "ran"):
                    done = done | {label}
                    self.journal.add("step", label=label, status=status)
        output = process.stdout.read()
        code = process.wait()
        if code == 0:
            run = json.loads(output)
            self.journal.add("training", run_id=run["run_id"], version=run["version"])
        elif code != -9 and not self._ended:
            self.journal.failed("training ended otherwise")
            self.journal.add("training failed", code=code, said="".join(lines)[-1000:])
        return done

    def _week(self, number: int) -> None:
        end = FIRST_DAY + pd.Timedelta(weeks=number)
        write_batches(self.grounds.project / "data" / "flights", end - pd.Timedelta(weeks=1), end, self.grounds.flights)
        write_weather(self.grounds.project / "data" / "weather", end - pd.Timedelta(weeks=1), end)
        for name in ("flights", "weather"):
            with self.gate.turn():
                try:
                    taken = self._again("datasets.snapshot", name=name)
                except (Unavailable, Invalid) as error:
                    self.journal.problem(f"snapshot of {name}: {error}")
                    continue
                self.journal.add("snapshot", dataset=name, digest=taken["digest"], rows=taken["rows"])
