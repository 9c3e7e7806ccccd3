"""Host names of the server: what `--name` takes, and which address to use."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from polyglance import errors

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.I)
MOST_CHARACTERS = 253


def usable_name(given: str) -> str:
    """A name as it stands in a Host header, in small letters and without a port.

    Args:
        given: A host name, of any script, or an address.

    Raises:
        ConfigError: It is neither.

    >>> usable_name("Photos.example"), usable_name("bücher.example"), usable_name("fe80::1")
    ('photos.example', 'xn--bcher-kva.example', '[fe80::1]')
    """
    if (found := _host_of(given)) is None:
        rest = _SCHEME.sub("", given.strip()).partition("/")[0]
        bare = _host_of(rest) or _host_of(rest.rpartition(":")[0])
        raise errors.ConfigError(
            f"the name {given[:80]!r} is no host name; allowed is one such as photos.example, or "
            "an address such as 192.168.1.5, without http://, port and path",
            hint=f"--name {bare or 'photos.example'}",
        )
    return found


def _host_of(given: str) -> str | None:
    """A host name or an address as a Host header has it; None where it is neither."""
    try:
        address = ipaddress.ip_address(given.removeprefix("[").removesuffix("]"))
    except ValueError:
        pass
    else:
        return f"[{address}]" if address.version == 6 else str(address)
    try:
        name = given.lower().encode("idna").decode("ascii")
    except UnicodeError:  # a label that is empty or too long
        return None
    if len(name) > MOST_CHARACTERS or not _NAME.fullmatch(name):
        return None
    return name.removesuffix(".")


def address_of(scope: Mapping[str, Any]) -> str:
    """The address that a request reached, as a browser takes it.

    >>> address_of({"server": ("127.0.0.1", 8765)}), address_of({"server": ("::1", 80)})
    ('http://127.0.0.1:8765', 'http://[::1]:80')
    """
    host, port = scope.get("server") or ("127.0.0.1", None)
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}" + (f":{port}" if port else "")
