"""Where keys come from, and where they may go.

Rule 1: a key is bound to one origin: scheme, host and port. For any other it has no header.
Rule 2: the key of a provider comes from the variable of its row and goes to the provider. Another address gets none,
        unless the user names a variable for it.
Rule 3: its value is in no `repr`, no message and no pickle. `hidden` takes it out of what a server sent back.
"""

import ipaddress
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stratagem.errors import CapabilityError, UsageError
from stratagem.models.table import ROWS, Row, row_at

if TYPE_CHECKING:
    from stratagem.models.hosted_table import HostedRow


class Key:
    """A secret, and where it may be sent.

    Attributes:
        variable: name of the environment variable that it comes from; empty if none is needed.
        origin: where it may go.
        lacks: what to raise before the first call if there is none and one is needed.
    """

    __slots__ = ("_header", "_value", "lacks", "origin", "variable")

    def __init__(
        self, value: str, variable: str, origin: str, lacks: CapabilityError | None = None, *, header: str = ""
    ) -> None:
        self._value, self.variable, self.origin, self.lacks = value, variable, origin, lacks
        self._header = header  # that carries it alone; empty is the usual one

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a key is not copied")

    def headers(self, origin: str) -> Mapping[str, str]:
        """Return what authorises a request there; nothing for another origin than its own."""
        if not self._value or origin != self.origin:
            return {}
        return {self._header: self._value} if self._header else {"Authorization": f"Bearer {self._value}"}

    def hidden(self, text: str) -> str:
        """Return a text without the key."""
        return text.replace(self._value, "***") if self._value else text

    def __hash__(self) -> int:
        return hash(("key", self._value, self.origin))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and (self._value, self.origin) == (other._value, other.origin)


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}:{port}"


def loopback(url: str) -> bool:
    """Return whether a URL names this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def checked_url(url: str) -> str:
    """Return a base URL in its one form; `UsageError` if requests may not go there."""
    remedy = "Write it as `https://HOST/v1`, or `http://127.0.0.1:PORT/v1`."
    try:
        parts = urlsplit(url)
        usual = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usual = False
        parts = urlsplit("")
    if parts.username or parts.password:
        raise UsageError("the base URL holds a name or a password", remedy="Name the key's variable: `--api-key-env`.")
    if not usual or parts.query or parts.fragment:
        raise UsageError(f"the base URL is no address of a server: {url!r}", remedy=remedy)
    if parts.scheme == "http" and not loopback(url):
        raise UsageError(
            f"the base URL {url!r} is not encrypted: whoever is on the way could read what is sent, and the key",
            remedy="Use https; plain http is for this machine only.",
        )
    return url.rstrip("/")


def placed(prefix: str, base_url: str | None, key_variable: str | None) -> tuple[Row, Key]:
    """Return a provider's row with the address in use, and the key for it. What is recorded can be read without one.

    Args:
        prefix: of the row.
        base_url: another address than the provider's; None is the provider's.
        key_variable: environment variable with the key for that address; None is the row's, for the row's origin.

    Raises:
        UsageError: the address may not be used, or the named variable has no key in it.
    """
    row = ROWS[prefix]
    home = origin_of(row.url)
    if base_url is not None:
        url = checked_url(base_url)
        row = row_at(prefix, url) if origin_of(url) != home else _moved(row, url)
    origin = origin_of(row.url)
    if key_variable is not None:
        value = _value(key_variable)
        if not value:
            raise UsageError(
                f"the variable {key_variable!r}, which is to hold the key for {origin}, is not set",
                remedy=f"Set it: `export {key_variable}=...`.",
            )
        return row, Key(value, key_variable, origin)
    if origin != home or not ROWS[prefix].variable:
        return row, Key("", "", origin)
    variable = ROWS[prefix].variable
    value = _value(variable)
    lacks = CapabilityError(
        f"models `{prefix}:` need a key of {row.title}, and {variable} is not set",
        remedy=f"Set it: `export {variable}=...`; for a server of your own give `--base-url URL`.",
    )
    return row, Key(value, variable, origin, None if value else lacks)


def placed_hosted(row: "HostedRow", base_url: str | None, key_variable: str | None) -> tuple[str, Key]:
    """Return where a provider with a form of its own answers, and the key for it.

    Args:
        row: of the provider.
        base_url: another address than the provider's; None is the provider's.
        key_variable: environment variable with the key for that address; None is the row's, for the row's origin.

    Raises:
        UsageError: the address may not be used, or the named variable has no key in it.
    """
    url = home = row.home
    if base_url is not None:
        url = checked_url(base_url)
        ending = next((end for end in row.versions if url.endswith(end)), "")
        url = url.removesuffix(ending)  # the client adds it
    origin = origin_of(url)
    if key_variable is not None:
        value = _value(key_variable)
        if not value:
            raise UsageError(
                f"the variable {key_variable!r}, which is to hold the key for {origin}, is not set",
                remedy=f"Set it: `export {key_variable}=...`.",
            )
        return url, Key(value, key_variable, origin, header=row.header)
    if origin != origin_of(home):
        return url, Key("", "", origin)
    if row.prefix == "bedrock":
        from stratagem.models.hosted_bedrock import aws_key  # noqa: PLC0415  (only AWS signs)

        return url, aws_key(row, origin)
    variable, value = next(((name, found) for name in row.variables if (found := _value(name))), (row.variables[0], ""))
    lacks = CapabilityError(
        f"models `{row.prefix}:` need a key of {row.title}, and {' or '.join(row.variables)} is not set",
        remedy=f"Set it: `export {variable}=...`; for a server of your own give `--base-url URL`.",
    )
    return url, Key(value, variable, origin, None if value else lacks, header=row.header)


def _moved(row: Row, url: str) -> Row:
    """Return a row with another path at its own origin."""
    from dataclasses import replace  # noqa: PLC0415

    return replace(row, url=url)


def _value(variable: str) -> str:
    value = os.environ.get(variable, "").strip()
    if not (value.isascii() and value.isprintable()):
        raise UsageError(f"what {variable} holds is no key: it has characters that no header carries")
    return value
