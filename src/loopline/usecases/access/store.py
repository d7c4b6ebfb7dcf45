"""Tokens, one-time codes and browser sessions as rows."""

from __future__ import annotations

from typing import Any

from loopline.ports.database import Database, Row, Transaction

TOKENS = """SELECT name, role, created_at, created_by, revoked_at, endpoints, expires_at FROM access_tokens
ORDER BY name"""
TOKEN_BY_HASH = """SELECT name, role, endpoints FROM access_tokens
WHERE hash = :hash AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :now)"""
TOKEN = "SELECT name, role, revoked_at FROM access_tokens WHERE name = :name"
KNOWN_HASH = "SELECT name, revoked_at FROM access_tokens WHERE hash = :hash"
INSERT_TOKEN = """INSERT INTO access_tokens (name, role, hash, created_at, created_by, endpoints, expires_at)
VALUES (:name, :role, :hash, :created_at, :created_by, :endpoints, :expires_at)"""
REPLACE_HASH = "UPDATE access_tokens SET hash = :hash, revoked_at = NULL WHERE name = :name"
REVOKE = "UPDATE access_tokens SET revoked_at = :at WHERE name = :name AND revoked_at IS NULL"
INSERT_CODE = "INSERT INTO access_codes (hash, token_name, expires_at) VALUES (:hash, :name, :expires_at)"
USE_CODE = "DELETE FROM access_codes WHERE hash = :hash"
CODE = "SELECT token_name FROM access_codes WHERE hash = :hash AND expires_at > :now"
OLD_CODES = "DELETE FROM access_codes WHERE expires_at <= :now"
INSERT_SESSION = "INSERT INTO access_sessions (hash, token_name, expires_at) VALUES (:hash, :name, :expires_at)"
OLD_SESSIONS = "DELETE FROM access_sessions WHERE expires_at <= :now"
END_CODES_OF = "DELETE FROM access_codes WHERE token_name = :name"
END_SESSIONS_OF = "DELETE FROM access_sessions WHERE token_name = :name"
END_SESSION = "DELETE FROM access_sessions WHERE hash = :hash"
SESSION = """SELECT t.name AS name, t.role AS role, t.endpoints AS endpoints
FROM access_sessions s JOIN access_tokens t ON t.name = s.token_name
WHERE s.hash = :hash AND s.expires_at > :now AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > :now)"""


def tokens(tx: Transaction) -> list[Row]:
    return tx.rows(TOKENS)


def token(tx: Transaction, name: str) -> Row | None:
    return tx.row(TOKEN, {"name": name})


def token_by_hash(tx: Transaction | Database, digest: str, now: str) -> Row | None:
    return tx.row(TOKEN_BY_HASH, {"hash": digest, "now": now})


def known_hash(tx: Transaction, digest: str) -> Row | None:
    """The token with that hash, also a revoked one."""
    return tx.row(KNOWN_HASH, {"hash": digest})


def insert_token(tx: Transaction, **row: Any) -> None:
    tx.run(INSERT_TOKEN, row)


def replace_hash(tx: Transaction, name: str, digest: str) -> None:
    tx.run(REPLACE_HASH, {"name": name, "hash": digest})
    end_openings(tx, name)


def revoke(tx: Transaction, name: str, at: str) -> int:
    end_openings(tx, name)
    return tx.run(REVOKE, {"name": name, "at": at})


def end_openings(tx: Transaction, name: str) -> None:
    """End what was opened with a token: browser sessions and unused sign-in links."""
    tx.run(END_CODES_OF, {"name": name})
    tx.run(END_SESSIONS_OF, {"name": name})


def insert_code(tx: Transaction, digest: str, name: str, expires_at: str, now: str) -> None:
    tx.run(OLD_CODES, {"now": now})
    tx.run(INSERT_CODE, {"hash": digest, "name": name, "expires_at": expires_at})


def use_code(tx: Transaction, digest: str, now: str) -> str | None:
    found = tx.row(CODE, {"hash": digest, "now": now})
    tx.run(USE_CODE, {"hash": digest})
    return found["token_name"] if found else None


def insert_session(tx: Transaction, digest: str, name: str, expires_at: str, now: str) -> None:
    tx.run(OLD_SESSIONS, {"now": now})
    tx.run(INSERT_SESSION, {"hash": digest, "name": name, "expires_at": expires_at})


def session(tx: Transaction, digest: str, now: str) -> Row | None:
    return tx.row(SESSION, {"hash": digest, "now": now})


def end_session(tx: Transaction, digest: str) -> None:
    tx.run(END_SESSION, {"hash": digest})
