"""What every executor must prove. Subclass `ExecutorContract` and give it the fixtures `executor` and `another`."""

from __future__ import annotations

import os
import signal
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

from loopline.core.errors import Unavailable
from loopline.ports.executor import Call, Executor
from loopline.testing.contracts.calls import HERE, alive, eventually, outcome, submitted

GAPS = frozenset({"timeout", "memory", "stop", "log", "crash", "cpu", "close"})


class ExecutorContract:
    """The guarantees of `ports.executor.Executor`. `gaps` names those that an engine cannot give, with the reason."""

    gaps: ClassVar[dict[str, str]] = {}

    def lacks(self, what: str) -> bool:
        """Whether the engine says that it cannot do this."""
        return what in self.gaps

    def test_a_gap_is_a_known_one_and_has_a_reason(self) -> None:
        assert self.gaps.keys() <= GAPS
        assert all(len(reason.split()) > 3 for reason in self.gaps.values())

    def test_answers_the_bytes_that_the_target_answers(self, executor: Executor) -> None:
        assert outcome(executor, "echo", b"\x00\xff" * 100_000).answer == b"\x00\xff" * 100_000

    def test_many_calls_get_each_their_own_answer(self, executor: Executor) -> None:
        calls = [Call(target=f"{HERE}:echo", payload=str(n).encode()) for n in range(200)]
        futures = [executor.submit(call) for call in calls]
        assert [future.result(timeout=60).answer for future in futures] == [call.payload for call in calls]

    def test_keeps_what_was_printed_and_logged(self, executor: Executor) -> None:
        log = outcome(executor, "talk", b"hello").log.decode()
        assert all(words in log for words in ("said hello", "complained", "INFO step: beside", "INFO step: logged"))

    def test_a_log_holds_one_call_only(self, executor: Executor) -> None:
        outcome(executor, "talk", b"hello")
        assert outcome(executor, "echo").log == b""

    def test_an_exception_becomes_one_sentence_and_the_trace_of_the_code(self, executor: Executor) -> None:
        failed = outcome(executor, "fail", b"by zero")
        assert failed.error == "ZeroDivisionError: by zero"
        assert "ZeroDivisionError" in failed.trace

    def test_an_exception_that_cannot_be_told_is_told_by_its_name(self, executor: Executor) -> None:
        assert outcome(executor, "mumble").error == "Mumbling, which cannot say why (ValueError)"

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

    def test_a_payload_larger_than_any_pipe_comes_through(self, executor: Executor) -> None:
        content = os.urandom(3 << 20)
        assert outcome(executor, "echo", content).answer == content

    def test_warnings_are_shown_and_counted_each_call(self, executor: Executor) -> None:
        for _ in range(2):
            warned = outcome(executor, "warn")
            assert (warned.error, warned.warnings) == ("", 3)
            assert b"UserWarning: old way" in warned.log
        assert outcome(executor, "echo").warnings == 0

    def test_variables_are_set_for_the_call_alone(self, executor: Executor) -> None:
        assert submitted(executor, "variable", b"LOOPLINE_X", environment={"LOOPLINE_X": "two"}).answer == b"two"
        assert submitted(executor, "variable", b"LOOPLINE_X").answer == b"unset"

    def test_files_go_to_the_call_and_come_back(self, executor: Executor, tmp_path: Path) -> None:
        project, folder = tmp_path / "project", tmp_path / "scratch"
        project.mkdir()
        (project / "part.py").write_text("code")
        (tmp_path / "place").write_text("data ")
        asked = [str(tmp_path / "place"), str(project), str(folder)]
        stamp = f"stamp-{os.getpid()}-{tmp_path.name}"
        carried = submitted(
            executor,
            "carry",
            msgspec.json.encode(asked),
            folder=str(folder),
            places={f"digest-{stamp}": asked[0]},
            projects={stamp: asked[1]},
        )
        assert carried.error == ""
        assert carried.answer.decode() == str(folder / "deep" / "made.txt")
        assert Path(carried.answer.decode()).read_text() == "DATA CODE"

    def test_a_call_that_takes_too_long_is_ended(self, executor: Executor) -> None:
        if self.lacks("timeout"):
            return
        slow = submitted(executor, "whisper", b"60", timeout=0.3)
        assert (slow.died, slow.reason) == (True, "timeout")
        assert slow.error == "The step train was ended after 0.3 seconds, its limit."
        assert slow.log == b"first words\n"
        assert 0.3 <= slow.seconds < 10
        assert submitted(executor, "echo", b"on", timeout=30.0).answer == b"on"

    def test_a_call_that_wants_too_much_memory_fails_alone(self, executor: Executor) -> None:
        if self.lacks("memory"):
            return
        large = submitted(executor, "hoard", b"300", memory=80 << 20)
        assert large.reason == "memory"
        assert large.error == "The step train needed more than its 80 MB of memory."
        assert submitted(executor, "hoard", b"40", memory=80 << 20).answer == b"40"
        assert submitted(executor, "hoard", b"300").answer == b"300"

    def test_a_running_call_can_be_stopped_with_all_that_it_started(self, executor: Executor) -> None:
        if self.lacks("stop"):
            return
        future = executor.submit(Call(target=f"{HERE}:parent", payload=b"60", label="train"))
        assert eventually(lambda: b"pid" in executor.log(future))
        pid = int(executor.log(future).split()[1])
        assert alive(pid)
        executor.stop(future)
        stopped = future.result(timeout=30)
        assert (stopped.died, stopped.reason, stopped.error) == (True, "stopped", "train was stopped.")
        assert stopped.log.split()[1] == str(pid).encode()
        assert eventually(lambda: not alive(pid))
        assert outcome(executor, "echo", b"on").answer == b"on"

    def test_a_waiting_call_can_be_stopped(self, executor: Executor) -> None:
        if self.lacks("stop"):
            return
        busy = [executor.submit(Call(target=f"{HERE}:span", payload=b"1")) for _ in range(executor.slots)]
        waiting = executor.submit(Call(target=f"{HERE}:span", payload=b"60", label="late"))
        executor.stop(waiting)
        assert waiting.result(timeout=30).reason == "stopped"
        assert all(future.result(timeout=30).error == "" for future in busy)

    def test_stopping_what_has_ended_is_nothing(self, executor: Executor) -> None:
        future = executor.submit(Call(target=f"{HERE}:echo", payload=b"x"))
        assert future.result(timeout=60).answer == b"x"
        executor.stop(future)
        assert executor.log(future) == b""
        assert future.result().answer == b"x"

    def test_the_log_can_be_read_while_the_call_runs(self, executor: Executor) -> None:
        if self.lacks("log"):
            return
        future = executor.submit(Call(target=f"{HERE}:whisper", payload=b"60"))
        assert eventually(lambda: executor.log(future) == b"first words\n")
        assert not future.done()
        executor.stop(future)
        assert future.result(timeout=30).log == b"first words\n"

    @pytest.mark.parametrize(
        ("number", "words"), [(signal.SIGKILL, "memory ran out"), (signal.SIGSEGV, "by signal 11")]
    )
    def test_a_crash_fails_only_its_call_and_keeps_its_last_words(
        self, executor: Executor, number: int, words: str
    ) -> None:
        if self.lacks("crash"):
            return
        other = executor.submit(Call(target=f"{HERE}:span", payload=b"0.3"))
        crashed = outcome(executor, "vanish", str(int(number)).encode())
        assert crashed.died
        assert words in crashed.error
        assert "train" in crashed.error
        assert crashed.log == b"last words\n"
        assert other.result(timeout=60).error == ""
        assert outcome(executor, "echo", b"on").answer == b"on"

    def test_a_call_that_takes_all_slots_or_more_runs_alone(self, executor: Executor) -> None:
        if self.lacks("cpu"):
            return
        sizes = (float(executor.slots), 1.0, 99.0)
        calls = [Call(target=f"{HERE}:span", payload=b"0.2", cpu=cpu) for cpu in sizes]
        answers = [future.result(timeout=60).answer for future in [executor.submit(call) for call in calls]]
        spans = sorted(msgspec.json.decode(answer, type=list[float]) for answer in answers)
        assert all(before[1] <= after[0] for before, after in pairwise(spans))

    def test_closing_stops_what_runs_and_what_it_started(self, another: Executor) -> None:
        if self.lacks("close"):
            another.close()
            return
        left = int(outcome(another, "parent", b"0").answer)
        futures = [another.submit(Call(target=f"{HERE}:span", payload=b"60", label="slow")) for _ in range(4)]
        another.close()
        assert {future.result(timeout=30).error for future in futures} == {"slow was stopped."}
        assert eventually(lambda: not alive(left))
        with pytest.raises(Unavailable):
            another.submit(Call(target=f"{HERE}:echo", payload=b""))
        another.close()
