"""Server-sent events: from pieces of bytes, cut anywhere, to events.

Rule 1: a line ends with CR, LF or CRLF, an event with an empty line; the first byte order mark is no text.
Rule 2: what the stream leaves unfinished is an event too: some servers leave the last empty line out, and whoever reads
        it finds out whether it is whole.
"""

import re

LARGEST = 8_000_000  # bytes of one event

_END = re.compile(rb"\r\n|\r|\n")


class TooLarge(ValueError):
    """An event is larger than anything that is a reply."""


class Events:
    """Decodes one stream. An event is (type, data): the type is empty where the stream names none."""

    __slots__ = ("_begun", "_data", "_held", "_name", "_rest", "_skip")

    def __init__(self) -> None:
        self._rest = b""  # of a line that has not ended
        self._skip = False  # the last piece ended with CR: an LF at the start of the next belongs to it
        self._begun = False
        self._name, self._data, self._held = "", list[str](), 0

    def feed(self, piece: bytes) -> list[tuple[str, str]]:
        """Return the events that a piece completes; `TooLarge` if one has no end."""
        if not piece:
            return []
        if self._skip and piece.startswith(b"\n"):
            piece = piece[1:]
        self._skip = piece.endswith(b"\r")
        lines = _END.split(self._rest + piece)
        self._rest = lines.pop()
        if len(self._rest) > LARGEST:
            raise TooLarge
        return [event for line in lines if (event := self._line(line)) is not None]

    def end(self) -> list[tuple[str, str]]:
        """Return what the end of the stream completes."""
        rest, self._rest = self._rest, b""
        found = [self._line(rest), self._line(b"")] if rest else [self._line(b"")]
        return [event for event in found if event is not None]

    def _line(self, line: bytes) -> tuple[str, str] | None:
        if not self._begun:
            line, self._begun = line.removeprefix(b"\xef\xbb\xbf"), True
        if not line:
            name, data = self._name, self._data
            self._name, self._data, self._held = "", [], 0
            return (name, "\n".join(data)) if data else None
        field, _, value = line.partition(b":")
        text = value.removeprefix(b" ").decode(errors="replace")
        if field == b"data":
            self._data.append(text)
            self._held += len(value)
            if self._held > LARGEST:
                raise TooLarge
        elif field == b"event":
            self._name = text
        return None
