"""Routes of the page, its assets, the page of end points, and the form that asks for the token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import resources

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response

from polyglance.serve import form_data
from polyglance.serve.problems import problem
from polyglance.serve.security import TOO_MANY_GUESSES, shows_token
from polyglance.serve.sessions import Doors, TooManyGuessesError

PAGES = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "words.js": "text/javascript",
    "languages.js": "text/javascript",
    "details.js": "text/javascript",
    "docs.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


def register(app: FastAPI) -> None:
    """Answer at the addresses of the pages; their files are read once."""
    folder = resources.files("polyglance.serve") / "pages"
    # Read once: nothing that a request names reaches the file system.
    read = {name: (folder / name).read_bytes() for name in (*PAGES, "index.html", "docs.html")}
    form = (folder / "login.html").read_bytes()

    def page(data: bytes, kind: str = "text/html") -> Response:
        return Response(data, media_type=kind, headers={"cache-control": "no-cache"})

    async def part(name: str) -> Response:
        if name not in PAGES:
            return problem(404, f"there is no page {name[:80]!r}", "see / and /docs")
        return page(read[name], PAGES[name])

    async def log_in(request: Request) -> Response:
        doors: Doors | None = app.state.doors
        kind = request.headers.get("content-type", "")
        fields, files = form_data.read(await request.body(), kind, example="token=TOKEN")
        if doors is None:
            return problem(401, "this server asks for no token", "go to /")
        if [*fields, *files] != ["token"] or files:
            given = ", ".join([*fields, *files])[:80] or "no field"
            hint = "send it alone, as curl -F token=TOKEN does"
            return problem(422, f"a form with {given}; the field token is wanted", hint)
        try:
            right = await shows_token(doors, fields["token"].strip(), request.scope)
        except TooManyGuessesError:
            return problem(*TOO_MANY_GUESSES)
        if not right:
            return problem(401, "that is not the token", "go back and try again")
        found = RedirectResponse("/", status_code=303)
        found.set_cookie(
            doors.cookie,
            doors.session(),
            max_age=doors.seconds,
            httponly=True,
            samesite="strict",
            path="/",
        )
        return found

    pages: dict[str, Callable[..., Awaitable[Response]]] = {}

    def whole(path: str, data: bytes) -> None:
        async def shown() -> Response:
            found = page(data)
            if path == "/login":  # with no referrer, browsers tell no origin of a form either
                found.headers["referrer-policy"] = "same-origin"
            return found

        pages[path] = shown

    whole("/", read["index.html"])
    whole("/docs", read["docs.html"])
    whole("/login", form)
    for path, shown in pages.items():
        app.get(path, include_in_schema=False)(shown)
    app.get("/pages/{name}", include_in_schema=False)(part)
    app.post("/login", include_in_schema=False)(log_in)
