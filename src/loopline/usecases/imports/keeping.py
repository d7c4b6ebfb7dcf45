"""Artifacts on their way into the blobs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from loopline.core.errors import LooplineError
from loopline.ports.blobs import Blobs
from loopline.usecases.imports.model import File, Report

SMALL = 1 << 20
Kept = tuple[str, str, str, int]


def kept(blobs: Blobs, owner: str, files: Iterable[File], fits: Any, report: Report) -> Iterator[Kept]:
    """Keep files; answers (owner, name, digest, size) of each. They last once the blobs have settled."""
    for file in files:
        try:
            reason = fits("file", file.name)
            if reason:
                report.lose("artifact", f"{owner}/{file.name[:200]}", reason)
            else:
                digest, size = one_kept(blobs, file)
                report.artifacts += 1
                report.artifact_bytes += size
                yield owner, file.name, digest, size
        except (OSError, LooplineError) as error:
            report.lose("artifact", f"{owner}/{file.name}", str(error)[:300])
        finally:
            if file.ours:
                with contextlib.suppress(OSError):
                    file.path.unlink()


def one_kept(blobs: Blobs, file: File) -> tuple[str, int]:
    """Keep one file; answers its digest and size."""
    from loopline.kit.digests import file_digest

    size = file.path.stat().st_size
    if file.ours:
        digest = file_digest(file.path)
        blobs.adopt(digest, file.path)
        return digest, size
    if size > SMALL:
        return blobs.put_file(file.path), size
    content = file.path.read_bytes()
    return blobs.take(content), len(content)
