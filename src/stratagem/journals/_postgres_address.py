"""The URL of a PostgreSQL journal: what the driver gets, and what people may see."""

import re
from urllib.parse import parse_qsl, urlencode, urlsplit

from stratagem.errors import UsageError

SCHEMES = ("postgresql", "postgres")
SCHEMA = "stratagem"
EXAMPLE = "Write it as postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with %-escapes for signs like @ and /."

_SECRET = frozenset({"password", "sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret"})
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class Address:
    """Where the journal is.

    Attributes:
        spec: the URL without its password.
        schema: that holds the tables; `?schema=` of the URL.
    """

    def __init__(self, url: str) -> None:
        try:
            scheme, netloc, path, query, fragment = urlsplit(url)
            options = parse_qsl(query, keep_blank_values=True)
        except ValueError:
            # Without the cause: it may quote a part of the password.
            raise UsageError("the URL of the journal cannot be read", remedy=EXAMPLE) from None
        user, at, hosts = netloc.rpartition("@")
        shown = [(name, value) for name, value in options if name.lower() not in _SECRET]
        self.spec = _joined(scheme, user.partition(":")[0] + at + hosts, path, urlencode(shown, safe="/,"))
        if scheme not in SCHEMES or fragment:
            raise UsageError(f"{self.spec!r} is not the URL of a PostgreSQL database", remedy=EXAMPLE)
        self.schema = dict(options).get("schema", SCHEMA)
        if not _NAME.fullmatch(self.schema):
            raise UsageError(
                f"the schema of a journal is named with lower-case letters, digits and _, got {self.schema!r}"
            )
        rest = [(name, value) for name, value in options if name != "schema"]
        # `urlencode` writes a space as `+`, which the driver would take for itself.
        self._url = _joined(scheme, netloc, path, urlencode(rest).replace("+", "%20"))
        self._secrets = self._hidden()

    def options(self) -> dict[str, str]:
        """Return what the driver connects with. The password is among it: never show this."""
        from psycopg import ProgrammingError  # noqa: PLC0415  (the driver is an extra)
        from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

        try:
            found = conninfo_to_dict(self._url)
        except ProgrammingError:
            raise UsageError(f"{self.spec!r}: the driver cannot read this URL", remedy=EXAMPLE) from None
        return {name: str(value) for name, value in found.items()}

    def without_secrets(self, text: str) -> str:
        """Return a text of the server or the driver, with the password blotted out."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def _hidden(self) -> tuple[str, ...]:
        found = {value for name, value in self.options().items() if name in _SECRET}
        return tuple(sorted((value for value in found if len(value) > 2), key=len, reverse=True))

    def __repr__(self) -> str:
        return f"Address({self.spec!r})"


def _joined(scheme: str, netloc: str, path: str, query: str) -> str:
    # Not `urlunsplit`, which leaves out the slashes before an empty host.
    return f"{scheme}://{netloc}{path}{'?' if query else ''}{query}"
