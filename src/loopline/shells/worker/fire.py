"""The process of one firing: `python -m loopline.shells.worker.fire ID --home DIR`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loopline.app.wiring import Loopline, open_home
from loopline.core.errors import LooplineError
from loopline.core.times import to_text
from loopline.kit.processes import die_with_parent

LESS_URGENT = 5
LOST = 4


def main() -> int:
    parser = argparse.ArgumentParser(prog="loopline.shells.worker.fire")
    parser.add_argument("firing")
    parser.add_argument("--home", required=True)
    parser.add_argument("--fence", type=int, default=0, help="under which the firing was claimed for this process")
    arguments = parser.parse_args()
    parent = os.environ.pop("LOOPLINE_PARENT", None)
    die_with_parent(int(parent) if parent else None)
    os.nice(LESS_URGENT)  # predictions are answered beside it
    try:
        return execute(Path(arguments.home), arguments.firing, arguments.fence)
    except LooplineError as error:
        say(f"error: {error}")
        return error.exit_code


def execute(home: Path, firing: str, fence: int = 0) -> int:
    """Execute a firing of the installation in `home`; 0 when it was done."""
    from loopline.usecases.automation.execution import Execution

    with open_home(home, create=False) as loopline:
        execution = Execution(
            loopline.automation,
            loopline.projects,
            lambda: loopline.releases,
            loopline.promotion,
            loopline.tracking,
            say,
            leave,
            act=acting(loopline),
        )
        return 0 if execution.execute(firing, fence) else 1


def acting(loopline: Loopline) -> Callable[[Any, Any], str]:
    """What does all that is no run."""
    from loopline.usecases.automation.acting import Acting
    from loopline.usecases.automation.holds import Holds

    holds = Holds(loopline.database, loopline.clock, loopline.ledger)

    def act(firing: Any, because: Any) -> str:
        messages = loopline.monitoring.messages
        return Acting(loopline.clock, holds, loopline.serving, loopline.promotion, messages)(firing, because)

    return act


def leave() -> None:
    """End at once: another process has the firing. The children end with this process."""
    say("another process took the firing over")
    os._exit(LOST)


def say(text: str) -> None:
    """A line in the firing's log."""
    print(to_text(datetime.now(UTC)), text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
