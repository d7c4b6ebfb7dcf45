"""Make, check and revoke tokens; turn a one-time code into a browser session."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta

from loopline.core.errors import Invalid, NotFound, Refused, Taken
from loopline.core.ids import checked_name
from loopline.core.times import to_text
from loopline.core.verbs import Caller, Role
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Row, Transaction
from loopline.usecases.access import store
from loopline.usecases.access.model import (
    NewToken,
    Token,
    checked_endpoints,
    hashed,
    moment_after,
    new_secret,
    role_named,
)
from loopline.usecases.access.needs import Facts

FIRST = "first"
SHORTEST_CHOSEN = 12
CODE_LIFE = timedelta(minutes=10)
SESSION_LIFE = timedelta(hours=12)
LENT_LIFE = timedelta(minutes=1)
LENT = "lent"  # what the secrets of such begin with; of others none does


class Access:
    """The tokens of an installation. Looking one up compares hashes through an index: nothing secret is compared
    byte by byte, so time tells nothing."""

    def __init__(self, database: Database, clock: Clock, ledger: Facts) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger

    def new(
        self, name: str, role: str, actor: str, endpoints: Sequence[str] | None = None, expires: str | None = None
    ) -> NewToken:
        """Make a token; its secret is in the answer and nowhere else. With `endpoints` it may ask those alone; after
        `expires` ("30d") it is nobody's. Invalid when either cannot be."""
        checked_name("token", name)
        allowed = None if endpoints is None else checked_endpoints(endpoints, role_named(role))
        until = None if expires is None else to_text(moment_after(expires, self._clock.now()))
        secret = new_secret()

        def work(tx: Transaction) -> None:
            if store.token(tx, name):
                raise Taken(f"There is already a token named {name!r}.", "Choose another name.")
            self._insert(tx, name, role_named(role), secret, actor, allowed, until)

        self._database.write(work)
        return NewToken(name, role, secret, allowed, until)

    def tokens(self) -> list[Token]:
        """All tokens, without secrets."""
        rows = self._database.read(store.tokens)
        return [Token(**{**row, "role": Role(row["role"]).name.lower(), "endpoints": _endpoints(row)}) for row in rows]

    def revoke(self, name: str, actor: str) -> None:
        """End a token at once; its browser sessions end with it."""

        def work(tx: Transaction) -> None:
            if not store.revoke(tx, name, self._clock.text()):
                raise NotFound(f"There is no living token named {name!r}.", "`loopline token list` shows them.")
            self._fact(tx, "token.revoked", name, actor, {})

        self._database.write(work)

    def first(self, chosen: str | None) -> str | None:
        """Make the admin token of a new installation, `chosen` (LOOPLINE_TOKEN) or a random one, and answer its secret;
        on an installation that has it, put `chosen` in its place. None when nothing changed; Refused when `chosen` is
        a token that was revoked, Invalid when it is too short to be secret."""
        if chosen and len(chosen) < SHORTEST_CHOSEN:
            raise Invalid(
                f"The token in LOOPLINE_TOKEN has fewer than {SHORTEST_CHOSEN} characters.",
                "Choose a long random one, or unset LOOPLINE_TOKEN.",
            )

        def work(tx: Transaction) -> str | None:
            known = store.known_hash(tx, hashed(chosen)) if chosen else None
            if known and known["revoked_at"]:
                raise Refused("The token in LOOPLINE_TOKEN was revoked.", "Choose a new one, or unset LOOPLINE_TOKEN.")
            if known is None and store.token(tx, FIRST) is None:
                secret = chosen or new_secret()
                self._insert(tx, FIRST, Role.ADMIN, secret, "installation")
                return secret
            if chosen and known is None:
                store.replace_hash(tx, FIRST, hashed(chosen))
                self._fact(tx, "token.created", FIRST, "installation", {"role": "admin", "replaced": True})
            return None

        return self._database.write(work)

    def verify(self, secret: str) -> Caller | None:
        """Who presents this token, or None."""
        return _caller(store.token_by_hash(self._database, hashed(secret), self._clock.text()))

    def code(self, name: str = "") -> str:
        """A one-time code that a browser may exchange, within ten minutes, for a session of the token `name`: else of
        the first token, else of another admin's. Refused when every admin's token was revoked."""
        name = name or self._admin()
        secret, now = new_secret("code"), self._clock.now()
        expires = to_text(now + CODE_LIFE)
        self._database.write(lambda tx: store.insert_code(tx, hashed(secret), name, expires, to_text(now)))
        return secret

    def _admin(self) -> str:
        living = [token.name for token in self.tokens() if token.role == "admin" and self._lives(token)]
        if not living:
            raise Refused("Every admin's token was revoked.", "Make one: `loopline token new NAME --role admin`.")
        return FIRST if FIRST in living else living[0]

    def sign_in(self, code: str) -> str:
        """Exchange a one-time code for a session's secret. Refused when it was used, is old or unknown."""

        def work(tx: Transaction) -> str | None:
            now = self._clock.now()
            name = store.use_code(tx, hashed(code), to_text(now))
            return name and self._open_session(tx, name)

        secret = self._database.write(work)
        if not secret:
            raise Refused("This sign-in link was used already or is too old.", "`loopline open` prints a new one.")
        return secret

    def sign_in_with(self, token: str) -> str:
        """Open a session for the bearer of a token."""
        caller = self.verify(token)
        if caller is None:
            raise Refused("That is not a token of this installation.", "`loopline token new` makes one.")
        if caller.endpoints is not None:
            raise Refused(
                "This token is for predictions of some endpoints, not for the pages.", "Sign in with another."
            )
        return self._database.write(lambda tx: self._open_session(tx, caller.name))

    def lend(self, name: str) -> str | None:
        """A secret for a minute, with which one part of the installation asks another as the bearer of the token `name`;
        `borrower` knows it, `sign_out` ends it. None when there is no such token."""
        if not any(token.name == name and self._lives(token) for token in self.tokens()):
            return None
        return self._database.write(lambda tx: self._open_session(tx, name, LENT_LIFE, LENT))

    def borrower(self, secret: str) -> Caller | None:
        """In whose name a lent secret asks, or None; the secret of a browser's session is none."""
        return self._opened(secret) if secret.startswith(f"{LENT}_") else None

    def sign_out(self, secret: str) -> None:
        """End a browser session."""
        self._database.write(lambda tx: store.end_session(tx, hashed(secret)))

    def session(self, secret: str) -> Caller | None:
        """Who a browser session belongs to, or None; what was lent is none."""
        return None if secret.startswith(f"{LENT}_") else self._opened(secret)

    def _opened(self, secret: str) -> Caller | None:
        now = self._clock.text()
        return _caller(self._database.read(lambda tx: store.session(tx, hashed(secret), now)))

    def _open_session(self, tx: Transaction, name: str, life: timedelta = SESSION_LIFE, prefix: str = "session") -> str:
        secret, now = new_secret(prefix), self._clock.now()
        store.insert_session(tx, hashed(secret), name, to_text(now + life), to_text(now))
        return secret

    def _lives(self, token: Token) -> bool:
        return token.revoked_at is None and (token.expires_at is None or token.expires_at > self._clock.text())

    def _insert(
        self, tx: Transaction, name: str, role: Role, secret: str, actor: str,
        endpoints: tuple[str, ...] | None = None, expires_at: str | None = None,
    ) -> None:  # fmt: skip
        at, kept = self._clock.text(), None if endpoints is None else json.dumps(endpoints)
        store.insert_token(tx, name=name, role=int(role), hash=hashed(secret), created_at=at, created_by=actor,
                           endpoints=kept, expires_at=expires_at)  # fmt: skip
        limits = {"endpoints": endpoints, "expires_at": expires_at}
        body: dict[str, object] = {
            "role": role.name.lower(),
            **{key: value for key, value in limits.items() if value is not None},
        }
        self._fact(tx, "token.created", name, actor, body)

    def _fact(self, tx: Transaction, kind: str, name: str, actor: str, body: dict[str, object]) -> None:
        self._ledger.append(tx, kind, f"token:{name}", actor, body)


def _caller(row: Row | None) -> Caller | None:
    return None if row is None else Caller(row["name"], Role(row["role"]), _endpoints(row))


def _endpoints(row: Row) -> tuple[str, ...] | None:
    return None if row["endpoints"] is None else tuple(json.loads(row["endpoints"]))
