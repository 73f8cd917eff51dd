"""How providers are reached, as their user says: address, key's variable, proxy, certificates, and what they honour.

Rule 1: it comes from the user: from the file of their own settings, or from the program. No project's file may say it.
Rule 2: a proxy stands between us and servers elsewhere, never between us and this machine. `HTTPS_PROXY` and `NO_PROXY`
        are read by us, when a model is opened, and by nothing else.
Rule 3: a certificate is always verified. There is no switch against it; `ca_file` adds whom to trust.
"""

import ipaddress
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import unquote, urlsplit

from stratagem.errors import UsageError

OWN = ("proxy", "ca-file", "client-cert", "client-key", "allow-http")  # of all providers, or of one
ONE = (*OWN, "base-url", "api-key-env", "fields", "schema", "native-n", "media")  # of one provider
PATHS = ("ca-file", "client-cert", "client-key")
TEXTS = ("proxy", *PATHS, "base-url", "api-key-env")
FIELDS = ("tools", "temperature", "top_p", "stop", "max_tokens", "seed", "effort", "logprobs", "schema")
SCHEMAS = ("none", "advisory", "constrained")
NOBODY = "none"  # what `proxy` says for no proxy at all


def config_folder() -> Path:
    """Return the folder of the user's own settings, whether it exists or not."""
    if sys.platform == "darwin":
        folder = Path.home() / "Library" / "Application Support"
    elif sys.platform == "win32":
        folder = Path(os.environ.get("APPDATA", str(Path.home())))
    else:
        folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return folder / "stratagem"


class Route(NamedTuple):
    """How one provider is reached; what is empty is as usual.

    Attributes:
        base_url: where it answers; empty is the provider's own address.
        api_key_env: name of the variable with the key for that address.
        proxy: its URL; `none` is no proxy; empty is what `HTTPS_PROXY` says.
        ca_file: certificates to trust beside those of the system.
        client_cert: certificate that we show.
        client_key: key of that certificate; empty is the same file.
        allow_http: whether requests, and the key, may travel unencrypted to another machine.
        claims: what the server honours (`fields`, `schema`, `native_n`, `media`), in place of what its row says.
    """

    base_url: str = ""
    api_key_env: str = ""
    proxy: str = ""
    ca_file: str = ""
    client_cert: str = ""
    client_key: str = ""
    allow_http: bool = False
    claims: Mapping[str, Any] = {}

    def __repr__(self) -> str:
        said = self._replace(proxy=shown_proxy(self.proxy))
        return f"Route({', '.join(f'{name}={value!r}' for name, value in said._asdict().items() if value)})"


class Routes:
    """How every provider is reached.

    Args:
        form: with the keys `proxy`, `ca-file`, `client-cert`, `client-key`, `allow-http` and `providers`, which has the
            same and `base-url`, `api-key-env`, `fields`, `schema`, `native-n`, `media` for each provider.
        where: what says so, for messages.
        folder: beneath which the paths in it lie; None is the current one.

    Raises:
        UsageError: it says something that means nothing.
    """

    def __init__(
        self, form: Mapping[str, Any] | None = None, *, where: str = "network", folder: Path | None = None
    ) -> None:
        given = dict(form or {})
        said: Any = given.pop("providers", {})
        if not isinstance(said, Mapping):
            raise UsageError(f"{where}: 'providers' is a table, got {said!r}", remedy="Write `[providers.NAME]`.")
        tables = cast("Mapping[str, Any]", said)
        common = _checked(given, OWN, where, folder)
        _check_names(tables, where)
        self._usual = _route(common)
        self._of: dict[str, Route] = {}
        for name, table in tables.items():
            place = f"{where} [providers.{name}]"
            if not isinstance(table, Mapping):
                raise UsageError(f"{place} is no table", remedy="Write `[providers.NAME]`, and settings below it.")
            own = _checked(cast("Mapping[str, Any]", table), ONE, place, folder)
            if "base-url" in own and "api-key-env" not in own:
                own["api-key-env"] = ""
            self._of[name] = _route({**common, **own})

    def __bool__(self) -> bool:
        return bool(self._of) or self._usual != Route()

    def __repr__(self) -> str:
        return f"Routes({self._usual!r}, {self._of!r})"

    @property
    def usual(self) -> Route:
        """How a provider is reached of which nothing is said."""
        return self._usual

    @property
    def providers(self) -> Mapping[str, Route]:
        """The providers of which something is said."""
        return self._of

    def claiming(self, prefix: str, claims: Mapping[str, Any], base_url: str = "") -> "Routes":
        """Return the same, with other claims of what one provider honours, at an address if one is given."""
        route = self.of(prefix)
        made = Routes()
        made._usual = self._usual
        made._of = {**self._of, prefix: route._replace(claims=claims, base_url=base_url or route.base_url)}
        return made

    def of(self, prefix: str) -> Route:
        """Return how a provider is reached."""
        return self._of.get(prefix, self._usual)


def routes_of(given: "Mapping[str, Any] | Routes | None") -> Routes:
    """Return routes from themselves or their form."""
    return given if isinstance(given, Routes) else Routes(given)


def check_tables(prices: Mapping[str, Any] | None, limits: Mapping[str, Any] | None) -> None:
    """Refuse prices of specs and limits of prefixes that name no provider: they would do nothing, and nobody would see it.

    Raises:
        UsageError: one does; the nearest is named.
    """
    for spec in prices or {}:
        _check_names((spec.partition(":")[0],), f"prices of {spec!r}", "local")
    _check_names(limits or {}, "limits", "local")


def _check_names(names: Iterable[str], where: str, *beside: str) -> None:
    """Refuse a provider that there is not: what is said of it would do nothing."""
    if not names:
        return
    from stratagem.models import prefixes

    known = (*prefixes(), *beside)
    for name in names:
        if name not in known:
            meant = _nearest(str(name), known)
            raise UsageError(f"{where}: there is no provider {name!r}{meant}", remedy=f"They are: {', '.join(known)}.")


def _nearest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean ...?`, or nothing."""
    import difflib  # only a message needs it

    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _route(said: Mapping[str, Any]) -> Route:
    claims = {key.replace("-", "_"): said[key] for key in ("fields", "schema", "native-n", "media") if key in said}
    named = {key.replace("-", "_"): value for key, value in said.items() if key in (*TEXTS, "allow-http")}
    return Route(**named, claims=claims)


def _checked(form: Mapping[str, Any], known: tuple[str, ...], where: str, folder: Path | None) -> dict[str, Any]:
    """Return the settings of a table, with paths as files that are there."""
    found: dict[str, Any] = {}
    for written, value in form.items():
        key = str(written).replace("_", "-")
        if key not in known:
            meant = _nearest(key, known)
            raise UsageError(
                f"{where} sets {written!r}, which does not exist{meant}", remedy=f"The keys: {', '.join(known)}."
            )
        if wrong := _misfit(key, value):
            shown = "***" if key == "proxy" else repr(value)
            raise UsageError(f"{where}: {key!r} is {wrong}, got {shown}", remedy="Correct it.")
        if key == "api-key-env":
            check_variable(value, f"{where}: {key}")
        found[key] = _file(key, value, where, folder) if key in PATHS and value else value
    if proxy := found.get("proxy", ""):
        Proxy.of(proxy, f"{where}: 'proxy'")
    if found.get("client-key") and not found.get("client-cert"):
        raise UsageError(f"{where} sets 'client-key' without 'client-cert'", remedy="Name the certificate too.")
    for name in ("fields", "media"):
        if name in found:
            found[name] = frozenset(found[name])
    return found


def check_variable(name: str | None, what: str) -> None:
    """Refuse what is no name of a variable, and do not show it: it may be the key itself.

    Args:
        name: of the variable with a key; empty, or None, is no name and no mistake.
        what: gives it, such as `api_key_env`.
    """
    if name and not is_variable(name):
        raise UsageError(
            f"`{what}` is not the name of an environment variable: letters, digits and `_`; it is not shown, as it may be a key",
            remedy="Give the NAME of a variable, such as OPENAI_API_KEY, and the key in it: never the key itself.",
        )


def is_variable(name: str) -> bool:
    """Return whether a text can be the name of an environment variable."""
    return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is not None


def _misfit(key: str, value: Any) -> str:
    """Return what the value of a key should be; empty if it is."""
    if key in TEXTS:
        return "" if isinstance(value, str) else "a text"
    if key in ("allow-http", "native-n"):
        return "" if isinstance(value, bool) else "true or false"
    if key == "schema":
        return "" if value in SCHEMAS else f"one of {', '.join(SCHEMAS)}"
    listed: list[Any] = list(cast("Any", value)) if isinstance(value, list | tuple | frozenset | set) else [None]
    if key == "fields":
        strange = [str(one) for one in listed if one not in FIELDS]
        return f"a list of some of {', '.join(FIELDS)}{_nearest(strange[0], FIELDS)}" if strange else ""
    texts = all(isinstance(one, str) and "/" in one for one in listed)
    return "" if texts else "a list of media types such as image/png"


def _file(key: str, value: str, where: str, folder: Path | None) -> str:
    path = (folder or Path()) / Path(value).expanduser()
    try:
        with path.open("rb"):
            return str(path)
    except OSError as failure:
        why = failure.strerror or type(failure).__name__
        raise UsageError(f"{where}: {key!r} names {str(path)!r}, which cannot be read: {why}") from None


class Proxy:
    """A proxy. Name and password for it are in no `repr` and no message.

    Attributes:
        url: scheme, host and port.
        login: name and password, or None.
    """

    __slots__ = ("_login", "origin", "url")

    def __init__(self, url: str, login: tuple[str, str] | None, origin: str) -> None:
        self.url, self._login, self.origin = url, login, origin

    @staticmethod
    def of(text: str, origin: str) -> "Proxy | None":
        """Return the proxy that a setting names, None for `none`; `origin` says where the setting stands.

        Raises:
            UsageError: it is no address of a proxy.
        """
        if text == NOBODY:
            return None
        try:
            parts = urlsplit(text if "://" in text else f"http://{text}")
            port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
        except ValueError:
            parts, port = urlsplit(""), 0
        if parts.scheme.startswith("socks"):
            remedy = 'Name a proxy that takes http, or `none` in your own settings: `proxy = "none"`.'
            raise UsageError(f"{origin} names a SOCKS proxy, which this version does not speak to", remedy=remedy)
        if parts.scheme not in ("http", "https") or not parts.hostname or not port:
            raise UsageError(f"{origin} is no address of a proxy", remedy="Write it as `http://HOST:PORT`, or `none`.")
        login = (unquote(parts.username or ""), unquote(parts.password or "")) if parts.username else None
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return Proxy(f"{parts.scheme}://{host}:{port}", login, origin)

    @property
    def login(self) -> tuple[str, str] | None:
        """Name and password, or None."""
        return self._login

    def __repr__(self) -> str:
        if self._login is None:
            return self.url
        scheme, _, host = self.url.partition("://")
        return f"{scheme}://***@{host}"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a proxy is not copied: it may hold a password")

    def hidden(self, text: str) -> str:
        """Return a text without the password."""
        secret = self._login[1] if self._login else ""
        return text.replace(secret, "***") if secret else text


def shown_proxy(text: str) -> str:
    """Return a proxy's setting as it may be shown."""
    if not text or text == NOBODY:
        return text
    try:
        return repr(Proxy.of(text, "proxy"))
    except UsageError:
        return "***"


def loopback(url: str) -> bool:
    """Return whether a URL names this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def proxy_for(url: str, said: str = "", environ: Mapping[str, str] | None = None) -> Proxy | None:
    """Return the proxy through which requests to a URL go; None if they go there directly.

    Args:
        url: of the server.
        said: the setting; empty is what the environment says.
        environ: the environment.

    Raises:
        UsageError: what is said is no address of a proxy.
    """
    if loopback(url):
        return None
    if said:
        return Proxy.of(said, "the setting 'proxy'")
    if not url.startswith("https:"):
        return None
    environ = os.environ if environ is None else environ
    name, address = from_environment(environ)
    if not address or _excepted(url, variable(environ, "NO_PROXY")[1]):
        return None
    return Proxy.of(address, f"the variable {name}")


def from_environment(environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the variable that names a proxy for https, and what it says; both empty if there is none."""
    return variable(environ, "HTTPS_PROXY")


def variable(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """Return a variable that programs write in either case, and its value; lower case wins, as it does for curl."""
    for one in (name.lower(), name):
        if value := environ.get(one, "").strip():
            return one, value
    return "", ""


def _excepted(url: str, listed: str) -> bool:
    """Return whether `NO_PROXY` lists a server: by name, by domain, by address or by network."""
    parts = urlsplit(url)
    host, port = (parts.hostname or "").rstrip("."), parts.port or 443
    for entry in filter(None, (one.strip().lower() for one in listed.replace(",", " ").split())):
        if entry == "*":
            return True
        name, _, wanted = entry.partition(":") if entry.count(":") == 1 else (entry, "", "")
        if (not wanted or wanted == str(port)) and _same(host, name.strip("[]")):
            return True
    return False


def _same(host: str, entry: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        domain = entry.removeprefix("*").strip(".")
        return bool(domain) and (host == domain or host.endswith(f".{domain}"))
    try:
        return address in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
