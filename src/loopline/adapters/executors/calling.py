"""One call with everything measured around it: the same for every executor."""

from __future__ import annotations

import contextlib
import importlib
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from loopline.core.errors import LooplineError
from loopline.ports.executor import Call, Outcome, Standing, stand

LOG_BYTES = 1 << 20
_targets: dict[str, Callable[[bytes], bytes]] = {}


def called(call: Call, log: Callable[[], bytes], peak: Callable[[], int], warned: Callable[[], int]) -> Outcome:
    """Call the target; `log`, `peak` and `warned` are asked afterwards. Answers an outcome also when the code calls
    sys.exit."""
    standing = Standing(call.moved.get(call.folder, call.folder), call.moved)
    stand(standing)
    answer, error, hint, kind, trace, reason = b"", "", "", "", "", ""
    began, cpu = time.perf_counter(), time.process_time()
    try:
        answer = target(call.target)(call.payload)
    except LooplineError as refusal:
        error, hint, kind, trace = refusal.message, refusal.hint, refusal.kind, of_user(refusal.__cause__)
    except MemoryError as failure:
        error, hint, trace, reason = *out_of_memory(call, failure), of_user(failure), "memory"
    except KeyboardInterrupt:
        raise
    except BaseException as failure:  # whatever the code of a project raises becomes an outcome
        error, trace = said(failure), of_user(failure)
    finally:
        stand(None)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
    return Outcome(
        answer=answer,
        error=error,
        hint=hint,
        kind=kind,
        trace=trace,
        reason=reason,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        log=log(),
        max_rss=peak(),
        warnings=warned(),
        files=standing.handed,
    )


def said(failure: BaseException) -> str:
    """What an exception says, also when it fails to say it."""
    try:
        return f"{type(failure).__name__}: {failure}"
    except Exception as another:
        return f"{type(failure).__name__}, which cannot say why ({type(another).__name__})"


def target(name: str) -> Callable[[bytes], bytes]:
    """The function that "package.module:function" names."""
    found = _targets.get(name)
    if found is None:
        module, function = name.split(":")
        found = _targets[name] = getattr(importlib.import_module(module), function)
    return found


def of_user(failure: BaseException | None) -> str:
    """The traceback without the frames that belong to Loopline."""
    if failure is None:
        return ""
    frames = traceback.extract_tb(failure.__traceback__)
    own = [frame for frame in frames if "/loopline/" not in frame.filename]
    return "".join([*traceback.format_list(own), f"{said(failure)}\n"])


def tail(content: bytes) -> bytes:
    """The last megabyte, saying so when that is not all."""
    if len(content) <= LOG_BYTES:
        return content
    return b"[the beginning of this log was cut]\n" + content[-LOG_BYTES:]


class Warned:
    """Shows Python's warnings on standard error, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def show(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: Any = None,
        line: str | None = None,
    ) -> None:
        """What `warnings.showwarning` is to do."""
        self.count += 1
        (file or sys.stderr).write(f"WARNING {category.__name__}: {message} ({filename}, line {lineno})\n")

    def taken(self) -> int:
        """The count, which begins anew."""
        count, self.count = self.count, 0
        return count

    @contextlib.contextmanager
    def counting(self) -> Iterator[None]:
        """Count for a while; afterwards warnings are shown as before."""
        before, warnings.showwarning = warnings.showwarning, self.show
        try:
            yield
        finally:
            warnings.showwarning = before


def out_of_memory(call: Call, failure: BaseException | None = None) -> tuple[str, str]:
    """Sentence and hint for a call that wanted more memory than there was, or than it may have."""
    what = call.label or "A call"
    if call.memory:
        return f"{what[:1].upper()}{what[1:]} needed more than its {megabytes(call.memory)} of memory.", (
            "Give it more with memory=, or less data at once."
        )
    said = f": {failure}" if failure and str(failure) else ""
    return f"{what[:1].upper()}{what[1:]} ran out of memory{said}.", "Give it less data at once."


def megabytes(size: int) -> str:
    """A number of bytes as people write it beside memory=."""
    return f"{size / (1 << 20):.6g} MB"


def peak_rss() -> int:
    """The peak memory of this process in bytes."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
