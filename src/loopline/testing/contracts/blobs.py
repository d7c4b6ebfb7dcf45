"""What every store of blobs must prove. Subclass `BlobsContract` and give it a fixture `blobs`."""

from __future__ import annotations

import threading
import time
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

    @pytest.mark.parametrize("content", [b"x", LARGE], ids=["small", "3 MB"])
    def test_a_finished_file_is_taken_over(self, blobs: Blobs, tmp_path: Path, content: bytes) -> None:
        digest = blake3(content).hexdigest()
        for _ in range(2):  # the second time they are there already
            (tmp_path / "source").write_bytes(content)
            blobs.adopt(digest, tmp_path / "source")
            assert not (tmp_path / "source").exists()
            assert blobs.path(digest).read_bytes() == content
        blobs.settle()
        blobs.settle()
        assert blobs.get(digest) == content
        assert blobs.put(content) == digest

    @pytest.mark.parametrize("content", [b"", LARGE], ids=["empty", "3 MB"])
    def test_taken_bytes_are_there_at_once(self, blobs: Blobs, content: bytes) -> None:
        digest = blobs.take(content)
        assert digest == blake3(content).hexdigest()
        assert blobs.get(digest) == content
        blobs.settle()
        assert blobs.take(content) == blobs.put(content) == digest

    def test_everything_kept_is_listed_with_its_size_and_last_use(self, blobs: Blobs) -> None:
        began = time.time()
        digests = {blobs.put(b"one"): 3, blobs.put(LARGE): len(LARGE)}
        assert {one.digest: one.size for one in blobs.kept()} == digests
        assert all(began - 5 <= one.used_at <= time.time() + 5 for one in blobs.kept())

    def test_bytes_are_forgotten_unless_used_since(self, blobs: Blobs) -> None:
        digest, other = blobs.put(b"one"), blobs.put(b"other")
        assert blobs.remove(digest, time.time() - 60) == 0
        assert blobs.has(digest)
        assert blobs.remove(digest, time.time() + 60) == 3
        assert blobs.remove(digest, time.time() + 60) == 0
        assert not blobs.has(digest)
        with pytest.raises(NotFound):
            blobs.path(digest)
        assert blobs.get(other) == b"other"
        assert blobs.put(b"one") == digest
        assert blobs.get(digest) == b"one"

    @pytest.mark.parametrize("digest", [UNKNOWN, "", "../../etc/passwd", "Z" * 64, "a" * 63])
    def test_what_is_not_kept_is_not_found(self, blobs: Blobs, digest: str) -> None:
        assert not blobs.has(digest)
        for ask in (blobs.get, blobs.path, blobs.open, blobs.size):
            with pytest.raises(NotFound):
                ask(digest)
