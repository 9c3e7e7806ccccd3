"""The worker process that decodes one uploaded image after the other.

`python -m polyglance.serve.decoding_worker` reads jobs from its input and writes answers to its
output. Torch is not imported: it takes some 45 MB. A job has so much of a processor; the system
ends the process that needs more. So has memory a bound.

    ready:   one byte, when all is imported
    job:     kind (1 byte), seconds (1), pixels allowed (8), length (8), then the file's bytes
    answer:  kind (1 byte), width (4), height (4), length (8), then RGB, a JPEG, or JSON of an error
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
import warnings
from typing import BinaryIO

from polyglance import errors
from polyglance.search import thumbnails
from polyglance.serve import memory, uploads
from polyglance.sources.images import decode_image

JOB, ANSWER = struct.Struct(">BBQQ"), struct.Struct(">BIIQ")
RGB, THUMBNAIL, FAILED = 1, 2, 0
READY = b"\1"
MEMORY_BYTES = 2 * 2**30
NICE = 10


def main() -> None:
    """Answer jobs until the input ends."""
    # Decoders write warnings where they like: the answers go through a copy of the output.
    answers = os.fdopen(os.dup(1), "wb")
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    bound_memory()
    answers.write(READY)
    answers.flush()
    jobs = sys.stdin.buffer
    while len(head := jobs.read(JOB.size)) == JOB.size:
        kind, seconds, pixels, length = JOB.unpack(head)
        data = jobs.read(length)
        bound_time(seconds)
        _answer(answers, kind, data, pixels=pixels)
        del data
        memory.trim()


def _answer(answers: BinaryIO, kind: int, data: bytes, *, pixels: int) -> None:
    """Do one job."""
    try:
        size, found = _done(kind, data, pixels=pixels)
    except errors.PolyglanceError as error:
        kind, size = FAILED, (0, 0)
        found = json.dumps({"message": error.message, "hint": error.hint}).encode()
    answers.write(ANSWER.pack(kind, *size, len(found)))
    answers.write(found)
    answers.flush()


def _done(kind: int, data: bytes, *, pixels: int) -> tuple[tuple[int, int], bytes]:
    """Size and bytes of what a job asks for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            uploads.check_scans(data)
            image = decode_image(data, name="the image", max_pixels=pixels)
        except MemoryError as error:
            raise errors.InputError(
                "the image needs more memory than one may have", hint="send a smaller copy"
            ) from error
    if kind == THUMBNAIL:
        return image.size, thumbnails.make(image)
    return image.size, image.tobytes()


def bound_memory() -> None:
    """Ask the system for its bounds, and to let others go first."""
    try:
        import resource
    except ImportError:  # elsewhere only the time of the clock is bounded
        return
    os.nice(NICE)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def bound_time(seconds: int) -> None:
    """From now on this process may use a processor for so long; then it is ended."""
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = int(used.ru_utime + used.ru_stime) + 1
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (spent + seconds, hard))


if __name__ == "__main__":
    main()
