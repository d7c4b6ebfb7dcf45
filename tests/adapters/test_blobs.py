"""Files under one folder keep the port's promises, and so does the fake in memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from loopline.adapters.blobs.files import Files
from loopline.core.errors import NotFound, Unavailable
from loopline.ports.blobs import Blobs
from loopline.testing.contracts.blobs import LARGE, BlobsContract
from loopline.testing.fakes import MemoryBlobs

pytestmark = pytest.mark.integration

FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from loopline.adapters.blobs.files import Files
from loopline.core.errors import Unavailable
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
blobs = Files(Path(sys.argv[1]))
small = blobs.put(b"small")
try:
    blobs.put(b"x" * 200_000)
except Unavailable as error:
    print(error.kind, blobs.get(small) == b"small")
"""


class TestFiles(BlobsContract):
    @pytest.fixture
    def blobs(self, tmp_path: Path) -> Files:
        return Files(tmp_path / "blobs")

    def test_damage_is_found_and_mended_by_keeping_the_bytes_again(self, blobs: Files, tmp_path: Path) -> None:
        digest = blobs.put(LARGE)
        place = blobs.path(digest)
        place.chmod(0o644)
        place.write_bytes(LARGE[:-1] + b"x")
        for ask in (blobs.get, blobs.path, blobs.open):
            with pytest.raises(NotFound, match="damaged"):
                ask(digest)
        assert blobs.put(LARGE) == digest
        assert blobs.get(digest) == LARGE

    def test_a_file_cut_short_is_damage(self, blobs: Files) -> None:
        place = blobs.path(blobs.put(LARGE))
        os.truncate(place, 0)
        with pytest.raises(NotFound, match="damaged"):
            blobs.path(place.parent.name + place.name)

    def test_kept_files_cannot_be_written_by_mistake(self, blobs: Files) -> None:
        assert blobs.path(blobs.put(b"x")).stat().st_mode & 0o777 == 0o444

    def test_nothing_half_written_stays_when_the_disk_is_full(self, tmp_path: Path) -> None:
        done = subprocess.run([sys.executable, "-c", FULL_DISK, tmp_path], capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["unavailable", "True"]
        assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1

    def test_a_folder_that_cannot_be_made_is_unavailable(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(Unavailable):
            Files(tmp_path / "file").put(b"x")


class TestMemory(BlobsContract):
    @pytest.fixture
    def blobs(self, tmp_path: Path) -> Blobs:
        return MemoryBlobs(tmp_path / "memory")
