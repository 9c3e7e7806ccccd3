"""Pictures that would be decoded for ever are ended, and cost the server nothing."""

import asyncio
import io
import os
import subprocess
import sys

import pytest

pytest.importorskip("fastapi", reason="pip install 'polyglance[serve]'")

from benchmarks.serve_attacked import empty_scans
from PIL import Image

from polyglance import errors
from polyglance.serve import decoding, uploads
from polyglance.serve.batching import Batcher
from polyglance.serve.decoding import BusyError, Decoder
from polyglance.serve.limits import Limits
from polyglance.sources.images import decode_image


def picture(form="PNG", size=(40, 30), **options):
    written = io.BytesIO()
    Image.radial_gradient("L").resize(size).convert("RGB").save(written, form, **options)
    return written.getvalue()


def slow_picture():
    """Numbers in words, which are read by Python."""
    return b"P3\n2600 1000\n255\n" + b"1 2 3 " * 2_600_000


def decoded(*jobs, **limits):
    """What becomes of each, by one decoder; and whether its processes were gone at the end."""

    async def run():
        decoder = Decoder(Limits(**limits))
        found = []
        for job in jobs:
            try:
                found.append(await job(decoder))
            except errors.PolyglanceError as error:
                found.append(error)
        pids = decoder.pids
        decoder.close()
        return found, pids

    found, pids = asyncio.run(run())
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    return found


def test_pictures_are_the_same_as_decoded_here():
    turned = picture("JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0")
    files = [picture("PNG"), turned, picture("GIF"), picture("WEBP")]
    found = decoded(*(lambda decoder, file=file: decoder.rgb(file) for file in files))
    for file, image in zip(files, found, strict=True):
        here = decode_image(file, name="a")
        assert (image.size, image.mode, image.tobytes()) == (here.size, "RGB", here.tobytes())
    small = decoded(lambda decoder: decoder.thumbnail(picture(size=(900, 600))))[0]
    assert Image.open(io.BytesIO(small)).size == (256, 171)


def test_one_that_takes_too_long_is_ended_and_the_next_is_decoded(monkeypatch):
    monkeypatch.setattr(decoding, "CLOCK_SHARE", 60)
    slow = slow_picture()
    ended, after = decoded(
        lambda decoder: decoder.rgb(slow), lambda decoder: decoder.rgb(picture()), image_seconds=1
    )
    assert "more than 1 seconds" in ended.message
    assert after.size == (40, 30)


def test_what_is_refused_says_why():
    found = decoded(
        lambda decoder: decoder.rgb(b""),
        lambda decoder: decoder.rgb(b"no picture"),
        lambda decoder: decoder.rgb(picture()[:90]),
        lambda decoder: decoder.rgb(picture(size=(200, 200))),
        lambda decoder: decoder.rgb(empty_scans(200, 64)),
        image_pixels=30_000,
    )
    said = ["zero bytes", "not an image", "cannot be read", "200 x 200", "101 scans"]
    for error, part in zip(found, said, strict=True):
        assert part in error.message


def test_only_so_many_wait():
    async def run():
        decoder = Decoder(Limits(image_waiting=2, image_workers=1))
        asked = [decoder.rgb(picture()) for _ in range(4)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        decoder.close()
        with pytest.raises(BusyError):
            await decoder.rgb(picture())
        return [isinstance(one, BusyError) for one in found]

    assert asyncio.run(run()) == [False, False, True, True]


def test_who_gives_up_leaves_no_process_behind():
    async def run():
        decoder = Decoder(Limits())
        for wait in (0.0, 0.02, 0.2):
            asked = asyncio.create_task(decoder.rgb(slow_picture()))
            await asyncio.sleep(wait)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
        left = decoder.pids
        decoder.close()
        return left

    assert asyncio.run(run()) == []


def test_scans_are_counted_by_the_markers_and_not_in_what_stands_between():
    assert uploads.scans_of(picture("JPEG")) == (1, 1200)
    progressive = uploads.scans_of(picture("JPEG", progressive=True))[0]
    assert 2 < progressive < 20
    inside = picture("JPEG", comment=b"\xff\xda" * 500)
    assert uploads.scans_of(inside) == (1, 1200)
    uploads.check_scans(inside)
    assert uploads.scans_of(picture("PNG")) == (0, 0)
    with pytest.raises(errors.InputError, match="scans"):
        uploads.check_scans(empty_scans(30, 6000))
    with pytest.raises(errors.InputError, match="parts"):
        uploads.check_scans(b"\xff\xd8" + b"\xff\xe0\x00\x02" * 60_000)


def test_the_process_that_decodes_is_small():
    code = "import sys, polyglance.serve.decoding_worker as w, polyglance.search.thumbnails; "
    code += "sys.exit(any(name in sys.modules for name in ('torch', 'pyarrow', 'lance')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_question_that_is_an_error_costs_the_others_nothing():
    batches = []

    def work(batch):
        batches.append(len(batch))
        return [ValueError(str(one)) if one % 2 else one for one in batch]

    async def run():
        batcher = Batcher(work, most=32, wait_seconds=0.001)
        found = await asyncio.gather(*(batcher.ask(n) for n in range(32)), return_exceptions=True)
        await batcher.close()
        return found

    found = asyncio.run(run())
    assert [isinstance(one, ValueError) for one in found] == [bool(n % 2) for n in range(32)]
    assert sum(batches) == 32
