"""Schemas of the server's JSON, for its OpenAPI description.

Answers are written as plain dictionaries (a query takes a millisecond; validating what we made
ourselves would take another); a test holds them against these forms.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from polyglance.search.request import MOST_ANSWERS

# What the description says of a number of answers; `SearchRequest` checks it, for all who ask.
TOP: dict[str, Any] = {"minimum": 1, "maximum": MOST_ANSWERS}


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Problem(_Form):
    """What was wrong with a request, and what to do."""

    error: str
    hint: str


class Chosen(_Form):
    """What a search may say beside what is looked for."""

    language: str | None = Field(
        default=None, max_length=80, description="Of the query: de, deu_Latn, German."
    )
    top: int = Field(default=24, description="How many answers.", json_schema_extra=TOP)
    folder: str | None = Field(
        default=None, max_length=1024, description="Only images in it and below."
    )
    since: str | None = Field(
        default=None, max_length=40, description="Taken then or later: 2024-07-31, 2024-07, 2024."
    )
    until: str | None = Field(default=None, max_length=40, description="Taken then or earlier.")
    min_bytes: int | None = Field(default=None, ge=0, le=2**62)
    max_bytes: int | None = Field(default=None, ge=0, le=2**62)
    fold: bool = Field(default=True, description="Leave copies of an image out.")
    locales: str | None = Field(
        default=None,
        max_length=400,
        description="Languages that the asker reads, as a browser lists them (de-AT,en;q=0.8): "
        "they count for more where the language of the query is guessed.",
    )


class Typed(Chosen):
    """A search by text."""

    q: str = Field(
        min_length=1,
        max_length=4096,
        description='A text, or a combined query such as "beach" + de:Hund - "night".',
    )


class Sent(Chosen):
    """A search that may bring an image, as a file beside these fields."""

    q: str | None = Field(default=None, max_length=4096, description="A text, also combined.")


class Assumed(_Form):
    """In which language a query was taken, and who answered."""

    text: str = Field(description="Of the query.")
    language: str | None = Field(description="Language id, such as deu_Latn; null where unknown.")
    name: str | None = Field(description="The language in its own words.")
    others: list[str] = Field(
        description="What else it may be, likely ones first; the answer is the same."
    )
    speaker: Literal["pack", "teacher"]
    pack: str | None
    share: float = Field(description="How sure: 1 where it was given, below where guessed.")


class FoundHit(_Form):
    """One image."""

    rank: int
    id: str
    score: float = Field(description="Cosine with the query; of one pack, or fused by rank.")
    folded: int = Field(description="Copies of it that were left out.")
    image: str = Field(description="Where its file is, on this server.")
    thumbnail: str
    caption: str | None
    url: str | None
    taken_at: str | None = Field(description="By the camera's clock, without a zone.")
    size: int | None = Field(description="Bytes.")


class Found(_Form):
    """An answer."""

    query: str
    language: str | None = Field(description="The one that was given.")
    assumed: list[Assumed]
    seconds: float
    items: int = Field(description="Items of the index.")
    notes: list[str] = Field(
        description="What the asker should hear besides, in English: what may have been meant "
        "otherwise, which filter lets nothing pass."
    )
    hits: list[FoundHit]


class SpokenLanguage(_Form):
    """A language that this installation can be asked in."""

    id: str
    tag: str = Field(description="BCP-47.")
    name: str
    own_name: str
    direction: Literal["ltr", "rtl"]
    speaker: Literal["pack", "teacher"]
    pack: str | None
    score: float | None = Field(description="Dev score of who speaks; null where not measured.")


class Spoken(_Form):
    """All of them."""

    languages: list[SpokenLanguage]


class Health(_Form):
    """Whether the server can answer."""

    status: Literal["ok", "unavailable"]
    problem: str | None = Field(description="Why it cannot; null where it can.")
    items: int
    version: str


class KnnQuery(BaseModel):
    """What clip-retrieval's clients send; fields that mean nothing here are ignored."""

    model_config = ConfigDict(extra="ignore")

    text: str | None = Field(default=None, max_length=4096)
    image: str | None = Field(default=None, description="An image's bytes in base64.")
    image_url: str | None = Field(default=None, description="Refused: nothing is fetched.")
    embedding_input: list[float] | None = Field(default=None, max_length=65536)
    modality: str = "image"
    num_images: int = Field(default=40, ge=1)
    num_result_ids: int | None = Field(default=None, ge=1)
    indice_name: str | None = None
    deduplicate: bool = False
    language: str | None = Field(default=None, description="Ours; theirs has none.")


class KnnHit(BaseModel):
    """One result in clip-retrieval's form."""

    id: int
    similarity: float
    image_path: str | None = None
    url: str | None = None
    caption: str | None = None


def parameters(form: type[BaseModel]) -> dict[str, Any]:
    """The fields of a form as the parameters of an address, for the OpenAPI description."""
    schema = form.model_json_schema()
    return {
        "parameters": [
            {
                "name": name,
                "in": "query",
                "required": name in schema.get("required", ()),
                "description": field.get("description", ""),
                "schema": field,
            }
            for name, field in schema["properties"].items()
        ]
    }


def upload(form: type[BaseModel]) -> dict[str, Any]:
    """The fields of a form beside a file `image`, as a body, for the OpenAPI description."""
    schema = form.model_json_schema()
    image = {"type": "string", "format": "binary", "description": "An image."}
    schema["properties"] = {**schema["properties"], "image": image}
    content = {"multipart/form-data": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}
