"""One Ed25519 key that stays where it is: made at first use, kept for its owner's eyes, used to sign and to check."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.kit.durable import make_folder, write_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class Signer:
    """Signs with the key in `path`. Who signs for several purposes begins each content with words of its own, so that
    a signature cannot be taken for another's."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._key: Ed25519PrivateKey | None = None

    def sign(self, content: bytes) -> str:
        """The signature as 128 hexadecimal digits."""
        return self._private().sign(content).hex()

    def verify(self, content: bytes, signature: str) -> bool:
        """Whether this key signed these bytes; False for what is no signature."""
        from cryptography.exceptions import InvalidSignature

        try:
            self._private().public_key().verify(bytes.fromhex(signature), content)
        except (ValueError, InvalidSignature):
            return False
        return True

    def public_key(self) -> str:
        """The public half as 64 hexadecimal digits."""
        return self._private().public_key().public_bytes_raw().hex()

    def _private(self) -> Ed25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        if self._key is None:
            if not self._path.exists():
                make_folder(self._path.parent, 0o700)
                write_key(self._path, Ed25519PrivateKey.generate())
            self._key = Ed25519PrivateKey.from_private_bytes(self._path.read_bytes())
        return self._key


def write_key(path: Path, key: Any) -> None:
    """Keep a private key for its owner's eyes; the first of several threads and processes wins."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    write_file(temporary, key.private_bytes_raw(), 0o600)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
