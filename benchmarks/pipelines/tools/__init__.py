"""One module for each tool: `open_tool(place)` answers an object whose `build(graph, nodes)` answers `run(salt, again)`.

`run` gives the value of the last node. `again` says that the same salt ran before, for tools that must be told.
"""

from __future__ import annotations

import os


def asked_size() -> int:
    """How many steps the graph has, for tools that import their pipeline again by name."""
    return int(os.environ["GRAPH_SIZE"])
