"""Connections to one origin: what is sent there, and what comes back in pieces.

Rule 1: no redirects, no cookies, and nothing from the environment: not its proxies, not its `.netrc`.
Rule 2: every wait has an end, by the clock that was given; every reply has a largest size.
Rule 3: no exception of the library leaves this module.
"""

import contextlib
from collections.abc import AsyncGenerator, Mapping
from typing import NamedTuple

import aiohttp
from yarl import URL

from stratagem.core import Clock
from stratagem.errors import Unreachable
from stratagem.models.retry import ATTEMPTS, Answered, Failure, bad, cut, silent

LARGEST = 32_000_000  # bytes of a reply
ERROR_BYTES = 65_536  # that are read of an error


class Times(NamedTuple):
    """Seconds to wait at most."""

    connect: float = 5.0
    first: float = 120.0
    between: float = 60.0


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
            limit = min(self._times.between, (self._until - self._clock.stamp()) / 1e6)
            try:
                async with self._clock.limit(limit):
                    piece = await content.readany()
            except TimeoutError:
                raise silent(f"{self._where} stopped in the middle of its reply") from None
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


class Transport:
    """Connections to one origin; opened at the first request, closed by `aclose`."""

    def __init__(self, clock: Clock, times: Times, where: str) -> None:
        self._clock, self._times, self._where = clock, times, where
        self._session: aiohttp.ClientSession | None = None

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
        limit = min(self._times.first, (until - self._clock.stamp()) / 1e6)
        try:
            async with self._clock.limit(limit):
                place = URL(url, encoded="%" in url)  # what is escaped stays as it is: it may be signed
                response = await self._opened().post(place, data=data, headers=headers, allow_redirects=False)
        except aiohttp.ClientConnectorDNSError:
            raise Failure(Unreachable(f"{self._where}: there is no such host", remedy="Check the address.")) from None
        except (aiohttp.ClientSSLError, aiohttp.ClientConnectorCertificateError) as failure:
            raise Failure(Unreachable(f"{self._where} cannot show who it is: {failure}")) from None
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as failure:
            why = getattr(failure, "strerror", None) or type(failure).__name__
            raise Failure(
                Unreachable(
                    f"nobody answers at {self._where}: {why}", remedy="Start the server, or check the address."
                ),
                attempts=ATTEMPTS,
            ) from None
        except TimeoutError:
            raise silent(f"{self._where} has not begun to answer within {max(limit, 0):g} s") from None
        except (aiohttp.ClientError, ConnectionError) as failure:
            raise silent(f"{self._where} disconnected before it answered: {type(failure).__name__}") from None
        return Incoming(response, self._clock, self._times, until, self._where)

    async def aclose(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),  # the gate is the limit
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._times.connect),
            )
        return self._session
