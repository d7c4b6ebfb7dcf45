"""The outcome of a call that did not come to an end of its own."""

from __future__ import annotations

from loopline.adapters.executors.calling import out_of_memory
from loopline.ports.executor import Call, Outcome

_SIGNS_OF_MEMORY = (b"bad_alloc", b"memory allocation of", b"out of memory", b"Cannot allocate memory", b"MemoryError")


def ended(call: Call, code: int | None, log: bytes = b"") -> Outcome:
    """For a call whose process ended with `code` (negative: the signal)."""
    what = call.label or "A call"
    if call.memory and code in (-6, -11, 134, 139) and any(sign in log[-4096:] for sign in _SIGNS_OF_MEMORY):
        return over_memory(call)
    if code == -9:
        error = f"The process of {what} was killed (signal 9), most likely because memory ran out."
        hint = "Give it less data at once, or a machine with more memory."
        return Outcome(error=error, hint=hint, died=True, reason="memory")
    why = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
    return Outcome(error=f"The process of {what} ended {why}.", hint="Its log may say more.", died=True)


def over_memory(call: Call) -> Outcome:
    """For a call that was ended because it held more memory than it may."""
    error, hint = out_of_memory(call)
    return Outcome(error=error, hint=hint, died=True, reason="memory")


def late(call: Call) -> Outcome:
    """For a call that took longer than it may."""
    what = call.label or "a call"
    error = f"{what[:1].upper()}{what[1:]} was ended after {seconds(call.timeout)}, its limit."
    hint = "Give it more time with timeout=, or less to do."
    return Outcome(error=error, hint=hint, died=True, reason="timeout")


def stopped(call: Call) -> Outcome:
    """For a call that somebody, or the closing of its executor, cut short."""
    return Outcome(error=f"{call.label or 'A call'} was stopped.", hint="Run it again.", died=True, reason="stopped")


def unstarted(call: Call, why: str) -> Outcome:
    """For a call whose process did not come up."""
    where = call.python or "A worker process"
    hint = (
        "Build its environment again with `loopline lock`." if call.python else "See that the machine has room for it."
    )
    return Outcome(error=f"{where} could not be started ({why}).", hint=hint, died=True)


def seconds(count: float) -> str:
    """A number of seconds as people write it."""
    return "1 second" if count == 1 else f"{count:g} seconds"
