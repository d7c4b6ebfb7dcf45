"""The notebook that a run was begun in: its name as a tag, the cells that were run as artifact notebook/cells.py."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from loopline.usecases.tracking.surroundings import clean

MOST = 4 << 20
CELLS = "notebook/cells.py"


class Notebook:
    """Keeps the cells when the run ends: only then are they all known."""

    def __init__(self, run: Any, shell: Any) -> None:
        self._run = run
        self._shell = shell
        if name := named(shell):
            run.tags({"loopline.notebook": name})

    def tick(self) -> None:
        """Nothing to do while it runs."""

    def stop(self) -> None:
        """Keep the cells."""
        cells = [str(one) for one in self._shell.user_ns.get("In", ()) if one]
        if cells:
            text = "\n\n".join(f"# %% [{number}]\n{cell}" for number, cell in enumerate(cells, 1))
            self._run.keep(CELLS, clean(text[:MOST]), "text/x-python")


class Nothing:
    """No notebook."""

    def tick(self) -> None:
        """Nothing to do."""

    def stop(self) -> None:
        """Nothing to do."""


def named(shell: Any) -> str:
    """The notebook's file name, as Jupyter or VS Code tell it; empty where they do not."""
    told = os.environ.get("JPY_SESSION_NAME") or shell.user_ns.get("__vsc_ipynb_file__") or ""
    return Path(str(told)).name


def begin(run: Any) -> Notebook | Nothing:
    """Begin for a run; IPython is not imported for it."""
    asked = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = asked() if asked is not None else None
    return Notebook(run, shell) if shell is not None else Nothing()
