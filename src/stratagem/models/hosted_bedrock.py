"""Amazon Bedrock: its library writes and signs the request, in a thread; our transport sends it.

Rule 1: credentials come from boto3's own variables, and sign requests to the row's origin only. Neither files nor the
        machine's metadata are asked for them.
"""

import asyncio
import os
from collections.abc import Iterable, Mapping
from typing import Any

from stratagem.errors import CapabilityError
from stratagem.models.hosted_table import HostedRow
from stratagem.models.hosted_wire import CURRENT, Wire
from stratagem.models.keys import Key

BEARER = "AWS_BEARER_TOKEN_BEDROCK"


class AwsKey(Key):
    """What signs requests to Bedrock.

    Args:
        named: identity, secret and, if there is one, token of the session.
        origin: where what they sign may go.
        lacks: what to raise before the first call if they are not there.
    """

    __slots__ = ("_token", "identity")

    def __init__(self, named: tuple[str, str, str], origin: str, lacks: CapabilityError | None = None) -> None:
        self.identity, secret, self._token = named
        super().__init__(secret, "AWS_SECRET_ACCESS_KEY", origin, lacks)

    def headers(self, origin: str) -> Mapping[str, str]:
        """Return nothing: the library signs each request."""
        del origin
        return {}

    def _secrets(self) -> tuple[tuple[str, str], ...]:
        token = ((self._token, "AWS_SESSION_TOKEN"),) if self._token else ()
        return (*super()._secrets(), *token)

    def hidden(self, text: str) -> str:
        """Return a text without the secret and without the session's token."""
        text = super().hidden(text)
        return text.replace(self._token, "***") if self._token else text

    def signs(self, origin: str) -> Mapping[str, str]:
        """Return what the library signs requests to an origin with."""
        if origin != self.origin or not self._value:
            return {}
        more = {"aws_session_token": self._token} if self._token else {}
        return {"aws_access_key_id": self.identity, "aws_secret_access_key": self._value, **more}

    def __hash__(self) -> int:
        return hash((super().__hash__(), self.identity, self._token))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AwsKey) and super().__eq__(other) and self.identity == other.identity


def aws_key(row: HostedRow, origin: str) -> Key:
    """Return what authorises requests to Bedrock: a bearer token, or what signs them."""
    if token := os.environ.get(BEARER, "").strip():
        return Key(token, BEARER, origin)
    named = tuple(os.environ.get(name, "").strip() for name in (*row.variables, "AWS_SESSION_TOKEN"))
    there = bool(named[0] and named[1])
    lacks = CapabilityError(
        f"models `bedrock:` need credentials of AWS, and {' and '.join(row.variables)} are not set",
        remedy=f"Set them, or {BEARER}, and AWS_REGION.",
    )
    return AwsKey((named[0], named[1], named[2]), origin, None if there else lacks)


class _Raw:
    """What the library reads a reply from."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def stream(self, amt: int = 0, decode_content: bool | None = None) -> Iterable[bytes]:
        del amt, decode_content
        return [self._data]


def client(url: str, wire: Wire, key: Key, origin: str) -> Any:
    """Return the library's client, of which every request goes through the wire."""
    library, core = _library()
    given: Mapping[str, str] = key.signs(origin) if isinstance(key, AwsKey) else {}
    config = core.config.Config(
        retries={"total_max_attempts": 1, "mode": "standard"}, proxies={}, ignore_configured_endpoint_urls=True,
        **({} if given else {"signature_version": core.UNSIGNED}),
    )  # fmt: skip
    host = url.partition("bedrock-runtime.")[2].partition(".")[0]
    session = library.Session(botocore_session=_bare(core))
    made = session.client(
        "bedrock-runtime", endpoint_url=url, region_name=host or "us-east-1", config=config, **given
    )  # fmt: skip

    def send(request: Any, **_: Any) -> Any:
        attempt = CURRENT.get()
        headers = {name: _text(value) for name, value in request.headers.items()}
        body: Any = request.body or b""
        data = body if isinstance(body, bytes) else bytes(body) if isinstance(body, bytearray) else body.encode()
        attempt.pending = asyncio.run_coroutine_threadsafe(
            wire.send(request.method, request.url, headers, data), attempt.loop
        )
        answered, whole = attempt.pending.result()
        return core.awsrequest.AWSResponse(request.url, answered.status, dict(answered.headers), _Raw(whole))

    made.meta.events.register("before-send.bedrock-runtime.*", send)
    return made


def _library() -> tuple[Any, Any]:
    """Return boto3 and its core, which have no types."""
    from importlib import import_module

    core: Any = import_module("botocore")
    for name in ("awsrequest", "config", "session"):
        import_module(f"botocore.{name}")
    return import_module("boto3"), core


def _bare(core: Any) -> Any:
    """Return a session of the library that asks neither files nor the machine for credentials."""
    session = core.session.Session()
    session.set_config_variable("config_file", os.devnull)
    session.set_config_variable("credentials_file", os.devnull)
    session.set_config_variable("metadata_service_num_attempts", 1)
    return session


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode()
