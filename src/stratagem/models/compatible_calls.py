"""The tool calls of one draw, as they come: whole, or in fragments of a stream.

Rule 1: in a whole reply each entry is a call, whatever it says of itself.
Rule 2: in a stream an index tells calls apart, and so does an id: at one index, another id is another call. A fragment
        that says neither goes on with the last call.
Rule 3: some servers send neither, or the same ones for all. There, a call whose arguments are whole is followed by
        another one if a name comes with arguments of its own.
"""

import json
from typing import Any, cast

from stratagem.core import Json
from stratagem.core._canonical import is_object


class _Called:
    __slots__ = ("id", "index", "name", "parts")

    def __init__(self, index: int | None) -> None:
        self.index, self.id, self.name = index, "", ""
        self.parts: list[str] = []

    @property
    def whole(self) -> bool:
        """Whether the arguments are a JSON object as they are."""
        try:
            return is_object(json.loads("".join(self.parts)))
        except (ValueError, RecursionError):
            return False


class _Piece:
    """One entry of `tool_calls`; `TypeError` or `AttributeError` if it is none."""

    __slots__ = ("id", "index", "name", "text")

    def __init__(self, form: dict[str, Any]) -> None:
        function: Json = form.get("function") or {}
        name, given, index, ident = function.get("name"), function.get("arguments"), form.get("index"), form.get("id")
        if not isinstance(name, str | None):
            raise TypeError("the name of a tool is no text")
        self.name: str = name or ""
        self.text = given if isinstance(given, str) else "" if given is None else json.dumps(given)
        self.index: int | None = index if type(index) is int else None
        self.id = ident if isinstance(ident, str) else "" if ident is None else json.dumps(ident)


class Calls:
    """The calls of one draw, as far as they have come."""

    __slots__ = ("_all",)

    def __init__(self) -> None:
        self._all: list[_Called] = []

    def __bool__(self) -> bool:
        return bool(self._all)

    def add(self, given: Json, *, whole: bool) -> None:
        """Take in `tool_calls` of a message (`whole`) or of a chunk; `TypeError` or `AttributeError` if it is none."""
        if not given:
            return
        if not isinstance(given, list):
            raise TypeError("tool calls are no list")
        pieces = [_Piece(form) for form in cast("list[dict[str, Any]]", given)]
        before = len(self._all)
        for place, piece in enumerate(pieces):
            call = None if whole else self._going_on(piece, place - len(pieces), before)
            if call is None:
                call = _Called(piece.index)
                self._all.append(call)
            call.id, call.name = call.id or piece.id, call.name or piece.name
            call.parts.append(piece.text)

    def _going_on(self, piece: _Piece, place: int, before: int) -> _Called | None:
        """Return the call that a fragment belongs to; None if it begins one.

        Args:
            piece: the fragment.
            place: in its chunk, from the end: -1 is the last.
            before: calls there were before the chunk.
        """
        if not self._all:
            return None
        anonymous = not piece.id and not piece.name
        if piece.index is not None:
            there = [call for call in self._all if call.index == piece.index]
            there = [call for call in there if piece.id and call.id == piece.id] or there
            last = there[-1] if there else self._all[-1] if anonymous else None
        elif anonymous and place < -1 and before == len(self._all) >= -place:
            last = self._all[place]  # several that say nothing go on with as many
        else:
            known = [call for call in self._all if piece.id and call.id == piece.id]
            last = (known or self._all)[-1]
            if piece.name and not piece.id and len(self._all) > before:
                return None  # begun in this chunk, like the one before it
        if last is None or (piece.id and last.id and piece.id != last.id):
            return None
        another = piece.name and last.name and (piece.name != last.name or (piece.text.strip() and last.whole))
        return None if another else last

    @property
    def received(self) -> list[str]:
        """All text that has come of them."""
        return [text for call in self._all for text in (call.name, *call.parts)]

    def ended(self) -> list[tuple[str, str]]:
        """Return names and arguments, in order; `ValueError` if a call has no name."""
        if not all(call.name for call in self._all):
            raise ValueError("a call names no tool")
        found = self._all
        if all(call.index is not None for call in found):
            found = sorted(found, key=lambda call: call.index or 0)
        return [(call.name, "".join(call.parts)) for call in found]
