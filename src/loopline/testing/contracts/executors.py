"""What every executor must prove. Subclass `ExecutorContract` and give it a fixture `executor`."""

from __future__ import annotations

import logging
import os
import sys
import time

import msgspec

from loopline.core.errors import Invalid
from loopline.ports.executor import Call, Executor, Outcome

HERE = "loopline.testing.contracts.executors"


def echo(payload: bytes) -> bytes:
    """Answer what came."""
    return payload


def talk(payload: bytes) -> bytes:
    """Print, complain and log."""
    print("said", payload.decode())
    print("complained", file=sys.stderr)
    logging.getLogger("step").info("logged")
    return b"done"


def fail(payload: bytes) -> bytes:
    """Raise what is no refusal."""
    raise ZeroDivisionError(payload.decode())


def refuse(payload: bytes) -> bytes:
    """Raise a refusal."""
    raise Invalid("The table has no rows.", "Give it some.")


def leave(payload: bytes) -> bytes:
    """Call sys.exit as a script would."""
    sys.exit(3)


def burn(payload: bytes) -> bytes:
    """Use CPU for as many seconds as asked."""
    until = time.process_time() + float(payload)
    while time.process_time() < until:
        pass
    return b""


def vanish(payload: bytes) -> bytes:
    """End the process with the signal asked for."""
    print("last words", flush=True)
    os.kill(os.getpid(), int(payload))
    time.sleep(5)
    return b""


def process(payload: bytes) -> bytes:
    """Answer which process this is, after waiting as asked."""
    time.sleep(float(payload or b"0"))
    return msgspec.json.encode(os.getpid())


def outcome(executor: Executor, target: str, payload: bytes = b"", label: str = "train") -> Outcome:
    """What becomes of one call of a function of this module."""
    return executor.submit(Call(target=f"{HERE}:{target}", payload=payload, label=label)).result(timeout=60)


class ExecutorContract:
    """The guarantees of `ports.executor.Executor`."""

    def test_answers_the_bytes_that_the_target_answers(self, executor: Executor) -> None:
        assert outcome(executor, "echo", b"\x00\xff" * 100_000).answer == b"\x00\xff" * 100_000

    def test_many_calls_get_each_their_own_answer(self, executor: Executor) -> None:
        calls = [Call(target=f"{HERE}:echo", payload=str(n).encode()) for n in range(200)]
        futures = [executor.submit(call) for call in calls]
        assert [future.result(timeout=60).answer for future in futures] == [call.payload for call in calls]

    def test_keeps_what_was_printed_and_logged(self, executor: Executor) -> None:
        log = outcome(executor, "talk", b"hello").log.decode()
        assert all(words in log for words in ("said hello", "complained", "INFO step: logged"))

    def test_a_log_holds_one_call_only(self, executor: Executor) -> None:
        outcome(executor, "talk", b"hello")
        assert outcome(executor, "echo").log == b""

    def test_an_exception_becomes_one_sentence_and_the_trace_of_the_code(self, executor: Executor) -> None:
        failed = outcome(executor, "fail", b"by zero")
        assert failed.error == "ZeroDivisionError: by zero"
        assert "ZeroDivisionError" in failed.trace

    def test_a_refusal_keeps_its_hint(self, executor: Executor) -> None:
        refused = outcome(executor, "refuse")
        assert (refused.error, refused.hint) == ("The table has no rows.", "Give it some.")

    def test_leaving_with_sys_exit_is_a_failure_like_any(self, executor: Executor) -> None:
        assert outcome(executor, "leave").error == "SystemExit: 3"
        assert outcome(executor, "echo", b"on").answer == b"on"

    def test_measures_time_and_memory(self, executor: Executor) -> None:
        burnt = outcome(executor, "burn", b"0.05")
        assert 0.05 <= burnt.cpu_seconds < 5
        assert burnt.seconds >= 0.05
        assert burnt.max_rss > 1_000_000

    def test_an_unknown_target_is_an_outcome(self, executor: Executor) -> None:
        assert "AttributeError" in outcome(executor, "nowhere").error
