"""How an endpoint serves: its options, changed one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from loopline.core.errors import Invalid
from loopline.ports.database import Transaction
from loopline.usecases.serving import store
from loopline.usecases.serving.deploying import Deploying
from loopline.usecases.serving.model import subject
from loopline.usecases.serving.options import DEFAULTS, Options, as_declared, changed, plain
from loopline.usecases.serving.rules.keeping import Ruling


class Configuring(Deploying, Ruling):
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
            if new.rules != old.rules and new.rules is not None:
                new = msgspec.structs.replace(new, rules=self.rule_in(tx, new.rules).reference)
            store.put_options(tx, name, new)
            self._ledger.append(
                tx, "endpoint.configured", subject(name), actor, {"endpoint": name, "options": plain(new)}
            )
        if new.rules != old.rules:
            self._rules_changed(tx, name, actor)
        return new

    def wished_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """These options as an endpoint's declaration has them: what differs from the defaults. Invalid names one that
        cannot be."""
        wished = changed(DEFAULTS, options)
        if wished.rules is not None and "/" not in wished.rules:
            raise Invalid(f"The option 'rules' names no version: {wished.rules!r}.", "Write it as NAME/3.")
        return as_declared(wished)

    def put_options_in(self, tx: Transaction, name: str, options: Mapping[str, Any], actor: str) -> None:
        """Have an endpoint serve with these options, all others at their defaults."""
        standing = as_declared(self._endpoint(tx, name).options)
        self.configure_in(tx, name, {**dict.fromkeys(standing), **options}, actor)

    def _rules_changed(self, tx: Transaction, name: str, actor: str) -> None:
        """What is served is deployed once more, with the other rules around it: built beside, then swapped in."""
        endpoint = self._endpoint(tx, name)
        number = endpoint.wanted or endpoint.live
        if number is not None:
            now = self._revision(tx, name, number)
            of_model = msgspec.structs.replace(now, signature=store.model_signature(tx, now))
            made = self._made(tx, endpoint, of_model, actor)
            store.want(tx, name, made.revision)
            self._tell(tx, "deployment.requested", made, actor, how="rules")
