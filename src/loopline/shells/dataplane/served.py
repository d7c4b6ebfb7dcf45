"""What one endpoint serves just now, and which revision answers which request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.shells.dataplane.answers import unavailable
from loopline.usecases.serving.options import DEFAULTS, Options
from loopline.usecases.serving.traffic import LIVE

if TYPE_CHECKING:
    from loopline.shells.dataplane.choosing import Split
    from loopline.shells.dataplane.revision import Revision

__all__ = ["LIVE", "Served"]


class Served:
    """One endpoint. `live` is the one reference that a swap replaces; it is read once for each request. `beside` are the
    revisions of arms and shadows by number, `split` says how they share the requests: None when nothing is shared out,
    and then it costs nothing."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.live: Revision | None = None
        self.starting: Revision | None = None
        self.warm: Revision | None = None  # the one before, in case of a rollback
        self.warm_until = 0.0
        self.beside: dict[int, Revision] = {}
        self.coming: dict[int, Revision] = {}  # those that shall be beside and are not up yet
        self.split: Split | None = None
        self.refused: int | None = None  # put back, and the database does not know yet
        self.has_key = False
        self.options: Options = DEFAULTS

    def present(self) -> Revision:
        """The live revision; Fault when there is none."""
        if self.live is None:
            raise unavailable(
                f"Endpoint {self.name!r} has nothing live yet.", "`loopline deploy` puts a version there."
            )
        return self.live

    def choose(self, exchange: Any) -> tuple[Any, str]:
        """The revision that answers this request, and the arm under which it is logged. What it answers in place of a
        revision reads and takes rows as one does; the arm that sticks to a key is known only once there are rows."""
        if self.split is None or self.live is None:
            return self.present(), LIVE
        return self.split.choose(exchange, self.live)
