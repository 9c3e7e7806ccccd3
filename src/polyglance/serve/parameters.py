"""Validation of request parameters: each of them known, given once, and UTF-8.

A parameter that is dropped in silence answers another question than the one that was asked. Here
is the rule for the parameters of an address and the fields of a form; every end point that the
description names keeps it. Pages do not: what links from elsewhere add to them changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.routing import APIRoute

from polyglance import errors

MOST = 32


def pairs(encoded: bytes) -> list[tuple[str, str]]:
    """Names and values that are written as in an address.

    Raises:
        InputError: There are too many, or one is no UTF-8.

    >>> pairs(b"q=caf%C3%A9+noir&top=")
    [('q', 'café noir'), ('top', '')]
    """
    try:
        # What is no UTF-8 stays visible as such, so that the refusal can name where it is.
        found = parse_qsl(
            encoded.decode("utf-8", "surrogateescape"),
            keep_blank_values=True,
            max_num_fields=MOST,
            errors="surrogateescape",
        )
    except ValueError as error:
        raise errors.InputError(
            f"more than {MOST} parameters or fields", hint="see /docs for what is allowed"
        ) from error
    for name, value in found:
        for text, what in ((name, "the name of a parameter"), (value, name)):
            try:
                text.encode("utf-8")
            except UnicodeEncodeError as error:
                raise no_utf8(what) from error
    return found


def no_utf8(what: str) -> errors.InputError:
    """That something is no UTF-8, which all texts must be."""
    return errors.InputError(f"{what[:80]} is no UTF-8", hint="encode texts as UTF-8, é as %C3%A9")


def once(given: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Values by name.

    Raises:
        InputError: A name comes twice.

    >>> once([("q", "dog"), ("top", "3")])
    {'q': 'dog', 'top': '3'}
    """
    found: dict[str, str] = {}
    for name, value in given:
        if name in found:
            raise twice(name)
        found[name] = value
    return found


def twice(name: str) -> errors.InputError:
    """That a name was given twice, where no more than one value is used."""
    return errors.InputError(
        f"{name[:80]!r} is given more than once; one value is read", hint="give it once"
    )


def of_address(encoded: bytes, *, known: Collection[str]) -> dict[str, str]:
    """The parameters of an address.

    Args:
        encoded: What stands behind its question mark.
        known: The names that are allowed.

    Raises:
        InputError: A parameter is unknown, given twice, or no UTF-8; or there are too many.

    >>> of_address(b"q=dog", known=["q", "top"])
    {'q': 'dog'}
    """
    found = once(pairs(encoded))
    for name in found:
        if name not in known:
            raise errors.InputError(
                f"the address has a parameter {name[:80]!r}; "
                f"allowed here: {', '.join(known) or 'none'}",
                hint="leave it out; see /docs for where it belongs",
            )
    return found


async def check(request: Request) -> None:
    """Hold the address of a request against what the description of its end point names.

    Raises:
        InputError: As `of_address`.
    """
    route, encoded = request.scope.get("route"), request.scope["query_string"]
    if encoded and isinstance(route, APIRoute) and route.include_in_schema:
        described = (route.openapi_extra or {}).get("parameters", ())
        known = [one["name"] for one in described]
        known += [parameter.alias for parameter in route.dependant.query_params]
        of_address(encoded, known=known)
