"""What one endpoint serves just now, and which revision answers which request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.shells.dataplane.answers import unavailable
from loopline.usecases.serving.options import DEFAULTS, Options

if TYPE_CHECKING:
    from loopline.shells.dataplane.protocol import Exchange
    from loopline.shells.dataplane.revision import Revision

LIVE = "live"


class Served:
    """One endpoint. `live` is the one reference that a swap replaces; it is read once for each request."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.live: Revision | None = None
        self.starting: Revision | None = None
        self.warm: Revision | None = None  # the one before, in case of a rollback
        self.warm_until = 0.0
        self.has_key = False
        self.options: Options = DEFAULTS

    def present(self) -> Revision:
        """The live revision; Fault when there is none."""
        if self.live is None:
            raise unavailable(
                f"Endpoint {self.name!r} has nothing live yet.", "`loopline deploy` puts a version there."
            )
        return self.live

    def choose(self, exchange: Exchange) -> tuple[Revision, str]:
        """The revision that answers this request, and the arm under which it is logged."""
        return self.present(), LIVE
