"""Walks along the facts: from a prediction back to the data behind it, and from data to all that it touched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.core.parts import Part

if TYPE_CHECKING:
    from loopline.usecases.lineage.service import Lineage


def build(**needs: Any) -> Lineage:
    from loopline.usecases.lineage.service import Lineage

    return Lineage(**needs)


PART = Part("lineage", build, needs=("ledger", "datasets", "tracking", "pipelines", "registry", "serving", "retention"))
