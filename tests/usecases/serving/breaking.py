"""Breaking something off at any one of the moments at which it changes the disk or the database."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from loopline.adapters.databases import sqlite
from loopline.usecases.serving.records import archiving

CHANGES: tuple[tuple[Any, str], ...] = (
    (os, "replace"), (os, "link"), (os, "unlink"), (os, "rename"), (os, "rmdir"), (archiving, "exchanged"),
    (archiving, "sync_folder"), (sqlite.SQLite, "write"),
)  # fmt: skip


class Broken(BaseException):
    """What a kill is to the process that it hits."""


def broken_off(monkeypatch: pytest.MonkeyPatch, number: int, work: Callable[[], Any], after: bool = False) -> bool:
    """Do `work`, broken off at its change number `number` (from 1), before or after it; False when it has fewer."""
    left = [number]

    def breaking(call: Any) -> Any:
        def called(*given: Any, **named: Any) -> Any:
            if threading.current_thread() is not threading.main_thread():
                return call(*given, **named)
            left[0] -= 1
            if left[0] == 0 and not after:
                raise Broken
            answer = call(*given, **named)
            if left[0] <= 0:
                raise Broken
            return answer

        return called

    with monkeypatch.context() as patched:
        for owner, name in CHANGES:
            patched.setattr(owner, name, breaking(getattr(owner, name)))
        try:
            work()
        except Broken:
            return True
    return False
