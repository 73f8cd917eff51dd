"""The checks of `stratagem doctor` about models: keys, proxies, certificates. None sends anything, none shows a secret."""

import os
from collections.abc import Iterator

from stratagem.cli._checks import Check
from stratagem.cli._ends import Fault
from stratagem.cli._output import counted
from stratagem.cli._settings import network_of
from stratagem.errors import UsageError
from stratagem.models.routes import Proxy, Route, Routes, from_environment, variable
from stratagem.models.sources import installed, key_file, keyring_here, read_keys

UNCHECKED = "Correct the setting."


def reaching() -> list[Check]:
    """Check where keys come from, and how models are reached."""
    try:
        routes = network_of() or Routes()
    except Fault as fault:
        return [_keys(), _keyring(), Check("network", "fail", fault.message, fault.remedy)]
    except UsageError as failure:
        return [_keys(), _keyring(), Check("network", "fail", str(failure), failure.remedy)]
    return [_keys(), _keyring(), _proxy(routes.usual), *_routes(routes)]


def _keys() -> Check:
    path = key_file()
    try:
        keys = read_keys(path)
    except UsageError as failure:
        return Check("key file", "fail", str(failure), failure.remedy)
    if not path.exists():
        return Check("key file", "ok", f"none: it would be {path}")
    return Check("key file", "ok", f"{counted(len(keys), 'key')} in {path}")


def _keyring() -> Check:
    if not installed():
        return Check("keyring", "ok", "not asked: the extra `keyring` is not installed")
    return Check("keyring", "ok", keyring_here() or "there is none here")


def _proxy(route: Route) -> Check:
    """Say through which proxy servers elsewhere are reached, unless a provider's own settings say otherwise."""
    name, address = from_environment(os.environ)
    where = "your settings" if route.proxy else f"the variable {name}"
    try:
        proxy = Proxy.of(route.proxy or address, where) if route.proxy or address else None
    except UsageError as failure:
        return Check("proxy", "fail", str(failure), failure.remedy)
    if proxy is None:
        return Check("proxy", "ok", f"none, as {where} say" if route.proxy else "none")
    except_name, listed = variable(os.environ, "NO_PROXY")
    beside = f", nor for {listed} ({except_name})" if listed and not route.proxy else ""
    return Check("proxy", "ok", f"{proxy!r} ({where}), not for this machine{beside}")


def _routes(routes: Routes) -> Iterator[Check]:
    """Check what the user's own settings say of all providers, and of each."""
    named = [("network", routes.usual), *((f"network {name}", route) for name, route in routes.providers.items())]
    for name, route in named:
        if wrong := _unusable(route):
            yield Check(name, "fail", wrong, UNCHECKED)
        elif route.allow_http:
            yield Check(name, "warn", "allow-http: keys and questions may travel unencrypted to other machines",
                        "Use https where you can.")  # fmt: skip
        elif route != Route():
            yield Check(name, "ok", _told(route))


def _unusable(route: Route) -> str:
    """Return why certificates of a route cannot be used; empty if they can, or nobody could try."""
    if not route.ca_file and not route.client_cert:
        return ""
    from stratagem.models.transport import verifying  # 0.3 s

    try:
        verifying(route)
    except UsageError as failure:
        return str(failure)
    return ""


def _told(route: Route) -> str:
    said = repr(route)
    return said.removeprefix("Route(").removesuffix(")")
