"""Ways to run a model without the library that trained it."""

from __future__ import annotations

from loopline.adapters.engines.tables import Tables
from loopline.ports.engine import Engine

# By name, cheap to have. What an engine needs is imported at its first use.
ENGINES: dict[str, Engine] = {engine.name: engine for engine in (Tables(),)}
