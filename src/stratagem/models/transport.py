"""Connections to one origin: what is sent there, and what comes back in pieces.

Rule 1: no redirects, no cookies, and nothing from the environment: a proxy is the one that it is given, `.netrc` is not
        read, and no key of a connection is logged (`SSLKEYLOGFILE`).
Rule 2: every wait has an end, by the clock that was given; every reply has a largest size.
Rule 3: no exception of the library leaves this module.
Rule 4: the other side shows a certificate, and it is verified. There is no switch against it.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, Mapping
from functools import cache
from typing import Any, NamedTuple

import aiohttp
from yarl import URL

from stratagem.core import Clock
from stratagem.errors import ModelError, Unreachable, UsageError
from stratagem.models.retry import ATTEMPTS, Answered, Failure, bad, cut, late, silent
from stratagem.models.routes import Proxy, Route, proxy_for

LARGEST = 32_000_000  # bytes of a reply
HANDSHAKES = 64  # connections that are being opened at once
ERROR_BYTES = 65_536  # that are read of an error


class Times(NamedTuple):
    """Seconds to wait at most."""

    connect: float = 5.0
    first: float = 120.0
    between: float = 60.0


class Access(NamedTuple):
    """How a server is reached.

    Attributes:
        proxy: that stands between; None is none.
        tls: whom to trust, and what to show; None is the system's store, read at the first connection.
    """

    proxy: Proxy | None = None
    tls: ssl.SSLContext | None = None

    @staticmethod
    def of(url: str, route: Route) -> "Access":
        """Return how a URL is reached by a route.

        Raises:
            UsageError: the proxy is none, or a certificate cannot be used.
        """
        own = route.ca_file or route.client_cert
        return Access(proxy_for(url, route.proxy), verifying(route) if own and url.startswith("https:") else None)


def verifying(route: Route = Route()) -> ssl.SSLContext:
    """Return a TLS context that verifies: certificates of the system, and those that the user adds.

    Raises:
        UsageError: a file holds no certificate, or a key that needs a password.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies, names too; `create_default_context` would log keys
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_default_certs()
    context.set_alpn_protocols(["http/1.1"])
    try:
        if route.ca_file:
            context.load_verify_locations(route.ca_file)
    except (OSError, ssl.SSLError):
        raise UsageError(f"'ca-file' {route.ca_file!r} holds no certificates in PEM form") from None
    if route.client_cert:
        try:
            context.load_cert_chain(route.client_cert, route.client_key or None, _no_password)
        except (OSError, ssl.SSLError, ValueError):
            files = " and ".join(map(repr, filter(None, (route.client_cert, route.client_key))))
            raise UsageError(
                f"'client-cert' {files}: no certificate with its key in PEM form",
                remedy="Both may stand in one file; the key must have no password, for nobody could be asked for it.",
            ) from None
    return context


@cache
def _of_system() -> ssl.SSLContext:
    return verifying()


def _no_password() -> str:
    raise ValueError("nobody can be asked")


class Incoming:
    """An answer that is being read."""

    __slots__ = ("_clock", "_response", "_times", "_until", "_where", "answered")

    def __init__(self, response: aiohttp.ClientResponse, clock: Clock, times: Times, until: int, where: str) -> None:
        self._response, self._clock, self._times, self._until, self._where = response, clock, times, until, where
        headers = {name.lower(): value for name, value in response.headers.items()}
        self.answered = Answered(response.status, headers)

    async def pieces(self) -> AsyncGenerator[bytes]:
        """Yield what comes, as it comes; a `Failure` says that it broke off, stalls or has no end."""
        size, content = 0, self._response.content
        while True:
            left = (self._until - self._clock.stamp()) / 1e6
            try:
                async with self._clock.limit(min(self._times.between, left)):
                    piece = await content.readany()
            except TimeoutError:
                if left <= self._times.between:
                    raise late(f"{self._where} was in the middle of its reply", alive=True) from None
                nothing = f"nothing came for {self._times.between:g} s"
                raise silent(f"{self._where} stopped in the middle of its reply: {nothing}") from None
            except (aiohttp.ClientError, ConnectionError) as failure:
                raise cut(f"{self._where} broke off in the middle of its reply: {type(failure).__name__}") from None
            if not piece:
                return
            size += len(piece)
            if size > LARGEST:
                raise bad(f"{self._where} sent more than {LARGEST // 1_000_000} MB", attempts=1)
            yield piece

    async def whole(self, most: int = LARGEST) -> bytes:
        """Return all that comes, or the first `most` bytes."""
        found = bytearray()
        async with contextlib.aclosing(self.pieces()) as pieces:
            async for piece in pieces:
                found += piece
                if len(found) >= most:
                    break
        return bytes(found)

    def close(self) -> None:
        """Let go: a connection whose answer was read to its end is used again, any other is closed."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class Connector(aiohttp.TCPConnector):
    """Opens few connections at once: of thousands, most would wait for this process longer than for the server.

    The method is the library's own; `tests/models/test_connections.py` fails if it is not called any more. `connect`
    would be the documented one, but calls that find a connection open would have to wait for their turn as well.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)  # pyright: ignore[reportUnknownMemberType]
        self._turns = asyncio.Semaphore(HANDSHAKES)

    async def _create_connection(self, *asked: Any, **more: Any) -> Any:
        async with self._turns:  # before the library begins to count the seconds of `Times.connect`
            return await super()._create_connection(*asked, **more)


class Transport:
    """Connections to one origin; opened at the first request, closed by `aclose`.

    Args:
        clock: tells the time.
        times: how long to wait.
        where: name of the server, for messages.
        access: how it is reached.
    """

    def __init__(self, clock: Clock, times: Times, where: str, access: Access = Access()) -> None:
        self._clock, self._times, self._where, self._access = clock, times, where, access
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"Transport({self._where!r}, {self._access.proxy!r})"

    async def post(self, url: str, data: bytes, headers: Mapping[str, str], until: int) -> Incoming:
        """Send a request and return the answer as soon as it begins.

        Args:
            url: where.
            data: what.
            headers: with which.
            until: stamp of the clock at which all must have come.

        Raises:
            Failure: nobody is there, or nothing came.
        """
        return await self._sent("POST", url, data, headers, until)

    async def get(self, url: str, headers: Mapping[str, str], until: int) -> Incoming:
        """Ask for something and return the answer as soon as it begins; arguments and errors as of `post`."""
        return await self._sent("GET", url, None, headers, until)

    async def aclose(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _sent(
        self, method: str, url: str, data: bytes | None, headers: Mapping[str, str], until: int
    ) -> Incoming:
        left = (until - self._clock.stamp()) / 1e6
        limit = min(self._times.first, left)
        session = self._opened(url)
        try:
            async with self._clock.limit(limit):
                place = URL(url, encoded="%" in url)  # what is escaped stays as it is: it may be signed
                response = await session.request(
                    method, place, data=data, headers=headers, allow_redirects=False, **self._through()
                )
        except TimeoutError as failure:
            if isinstance(failure, aiohttp.ConnectionTimeoutError):
                raise self._unreached(failure) from None
            what = f"{self._where} has not begun to answer within {max(limit, 0):.3g} s"
            raise (late(what) if left <= self._times.first else silent(what)) from None
        except (aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError) as failure:
            raise self._unreached(failure) from None
        except (aiohttp.ClientError, ConnectionError) as failure:
            raise silent(f"{self._where} disconnected before it answered: {type(failure).__name__}") from None
        return Incoming(response, self._clock, self._times, until, self._where)

    def _through(self) -> dict[str, Any]:
        """Return what a request says of the proxy; made anew for each, so that the password stands in no attribute."""
        proxy = self._access.proxy
        if proxy is None:
            return {}
        if proxy.login is None:
            return {"proxy": proxy.url}
        # The library turns it into `Proxy-Authorization` where it goes: CONNECT, or a request that is not encrypted.
        given = aiohttp.encode_basic_auth(*proxy.login, encoding="utf-8")
        return {"proxy": proxy.url, "proxy_headers": {"Authorization": given}}

    def _unreached(self, failure: Exception) -> Failure:
        """Return what it means that no request could be sent; nothing was performed."""
        proxy = self._access.proxy
        if isinstance(failure, aiohttp.ClientHttpProxyError):
            return self._turned_away(failure.status)
        if isinstance(failure, (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError)):
            return _unreachable(f"{self._where} cannot show who it is: {_why(failure)}", _CERTIFICATE)
        behind = isinstance(failure, aiohttp.ClientProxyConnectionError) or (
            proxy is not None and isinstance(failure, aiohttp.ClientConnectorDNSError)
        )
        where = (
            f"the proxy {proxy!r} ({proxy.origin}), through which {self._where} is to be reached"
            if (behind and proxy is not None)
            else self._where
        )
        remedy = 'Correct the proxy, or set `proxy = "none"` in your own settings.' if behind else ""
        if isinstance(failure, aiohttp.ClientConnectorDNSError):
            return _unreachable(f"{where}: there is no such host", remedy or "Check the address.")
        why = getattr(failure, "strerror", None) or type(failure).__name__
        remedy = remedy or "Start the server, or check the address."
        return _unreachable(f"nobody answers at {where}: {why}", remedy, attempts=ATTEMPTS)

    def _turned_away(self, status: int) -> Failure:
        """Return the failure of a proxy that did not connect us."""
        what = f"the proxy {self._access.proxy!r} answered {status} and did not connect to {self._where}"
        if status == 407:
            return _unreachable(what, "Give name and password in the proxy's URL: `http://NAME:PASSWORD@HOST:PORT`.")
        return _unreachable(what, "Check what the proxy lets through.", attempts=ATTEMPTS if status >= 500 else 1)

    def _opened(self, url: str) -> aiohttp.ClientSession:
        if self._session is None:
            proxy, tls = self._access
            if tls is None and (url.startswith("https:") or (proxy is not None and proxy.url.startswith("https:"))):
                tls = _of_system()
            self._session = aiohttp.ClientSession(
                connector=Connector(limit=0, keepalive_timeout=30, ssl=tls or True),  # the gate is the limit
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._times.connect),
            )
        return self._session


_CERTIFICATE = (
    "Check the address; if the server is yours, name the authority that signed it: `ca-file` in your settings."
)


def _unreachable(what: str, remedy: str, *, attempts: int = 1) -> Failure:
    error: ModelError = Unreachable(what, remedy=remedy)
    return Failure(error, attempts=attempts)


def _why(failure: Exception) -> str:
    """Return why a certificate is not believed, in OpenSSL's words."""
    cause = getattr(failure, "certificate_error", None) or getattr(failure, "os_error", None) or failure
    return str(getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or type(cause).__name__)
