"""The process that sends messages about alerts: `python -m loopline.shells.worker.send --home DIR`. It ends when nothing
is due for a while."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from loopline.app.wiring import open_home
from loopline.core.errors import LooplineError
from loopline.kit.processes import die_with_parent

LESS_URGENT = 5
LINGER_S, LOOK_S = 2.0, 0.2


def main() -> int:
    parser = argparse.ArgumentParser(prog="loopline.shells.worker.send")
    parser.add_argument("--home", required=True)
    arguments = parser.parse_args()
    parent = os.environ.pop("LOOPLINE_PARENT", None)
    die_with_parent(int(parent) if parent else None)
    os.nice(LESS_URGENT)
    try:
        send(Path(arguments.home))
    except LooplineError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def send(home: Path) -> None:
    """Send what is due, and what falls due within a few seconds after that."""
    with open_home(home, create=False) as loopline:
        until = time.monotonic() + LINGER_S
        while time.monotonic() < until:
            if loopline.monitoring.messages.due() and loopline.monitoring.messages.send_due():
                until = time.monotonic() + LINGER_S
            else:
                time.sleep(LOOK_S)


if __name__ == "__main__":
    sys.exit(main())
