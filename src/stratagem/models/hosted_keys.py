"""Where providers with a form of their own are asked, and with which key: the rules are those of `keys.py`."""

from stratagem.models.hosted_bedrock import aws_key
from stratagem.models.hosted_table import HostedRow
from stratagem.models.keys import Key, hosted_address, key_for, lacking, origin_of
from stratagem.models.routes import Route
from stratagem.models.sources import Sources


def placed_hosted(
    row: HostedRow,
    base_url: str | None,
    key_variable: str | None,
    route: Route = Route(),
    sources: Sources | None = None,
) -> tuple[str, Key]:
    """Return where a provider with a form of its own answers, and the key for it.

    Args:
        row: of the provider.
        base_url: another address than the provider's; None is what the route says, else the provider's.
        key_variable: variable with the key for that address; None is what the route says for its own address, else
            the row's, for the row's origin.
        route: how the user's settings say that the provider is reached.
        sources: where keys are looked for; None is a search of its own.

    Raises:
        UsageError: the address may not be used, or there is no key under the named variable.
    """
    sources = sources or Sources()
    url, variables, named = hosted_address(row, base_url, key_variable, route)
    origin = origin_of(url)
    if not variables:
        return url, Key("", "", origin)
    if row.prefix == "bedrock" and not named:
        return url, aws_key(row, origin)
    lacks = lacking(row.prefix, row, " or ".join(variables), origin, named=named)
    return url, key_for(variables, origin, sources, lacks, header=row.header)
