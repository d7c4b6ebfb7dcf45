"""Figures of plotting libraries as files; a library is only touched when a figure of it is given."""

from __future__ import annotations

import io
from typing import Any

from loopline.core.errors import Invalid

PLOTLY = "application/vnd.plotly.v1+json"
VEGALITE = "application/vnd.vegalite.v5+json"


def encoded(figure: Any) -> list[tuple[str, bytes | str, str]]:
    """Ending, content and media type of each file that a figure becomes; Invalid for what is no figure."""
    figure = getattr(figure, "figure", figure)  # an Axes, a seaborn grid
    modules = {base.__module__.partition(".")[0] for base in type(figure).__mro__}
    if "plotly" in modules:
        return [(".plotly.json", figure.to_json(), PLOTLY)]
    if "altair" in modules:
        return [(".vegalite.json", figure.to_json(), VEGALITE)]
    if hasattr(figure, "savefig"):
        return [(".png", drawn(figure, "png"), "image/png"), (".svg", drawn(figure, "svg"), "image/svg+xml")]
    raise Invalid(
        f"{type(figure).__name__} is no figure that is known here.", "Give one of matplotlib, plotly or altair."
    )


def drawn(figure: Any, kind: str) -> bytes:
    """A matplotlib figure as a file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, bbox_inches="tight")
    return buffer.getvalue()
