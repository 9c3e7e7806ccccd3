"""Safe decoding of sound files by libsndfile.

Legend: C channels, T samples a channel.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.records import Decoded

# An hour in two channels at 48 kHz; libsndfile is asked before memory is.
MAX_SAMPLES = 2 * 48_000 * 3600


@dataclass(frozen=True, eq=False, slots=True)
class Sound:
    """A decoded sound.

    Attributes:
        samples: Float32 (C, T), from -1 to 1.
        rate: Samples a second.
    """

    samples: NDArray[np.float32]
    rate: int


def decode(data: bytes, *, name: str) -> Decoded:
    """Decode one sound; see `Sound`.

    Args:
        data: The bytes of the file.
        name: What to call it in messages.

    Raises:
        MissingExtraError: libsndfile is not installed.
        InputError: Empty, of no known format, cut short, damaged, too long, or not finite.
    """
    try:
        import soundfile
    except ImportError as error:
        raise errors.missing_extra("sound files", extra="audio") from error
    if not data:
        raise _unreadable(name, "zero bytes")
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            said = file.frames * file.channels
            if said > MAX_SAMPLES:
                raise _unreadable(name, f"{said:,} samples; {MAX_SAMPLES:,} are read at most")
            found = file.read(dtype="float32", always_2d=True).T  # (C, T)
            rate = int(file.samplerate)
    except errors.InputError:
        raise
    except soundfile.LibsndfileError as error:
        raise _unreadable(name, error.error_string.rstrip(".").lower()) from error
    except Exception as error:  # damaged files make decoders raise nearly anything
        raise _unreadable(name, errors.first_line(error)) from error
    if not found.size:
        raise _unreadable(name, "it holds no sample")
    if not np.isfinite(found).all():
        raise _unreadable(name, "samples that are not finite")
    return Decoded(Sound(np.ascontiguousarray(found), rate))


def _unreadable(name: str, reason: str) -> errors.InputError:
    return errors.InputError(
        f"{name} cannot be read as a sound: {reason}", hint="leave it out, or save it again"
    )
