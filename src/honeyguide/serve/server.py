"""A bundle behind an address: bind, load, warm up, listen, stop on a signal."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from honeyguide.bundle.bundle import describe
from honeyguide.errors import CallError, HoneyguideError
from honeyguide.recommender import load
from honeyguide.serve.app import create_app

VERSION_DIGITS = 12
_PAUSE = 0.01  # seconds between two looks at whether it listens


def serve(bundle: Path, host: str, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve a bundle until SIGINT or SIGTERM; on_ready is told the address once it listens.

    port: 0 takes a free one. Raises BundleError, CallError, and HoneyguideError where the address
    cannot be taken. What is logged holds no ids: requests are not, and neither are messages of
    errors.
    """
    version = describe(bundle).sha256[:VERSION_DIGITS]
    with _bound(host, port) as place:
        app = create_app(load(bundle), version)
        config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
        asyncio.run(_run(uvicorn.Server(config), place, lambda: on_ready(_url(place))))


async def _run(server: uvicorn.Server, place: socket.socket, on_ready: Callable[[], None]) -> None:
    task = asyncio.create_task(server.serve(sockets=[place]))
    while not server.started and not task.done():
        await asyncio.sleep(_PAUSE)
    if server.started:
        on_ready()
    await task


def _bound(host: str, port: int) -> socket.socket:
    """A socket that has the address and does not listen yet."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        raise CallError(f"There is no address {host!r}.", "Give one of this machine's.") from None
    family, kind, protocol, _, address = found[0]
    place = socket.socket(family, kind, protocol)
    try:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind(address)
    except OSError as error:
        place.close()
        raise HoneyguideError(
            f"{host}:{port} cannot be taken: {error.strerror}.",
            "Stop what listens there, or give another --port or --host.",
        ) from None
    return place


def _url(place: socket.socket) -> str:
    host, port = place.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
