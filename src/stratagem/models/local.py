"""Models on this machine: a file of weights, run by llama.cpp as a child process (extra `local`).

The server starts at the first call and ends when the last model that uses its file is closed.
"""

import asyncio
from collections.abc import Callable

from stratagem.core import Delta, Reply, Request
from stratagem.errors import CapabilityError, Unavailable
from stratagem.models.compatible import refused_by
from stratagem.models.gateway import Gateway
from stratagem.models.keys import Key, origin_of
from stratagem.models.local_file import Facts, facts_of
from stratagem.models.local_server import Down, Place, Server, given_back, sizes, taken
from stratagem.models.local_weights import DIGITS, Found, found
from stratagem.models.local_wire import LocalWire, capabilities_of, row_of
from stratagem.models.retry import Failure
from stratagem.models.templates import EXTRA, Template


def open_local(name: str) -> Gateway:
    """Return the model of a file of weights. No server is started by opening it.

    Args:
        name: what stands after `local:`.

    Raises:
        UsageError: there is no such file, or it is no model.
        CapabilityError: a package is missing.
    """
    weights = found(name)
    backend = Local(weights)
    return Gateway(weights.spec, backend)


class Local:
    """A model of a file, as a backend.

    Args:
        weights: which file it is.
    """

    def __init__(self, weights: Found) -> None:
        self._weights = weights
        # Not where it listens, which is not known yet: what all models of this file share.
        self.origin = f"http://127.0.0.1/{weights.sha256[:DIGITS]}"
        self.steady = False
        self.key = Key("", "", self.origin, weights.lacks or _missing())
        self._facts: Facts | None = None
        self._tools = False
        context = 0
        self._slots = 1
        if weights.path is not None:
            self._facts = facts = facts_of(weights.path)
            context, self._slots = sizes(facts.context, facts.token_bytes)
            self._tools = bool(facts.template) and Template(facts.template, facts.bos, facts.eos).takes_tools
        self.capabilities = capabilities_of(weights.name, context or 8192)
        self._context = context
        self._server: Server | None = None
        self._wire: LocalWire | None = None
        self._place: Place | None = None

    def refuses(self, request: Request) -> frozenset[str]:
        """Return the options that are not honoured, and `media` for attachments that cannot be read."""
        return refused_by(self.capabilities, request)

    async def attempt(
        self, request: Request, n: int, number: int, until: int, on_delta: Callable[[Delta], None] | None
    ) -> Reply:
        """Send a request for `n` draws once; start the server if it does not run.

        Raises:
            Failure: no reply came, or none that may be believed; or the server cannot be started.
        """
        wire = await self._ready()
        return await wire.attempt(request, n, number, until, on_delta)

    async def aclose(self) -> None:
        """Close all connections, and stop the server unless another model uses it."""
        wire, server = self._wire, self._server
        self._wire = self._server = self._place = None
        if wire is not None:
            await wire.aclose()
        if server is not None:
            await asyncio.to_thread(given_back, server)

    async def _ready(self) -> LocalWire:
        """Return the wire to the server, which runs."""
        assert self._weights.path is not None
        assert self._facts is not None
        if self._server is None:
            self._server = taken(self._weights.path, self._context, self._slots)
        try:
            place = await asyncio.to_thread(self._server.place)
        except Down as down:
            raise Failure(
                Unavailable(str(down), remedy="Check the file, and how much memory is free; then resume the run.")
            ) from None
        if self._wire is None or self._place is not place:
            old, self._place = self._wire, place
            url = f"{place.url}/v1"
            self._wire = LocalWire(
                row_of(self._weights.name, url), self._weights.name, Key(place.key, "", origin_of(url)), self.capabilities,
                tools=self._tools, marks=self._facts.marks,
            )  # fmt: skip
            if old is not None:
                await old.aclose()
        return self._wire


def _missing() -> CapabilityError | None:
    """Return what to raise if llama.cpp is not installed."""
    from importlib.util import find_spec

    if find_spec("xllamacpp") is not None:
        return None
    return CapabilityError(
        "models `local:` need the package xllamacpp, which is llama.cpp", remedy=f"Install it: {EXTRA}"
    )
