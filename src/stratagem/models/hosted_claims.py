"""What the user's settings say that a provider with a protocol of its own honours.

Rule: they may say less than its row. What a request in the provider's form cannot carry is an error: it would do nothing.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from stratagem.errors import UsageError
from stratagem.models.hosted_table import NO_MODEL, HostedRow
from stratagem.models.keys import origin_of
from stratagem.models.routes import SCHEMAS, Route


def claimed(row: HostedRow, route: Route, base_url: str | None = None) -> HostedRow:
    """Return a provider's row with what the settings claim of it; what depends on a model's name still does.

    Args:
        row: of the provider.
        route: how the user's settings say that it is reached, and what they claim.
        base_url: another address: what is claimed of one server says nothing of another.

    Raises:
        UsageError: more is claimed than requests to this provider can carry.
    """
    here = base_url is None or (bool(route.base_url) and origin_of(route.base_url) == origin_of(base_url))
    claims: Mapping[str, Any] = route.claims if here else {}
    if not claims:
        return row
    fields: frozenset[str] = claims.get("fields", row.fields | {"schema"})
    schema: str = claims.get("schema", row.schema)
    media: frozenset[str] = claims.get("media", row.media)
    _check(row, "fields", fields - row.fields - {"schema"})
    _check(row, "schema", {schema} if SCHEMAS.index(schema) > SCHEMAS.index(row.schema) else set())
    _check(row, "native-n", {"true"} if claims.get("native_n") else set())
    _check(row, "media", media - row.media)
    if "schema" not in fields and schema == "constrained":
        schema = "advisory"
    return replace(
        row, fields=row.fields & fields, schema=schema, media=media,
        thinks=row.thinks if "effort" in fields else NO_MODEL,
    )  # fmt: skip


def _check(row: HostedRow, key: str, beyond: "frozenset[str] | set[str]") -> None:
    if beyond:
        raise UsageError(
            f"[providers.{row.prefix}]: {key!r} claims {', '.join(sorted(beyond))}, which requests to {row.title} do not carry",
            remedy="Remove it: settings may say that this provider honours less than its row, and not more.",
        )
