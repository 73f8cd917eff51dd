"""What `stratagem models` says of servers: what is installed, what is configured, where the key comes from, who answers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stratagem.errors import UsageError
from stratagem.models.hosted_claims import claimed
from stratagem.models.hosted_keys import placed_hosted
from stratagem.models.hosted_table import HOSTED, HostedRow
from stratagem.models.keys import Key, placed, variables_of
from stratagem.models.routes import Routes
from stratagem.models.sources import Sources
from stratagem.models.table import ROWS, Row

if TYPE_CHECKING:
    from stratagem.models.reach import Reached


def ask_keyring(sources: Sources, routes: Routes) -> None:
    """Ask the keyring for the keys of all providers that are nowhere else. It blocks, for a limited time."""
    for prefix in (*ROWS, *HOSTED):
        try:
            variables = variables_of(prefix, route=routes.of(prefix))
            missing = bool(variables) and all(sources.at_hand(variable) is None for variable in variables)
        except UsageError:
            continue  # `servers` says it
        if missing:
            sources.ask_now(variables[0])


def servers(sources: Sources, routes: Routes, extra: str) -> Iterator[dict[str, Any]]:
    """Yield what the catalogue says of each provider, with what is missing for it here.

    Args:
        sources: where keys are looked for.
        routes: how providers are reached.
        extra: the line that installs what servers need; empty if it is there.
    """
    for row in ROWS.values():
        try:
            found, key = placed(row.prefix, None, None, routes.of(row.prefix), sources)
        except UsageError as failure:
            yield _listed(row, [str(failure)], extra, configured=False)
            continue
        there = key.lacks is None and (bool(key.source) or not key.variable)
        needs = [f"{key.variable}{_where(key)}" if key.variable else "a server"]
        yield _listed(found, needs, extra, configured=there, key=key.source)
    for row in HOSTED.values():
        missing = "" if row.installed else f'pip install "stratagem[{row.prefix}]"'
        try:
            claimed(row, routes.of(row.prefix))
            _, key = placed_hosted(row, None, None, routes.of(row.prefix), sources)
        except UsageError as failure:
            yield _listed(row, [str(failure)], missing, configured=False)
            continue
        there = key.lacks is None and (bool(key.source) or not key.variable or row.prefix == "bedrock")
        named = (" and " if row.prefix == "bedrock" else " or ").join(row.variables)
        needs = [f"{named}{'' if there and row.prefix == 'bedrock' else _where(key)}"]
        yield _listed(row, needs, missing, configured=there, key=key.source)


def _where(key: Key) -> str:
    """Return where a key was found, if that is not its variable."""
    if not key.source:
        return " (not set)"
    return "" if key.source.startswith("variable ") else f" (from {key.source})"


def _listed(row: Row | HostedRow, needs: list[str], extra: str, *, configured: bool, key: str = "") -> dict[str, Any]:
    about = f"{row.title}, at {row.home if isinstance(row, HostedRow) else row.url}"
    if row.prefix == "openai":
        about += "; with --base-url any server that speaks chat completions, and no key"
    return {
        "name": f"{row.prefix}:NAME", "available": configured and not extra, "needs": ", ".join([*needs, *filter(None, [extra])]),
        "about": about, "installed": not extra, "configured": configured, "key": key,
    }  # fmt: skip


async def checked(rows: Sequence[Mapping[str, Any]], sources: Sources, routes: Routes) -> "dict[str, Reached]":
    """Ask the servers of a catalogue that could be used now; return by name whether they answer, and how."""
    from stratagem.models.reach import Place, reach  # noqa: PLC0415  (0.3 s)
    from stratagem.models.transport import Access  # noqa: PLC0415

    places: dict[str, Place] = {}
    for listed in rows:
        prefix = str(listed["name"]).partition(":")[0]
        route = routes.of(prefix)
        if listed["available"] and prefix in ROWS:
            row, key = placed(prefix, None, None, route, sources)
            places[str(listed["name"])] = Place(row.title, row.url, key, Access.of(row.url, route))
        elif listed["available"] and prefix in HOSTED and prefix != "bedrock":  # which lists models elsewhere
            row = HOSTED[prefix]
            url, key = placed_hosted(row, None, None, route, sources)
            places[str(listed["name"])] = Place(row.title, url + "".join(row.versions[:1]), key, Access.of(url, route))
    return dict(zip(places, await reach(list(places.values())), strict=True))
