"""Looking after the logs: sealing, compaction, retention and erasure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from loopline.core.errors import Invalid, LooplineError
from loopline.core.ids import checked_name
from loopline.usecases.serving import store
from loopline.usecases.serving.base import Base

if TYPE_CHECKING:
    from loopline.usecases.serving.erased import Erased
    from loopline.usecases.serving.sealing import Log


class Keeping(Base):
    """What keeps the logs small, whole, and without what must not be in them."""

    def seal(self, actor: str = "loopline") -> int:
        """Turn closed log segments into Parquet files by endpoint and day, with a fact for each, and many small files of
        a day, or those of a day that is over, into one; answers how many files were sealed."""
        from loopline.usecases.serving.compacting import compact
        from loopline.usecases.serving.sealing import alone, seal_one

        told = 0
        for log in self._logs(actor):
            with alone(log) as mine:
                told += seal_one(log) if mine else 0
                if mine and log.kind != "truth":
                    compact(log)
        return told

    def tidy(self, actor: str = "loopline") -> dict[str, Any]:
        """Seal and compact, finish erasures that were broken off, and remove records that are older than their endpoint
        keeps them; answers what was done, and what could not be."""
        done: dict[str, Any] = {"sealed": self.seal(actor), "expired": 0, "erasures": 0, "problems": []}
        for log in self._logs(actor):
            endpoint = self._database.read(lambda tx, name=log.endpoint: store.ever(tx, name))  # type: ignore[misc]
            try:
                done["expired"] += self._expired(log, 0 if endpoint is None else endpoint.options.retention_days)
                if log.kind == "predictions":
                    done["erasures"] += self._resumed(log, None if endpoint is None else endpoint.key)
            except LooplineError as error:
                done["problems"].append(error.message)
        return done

    def erase(self, endpoint: str, value: str, actor: str) -> Erased:
        """Take every record of a person out of the log: those whose `subject` (an option; else the endpoint's key) is
        `value`, with their explanations, their ground truth and what shadows predicted, also of an endpoint that was retired. When this answers they are gone from disk. Facts name the
        person by a keyed hash only. Invalid when the endpoint has neither, Unavailable when the log is being written to by
        something that does not let go: then the erasure is finished by itself later."""
        from loopline.usecases.serving import erasing

        found = self._database.read(lambda tx: store.ever(tx, endpoint) or self._endpoint(tx, endpoint))
        field = found.options.subject or found.key
        if field is None:
            raise Invalid(
                f"The endpoint {endpoint!r} does not know whose its records are.",
                f"Name the input that says so: `loopline endpoint options {endpoint} subject=INPUT`.",
            )
        if field in found.options.redact:
            raise Invalid(f"The field {field!r} is never logged, so nothing is found by it.", "Name another `subject`.")
        log = self._log("predictions", endpoint, actor)
        return erasing.finish(log, erasing.ask(log, field, value), found.key, value)

    def erasures(self, endpoint: str) -> list[dict[str, Any]]:
        """What was asked to be erased, newest first, with the keyed hash of each person's value."""
        checked_name("endpoint", endpoint)
        return [dict(row) for row in self._database.read(lambda tx: store.erasures(tx, endpoint))]

    def check_log(self, endpoint: str) -> dict[str, Any]:
        """Compare the sealed files of an endpoint with the digests that the ledger's facts name; answers how many there
        are and which are missing, changed, or known to no fact."""
        import blake3

        from loopline.usecases.serving.sealing import KINDS, Log

        checked_name("endpoint", endpoint)
        wrong: list[dict[str, str]] = []
        count = 0
        for kind in KINDS:
            log = Log(self._database, self._ledger, self._clock, self._home, kind, endpoint, "")
            known = self._database.read(lambda tx, kind=kind: store.sealed(tx, kind, endpoint))  # type: ignore[misc]
            there = set(log.files())
            wrong += [{"file": name, "problem": "no fact names it"} for name in sorted(there - known.keys())]
            for name, digest in sorted(known.items()):
                count += 1
                if name not in there:
                    wrong.append({"file": name, "problem": "it is missing"})
                elif blake3.blake3().update_mmap(str(log.sealed / name)).hexdigest() != digest:
                    wrong.append({"file": name, "problem": "it is not what was sealed"})
        return {"endpoint": endpoint, "files": count, "wrong": wrong}

    def _expired(self, log: Log, keep_days: int) -> int:
        from loopline.usecases.serving.expiring import expire
        from loopline.usecases.serving.sealing import alone

        with alone(log) as mine:
            return expire(log, keep_days) if mine and keep_days else 0

    def _resumed(self, log: Log, key: str | None) -> int:
        from loopline.usecases.serving import erasing

        waiting = self._database.read(lambda tx: store.open_erasures(tx, log.endpoint))
        for row in waiting:
            erasing.finish(log, row["id"], key, None)
        return len(waiting)

    def _logs(self, actor: str) -> Iterator[Log]:
        from loopline.usecases.serving.sealing import logs

        return logs(self._database, self._ledger, self._clock, self._home, actor)

    def _log(self, kind: str, endpoint: str, actor: str) -> Log:
        from loopline.kit.durable import make_folder
        from loopline.usecases.serving.sealing import Log

        checked_name("endpoint", endpoint)
        log = Log(self._database, self._ledger, self._clock, self._home, kind, endpoint, actor)
        make_folder(log.fresh, 0o700)
        return log
