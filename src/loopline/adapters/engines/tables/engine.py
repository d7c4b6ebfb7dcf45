"""The engine over its parts; cheap to import."""

from __future__ import annotations

from typing import Any

from loopline.core.tables import Signature


class Tables:
    """Transformers, linear models and trees of scikit-learn, and boosted trees, in numpy. Satisfies `Engine`."""

    name = "tables"
    version = 1

    def compile(self, source: Any, signature: Signature) -> bytes:
        """See `Engine.compile`."""
        from loopline.adapters.engines.tables.compiling.whole import whole

        return whole(source, signature)

    def load(self, content: bytes, signature: Signature) -> Any:
        """See `Engine.load`."""
        from loopline.adapters.engines.tables.running import Compiled

        return Compiled(content, signature)
