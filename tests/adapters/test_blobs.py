"""Files under one folder keep the port's promises, and so does the fake in memory."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from blake3 import blake3

from loopline.adapters.blobs import files, syncing
from loopline.adapters.blobs.files import Files
from loopline.core.errors import NotFound, Unavailable
from loopline.kit.digests import file_digest
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

    def test_taking_a_file_over_mends_a_damaged_one(self, blobs: Files, tmp_path: Path) -> None:
        digest = blobs.put(LARGE)
        os.truncate(blobs.path(digest), 5)
        (tmp_path / "source").write_bytes(LARGE)
        blobs.adopt(digest, tmp_path / "source")
        assert blobs.get(digest) == LARGE

    def test_a_file_with_another_content_than_its_writer_said_is_damage_to_the_next_process(
        self, blobs: Files, tmp_path: Path
    ) -> None:
        (tmp_path / "source").write_bytes(b"other")
        blobs.adopt("a" * 64, tmp_path / "source")
        blobs.settle()
        with pytest.raises(NotFound, match="damaged"):
            Files(tmp_path / "blobs").path("a" * 64)

    def test_what_was_asked_for_lately_is_not_forgotten(self, blobs: Files) -> None:
        digest = blobs.put(b"old")
        place = blobs.path(digest)
        for ask in (blobs.get, blobs.path, lambda _: blobs.put(b"old")):
            os.utime(place, (1e9, 1e9))
            assert next(blobs.kept()).used_at == 1e9
            ask(digest)
            assert next(blobs.kept()).used_at > time.time() - 60
            assert place.stat().st_mtime == 1e9
            assert blobs.remove(digest, time.time() - 60) == 0
        os.utime(place, (1e9, 1e9))
        assert blobs.remove(digest, time.time() - 60) == 3
        assert list(place.parent.iterdir()) == []

    def test_what_the_disk_did_not_take_is_dropped_and_said(
        self, blobs: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "source").write_bytes(b"lost")
        digest = blake3(b"lost").hexdigest()

        def failing(handle: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", failing)
            blobs.adopt(digest, tmp_path / "source")
            with pytest.raises(Unavailable, match="Input/output error"):
                blobs.settle()
        assert not blobs.has(digest)
        blobs.settle()

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


def test_settling_waits_for_what_another_thread_took_to_wait_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, began, done = threading.Event(), threading.Event(), threading.Event()

    def slow(place: Path) -> None:
        began.set()
        go.wait(10)

    monkeypatch.setattr(syncing, "sync_file", slow)
    blobs = Files(tmp_path)
    blobs.take(b"mine")
    began.wait(10)
    first = threading.Thread(target=blobs.settle)
    first.start()
    while blobs._syncing._pending:  # the first has taken the file over
        time.sleep(0.001)
    second = threading.Thread(target=lambda: (blobs.settle(), done.set()))
    second.start()
    assert not done.wait(0.05)
    go.set()
    first.join(10)
    assert done.wait(10)
    second.join(10)


def test_of_many_who_ask_for_a_large_file_at_once_one_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = Files(tmp_path).put(LARGE)
    read: list[Path] = []

    def slowly(path: Path) -> str:
        read.append(path)
        time.sleep(0.05)
        return file_digest(path)

    monkeypatch.setattr(files, "file_digest", slowly)
    blobs = Files(tmp_path)
    readers = [threading.Thread(target=blobs.path, args=(digest,)) for _ in range(20)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert len(read) == 1
