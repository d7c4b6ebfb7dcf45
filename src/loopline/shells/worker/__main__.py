"""The worker's process."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from pathlib import Path

from loopline.core.errors import LooplineError
from loopline.kit.processes import die_with_parent
from loopline.shells.worker.loop import Worker


def main() -> int:
    parser = argparse.ArgumentParser(prog="loopline.shells.worker")
    parser.add_argument("--home", required=True)
    arguments = parser.parse_args()
    parent = os.environ.get("LOOPLINE_PARENT")
    die_with_parent(int(parent) if parent else None)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    worker = Worker(Path(arguments.home))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.end())
    try:
        worker.run()
    except LooplineError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
