"""Whose code a file or module is: the project's own, an installed distribution's, or Python's."""

from __future__ import annotations

import functools
import os
import site
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from importlib.machinery import all_suffixes
from pathlib import Path

from loopline.kit.installed import installed, normalised
from loopline.usecases.pipelines.identity.source import Source, source_of

_PATHS = sysconfig.get_paths()
_PLACES = (*(_PATHS[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")), *site.getsitepackages())
_LIBRARIES = tuple(
    sorted({form for one in (*_PLACES, site.getusersitepackages()) for form in (f"{one}/", f"{Path(one).resolve()}/")})
)
_INSTALLED = ("/site-packages/", "/dist-packages/")
_LEFT_OUT = frozenset({"__pycache__", "node_modules", "venv", "env", "build", "dist"})
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
    """The ground that belongs to a project: its folder, and any code that is neither installed nor Python's own.

    Made anew for each trace: it asks for files and versions once.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder.resolve())
        self._root = self.folder + "/"
        self._owned: dict[str | None, bool] = {}
        self._distributions: dict[str, tuple[tuple[str, str], ...]] = {}
        self._sources: dict[str, Source | None] = {}

    def source(self, file: str) -> Source | None:
        """The parsed file; None for what is no readable Python file."""
        if file not in self._sources:
            self._sources[file] = source_of(file)
        return self._sources[file]

    def distributions(self, module: str | None) -> tuple[tuple[str, str], ...]:
        """Name and version of the distribution that a module comes from; several where they share a namespace."""
        root = (module or "").partition(".")[0]
        if root not in self._distributions:
            self._distributions[root] = distributions_of(root)
        return self._distributions[root]

    def owns(self, file: str | None) -> bool:
        """Whether the code in `file` is to be followed."""
        known = self._owned.get(file)
        if known is None:
            known = self._owned[file] = self._is_own(file)
        return known

    def _is_own(self, file: str | None) -> bool:
        if not file or not file.endswith(".py") or file.startswith(_OURS):
            return False
        return not is_library(file)

    def short(self, file: str) -> str:
        """The file's name as people know it."""
        return file[len(self._root) :] if file.startswith(self._root) else file

    def inside(self, file: str) -> bool:
        """Whether the file lies in the project's folder."""
        return file.startswith(self._root)

    def has_module(self, root: str) -> bool:
        """Whether a top-level module of that name lies in the project's folder."""
        place = f"{self.folder}/{root}"
        return os.path.isdir(place) or any(os.path.isfile(place + suffix) for suffix in all_suffixes())

    def files(self, prefix: str) -> Iterator[str]:
        """The project's Python files whose module's name begins so."""
        for place, folders, names in os.walk(self.folder):
            folders[:] = sorted(one for one in folders if not one.startswith(".") and one not in _LEFT_OUT)
            for name in sorted(names):
                file = f"{place}/{name}"
                module = self.short(file).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
                if module.startswith(prefix) and self.owns(file):
                    yield file


def is_library(file: str) -> bool:
    """Whether a file was installed, or is Python's own."""
    return file.startswith(_LIBRARIES) or any(part in file for part in _INSTALLED)


_OURS = str(Path(__file__).resolve().parents[3]) + "/"


def distributions_of(root: str) -> tuple[tuple[str, str], ...]:
    """Names and versions of the distributions that a top-level module comes from; none for Python's own and ours."""
    if root in sys.stdlib_module_names or root in ("", "loopline", "__main__"):
        return ()
    name = normalised(_OTHER_NAMES.get(root, root))
    names = [name] if name in installed() else sorted({normalised(one) for one in providers().get(root, ())}) or [name]
    return tuple((one, installed().get(one, "unknown")) for one in names)


@functools.cache
def providers() -> Mapping[str, list[str]]:
    """Which distributions give each top-level module."""
    from importlib import metadata  # takes long to import

    return metadata.packages_distributions()
