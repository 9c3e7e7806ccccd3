"""How much may one request ask for, and how many at once? Every bound of the server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What is refused above.

    Attributes:
        body_bytes: Of a request; a larger one is refused before it is read, or while it streams.
        text_characters: Of a query.
        num_terms: Texts and pictures of a combined query.
        picture_pixels: Of an uploaded picture, seen from its header.
        top: Answers a query.
        concurrent: Requests that run at once; the next is told to come again.
        seconds: Of a request, from its first byte to its last.
        batch_queries: Queries that the encoder takes at once.
        batch_seconds: How long the first of them waits for others.
    """

    body_bytes: int = 16 * 2**20
    text_characters: int = 4096
    num_terms: int = 16
    picture_pixels: int = 40_000_000
    top: int = 200
    concurrent: int = 256
    seconds: float = 30.0
    batch_queries: int = 32
    batch_seconds: float = 0.002
