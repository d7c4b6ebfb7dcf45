"""What was logged while Loopline was away, delivered by whoever comes next: `loopline sync`, or the next run's process.

Every call may be sent again: a run is begun by its id, a batch carries an id of its own, the rest replaces itself.
"""

from __future__ import annotations

import contextlib
import fcntl
from pathlib import Path

import msgspec

from loopline.core.errors import LooplineError, Refused, Unavailable
from loopline.core.times import from_ms
from loopline.usecases.tracking.journal import NOWHERE, files_of, folder, living, mark_of, second_folder
from loopline.usecases.tracking.sending import Client, Sender

__all__ = ["Delivered", "adopted", "folder", "synced"]


class Delivered(msgspec.Struct):
    """What a delivery did: calls that arrived and that were refused, journals that still wait (their run is alive, or
    nobody answered), journals that are for another installation, and why something waits."""

    sent: int = 0
    refused: int = 0
    waiting: int = 0
    elsewhere: int = 0
    reason: str = ""


def synced(client: Client, everything: bool = False) -> Delivered:
    """Deliver what processes left that are over (also those that died), and end the runs that died with them.

    Only what was logged for the client's installation, unless `everything` is asked for.
    """
    total = Delivered()
    mark = mark_of(str(getattr(client, "target", "")))
    for place in (folder(), second_folder()):
        for name, paths in journals(place).items():
            if everything or NOWHERE in (mark, name[-12:]) or mark == name[-12:]:
                total = added(total, taken_over(client, place, name, paths))
            else:
                total.elsewhere += 1
    return total


def adopted(client: Client, place: Path) -> Delivered:
    """`synced` for what lies beside a journal that delivers at this moment, for the same installation."""
    total = Delivered()
    mark = mark_of(str(getattr(client, "target", "")))
    for name, paths in journals(place).items():
        if name[-12:] == mark:
            total = added(total, taken_over(client, place, name, paths))
    return total


def added(one: Delivered, other: Delivered) -> Delivered:
    """Both deliveries as one."""
    sums = {name: getattr(one, name) + getattr(other, name) for name in ("sent", "refused", "waiting", "elsewhere")}
    return Delivered(**sums, reason=one.reason or other.reason)


def journals(place: Path) -> dict[str, list[Path]]:
    """The files of each journal in order, journals by the time of their beginning."""
    found: dict[str, list[Path]] = {}
    if place.is_dir():
        for path in sorted(place.iterdir()):
            if path.suffix in (".jsonl", ".open"):
                found.setdefault(path.name.partition(".")[0], []).append(path)
    return found


def taken_over(client: Client, place: Path, name: str, paths: list[Path]) -> Delivered:
    """Deliver one journal whose process is over; one whose process lives is left alone."""
    found = Delivered()
    if name in living:
        return Delivered(waiting=1)
    files = [path for path in paths if path.suffix == ".jsonl"]
    with contextlib.ExitStack() as stack:
        held = [locked(stack, path) for path in files]
        if not all(held):
            found.waiting = 1
            return found
        written = [path.stat().st_mtime_ns for path in files if path.exists()]
        for path in files:
            if path.exists() and not delivered(client, path, found):
                return found
        for path in (path for path in paths if path.suffix == ".open"):
            if not ended(client, path, max(written, default=0), found):
                return found
        for path in place.glob(f"{name}.*"):
            path.unlink(missing_ok=True)
    return found


def delivered(client: Client, path: Path, found: Delivered) -> bool:
    """Deliver one file and remove it; False when something still waits."""
    done = Sender(client).send(path)
    found.sent += done.sent
    found.refused += done.refused
    if done.waits:
        found.waiting, found.reason = 1, done.waits
        return False
    for kept in files_of(path):
        kept.unlink(missing_ok=True)
    if path.stat().st_size:  # the last one stays until its runs are ended: it tells when
        path.write_bytes(b"")
    return True


def ended(client: Client, path: Path, last_ns: int, found: Delivered) -> bool:
    """End a run whose process died, at the time of its last line; False when nobody answers."""
    at = from_ms((last_ns or path.stat().st_mtime_ns) // 1_000_000)
    error = "Its process ended before it did."
    try:
        client.call("tracking.finish", run_id=path.name.split(".")[1], status="killed", error=error, ended_at=at)
    except (Unavailable, Refused) as reason:
        found.waiting, found.reason = 1, reason.message
        return False
    except LooplineError:  # it ended, or was never begun there
        pass
    return True


def locked(stack: contextlib.ExitStack, path: Path) -> bool:
    """Hold a journal's file until the stack ends; False when somebody else holds it. A file that is gone is no hindrance."""
    try:
        file = stack.enter_context(open(path, "rb"))  # noqa: SIM115  (closed by the stack)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
