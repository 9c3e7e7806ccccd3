"""The interface of clip-retrieval: the form of its `/knn-service`, there and back.

Their ids are row numbers: here an item's place among the ids of the index. `num_result_ids` hits
come back, the first `num_images` of them with what is known beside id and similarity; both are
bounded by `Limits.top`, and a header says where that cut the answer. Aesthetic, safety and violence
models do not exist here, and nothing is fetched for `image_url`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from polyglance import errors
from polyglance.search.queries import Query, Term
from polyglance.serve import schemas, uploads
from polyglance.serve.answers import Asked, language_id
from polyglance.serve.limits import Limits

BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": schemas.KnnQuery.model_json_schema()}},
    }
}


def asked(query: schemas.KnnQuery, *, limits: Limits) -> Asked:
    """What a request of theirs asks.

    Raises:
        InputError: Not exactly one of text, image and embedding_input; an embedding without
            numbers; or another modality.
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
            hint="send the picture itself",
        )
    if query.modality != "image":
        raise errors.InputError(
            f"modality {query.modality[:20]!r}; the index holds pictures",
            hint='"modality": "image"',
        )
    top = min(_num_wanted(query), limits.top)
    if query.embedding_input is not None:
        if not query.embedding_input:
            raise errors.InputError(
                "embedding_input is empty; the numbers of one embedding are wanted",
                hint="send them, or text or image in its place",
            )
        return Asked(vector=tuple(query.embedding_input), top=top, fold=query.deduplicate)
    if query.text:
        text = uploads.clean(query.text, limits=limits)
        wanted = Query.of_text(text)  # theirs knows no operators
    else:
        wanted = Query(terms=(Term(picture=_decoded(query.image or "")),))
    return Asked(
        query=wanted, top=top, language=language_id(query.language), fold=query.deduplicate
    )


def rows(
    found: Mapping[str, Any],
    *,
    query: schemas.KnnQuery,
    row_of: Mapping[str, int],
    base: str,
) -> list[dict[str, Any]]:
    """An answer in their form.

    Args:
        found: Ours.
        query: What was asked.
        row_of: An item's place among the ids.
        base: Address of this server, for files.
    """
    listed: list[dict[str, Any]] = []
    for hit in found["hits"]:
        row: dict[str, Any] = {"id": row_of[hit["id"]], "similarity": hit["score"]}
        if len(listed) < query.num_images:
            row["image_path"] = hit["id"]
            row["url"] = hit["url"] or base + hit["image"]
            row["caption"] = hit["caption"]
        listed.append(row)
    return listed


def cut(query: schemas.KnnQuery, *, num_rows: int, limits: Limits) -> dict[str, str]:
    """The header that says at which limit an answer was cut, if it was."""
    was_cut = num_rows == limits.top < _num_wanted(query)
    return {"x-cut-at": str(limits.top)} if was_cut else {}


def _num_wanted(query: schemas.KnnQuery) -> int:
    return max(query.num_result_ids or 0, query.num_images)


def _decoded(image: str) -> bytes:
    try:
        return base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError) as error:
        raise errors.InputError("an image that is no base64", hint="encode its bytes") from error
