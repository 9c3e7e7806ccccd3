"""The server's application: its end points, and the life cycle of what stands behind them."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeVar

from fastapi import Depends, FastAPI, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json
from starlette.convertors import register_url_convertor

from polyglance import __version__, errors
from polyglance.search.queries import Query as Wanted
from polyglance.search.request import SearchRequest
from polyglance.serve import (
    clip_retrieval,
    form_data,
    page_routes,
    parameters,
    problems,
    schemas,
    uploads,
)
from polyglance.serve.answers import Asker
from polyglance.serve.batching import Batcher
from polyglance.serve.decoding import Decoder
from polyglance.serve.ids import AnyId
from polyglance.serve.index_changes import LostIndexError
from polyglance.serve.limits import Limits
from polyglance.serve.media import ItemFiles
from polyglance.serve.monitoring import Metrics
from polyglance.serve.search_requests import search_request
from polyglance.serve.security import App, Guard
from polyglance.serve.sessions import Doors, usable
from polyglance.serve.upload_encoding import Looking

Model = TypeVar("Model", bound=BaseModel)

SEARCH = "/api/search"
MOST_JSON_PARTS = 70_000
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": schemas.Problem, "description": said}
    for status, said in {
        400: "What cannot be read",
        401: "No token, or a wrong one",
        403: "From a page of another site",
        408: "Arrived too slowly",
        413: "Too large",
        422: "Out of range, or an unknown language",
        429: "Too many wrong tokens",
        503: "Too many requests at once, too slow, stopping, or without its index",
    }.items()
}
LOST: dict[int | str, dict[str, Any]] = {
    404: {"model": schemas.Problem, "description": "The index has no such item"},
    410: {"model": schemas.Problem, "description": "Its file is gone, changed or elsewhere"},
}
PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/*": {}}, "description": "The image"}
}

register_url_convertor("id", AnyId())
# It is looked up among the ids and never becomes a part of a path.
Identity = Annotated[str, Path(description="Id of an item, as a search gave it.", max_length=4096)]
Top = Annotated[int, Query(description="How many answers.", json_schema_extra=schemas.TOP)]


def create(
    asker: Asker,
    *,
    limits: Limits | None = None,
    token: str | None = None,
    loopback_only: bool = True,
    names: Collection[str] = (),
) -> App:
    """The server as an ASGI application.

    Args:
        asker: Answers queries.
        limits: The bounds; None for the usual ones.
        token: What everyone has to show; None where nobody has to.
        loopback_only: Whether only names of this machine are answered.
        names: Further names that are.

    Raises:
        ConfigError: A token that is empty, or cannot be sent; a name that is no host name.
    """
    limits = limits or Limits()
    doors = None if token is None else Doors(usable(token), limits=limits)
    app = FastAPI(
        title="polyglance",
        summary="Search an index of images in any language.",
        version=__version__,
        docs_url=None,  # the framework's own page loads from elsewhere; ours is below
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        responses=PROBLEMS,
        dependencies=[Depends(parameters.check)],
    )
    guard = Guard(
        _Observed(app), limits=limits, doors=doors, loopback_only=loopback_only, names=names
    )
    metrics = Metrics(running=lambda: guard.running, items=lambda: len(asker.catalogue))
    app.state.metrics, app.state.asker = metrics, asker
    app.state.limits, app.state.doors = limits, doors
    app.state.decoder = Decoder(limits)
    app.state.looking = Looking(app.state.decoder, asker.vectors, limits=limits)
    app.state.batcher = Batcher(
        asker.answers,
        most=limits.batch_queries,
        wait_seconds=limits.batch_seconds,
        told=metrics.batch.observe,
    )
    problems.register(app)
    _search(app)
    _files(app)
    _facts(app)
    page_routes.register(app)
    return guard


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Warm up before the first request; answer what is waiting after the last."""
    await asyncio.to_thread(app.state.asker.warm_up)
    # What is loaded by now stays: the collector need not look through it again, which would stop
    # all answers for a tenth of a second, often.
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
    app.state.looking.close()
    await app.state.batcher.close()


class _Observed:
    """Counts requests by route; the address is no label, there are too many of them.

    A text query goes straight to its function: on its way through the framework it would cost half
    as much again as its answer does.
    """

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def noted(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        quick = scope["path"] == SEARCH and scope["method"] == "GET"
        try:
            if quick:
                try:
                    response = await by_text(self.app, scope["query_string"])
                except errors.PolyglanceError as error:
                    response = problems.problem_of(error)
                await response(scope, receive, noted)
            else:
                await self.app(scope, receive, noted)
        finally:
            endpoint = SEARCH if quick else getattr(scope.get("route"), "path", "none")
            self.app.state.metrics.answered(
                endpoint, status=status, seconds=time.perf_counter() - started
            )


def _search(app: FastAPI) -> None:
    """Queries: by text, by image, by both, by an image of the index."""

    @app.get(SEARCH, response_model=schemas.Found, openapi_extra=schemas.parameters(schemas.Typed))
    async def search_by_text(request: Request) -> Response:
        """Find images by a text in any language, or by a combined query."""
        # Asked through `_Observed` this is passed by.
        return await by_text(app, request.scope["query_string"])

    @app.post(
        "/api/search", response_model=schemas.Found, openapi_extra=schemas.upload(schemas.Sent)
    )
    async def search_by_image(request: Request) -> Response:
        """Find images by an image, by a text, or by both together."""
        limits = app.state.limits
        body = await request.body()
        fields, files = form_data.read(body, request.headers.get("content-type", ""))
        chosen = validated(lambda: schemas.Sent.model_validate(fields))
        text = uploads.clean(chosen.q, limits=limits) if chosen.q else ""
        if files.keys() - {"image"}:
            raise errors.InputError("a file that is not named image", hint="send one, as image")
        data = files.get("image")
        if not text and not data:
            raise errors.InputError("neither a text nor an image", hint="give q, image or both")
        asked = search_request(text, chosen, image=data or None, limits=limits, spoken=spoken(app))
        return await answered(app, asked, shown=text)

    @app.get("/api/similar/{identity:id}", response_model=schemas.Found, responses=LOST)
    async def similar(identity: Identity, top: Top = 24) -> Response:
        """Find images like one of the index, which is left out."""
        if identity not in app.state.asker.catalogue:
            return _no_item(identity)
        asked = SearchRequest(query=Wanted.like(identity), top=top)
        return await answered(app, asked, shown=identity)

    @app.post(
        "/knn-service", response_model=list[schemas.KnnHit], openapi_extra=clip_retrieval.BODY
    )
    async def knn_service(request: Request) -> Response:
        """The same in the form of clip-retrieval, for its clients."""
        body = await request.body()
        if body.count(b",") > MOST_JSON_PARTS:  # to read them would stop all others for seconds
            raise errors.InputError(
                f"JSON of more than {MOST_JSON_PARTS:,} parts", hint="see /docs for what is allowed"
            )
        # Its own client sends JSON without saying so.
        query = validated(lambda: schemas.KnnQuery.model_validate_json(body))
        dim = app.state.asker.dim
        asked = clip_retrieval.asked(query, limits=app.state.limits, dim=dim)
        found = await app.state.batcher.ask(await app.state.looking.seen(asked))
        base = str(request.base_url).rstrip("/")
        row_of = app.state.asker.catalogue.rows
        rows = clip_retrieval.rows(found, query=query, row_of=row_of, base=base)
        headers = clip_retrieval.cut(query, num_rows=len(rows))
        return Response(to_json(rows), media_type="application/json", headers=headers)

    @app.get("/indices-list", response_model=list[str])
    async def indices_list() -> list[str]:
        """The one index there is, for clip-retrieval's clients."""
        return [app.state.asker.name]


def validated(read: Callable[[], Model]) -> Model:
    """What was sent, in one of our forms.

    Raises:
        InputError: It is not of that form.
    """
    try:
        return read()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise errors.InputError(
            f"{where}: {first['msg']}", hint="see /docs for what is allowed"
        ) from error


def spoken(app: FastAPI) -> Sequence[str]:
    """Ids of the languages that may stand in front of a text."""
    found: Sequence[str] = app.state.asker.spoken
    return found


async def answered(app: FastAPI, asked: SearchRequest, *, shown: str) -> Response:
    """The answer to a request, as JSON, which names the query as `shown`."""
    found = await app.state.batcher.ask(await app.state.looking.seen(asked))
    return Response(to_json({"query": shown, **found}), media_type="application/json")


async def by_text(app: FastAPI, query_string: bytes) -> Response:
    """The answer to `GET /api/search`, of what stands behind the question mark."""
    given = parameters.of_address(query_string, known=schemas.Typed.model_fields)
    chosen = validated(lambda: schemas.Typed.model_validate(given))
    text = uploads.clean(chosen.q, limits=app.state.limits)
    asked = search_request(text, chosen, limits=app.state.limits, spoken=spoken(app))
    return await answered(app, asked, shown=text)


def _no_item(identity: str) -> JSONResponse:
    return problems.problem(
        404, f"the index has no item {identity[:80]!r}", "take ids from a search"
    )


def _files(app: FastAPI) -> None:
    """Files of items and thumbnails, by id."""

    async def found(identity: str) -> ItemFiles | None:
        """Where the item's files are; None where there is no such item."""
        asker = app.state.asker
        if not asker.looked_lately:
            await asyncio.to_thread(asker.look)
        there = identity in asker.catalogue
        return asker.catalogue.pictures if there else None

    def sent(request: Request, data: bytes, kind: str, tag: str) -> Response:
        headers = {"etag": f'"{tag}"', "cache-control": "private, max-age=300"}
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        # An image that a browser takes for a page of its own may still do nothing.
        headers["content-security-policy"] = "default-src 'none'; sandbox"
        return Response(data, media_type=kind, headers=headers)

    @app.get("/api/images/{identity:id}", response_class=Response, responses={**LOST, **PICTURE})
    async def image(request: Request, identity: Identity) -> Response:
        """The file of an item, as it was indexed."""
        if (pictures := await found(identity)) is None:
            return _no_item(identity)
        data, kind = await asyncio.to_thread(pictures.picture, identity)
        return sent(request, data, kind, pictures.key(identity))

    @app.get(
        "/api/thumbnails/{identity:id}", response_class=Response, responses={**LOST, **PICTURE}
    )
    async def thumbnail(request: Request, identity: Identity) -> Response:
        """A small JPEG of an item."""
        if (pictures := await found(identity)) is None:
            return _no_item(identity)
        small = await asyncio.to_thread(pictures.thumbnail, identity)
        if small is None:
            data, _ = await asyncio.to_thread(pictures.picture, identity)
            small = await app.state.decoder.thumbnail(data)
            await asyncio.to_thread(pictures.keep, identity, small)
        return sent(request, small, "image/jpeg", f"{pictures.key(identity)}-small")


def _facts(app: FastAPI) -> None:
    """What the server says of itself."""
    spoken: list[bytes] = []

    @app.get("/api/languages", response_model=schemas.Spoken)
    async def languages() -> Response:
        """The languages that this installation can be asked in, and how well it does."""
        if not spoken:  # written once: it is large, and the same for all
            spoken.append(to_json({"languages": app.state.asker.languages}))
        return Response(spoken[0], media_type="application/json")

    described: list[bytes] = []

    @app.get("/openapi.json", include_in_schema=False)
    async def description() -> Response:
        if not described:
            described.append(to_json(app.openapi()))
        return Response(described[0], media_type="application/json")

    @app.get("/health", response_model=schemas.Health, responses={503: {"model": schemas.Health}})
    async def health() -> Response:
        """Whether the server can answer; needs no token."""
        asker, problem = app.state.asker, None
        try:
            if not asker.looked_lately:
                await asyncio.to_thread(asker.look)
        except LostIndexError as error:
            problem = error.message
        told = {
            "status": "ok" if problem is None else "unavailable",
            "problem": problem,
            "items": len(asker.catalogue),
            "version": __version__,
        }
        return JSONResponse(told, status_code=200 if problem is None else 503)

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """Counters in the form of Prometheus."""
        return Response(app.state.metrics.text(), media_type="text/plain; version=0.0.4")
