"""A model's folder: from disk into blobs and back."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.core.errors import Invalid
from loopline.core.tables import Signature
from loopline.kit.durable import make_folder, sync_folder, write_file
from loopline.ports.blobs import Blobs
from loopline.usecases.registry.model import MANIFEST_NAME, Manifest, encoded_manifest, is_pickle, parsed_manifest

if TYPE_CHECKING:
    import pyarrow as pa


def keep(blobs: Blobs, folder: Path, model_format: str, signature: Signature) -> str:
    """Put every file of `folder` into `blobs`; answers the digest of the manifest. Invalid for an empty folder, and for
    a signature whose inputs cannot be told apart by their names."""
    _check_names(signature)
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST_NAME)
    if not paths:
        raise Invalid(f"The model folder {folder.name!r} holds no file.", "Save the model into it first.")
    files = {path.relative_to(folder).as_posix(): blobs.put_file(path) for path in paths}
    content = encoded_manifest(Manifest(format=model_format, signature=signature, files=files))
    parsed_manifest(content)
    return blobs.put(content)


def _check_names(signature: Signature) -> None:
    names = [column.name for column in signature.inputs]
    if len(set(names)) < len(names) or "" in names:
        twice = next(name for place, name in enumerate(names) if not name or name in names[:place])
        what = f"has the input {twice[:100]!r} twice" if twice else "has an input without a name"
        raise Invalid(f"The signature {what}.", "Give each input a name of its own.")


def write(blobs: Blobs, manifest: Manifest, folder: Path) -> None:
    """Copy the model's files and its manifest into `folder`, to last through a power cut; the manifest comes last, so
    that it marks a whole one."""
    for name, digest in manifest.files.items():
        target = folder / name
        make_folder(target.parent)
        with blobs.open(digest) as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink)
            sink.flush()
            os.fsync(sink.fileno())
        sync_folder(target.parent)
    write_file(folder / MANIFEST_NAME, encoded_manifest(manifest))


def cached(blobs: Blobs, manifest: Manifest, root: Path, digest: str) -> Path:
    """The folder of this model under `root`, written when it is missing; safe with several processes."""
    folder = root / digest
    if not (folder / MANIFEST_NAME).is_file():
        root.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".model-", dir=root))
        write(blobs, manifest, scratch)
        try:
            os.rename(scratch, folder)
        except OSError:
            shutil.rmtree(scratch, ignore_errors=True)  # another process was quicker; its folder is the same
    return folder


def has_pickle(blobs: Blobs, manifest: Manifest) -> bool:
    """Whether any of the model's files is a pickle by name or by its first bytes."""
    for name, digest in manifest.files.items():
        if name.endswith((".pkl", ".pickle", ".joblib")):
            return True
        with blobs.open(digest) as stream:
            if is_pickle(stream.read(3)):
                return True
    return False


def table(blobs: Blobs, digest: str) -> pa.Table:
    """The table in an Arrow IPC blob (file or stream form), memory-mapped, or in a Parquet file; Invalid for neither."""
    import pyarrow as pa

    path = str(blobs.path(digest))
    try:
        with open(path, "rb") as stream:
            parquet = stream.read(4) == b"PAR1"
        return parquet_table(path) if parquet else arrow_table(path)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise Invalid(f"The held-out rows cannot be read ({reason}).", "Register a Parquet or Arrow file.") from None


def parquet_table(path: str) -> pa.Table:
    """A Parquet file in memory."""
    import pyarrow.parquet as pq

    return pq.ParquetFile(path).read()


def arrow_table(path: str) -> pa.Table:
    """An Arrow IPC file, memory-mapped."""
    import pyarrow as pa

    source = pa.memory_map(path)
    try:
        return pa.ipc.open_file(source).read_all()
    except pa.ArrowInvalid:
        source.seek(0)
        return pa.ipc.open_stream(source).read_all()
