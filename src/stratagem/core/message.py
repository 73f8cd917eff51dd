"""What goes over a wire: parts of a message, messages of a request. Strategies never see them."""

from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool"]


class Text:
    """Words."""

    __slots__ = ("opaque", "text")

    def __init__(self, text: str, opaque: Any = None) -> None:
        self.text, self.opaque = text, opaque


class Thought:
    """What a model thought aloud; only its own provider family reads it back."""

    __slots__ = ("opaque", "text")

    def __init__(self, text: str, opaque: Any = None) -> None:
        self.text, self.opaque = text, opaque


class Blob:
    """An image or a document."""

    __slots__ = ("data", "media_type", "opaque")

    def __init__(self, media_type: str, data: bytes, opaque: Any = None) -> None:
        self.media_type, self.data, self.opaque = media_type, data, opaque


class Call:
    """A tool call of the model; `arguments` is its own text, parsed once, by the core."""

    __slots__ = ("arguments", "id", "name", "opaque")

    def __init__(self, id: str, name: str, arguments: str, opaque: Any = None) -> None:  # noqa: A002
        self.id, self.name, self.arguments, self.opaque = id, name, arguments, opaque


class Result:
    """What came of a tool call."""

    __slots__ = ("failed", "id", "name", "opaque", "text")

    def __init__(self, id: str, name: str, text: str, *, failed: bool = False, opaque: Any = None) -> None:  # noqa: A002
        self.id, self.name, self.text, self.failed, self.opaque = id, name, text, failed, opaque


Part = Text | Thought | Blob | Call | Result


class Message:
    """One message: a role and its parts."""

    __slots__ = ("parts", "role")

    def __init__(self, role: Role, parts: tuple[Part, ...]) -> None:
        self.role, self.parts = role, parts

    @property
    def text(self) -> str:
        """Its words, without thoughts and calls."""
        return "".join(part.text for part in self.parts if isinstance(part, Text | Result))
