"""A file's digest is that of its bytes, however many there are."""

from __future__ import annotations

from pathlib import Path

import pytest
from blake3 import blake3

from loopline.kit import digests

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("size", [0, 1, digests.PIECE - 1, digests.PIECE, 2 * digests.PIECE + 17])
def test_a_files_digest_is_that_of_its_bytes(size: int, tmp_path: Path) -> None:
    content = bytes(range(251)) * (size // 251 + 1)
    (tmp_path / "file").write_bytes(content[:size])
    assert digests.file_digest(tmp_path / "file") == blake3(content[:size]).hexdigest()
