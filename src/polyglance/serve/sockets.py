"""The listening socket and shutdown: a free port, room for connections, signals."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import uvicorn

from polyglance import errors
from polyglance.serve.connections import Connections
from polyglance.serve.limits import Limits
from polyglance.serve.security import App

STOP_SECONDS = 5
# Files that are open beside connections: of the index, of images, of processes that decode.
OTHER_FILES = 256


def bound(host: str, port: int) -> socket.socket:
    """A socket at an address, which accepts no connection before the server runs.

    Args:
        host: An address, or a name of this machine.
        port: 0 takes a free one.

    Raises:
        ConfigError: The port is taken or not allowed, or there is no such address here.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listening = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise errors.ConfigError(
            f"the host {host!r} is no address: {error}", hint="--host 127.0.0.1, or 0.0.0.0 for all"
        ) from error
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
    except OSError as error:
        listening.close()
        raise _not_bound(host, port, error) from error
    listening.set_inheritable(False)
    return listening


def _not_bound(host: str, port: int, error: OSError) -> errors.ConfigError:
    if error.errno == errno.EADDRINUSE:
        return errors.ConfigError(
            f"the port {port} of {host} is taken by another program",
            hint=f"--port {port + 1 if port < 65535 else 8765}, or --port 0, which takes a free "
            "one and says which",
        )
    if error.errno == errno.EACCES:
        return errors.ConfigError(
            f"the port {port} is not allowed to you",
            hint="--port takes one above 1023; --port 0 takes a free one and says which",
        )
    return errors.ConfigError(
        f"{host} port {port} cannot be listened at: {error.strerror or error}",
        hint="--host takes an address of this machine; 0.0.0.0 means all of them",
    )


def room_for(limits: Limits) -> Limits:
    """The limits, with as many connections as this process may have files."""
    try:
        import resource
    except ImportError:
        return limits
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.connections + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        soft = raised
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return limits
    connections = max(16, soft - OTHER_FILES, soft // 2)
    per_address = min(limits.connections_per_address, connections)
    return replace(limits, connections=connections, connections_per_address=per_address)


def serve(
    app: App, listening: socket.socket, *, limits: Limits, started: Callable[[], object]
) -> bool:
    """Answer until told to stop; whether it ever started.

    Args:
        app: What answers.
        listening: Where.
        limits: Of connections.
        started: Called when the server is warm and listens.

    Raises:
        KeyboardInterrupt: It was told by Ctrl-C, and has stopped.
    """
    connections = Connections(room_for(limits))
    config = uvicorn.Config(
        cast(Any, app),
        http=cast(Any, connections.protocol),
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # anybody can write them
        timeout_graceful_shutdown=STOP_SECONDS,
    )

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                started()

    server = Server(config)
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        raise KeyboardInterrupt("stopped") from None
    return server.started
