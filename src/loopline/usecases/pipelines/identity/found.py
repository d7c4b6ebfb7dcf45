"""What a walk has found so far."""

from __future__ import annotations

from loopline.usecases.pipelines.identity.externals import of_file
from loopline.usecases.pipelines.identity.lookups import file_of, meaning
from loopline.usecases.pipelines.identity.source import Source
from loopline.usecases.pipelines.identity.territory import Territory, is_library
from loopline.usecases.pipelines.model import Piece


class Found:
    """Pieces of code, distributions, and the files beyond the project's folder that belong to it."""

    def __init__(self, territory: Territory) -> None:
        self.territory = territory
        self.pieces: dict[tuple[str, str, str], Piece] = {}
        self.distributions: dict[str, str] = {}
        self.outside: dict[str, str] = {}

    def _distribution(self, module: str | None) -> None:
        file = file_of(module)
        if file and self.territory.inside(file) and not is_library(file) and not file.endswith(".py"):
            short = self.territory.short(file)  # compiled code of the project
            self._piece("file", short, short, of_file(file), f"{module} is compiled")
        else:
            self.distributions.update(self.territory.distributions(module))

    def _owned_file(self, module: str) -> str:
        file = file_of(module)
        return file if self.territory.owns(file) else ""

    def _own_file(self, source: Source) -> None:
        if not self.territory.inside(source.path):
            self.outside[source.path] = source.digest

    def _name(self, name: str, module: str, said: str) -> None:
        self._piece("name", name, self._file(module), meaning(said))

    def _piece(self, kind: str, name: str, file: str, content: str, note: str = "") -> None:
        self.pieces.setdefault((kind + content, name, file), Piece(kind, name, file, content, note))

    def _file(self, module: str) -> str:
        """The file of an own module, or of a file itself, as people know it; a library's module by its name."""
        return self.territory.short(self._owned_file(module) or module)
