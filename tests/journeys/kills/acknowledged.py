"""The journal outside the installation: each acknowledgement, written down when it arrives."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any


class Journal:
    """Lines of a file, and the same in memory by kind. Threads may write at once."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a")
        self._lock = threading.Lock()
        self._entries: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.problems: list[str] = []
        self.failures: dict[str, int] = defaultdict(int)

    def add(self, kind: str, **what: Any) -> None:
        """Something was acknowledged (or, for kinds that say so, tried) just now."""
        entry = {"at": time.monotonic(), **what}
        with self._lock:
            self._entries[kind].append(entry)
            self._file.write(json.dumps({"kind": kind, **entry}, default=str) + "\n")
            self._file.flush()

    def all(self, kind: str) -> list[dict[str, Any]]:
        """What is written of a kind so far."""
        with self._lock:
            return list(self._entries[kind])

    def problem(self, what: str) -> None:
        """Something that must not be, seen while driving."""
        with self._lock:
            self.problems.append(what)

    def failed(self, what: str) -> None:
        """A request that was not answered well; allowed while a process that it needs is away."""
        with self._lock:
            self.failures[what] += 1

    def close(self) -> None:
        self._file.close()
