"""TLS by files: a server's certificates are read again when they change; a client trusts the system, or a file of its own."""

from __future__ import annotations

import os
import ssl
import sys
from pathlib import Path

CA = "LOOPLINE_CA"
CLIENT = "LOOPLINE_CLIENT_CERT"
Stamp = tuple[tuple[int, int, int], ...]


class Unusable(ValueError):
    """Files that cannot be used for TLS; the text is a sentence that names them."""


class Certificates:
    """A server's certificate chain and key in PEM, and whose certificates its clients must show (None: nobody's).

    `context` is for a listening socket. Each handshake looks whether the files have changed, and takes what they hold by
    then as a whole: connections that stand are not touched, and files that do not belong together (a new certificate
    beside an old key) are told once and not taken. TLS 1.2 or newer is spoken. Unusable when they cannot be used at all.
    """

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None = None) -> None:
        self._files = certificate, key, client_ca
        self._stamp = self._looked()
        self._refused: Stamp | None = None
        self._newest = self.context = self._made()
        self.context.sni_callback = self._choose  # called for each handshake, also for clients that name no server

    def fresh(self) -> bool:
        """Take the files anew when they have changed; answers whether they were taken."""
        try:
            stamp = self._looked()
            if stamp in (self._stamp, self._refused):
                return False
            self._newest = self._made()
        except Unusable as error:
            self._refused = self._looked_again()
            print(f"TLS: {error} What was there before stays in use.", file=sys.stderr, flush=True)
            return False
        self._stamp, self._refused = stamp, None
        return True

    def _choose(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        self.fresh()
        connection.context = self._newest

    def _made(self) -> ssl.SSLContext:
        certificate, key, client_ca = self._files
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(certificate, key, _no_password)
            if client_ca is not None:
                context.load_verify_locations(client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
        except (OSError, ValueError) as error:  # SSLError is an OSError
            raise _unusable(self._files, error) from None
        return context

    def _looked(self) -> Stamp:
        try:
            found = [os.stat(file) for file in self._files if file is not None]
        except OSError as error:
            raise Unusable(f"{error.filename} cannot be read ({error.strerror}).") from None
        return tuple((each.st_ino, each.st_mtime_ns, each.st_size) for each in found)

    def _looked_again(self) -> Stamp:
        try:
            return self._looked()
        except Unusable:
            return ()


def trusting(ca: str | Path | None = None) -> ssl.SSLContext:
    """What a client speaks TLS with: it trusts the certificates in `ca` (or in the file LOOPLINE_CA), else the system's,
    and shows the certificate in the file LOOPLINE_CLIENT_CERT (with its key) to a server that asks for one. Unusable when
    a file cannot be used."""
    file = ca or os.environ.get(CA) or None
    try:
        context = ssl.create_default_context(cafile=str(file) if file else None)
    except OSError as error:
        reason = error.strerror or error
        raise Unusable(f"{file} holds no certificates to trust ({reason}).") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    own = os.environ.get(CLIENT)
    if own:
        try:
            context.load_cert_chain(own, None, _no_password)
        except (OSError, ValueError) as error:
            raise _unusable((Path(own), Path(own), None), error) from None
    return context


def _no_password() -> str:
    raise ValueError("the key is protected by a password")


def _unusable(files: tuple[Path, Path, Path | None], error: Exception) -> Unusable:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
    named = ", ".join(str(file) for file in files if file is not None)
    return Unusable(f"{named} cannot be used for TLS ({reason}).")
