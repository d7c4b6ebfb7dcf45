"""Views: searches of the table of runs that people keep under a name. What one shows is in its address."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import msgspec

from loopline.core.errors import Invalid, NotFound
from loopline.ports.database import Transaction
from loopline.usecases.tracking.base import Base

SAVED, DROPPED = "view.saved", "view.dropped"
LONGEST_NAME, LONGEST_QUERY = 100, 8_000


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A view by its name; `query` is what stands behind the question mark of its address."""

    name: str
    query: str
    saved_at: str
    saved_by: str


class Views(Base):
    """Each change of a view is a fact; its subject is `view:NAME`."""

    def views(self) -> list[View]:
        """All views by name."""
        statement = "SELECT name, query, saved_at, saved_by FROM tracking_views ORDER BY name"
        return [View(**row) for row in self._database.read(lambda tx: tx.rows(statement))]

    def save_view(self, name: str, query: str, *, actor: str) -> View:
        """Keep a view; one of the same name is replaced. Invalid for an empty name, or what is too long."""
        name = name.strip()
        if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
            raise Invalid(
                f"{name[:LONGEST_NAME]!r} cannot be the name of a view.", f"Use 1 to {LONGEST_NAME} characters."
            )
        if len(query) > LONGEST_QUERY:
            raise Invalid("What the view shows is too long.", f"Keep it below {LONGEST_QUERY:,} characters.")
        kept = urlencode([(key, value) for key, value in parse_qsl(query.removeprefix("?")) if key != "page"])
        view = View(name=name, query=kept, saved_at=self._clock.text(), saved_by=actor)

        def work(tx: Transaction) -> None:
            tx.run(
                """INSERT INTO tracking_views (name, query, saved_at, saved_by) VALUES (:name, :query, :saved_at, :saved_by)
                ON CONFLICT (name) DO UPDATE SET query = excluded.query, saved_at = excluded.saved_at,
                saved_by = excluded.saved_by""",
                msgspec.structs.asdict(view),
            )
            self._ledger.append(tx, SAVED, f"view:{name}", actor, {"query": kept})

        self._database.write(work)
        return view

    def drop_view(self, name: str, *, actor: str) -> None:
        """Forget a view; NotFound when there is none of that name."""

        def work(tx: Transaction) -> None:
            if not tx.run("DELETE FROM tracking_views WHERE name = :name", {"name": name}):
                raise NotFound(f"There is no view {name[:100]!r}.", "The page of runs lists them.")
            self._ledger.append(tx, DROPPED, f"view:{name}", actor, {})

        self._database.write(work)
