"""Where the server of a run's models is: what its record keeps, and what a session needs to be told to go on with it.

Rule: what was asked at one server is sent to no other because somebody left an address out.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from stratagem.core import Json
from stratagem.errors import UsageError

if TYPE_CHECKING:
    from stratagem.models.routes import Routes

FACT = "server"  # in a record: `base_url` and `api_key_env`, as far as they were given


class Address(NamedTuple):
    """What a session was told of where its models are.

    Attributes:
        base_url: the server of its models; empty is each provider's own.
        api_key_env: name of the variable with the key for it.
        routes: what the user's settings say of each provider.
        made: spec of a model that was handed over as an object, which knows its server itself.
    """

    base_url: str = ""
    api_key_env: str = ""
    routes: "Routes | None" = None
    made: str = ""

    def facts(self, spec: str) -> dict[str, Json]:
        """Return what the record of a run of a model keeps: the address and the variable's name, and never a key."""
        given: dict[str, Json] = {"base_url": self.base_url.rstrip("/"), "api_key_env": self.api_key_env}
        given = {name: said for name, said in given.items() if said}
        if not given or spec == self.made:
            return {}
        from stratagem.models import takes_address  # noqa: PLC0415  (only a session with an address needs it)

        return {FACT: given} if takes_address(spec) else {}

    def forked(self, parent: Mapping[str, Json], spec: str) -> dict[str, Json]:
        """Return what the record of a fork says of a server: its own, else the parent's if that is its model's too."""
        if own := self.facts(spec):
            return own
        return {FACT: parent[FACT]} if FACT in parent and _prefix(spec) == _prefix(parent["model"]) else {}

    def check(self, run_id: str, record: Mapping[str, Json], spec: str) -> None:
        """Refuse to go on with a run somewhere else than at the server that its record names.

        Args:
            run_id: of the run, or of the one that is forked.
            record: its record.
            spec: of the model that would be asked.

        Raises:
            UsageError: this session was told of no server for that model, by an argument or by settings.
        """
        url = record.get(FACT, {}).get("base_url")
        prefix = _prefix(spec)
        if not url or prefix != _prefix(record["model"]) or self.base_url or spec == self.made:
            return
        if self.routes is not None and self.routes.of(prefix).base_url:
            return
        raise UsageError(
            f"the model {record['model']!r} of run {run_id!r} was asked at {url}, and no address is given now",
            remedy=f"Give it: `{given(record).strip()}`; what was asked there goes nowhere else by itself.",
        )


def given(record: Mapping[str, Any]) -> str:
    """Return the flags that say where the models of a run are, a space before each; empty if it needs none."""
    import shlex  # noqa: PLC0415  (only a message needs it)

    said: Mapping[str, str] = record.get(FACT, {})
    return "".join(f" --{name.replace('_', '-')} {shlex.quote(said[name])}" for name in Address._fields if name in said)


def _prefix(spec: str) -> str:
    return spec.partition(":")[0]
