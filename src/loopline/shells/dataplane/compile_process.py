"""The process that has an engine chosen for a version before it is first served, and ends."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from loopline.core.errors import LooplineError
from loopline.kit.processes import die_with_parent


def main(given: Sequence[str] | None = None) -> int:
    """Compile the version; exit code 1 when that is refused (whoever serves it is told why when loading it)."""
    parser = argparse.ArgumentParser(prog="loopline.shells.dataplane.compile_process")
    for name in ("--home", "--installation", "--model"):
        parser.add_argument(name, required=True)
    parser.add_argument("--version", required=True, type=int)
    arguments = parser.parse_args(given)
    parent = os.environ.get("LOOPLINE_PARENT")
    die_with_parent(int(parent) if parent else None)
    module, _, name = arguments.installation.partition(":")
    installation = getattr(importlib.import_module(module), name)(Path(arguments.home))
    try:
        installation.registry.compile(arguments.model, arguments.version, "loopline")
    except LooplineError as error:
        print(f"{arguments.model}/{arguments.version}: {error}", file=sys.stderr)
        return 1
    finally:
        installation.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
