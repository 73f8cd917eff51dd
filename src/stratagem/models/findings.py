"""What a probe found out of a server, and what it looks for."""

import json
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, cast

from stratagem.core import Capabilities, Sample
from stratagem.models.routes import FIELDS

Found = Literal["honoured", "accepted", "ignored", "refused", "unclear", "untried"]

ANIMALS = ("cat", "crow", "eel", "fox", "hare", "moth", "newt", "owl", "rat", "seal", "toad", "wolf")
COLOURS = ("black", "blue", "brown", "gold", "green", "grey", "pink", "red", "violet", "white")
# Of words that are given: there is much to choose from, and nothing that could go on and on.
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "animal": {"type": "string", "enum": list(ANIMALS)},
        "colour": {"type": "string", "enum": list(COLOURS)},
        "second_colour": {"type": "string", "enum": list(COLOURS)},
        "age": {"type": "integer"},
        "size": {"type": "string", "enum": ["small", "large"]},
    },
    "required": ["animal", "colour", "second_colour", "age", "size"],
    "additionalProperties": False,
}


class Finding(NamedTuple):
    """What was found out about one feature.

    Attributes:
        name: of the feature.
        declared: what the row says of it; empty if rows say nothing of it.
        found: `honoured` was seen; `accepted` cannot be seen, and no error came; `ignored` was sent and did nothing;
            `refused` was an error; `unclear` could have been chance; `untried` was not asked.
        said: by what it was seen.
    """

    name: str
    declared: str
    found: Found
    said: str

    @property
    def less(self) -> bool:
        """Whether the server does less than its row says."""
        return self.declared not in ("", "no", "advisory") and self.found in ("ignored", "refused")

    @property
    def more(self) -> bool:
        """Whether the server does more than its row says."""
        return self.declared in ("no", "advisory") and self.found == "honoured"


def row_of(findings: Sequence[Finding], declared: Capabilities) -> dict[str, Any]:
    """Return what a row should say, as the keys of a provider in the user's settings.

    Args:
        findings: what was found out; what was not keeps to what is declared, and is left out if that is nothing.
        declared: what the row says now.
    """
    kept = {
        one.name
        for one in findings
        if one.name in FIELDS
        and (one.found in ("honoured", "accepted") or (one.found in ("unclear", "untried") and one.declared != "no"))
    }
    tried = {one.name for one in findings}
    kept |= {name for name in FIELDS if name in declared.fields and name not in tried}
    found = {one.name: one.found for one in findings}
    known = {"honoured": "constrained", "ignored": "advisory", "refused": "none"}
    schema = known.get(found.get("schema", ""), declared.schema)
    kept = {one for one in kept if one != "schema"} | ({"schema"} & {"schema" if schema == "constrained" else ""})
    row: dict[str, Any] = {"fields": sorted(kept), "schema": schema}
    if found.get("n") in known or declared.native_n:
        row["native-n"] = found["n"] == "honoured" if found.get("n") in known else True
    if found.get("images") in known or declared.media:
        row["media"] = [] if found.get("images") in ("ignored", "refused") else sorted(declared.media)
    return row


def called(calls: Sequence[tuple[str, Any]], text: str, hide: Callable[[str], str] = str) -> tuple[Found, str]:
    """Return what it means that a model that had the tool `temperature` made these calls, and said that.

    Args:
        calls: which tools it called, with what.
        text: what it said beside them.
        hide: takes keys out of what is shown.
    """
    right = [one for one in calls if one[0] == "temperature" and isinstance(one[1], dict) and "city" in one[1]]
    if calls and len(right) == len(calls):
        return "honoured", f"called as its schema says: {shown(hide(json.dumps(calls[0][1])))[1:-1]}"
    return "ignored", f"called wrongly: {hide(repr(calls[0]))}"[:120] if calls else f"no call: {shown(hide(text))}"


def shown(text: str, limit: int = 60) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= limit else f"{line[: limit - 2]} …")


def misfit(sample: Sample, hide: Callable[[str], str] = str) -> str:
    """Return what is wrong with a reply to `SCHEMA`; empty if it keeps to it. `hide` takes keys out of what is shown."""
    try:
        made: Any = json.loads(sample.text)
    except (ValueError, RecursionError):
        return f"no JSON{' (cut)' if sample.finish == 'length' else ''}: {shown(hide(sample.text))}"
    if not isinstance(made, dict) or set(made) != set(SCHEMA["required"]):  # pyright: ignore[reportUnknownArgumentType]
        return f"not its fields: {shown(hide(sample.text))}"
    given = cast("dict[str, Any]", made)
    listed = {name: one["enum"] for name, one in SCHEMA["properties"].items() if "enum" in one}
    fits = type(given["age"]) is int and all(given[name] in words for name, words in listed.items())
    return "" if fits else f"not its types: {shown(hide(sample.text))}"


def png(side: int, colour: tuple[int, int, int]) -> bytes:
    """Return a square image of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = (b"\0" + bytes(colour) * side) * side
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
