"""Whose code a file or module is: the project's own, an installed distribution's, or Python's."""

from __future__ import annotations

import functools
import site
import sys
import sysconfig
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from loopline.kit.installed import installed, normalised

_PATHS = sysconfig.get_paths()
_PLACES = (*(_PATHS[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")), *site.getsitepackages())
_LIBRARIES = tuple(sorted({str(Path(place).resolve()) for place in (*_PLACES, site.getusersitepackages())}))
_OTHER_NAMES = {  # what is often imported under another name: asking all distributions takes a quarter of a second
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "PIL": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


class Territory:
    """The ground that belongs to a project: its folder, and any code that is neither installed nor Python's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder.resolve())

    def owns(self, file: str | None) -> bool:
        """Whether the code in `file` is to be followed."""
        if not file or not file.endswith(".py") or file.startswith(_OURS):
            return False
        return file.startswith(self.folder + "/") or not is_library(file)

    def short(self, file: str) -> str:
        """The file's name as people know it."""
        return file[len(self.folder) + 1 :] if file.startswith(self.folder + "/") else file

    def inside(self, file: str) -> bool:
        """Whether the file lies in the project's folder."""
        return file.startswith(self.folder + "/")


def is_library(file: str) -> bool:
    """Whether a file was installed, or is Python's own."""
    return file.startswith(_LIBRARIES)


_OURS = str(Path(__file__).resolve().parents[3]) + "/"


def distribution_of(root: str) -> tuple[str, str] | None:
    """Name and version of the distribution that a top-level module comes from; None for Python's own and ours."""
    if root in sys.stdlib_module_names or root in ("loopline", "__main__"):
        return None
    name = normalised(_OTHER_NAMES.get(root, root))
    if name not in installed():
        name = normalised(next(iter(providers().get(root, ())), root))
    return name, installed().get(name, "unknown")


@functools.cache
def providers() -> Mapping[str, list[str]]:
    """Which distributions give each top-level module."""
    return metadata.packages_distributions()
