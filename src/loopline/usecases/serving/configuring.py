"""How an endpoint serves: its options, changed one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loopline.ports.database import Transaction
from loopline.usecases.serving import store
from loopline.usecases.serving.base import Base
from loopline.usecases.serving.model import subject
from loopline.usecases.serving.options import Options, changed, plain


class Configuring(Base):
    """Set and show options."""

    def options(self, name: str) -> Options:
        """The options of an endpoint, or NotFound."""
        return self._database.read(lambda tx: self._endpoint(tx, name).options)

    def configure(self, name: str, changes: Mapping[str, Any], actor: str) -> Options:
        """Change some options; `None` puts one back to its default. Invalid names the option that cannot be. Changing
        nothing writes nothing."""
        return self._database.write(lambda tx: self.configure_in(tx, name, changes, actor))

    def configure_in(self, tx: Transaction, name: str, changes: Mapping[str, Any], actor: str) -> Options:
        """`configure` as part of a greater change."""
        old = self._endpoint(tx, name).options
        new = changed(old, changes)
        if new != old:
            store.put_options(tx, name, new)
            self._ledger.append(
                tx, "endpoint.configured", subject(name), actor, {"endpoint": name, "options": plain(new)}
            )
        return new
