"""Sounds as WAV files of 16 bits."""

from __future__ import annotations

import io
import mimetypes
import wave
from pathlib import Path
from typing import Any

from loopline.core.errors import Invalid


def encoded(sound: Any, rate: int) -> tuple[bytes | Path, str, str]:
    """Content, file ending and media type of a sound; Invalid for what is none."""
    if isinstance(sound, str | Path):
        place = Path(sound)
        if not place.is_file():
            raise Invalid(f"There is no sound {str(sound)[:200]!r}.", "Name a file.")
        return place, place.suffix.lower() or ".wav", mimetypes.guess_type(place.name)[0] or "audio/wav"
    if not 1 <= int(rate) <= 1_000_000:
        raise Invalid(f"A sound cannot have {rate} samples a second.", "Give rate= in Hz, as 44100.")
    return wav(sound, int(rate)), ".wav", "audio/wav"


def wav(sound: Any, rate: int) -> bytes:
    """The WAV file of an array (samples, or samples x channels)."""
    import numpy as np

    samples = np.asarray(sound.detach().cpu().numpy() if hasattr(sound, "detach") else sound)
    if samples.ndim == 1:
        samples = samples[:, None]
    if samples.ndim != 2 or not 1 <= samples.shape[1] <= 16 or samples.dtype.kind not in "if":
        raise Invalid(f"An array of shape {np.shape(sound)} is no sound.", "Give samples, or samples x channels.")
    if samples.dtype.kind == "f":
        samples = np.clip(np.nan_to_num(samples), -1, 1) * 32767
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.clip(samples, -32768, 32767).astype("<i2").tobytes())
    return buffer.getvalue()
