"""An installation opened in the client's own process."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from loopline.app.settings import actor_name
from loopline.app.wires import mlflow_wires, pattern_of
from loopline.app.wiring import Loopline, open_home, verb_named
from loopline.core.errors import Invalid, NotFound
from loopline.core.verbs import Caller, Role
from loopline.core.wires import Coded, Route
from loopline.kit.durable import temporary_name
from loopline.shells.mlflow_store.backends import ARTIFACTS

PREFIX = re.compile(r"/(?:ajax-)?api/[23]\.0/mlflow/")


_PARENTS: list[Loopline | None] = []


class Bound(NamedTuple):
    """A route and the part that answers it."""

    pattern: re.Pattern[str]
    part: str
    route: Route


class Verbs:
    """The verbs on an open installation, as deliveries use them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.target = f"home:{home.resolve()}"  # as `loopline sync` knows it
        self.caller = Caller(actor_name(), Role.ADMIN)  # whoever may write the files may do all
        self._loopline: Loopline | None = None

    @property
    def loopline(self) -> Loopline:
        if self._loopline is None:
            self._loopline = open_home(self.home)
        return self._loopline

    def call(self, name: str, /, **fields: Any) -> Any:
        """Do the verb `name`. Raises a LooplineError."""
        verb = verb_named(name)
        request = msgspec.convert(fields, verb.request, strict=False)
        return msgspec.to_builtins(verb.call(self.loopline.get(name.partition(".")[0]), request, self.caller))

    def reopened(self) -> Verbs:
        """The same in a forked child, where the parent's connections may be neither used nor closed."""
        _PARENTS.append(self._loopline)
        self._loopline = None
        return self


class Local:
    """See `Backend`."""

    url = ""

    def __init__(self, home: Path) -> None:
        self.client = Verbs(home)
        self.target = self.client.target
        self._routes, self._intake = routes()

    def answer(self, method: str, path: str, fields: dict[str, Any]) -> dict[str, Any]:
        loopline = self.client.loopline
        prepare = self._intake.get(PREFIX.sub("", path)) if method == "POST" else None
        if prepare is not None:
            work = prepare(loopline.tracking, msgspec.json.encode(fields))
            if work is not None:
                loopline.database.write(work)
            return {}
        bound, places = self._bound(method, path)
        given = {**(as_query(fields) if method == "GET" else fields), **places}
        found = bound.route.call(loopline.get(bound.part), given, self.client.caller)
        answer: dict[str, Any] = msgspec.to_builtins(found) if found is not None else {}
        return answer

    def changed(self) -> float:
        return float(self.client.loopline.database.changed())

    def put(self, path: str, file: Path) -> None:
        copy = self._scratch()
        try:
            shutil.copyfile(file, copy)  # the route moves it into its place, and the user keeps his
            self._raw("PUT", f"{ARTIFACTS}/{path}", {"body": copy, "headers": {}})
        finally:
            copy.unlink(missing_ok=True)

    def fetch(self, path: str) -> Iterator[bytes]:
        found = self._raw("GET", f"{ARTIFACTS}/{path}", {})
        return iter([found.content] if isinstance(found.content, bytes) else found.content)

    def send(self, path: str, content: bytes, headers: dict[str, str]) -> None:
        body = self._scratch()
        try:
            body.write_bytes(content)
            self._raw("POST", path, {"body": body, "headers": headers})
        finally:
            body.unlink(missing_ok=True)

    def close(self) -> None:
        self.client.reopened()

    def _raw(self, method: str, path: str, fields: dict[str, Any]) -> Any:
        bound, places = self._bound(method, path)
        return bound.route.call(self.client.loopline.get(bound.part), {**fields, **places}, self.client.caller)

    def _scratch(self) -> Path:
        folder = self.client.loopline.home / "work" / "uploads"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder / temporary_name("upload")

    def _bound(self, method: str, path: str) -> tuple[Bound, dict[str, str]]:
        short = PREFIX.sub("", path)
        for name in (path, short):
            for bound in self._routes.get(method, ()):
                match = bound.pattern.match(name)
                if match is not None:
                    return bound, match.groupdict()
        raise Coded(NotFound(f"There is nothing at {path[:200]}.", "Loopline does not offer it."), "ENDPOINT_NOT_FOUND")


def routes() -> tuple[dict[str, list[Bound]], Mapping[str, Callable[[Any, bytes], Any]]]:
    """All routes of the protocol by method, exact ones first, and the short way for what is logged."""
    found: dict[str, list[Bound]] = {}
    intake: dict[str, Callable[[Any, bytes], Any]] = {}
    for part, offered, short in mlflow_wires():
        intake |= short
        for route in offered:
            found.setdefault(route.method, []).append(Bound(pattern_of(route.path), part, route))
    for several in found.values():
        several.sort(key=lambda one: one.route.path.count("{"))
    return found, intake


def as_query(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields as a query would carry them: texts, and lists of texts."""
    return {
        name: [text(one) for one in value] if isinstance(value, list) else text(value) for name, value in fields.items()
    }


def text(value: Any) -> str:
    """A value as a query carries it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        raise Invalid(f"{str(value)[:80]!r} cannot travel in a query.")
    return str(value)
