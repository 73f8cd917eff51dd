"""What a probe found out of a server, and what it looks for."""

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from stratagem.core import Capabilities, Sample
from stratagem.models.routes import FIELDS

Found = Literal["honoured", "accepted", "ignored", "refused", "unclear", "untried"]

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "founded": {"type": "integer"},
        "size": {"type": "string", "enum": ["small", "large"]},
    },
    "required": ["name", "founded", "size"],
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
        return self.declared not in ("", "no") and self.found in ("ignored", "refused")

    @property
    def more(self) -> bool:
        """Whether the server does more than its row says."""
        return self.declared == "no" and self.found == "honoured"


def row_of(findings: Sequence[Finding], declared: Capabilities) -> dict[str, Any]:
    """Return what a row should say, as the keys of a provider in the user's settings.

    Args:
        findings: what was found out; what was not keeps to what is declared.
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
    n = found["n"] == "honoured" if found.get("n") in known else declared.native_n
    blind = found.get("images") in ("ignored", "refused")
    return {
        "fields": sorted(kept), "schema": schema, "native-n": n,
        "media": [] if blind else sorted(declared.media),
    }  # fmt: skip


def shown(text: str, limit: int = 60) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= limit else f"{line[: limit - 2]} …")


def misfit(sample: Sample) -> str:
    """Return what is wrong with a reply to `SCHEMA`; empty if it keeps to it."""
    try:
        made: Any = json.loads(sample.text)
    except (ValueError, RecursionError):
        return f"no JSON{' (cut)' if sample.finish == 'length' else ''}: {shown(sample.text)}"
    if not isinstance(made, dict) or set(made) != set(SCHEMA["required"]):  # pyright: ignore[reportUnknownArgumentType]
        return f"not its fields: {shown(sample.text)}"
    fits = isinstance(made["name"], str) and type(made["founded"]) is int and made["size"] in ("small", "large")  # pyright: ignore[reportUnknownArgumentType]
    return "" if fits else f"not its types: {shown(sample.text)}"


def png(side: int, colour: tuple[int, int, int]) -> bytes:
    """Return a square image of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = (b"\0" + bytes(colour) * side) * side
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
