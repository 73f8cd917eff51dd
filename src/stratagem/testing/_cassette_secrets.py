"""What must not get into a cassette: values of the environment's key variables, and what authorises requests."""

import base64
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import cast
from urllib.parse import quote

from stratagem.core import Json
from stratagem.core._canonical import is_object
from stratagem.models.table import ROWS

HIDDEN = "***"
SHORTEST = 8  # characters of a secret: a shorter value would be found in words that have nothing to do with it

_NAMES = re.compile(r"(^|_)(API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)($|_)", re.IGNORECASE)
_SHOWN = re.compile(r"\b(Bearer|Basic)(\s+)(?=[^\s\d]*\d)[A-Za-z0-9._~+/=-]{16,}")  # no word has a digit in it


class Secrets:
    """Takes secrets out of texts.

    Args:
        environ: the environment; None is that of the process.
        more: further secrets.
        hide: takes further ones out of a text, such as the keys that the model itself sends.
    """

    def __init__(
        self,
        environ: Mapping[str, str] | None = None,
        more: Iterable[str] = (),
        hide: Callable[[str], str] = str,
    ) -> None:
        self._hide = hide
        given = os.environ if environ is None else environ
        named = {row.variable for row in ROWS.values()}
        values = {value.strip() for name, value in given.items() if name in named or _NAMES.search(name)} | {*more}
        forms = {form for value in values if len(value) >= SHORTEST for form in _forms(value)}
        ordered = sorted(forms, key=lambda form: (-len(form), form))  # the longest first: one may begin another
        self._known = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def hidden(self, text: str) -> str:
        """Return a text without secrets."""
        text = self._hide(text)
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        return _SHOWN.sub(rf"\1\2{HIDDEN}", text) if " " in text else text

    def clean(self, value: Json) -> Json:
        """Return JSON data without secrets, the names of its objects included; itself if there are none."""
        if isinstance(value, str):
            return self.hidden(value)
        if isinstance(value, list):
            items = cast("list[Json]", value)
            cleaned = [self.clean(item) for item in items]
            return value if cleaned == items else cleaned  # pyright: ignore[reportUnknownVariableType]
        if is_object(value):
            whole = {self.hidden(name): self.clean(item) for name, item in value.items()}
            return value if whole == value else whole
        return value


def _forms(value: str) -> Iterable[str]:
    """Return how a secret may be written: as it is, in a URL, and as the user or the password of `Basic`."""
    yield value
    yield quote(value, safe="")
    for pair in (value, f"{value}:", f":{value}"):
        yield base64.b64encode(pair.encode()).decode().rstrip("=")
