"""Images as files: PNG is written here (RFC 2083) so that an array needs no further library."""

from __future__ import annotations

import io
import mimetypes
import struct
import zlib
from pathlib import Path
from typing import Any

from loopline.core.errors import Invalid

_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}  # channels -> PNG's colour type
_KNOWN = (
    (b"\x89PNG\r\n\x1a\n", ".png", "image/png"),
    (b"\xff\xd8\xff", ".jpg", "image/jpeg"),
    (b"GIF8", ".gif", "image/gif"),
    (b"BM", ".bmp", "image/bmp"),
)


def encoded(image: Any) -> tuple[bytes | Path, str, str]:
    """Content, file ending and media type of an image in any of the forms taken; Invalid for others."""
    if isinstance(image, str | Path):
        place = Path(image)
        if not place.is_file():
            raise Invalid(f"There is no image {str(image)[:200]!r}.", "Name a file.")
        return place, place.suffix.lower() or ".png", mimetypes.guess_type(place.name)[0] or "image/png"
    if isinstance(image, bytes | bytearray | memoryview):
        return of_bytes(bytes(image))
    if hasattr(image, "save") and hasattr(image, "mode"):  # PIL
        buffer = io.BytesIO()
        image.save(buffer, format="PNG")
        return buffer.getvalue(), ".png", "image/png"
    return of_array(image), ".png", "image/png"


def of_bytes(content: bytes) -> tuple[bytes, str, str]:
    """What kind of image file the bytes are, or Invalid."""
    for beginning, ending, media_type in _KNOWN:
        if content.startswith(beginning):
            return content, ending, media_type
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return content, ".webp", "image/webp"
    raise Invalid("These bytes are no image that is known here.", "Give PNG, JPEG, GIF, BMP or WebP, or an array.")


def of_array(image: Any) -> bytes:
    """The PNG of an array (height x width [x channels]): uint8 as it is, booleans and floats from 0 to 1 scaled."""
    import numpy as np

    if hasattr(image, "detach"):
        image = image.detach().cpu().numpy()
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim != 3 or pixels.shape[2] not in _COLOURS or 0 in pixels.shape:
        raise Invalid(
            f"An array of shape {np.shape(image)} is no image.", "Give height x width, with 1 to 4 channels last."
        )
    if pixels.dtype.kind not in "buif":
        raise Invalid(f"An array of {pixels.dtype} is no image.", "Give uint8, or floats from 0 to 1.")
    if pixels.dtype != np.uint8:
        scale = 255.0 if pixels.dtype.kind in "bf" else 1.0
        pixels = np.clip(np.nan_to_num(pixels.astype(float) * scale), 0, 255).round().astype(np.uint8)
    return png(np.ascontiguousarray(pixels))


def png(pixels: Any) -> bytes:
    """A PNG file of a contiguous uint8 array (height x width x channels)."""
    import numpy as np

    height, width, channels = pixels.shape
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # each row begins with its filter: none
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOURS[channels], 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b""))
    return _KNOWN[0][0] + b"".join(chunk(kind, data) for kind, data in parts)


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
