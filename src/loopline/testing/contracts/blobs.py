"""What every store of blobs must prove. Subclass `BlobsContract` and give it a fixture `blobs`."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from blake3 import blake3

from loopline.core.errors import Invalid, NotFound
from loopline.ports.blobs import Blobs

LARGE = bytes(range(256)) * 12_000
UNKNOWN = "0" * 64


class BlobsContract:
    """The guarantees of `ports.blobs.Blobs`."""

    @pytest.mark.parametrize("content", [b"", b"x", LARGE], ids=["empty", "small", "3 MB"])
    def test_bytes_come_back_under_their_digest(self, blobs: Blobs, content: bytes) -> None:
        digest = blobs.put(content)
        assert digest == blake3(content).hexdigest()
        assert blobs.get(digest) == content
        assert blobs.path(digest).read_bytes() == content
        assert blobs.size(digest) == len(content)
        assert blobs.has(digest)
        with blobs.open(digest) as file:
            assert file.read() == content

    def test_a_file_is_kept_as_its_bytes_are(self, blobs: Blobs, tmp_path: Path) -> None:
        source = tmp_path / "source"
        source.write_bytes(LARGE)
        assert blobs.put_file(source) == blobs.put(LARGE)

    def test_a_missing_file_is_refused(self, blobs: Blobs, tmp_path: Path) -> None:
        with pytest.raises(Invalid, match="cannot be read"):
            blobs.put_file(tmp_path / "nothing")

    def test_the_same_bytes_may_be_kept_at_once(self, blobs: Blobs) -> None:
        digests: list[str] = []
        threads = [threading.Thread(target=lambda: digests.append(blobs.put(LARGE))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(digests) == {blake3(LARGE).hexdigest()}
        assert blobs.get(digests[0]) == LARGE

    @pytest.mark.parametrize("digest", [UNKNOWN, "", "../../etc/passwd", "Z" * 64, "a" * 63])
    def test_what_is_not_kept_is_not_found(self, blobs: Blobs, digest: str) -> None:
        assert not blobs.has(digest)
        for ask in (blobs.get, blobs.path, blobs.open, blobs.size):
            with pytest.raises(NotFound):
                ask(digest)
