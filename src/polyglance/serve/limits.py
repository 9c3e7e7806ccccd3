"""Every limit of the server: how much one request may ask for, and how many run at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds above which a request is refused.

    Attributes:
        body_bytes: Of a request; a larger one is refused before it is read, or while it streams.
        form_bytes: Of a body that asks for the session, and of one that is no upload.
        text_characters: Of a query.
        num_terms: Texts and images of a combined query.
        image_pixels: Of an uploaded image, seen from its header.
        image_seconds: Of a processor, to decode one image; its process is ended after them.
        image_workers: Processes that decode.
        image_waiting: Images that wait for one of them.
        concurrent: Requests that run at once; the next is told to come again.
        seconds: Of a request, from its last byte to the first of its answer.
        body_seconds: Until all of a body is there.
        uploads: Bodies of more than `free_body_bytes` that are in memory at once.
        free_body_bytes: What any request may send before it counts as an upload.
        batch_queries: Queries that the encoder takes at once.
        batch_seconds: How long the first of them waits for others.
        session_seconds: How long the cookie is valid.
        head_bytes: Of a request's first line and headers.
        num_headers: Of a request.
        head_seconds: Until a head is whole, from the connection or from its first byte.
        connections: That are open at once.
        connections_per_address: Of them, of one client.
        unsent_bytes: Answers that slow readers have not taken yet, in memory.
        unsent_seconds: How long one of them may take to be read, beside its bytes at
            `unsent_rate`.
        unsent_rate: Bytes a second.
    """

    body_bytes: int = 16 * 2**20
    form_bytes: int = 16 * 2**10
    text_characters: int = 4096
    num_terms: int = 16
    image_pixels: int = 40_000_000
    image_seconds: int = 5
    image_workers: int = 2
    image_waiting: int = 64
    concurrent: int = 256
    seconds: float = 30.0
    body_seconds: float = 60.0
    uploads: int = 8
    free_body_bytes: int = 64 * 2**10
    batch_queries: int = 32
    batch_seconds: float = 0.002
    session_seconds: int = 7 * 24 * 3600
    head_bytes: int = 32 * 2**10
    num_headers: int = 100
    head_seconds: float = 10.0
    connections: int = 1024
    connections_per_address: int = 512
    unsent_bytes: int = 256 * 2**20
    unsent_seconds: float = 20.0
    unsent_rate: int = 32 * 2**10
