"""One call with everything measured around it: the same for every executor of this machine."""

from __future__ import annotations

import importlib
import sys
import time
import traceback
from collections.abc import Callable

from loopline.core.errors import LooplineError
from loopline.ports.executor import Call, Outcome

LOG_BYTES = 1 << 20
_targets: dict[str, Callable[[bytes], bytes]] = {}


def called(call: Call, log: Callable[[], bytes], peak: Callable[[], int]) -> Outcome:
    """Call the target; `log` and `peak` are asked afterwards. Answers an outcome also when the code calls sys.exit."""
    began, cpu = time.perf_counter(), time.process_time()
    answer, error, hint, kind, trace = b"", "", "", "", ""
    try:
        answer = target(call.target)(call.payload)
    except LooplineError as refusal:
        error, hint, kind, trace = refusal.message, refusal.hint, refusal.kind, of_user(refusal.__cause__)
    except KeyboardInterrupt:
        raise
    except BaseException as failure:  # whatever the code of a project raises becomes an outcome
        error, trace = f"{type(failure).__name__}: {failure}", of_user(failure)
    return Outcome(
        answer=answer,
        error=error,
        hint=hint,
        kind=kind,
        trace=trace,
        seconds=time.perf_counter() - began,
        cpu_seconds=time.process_time() - cpu,
        log=log(),
        max_rss=peak(),
    )


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
    return "".join([*traceback.format_list(own), *traceback.format_exception_only(failure)])


def tail(content: bytes) -> bytes:
    """The last megabyte, saying so when that is not all."""
    if len(content) <= LOG_BYTES:
        return content
    return b"[the beginning of this log was cut]\n" + content[-LOG_BYTES:]


def ended(call: Call, code: int | None) -> Outcome:
    """The outcome of a call whose process ended with `code` (negative: the signal)."""
    what = call.label or "A call"
    if code == -9:
        error = f"The process of {what} was killed (signal 9), most likely because memory ran out."
        return Outcome(error=error, hint="Give it less data at once, or a machine with more memory.", died=True)
    why = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
    return Outcome(error=f"The process of {what} ended {why}.", hint="Its log may say more.", died=True)


def closed(call: Call) -> Outcome:
    """The outcome of a call that the closing of its executor cut short."""
    return Outcome(error=f"{call.label or 'A call'} was stopped.", hint="Run it again.", died=True)


def peak_rss() -> int:
    """The peak memory of this process in bytes."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
