"""Files that a killed process left."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from loopline.kit.durable import sweep, write_file

pytestmark = pytest.mark.unit


def test_only_what_a_dead_writer_left_long_ago_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "blobs" / "ab"
    folder.mkdir(parents=True)
    left, new = folder / ".cdef.123.0a1b2c3d.tmp", folder / ".cdef.124.0a1b2c3d.tmp"
    segment, named = folder / ".00001-7.123.tmp", folder / "notes.tmp"
    for file in (left, new, segment, named):
        file.write_bytes(b"half")
    write_file(folder / "cdef", b"whole")
    long_ago = time.time() - 2 * 3600
    for file in (left, segment, named, folder / "cdef"):
        os.utime(file, (long_ago, long_ago))
    assert sweep(tmp_path) == 2
    assert sorted(os.listdir(folder)) == [".cdef.124.0a1b2c3d.tmp", "cdef", "notes.tmp"]
    assert sweep(tmp_path / "nowhere") == 0
