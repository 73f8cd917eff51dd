"""Where keys may go, and the row of the provider that they are for.

Rule 1: a key is bound to one origin: scheme, host and port. For any other it has no header.
Rule 2: the key of a provider is filed under the variable of its row and goes to the provider. Another address gets none,
        unless the user names a variable for it. Where it is looked for: `sources.py`.
Rule 3: its value is in no `repr`, no message and no pickle. `hidden` takes it out of what a server sent back
        for an error, `named` out of a reply.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from stratagem.core import Model
from stratagem.errors import CapabilityError, UsageError
from stratagem.models.routes import Route, check_variable
from stratagem.models.routes import loopback as loopback
from stratagem.models.sources import Found, Sources, key_file
from stratagem.models.table import ROWS, Row, row_at

if TYPE_CHECKING:
    from stratagem.models.hosted_table import HostedRow

SHORTEST = 8  # characters of a key that is a secret: servers of one's own take any word


class Key:
    """A secret, and where it may be sent.

    Args:
        value: the secret; empty if there is none, or the keyring has still to be asked.
        variable: name of the variable that it is filed under; empty if none is needed.
        origin: where it may go.
        lacks: what to raise before the first call if there is none and one is needed.
        source: where it was found.
        sources: where `ready` looks for it.
        header: that carries it alone; empty is `Authorization: Bearer`.

    Attributes:
        variable: as given.
        origin: as given.
        lacks: as given; None while the keyring has still to be asked.
        source: where it was found, such as `variable OPENAI_API_KEY`.
    """

    __slots__ = ("_header", "_missing", "_sources", "_value", "lacks", "origin", "source", "variable")

    def __init__(
        self,
        value: str,
        variable: str,
        origin: str,
        lacks: CapabilityError | None = None,
        *,
        source: str = "",
        sources: Sources | None = None,
        header: str = "",
    ) -> None:
        self._header = header
        self._value, self.variable, self.origin, self.source = value, variable, origin, source
        self._missing, self._sources = lacks, sources
        self.lacks = lacks if sources is None else None

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a key is not copied")

    async def ready(self) -> None:
        """Ask the keyring, if that is where the key may be; `CapabilityError` if it is needed and nowhere."""
        sources = self._sources
        if sources is not None:
            found = await sources.ask(self.variable)  # once: whoever asks at the same time gets the same answer
            self._sources = None
            if found is not None:
                self._value, self.source = checked(found), found.source
            elif self._missing is not None:
                self.lacks = _with_trouble(self._missing, sources)
        if self.lacks is not None:
            raise self.lacks

    def headers(self, origin: str) -> Mapping[str, str]:
        """Return what authorises a request there; nothing for another origin than its own."""
        if not self._value or origin != self.origin:
            return {}
        return {self._header: self._value} if self._header else {"Authorization": f"Bearer {self._value}"}

    @property
    def secret(self) -> bool:
        """Whether there is something that must not come back in a reply."""
        return bool(self._secrets())

    def named(self, text: str) -> str:
        """Return a reply's text with the variable's name in the place of the key."""
        for secret, variable in self._secrets():
            text = text.replace(secret, f"[key of {variable}]" if variable else "[key]")
        return text

    def begun(self, text: str) -> int:
        """Return where in a text the key may begin that is not there to its end; the text's length if nowhere."""
        return min((_beginning(text, secret) for secret, _ in self._secrets()), default=len(text))

    def _secrets(self) -> tuple[tuple[str, str], ...]:
        """Return what must not come back, each with its variable. A short one is a placeholder, and may be a word."""
        return ((self._value, self.variable),) if len(self._value) >= SHORTEST else ()

    def hidden(self, text: str) -> str:
        """Return a text without the key."""
        return text.replace(self._value, "***") if self._value else text

    def __hash__(self) -> int:
        return hash(("key", self._value, self.origin))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and (self._value, self.origin) == (other._value, other.origin)


def _beginning(text: str, secret: str) -> int:
    """Return where a secret may begin that is not there to its end; the length of the text if nowhere."""
    place = text.find(secret[0], max(0, len(text) - len(secret) + 1))
    while place >= 0:
        if secret.startswith(text[place:]):
            return place
        place = text.find(secret[0], place + 1)
    return len(text)


def hiding(model: Model) -> Callable[[str], str]:
    """Return what takes the keys of a model, or of all models of a chain, out of a text that a server had a part in."""

    def hidden(text: str) -> str:
        for one in getattr(model, "models", (model,)):
            key = getattr(getattr(one, "_backend", None), "key", None)
            text = key.hidden(text) if key is not None else text
        return text

    return hidden


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}:{port}"


def proposed(url: str) -> str:
    """Return the base URL that was probably meant by one under which nothing was found; empty if it looks as usual."""
    meant = re.sub(r"(/chat)?/completions$", "", url)
    if not re.search(r"/v\d\w*(/|$)", urlsplit(meant).path):
        meant += "/v1"
    return "" if meant == url else meant


def checked_url(url: str, *, allow_http: bool = False) -> str:
    """Return a base URL in its one form; `UsageError` if requests may not go there.

    Args:
        url: as it was written.
        allow_http: whether the user lets requests travel unencrypted to another machine.
    """
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
    if parts.scheme == "http" and not allow_http and not loopback(url):
        raise UsageError(
            f"the base URL {url!r} is not encrypted: whoever is on the way could read what is sent, and the key",
            remedy="Use https; plain http is for this machine only, unless your own settings say `allow-http = true`.",
        )
    return url.rstrip("/")


def placed(
    prefix: str,
    base_url: str | None,
    key_variable: str | None,
    route: Route = Route(),
    sources: Sources | None = None,
) -> tuple[Row, Key]:
    """Return a provider's row with the address in use, and the key for it. What is recorded can be read without one.

    Args:
        prefix: of the row.
        base_url: another address than the provider's; None is what the route says, else the provider's.
        key_variable: variable with the key for that address; None is what the route says for its own address, else
            the row's, for the row's origin.
        route: how the user's settings say that the provider is reached.
        sources: where keys are looked for; None is a search of its own.

    Raises:
        UsageError: the address may not be used, or there is no key under the named variable.
    """
    sources = sources or Sources()
    row, variable, named = address(prefix, base_url, key_variable, route)
    origin = origin_of(row.url)
    if not variable:
        return row, Key("", "", origin)
    return row, key_for((variable,), origin, sources, lacking(prefix, row, variable, origin, named=named))


class Address(NamedTuple):
    """Where a provider's models are asked for, and under which variable the key for it is filed, if it has one."""

    row: Row
    variable: str
    named: bool  # whether the user named the variable


def address(prefix: str, base_url: str | None, key_variable: str | None, route: Route) -> Address:
    """Return where a provider's models are, with the arguments and errors of `placed`."""
    check_variable(key_variable, "api_key_env")
    row = ROWS[prefix]
    home = origin_of(row.url)
    claims: Mapping[str, Any] = route.claims if base_url is None or _at(route, base_url) else {}
    if base_url is None:  # the route's variable is for the route's address and for no other
        base_url, key_variable = route.base_url or None, key_variable or route.api_key_env or None
    if base_url is not None:
        url = checked_url(base_url, allow_http=route.allow_http)
        row = row_at(prefix, url) if origin_of(url) != home else replace(row, url=url)
    if claims:
        row = replace(row, **claims)
    own = ROWS[prefix].variable if origin_of(row.url) == home else ""
    return Address(row, key_variable or own, bool(key_variable))


def _at(route: Route, url: str) -> bool:
    """Return whether a URL is at a route's own address: what is known of one server says nothing of another."""
    return bool(route.base_url) and origin_of(route.base_url) == origin_of(url)


def key_for(
    variables: tuple[str, ...],
    origin: str,
    sources: Sources,
    lacks: CapabilityError | UsageError,
    *,
    header: str = "",
) -> Key:
    """Return the key that is filed under one of these names, for one origin.

    Args:
        variables: names; the first under which there is a key counts, and only the first is looked for in the keyring.
        origin: where it may go.
        sources: where it is looked for.
        lacks: raised if there is none and it is a `UsageError`; else by the first call.
        header: that carries the key alone; empty is `Authorization: Bearer`.
    """
    for variable in variables:
        found = sources.at_hand(variable)
        if found is not None:
            return Key(checked(found), variable, origin, source=found.source, header=header)
    variable = variables[0]
    if sources.may_be_kept(variable):
        missing = lacks if isinstance(lacks, CapabilityError) else CapabilityError(str(lacks), remedy=lacks.remedy)
        return Key("", variable, origin, missing, sources=sources, header=header)
    if isinstance(lacks, UsageError):
        raise lacks
    return Key("", variable, origin, _with_trouble(lacks, sources), header=header)


def lacking(
    prefix: str, row: "Row | HostedRow", variable: str, origin: str, *, named: bool
) -> CapabilityError | UsageError:
    """Return what is said if there is no key under a variable."""
    kept = f"or keep it in {key_file()} (mode 0600) or in the keyring"
    if named:
        return UsageError(
            f"the variable {variable!r}, which is to hold the key for {origin}, is not set",
            remedy=f"Set it: `export {variable}=...`, {kept}.",
        )
    first = variable.partition(" ")[0]
    return CapabilityError(
        f"models `{prefix}:` need a key of {row.title}, and {variable} is not set",
        remedy=f"Set it: `export {first}=...`, {kept}; for a server of your own give `--base-url URL`.",
    )


def _with_trouble(lacks: CapabilityError, sources: Sources) -> CapabilityError:
    if not sources.trouble:
        return lacks
    return CapabilityError(f"{lacks} ({sources.trouble})", remedy=lacks.remedy)


class HostedAddress(NamedTuple):
    """Where a provider with a form of its own is asked, and the variables of its key; none: it gets no key there."""

    url: str
    variables: tuple[str, ...]
    named: bool  # whether the user named the variable


def hosted_address(row: "HostedRow", base_url: str | None, key_variable: str | None, route: Route) -> HostedAddress:
    """Return where a provider with a form of its own answers, with the arguments and errors of `placed`."""
    check_variable(key_variable, "api_key_env")
    if base_url is None:
        base_url, key_variable = route.base_url or None, key_variable or route.api_key_env or None
    url = row.home
    if base_url is not None:
        url = checked_url(base_url, allow_http=route.allow_http)
        url = url.removesuffix(next((end for end in row.versions if url.endswith(end)), ""))  # the client adds it
    if key_variable is not None:
        return HostedAddress(url, (key_variable,), named=True)
    return HostedAddress(url, row.variables if origin_of(url) == origin_of(row.home) else (), named=False)


def variables_of(
    prefix: str, base_url: str | None = None, key_variable: str | None = None, route: Route = Route()
) -> tuple[str, ...]:
    """Return the names under which a provider's key may be filed, for the address in use; none: it needs none there.

    Raises:
        UsageError: the address may not be used.
    """
    if prefix in ROWS:
        variable = address(prefix, base_url, key_variable, route).variable
        return (variable,) if variable else ()
    from stratagem.models.hosted_table import HOSTED  # noqa: PLC0415  (it imports the table of this module's rows)

    if prefix == "bedrock":
        return ()  # its credentials are several, and come from variables only
    return hosted_address(HOSTED[prefix], base_url, key_variable, route).variables


def checked(found: Found) -> str:
    """Return a key that a header can carry; `UsageError` if it is none."""
    if not (found.value.isascii() and found.value.isprintable()):
        where = found.source.removeprefix("variable ")
        raise UsageError(f"what {where} holds is no key: it has characters that no header carries")
    return found.value
