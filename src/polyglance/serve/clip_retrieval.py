"""The interface of clip-retrieval: the form of its `/knn-service`, there and back.

Their ids are row numbers: here an item's place among the ids of the index. `num_result_ids` hits
come back, the first `num_images` of them with what is known beside id and similarity; no more than
`MOST_ANSWERS`, and a header says where that cut the answer. Aesthetic, safety and violence
models do not exist here, and nothing is fetched for `image_url`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.search.queries import MediaVector, Query, Term
from polyglance.search.request import MOST_ANSWERS, SearchRequest
from polyglance.serve import schemas, uploads
from polyglance.serve.limits import Limits
from polyglance.serve.search_requests import language_id
from polyglance.vectors import unit

BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": schemas.KnnQuery.model_json_schema()}},
    }
}


def asked(query: schemas.KnnQuery, *, limits: Limits, dim: int) -> SearchRequest:
    """What a request of theirs asks.

    Args:
        query: What was sent.
        limits: Of its text.
        dim: Numbers of a vector of the index.

    Raises:
        InputError: Not exactly one of text, image and embedding_input; an embedding without
            numbers; or another modality.
        VectorError: An embedding of another width, or without a direction.
    """
    given = [
        name
        for name in ("text", "image", "image_url", "embedding_input")
        if getattr(query, name) not in (None, "")
    ]
    if len(given) != 1 or given == ["image_url"]:
        raise errors.InputError(
            f"given: {', '.join(given) or 'nothing'}; one of text, image (base64) and "
            "embedding_input is wanted, and no address is fetched",
            hint="send the image itself",
        )
    if query.modality != "image":
        raise errors.InputError(
            f"modality {query.modality[:20]!r}; the index holds images",
            hint='"modality": "image"',
        )
    if query.embedding_input is not None:
        if not query.embedding_input:
            raise errors.InputError(
                "embedding_input is empty; the numbers of one embedding are wanted",
                hint="send them, or text or image in its place",
            )
        wanted = Query.near(_vector(query.embedding_input, dim=dim))
    elif query.text:
        wanted = Query.of_text(uploads.clean(query.text, limits=limits))  # theirs has no operators
    else:
        wanted = Query(terms=(Term(media=_decoded(query.image or "")),))
    return SearchRequest(
        query=wanted,
        top=min(_num_wanted(query), MOST_ANSWERS),
        language=language_id(query.language),
        alike=1.0 if query.deduplicate else None,
    )


def rows(
    found: Mapping[str, Any],
    *,
    query: schemas.KnnQuery,
    row_of: Callable[[Sequence[str]], NDArray[np.int64]],
    base: str,
) -> list[dict[str, Any]]:
    """An answer in their form.

    Args:
        found: Ours.
        query: What was asked.
        row_of: The places of items among the ids.
        base: Address of this server, for files.
    """
    listed: list[dict[str, Any]] = []
    places = row_of([hit["id"] for hit in found["hits"]]).tolist()
    for hit, place in zip(found["hits"], places, strict=True):
        row: dict[str, Any] = {"id": place, "similarity": hit["score"]}
        if len(listed) < query.num_images:
            row["image_path"] = hit["id"]
            row["url"] = hit["url"] or base + hit["image"]
            row["caption"] = hit["caption"]
        listed.append(row)
    return listed


def cut(query: schemas.KnnQuery, *, num_rows: int) -> dict[str, str]:
    """The header that says at which limit an answer was cut, if it was."""
    was_cut = num_rows == MOST_ANSWERS < _num_wanted(query)
    return {"x-cut-at": str(MOST_ANSWERS)} if was_cut else {}


def _num_wanted(query: schemas.KnnQuery) -> int:
    return max(query.num_result_ids or 0, query.num_images)


def _vector(numbers: Sequence[float], *, dim: int) -> MediaVector:
    """Numbers that were sent, brought to unit length."""
    with np.errstate(over="ignore"):
        vector = np.asarray([numbers], np.float32)  # (1, D)
        length = np.linalg.norm(vector)
    if vector.shape[1] != dim or not np.isfinite(length) or not length:
        raise errors.VectorError(
            f"a vector of {vector.shape[1]} numbers and length {length:g}; {dim} numbers are "
            "wanted, finite and not all 0",
            hint="encode it with the model of the index",
        )
    return MediaVector(unit(vector)[0])


def _decoded(image: str) -> bytes:
    try:
        return base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError) as error:
        raise errors.InputError("an image that is no base64", hint="encode its bytes") from error
