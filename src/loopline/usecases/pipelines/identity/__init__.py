"""Which code a step is: everything its function reaches by name, hashed piece by piece."""

from __future__ import annotations

from loopline.usecases.pipelines.identity.closure import code_of
from loopline.usecases.pipelines.identity.territory import Territory

__all__ = ["Territory", "code_of"]
