import io

import numpy as np
import pytest
import soundfile

from polyglance import errors
from polyglance.sources import sounds


def written(samples, *, rate=16000, **options):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, **options)
    return file.getvalue()


WAVE = np.sin(np.arange(4000) / 9).astype(np.float32)


@pytest.mark.parametrize(
    ("options", "close"),
    [
        ({"format": "WAV", "subtype": "FLOAT"}, 0),
        ({"format": "WAV", "subtype": "PCM_U8"}, 1 / 100),
        ({"format": "FLAC", "subtype": "PCM_24"}, 1e-6),
        ({"format": "OGG", "subtype": "VORBIS"}, 0.2),
    ],
)
def test_channels_come_first_and_values_between_minus_one_and_one(options, close):
    both = np.stack([WAVE, WAVE / 2], axis=1)
    found = sounds.decode(written(both, rate=22050, **options), name="a").item
    assert (found.samples.shape, found.samples.dtype, found.rate) == ((2, 4000), np.float32, 22050)
    np.testing.assert_allclose(found.samples, both.T, atol=close)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "zero bytes"),
        (b"no sound at all", "a cannot be read as a sound: "),
        (written(WAVE, format="FLAC")[:60], "a cannot be read as a sound: "),
        (written(WAVE[:0], format="WAV"), "it holds no sample"),
        (written(WAVE * np.nan, format="WAV", subtype="FLOAT"), "not finite"),
    ],
)
def test_what_cannot_be_read_is_named(data, said):
    with pytest.raises(errors.InputError, match=said):
        sounds.decode(data, name="a")


def test_what_is_too_long_is_refused_by_its_header(monkeypatch):
    monkeypatch.setattr(sounds, "MAX_SAMPLES", 3999)
    with pytest.raises(errors.InputError, match="4,000 samples; 3,999 are read at most"):
        sounds.decode(written(WAVE, format="WAV"), name="a")


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    with pytest.raises(errors.MissingExtraError, match=r"polyglance\[audio\]"):
        sounds.decode(b"x", name="a")
