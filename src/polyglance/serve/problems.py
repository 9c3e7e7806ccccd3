"""Errors as answers: each says what was given, what is allowed, and what to do."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from polyglance import errors
from polyglance.serve.batching import StoppingError
from polyglance.serve.decoding import BusyError
from polyglance.serve.index_changes import LostIndexError
from polyglance.serve.security import UNFORESEEN

STATUS = {
    StoppingError: 503,
    BusyError: 503,
    LostIndexError: 503,
    errors.UnavailableError: 410,
    errors.StoreError: 503,
}


def problem(status: int, said: str, hint: str) -> JSONResponse:
    """An error in the one form that all of them have."""
    return JSONResponse({"error": said, "hint": hint}, status_code=status)


def problem_of(error: errors.PolyglanceError) -> JSONResponse:
    """One of our errors, with the status that it has on the web."""
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 422)
    return problem(status, error.message, error.hint)


def register(app: FastAPI) -> None:
    """Have every error of an end point answered in that form."""

    @app.exception_handler(errors.PolyglanceError)
    async def ours(request: Request, error: errors.PolyglanceError) -> JSONResponse:
        return problem_of(error)

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> JSONResponse:
        return problem(*UNFORESEEN)  # and the terminal of the server tells where

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        return problem(422, f"{where}: {first['msg']}", "see /docs for what is allowed")

    @app.exception_handler(StarletteHTTPException)
    async def http(request: Request, error: StarletteHTTPException) -> JSONResponse:
        found = problem(error.status_code, str(error.detail), "see /docs for what there is")
        found.headers.update(error.headers or {})
        return found
