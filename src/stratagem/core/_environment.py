"""Protocols of what a session or a task puts into a run, and the small types they speak in."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

from stratagem.core._canonical import Json
from stratagem.core._inquiry import Inquiry
from stratagem.core._label import UNKNOWN, Label
from stratagem.core._tool import Tool
from stratagem.core._values import Execution, Observation


class Recalled(str):
    """A record that a memory recalled: its text, with where it came from. It is a `str`, so it can be a note.

    Attributes:
        id: of the record in its store.
        source: what wrote it, for example `run k7m2qd`.
        time: when it was written, RFC 3339 in UTC.
        label: who may be behind it.
        fields: whatever else was observed with it.
    """

    id: str
    source: str
    time: str
    label: Label
    fields: Mapping[str, Json]

    def __new__(
        cls,
        text: str,
        *,
        id: str = "",  # noqa: A002  (the field's standard name)
        source: str = "",
        time: str = "",
        label: Label = UNKNOWN,
        fields: Mapping[str, Json] | None = None,
    ) -> "Recalled":
        made = super().__new__(cls, text)
        made.id, made.source, made.time, made.label, made.fields = id, source, time, label, fields or {}
        return made

    def plain(self) -> str:
        """Return the text: what a model sees of it, and all that enters a digest."""
        return str(self)

    def form(self) -> Json:
        """Return the record as JSON."""
        return [str(self), self.id, self.source, self.time, self.label.plain(), dict(self.fields)]

    @staticmethod
    def of(form: Json) -> "Recalled":
        """Return the record that `form` wrote."""
        text, number, source, time, label, fields = form
        return Recalled(text, id=number, source=source, time=time, label=Label.of(label), fields=fields)


class Memory(Protocol):
    """A store that outlives the run. `observe` with a key that it has seen does nothing."""

    async def observe(
        self, text: str, *, key: str, source: str, time: str, label: Label, fields: Mapping[str, Json]
    ) -> None:
        """Keep a record."""
        ...

    async def recall(self, query: str, n: int) -> Sequence[Recalled]:
        """Return at most `n` records that fit the query, the best first; equal stores and queries give equal lists."""
        ...

    async def aclose(self) -> None:
        """Let go of files and connections."""
        ...


class Forgetful:
    """The memory of a session that has none."""

    async def observe(
        self, text: str, *, key: str, source: str, time: str, label: Label, fields: Mapping[str, Json]
    ) -> None:
        """Keep nothing."""

    async def recall(self, query: str, n: int) -> Sequence[Recalled]:  # noqa: ARG002
        """Recall nothing."""
        return ()

    async def aclose(self) -> None:
        """Do nothing."""


class Sandbox(Protocol):
    """Where code that a model wrote is executed."""

    spec: str

    async def execute(self, code: str, *, language: str, files: tuple[str, ...], timeout_s: float) -> Execution:
        """Execute code behind a wall; `SandboxError` if the wall is missing or fails."""
        ...


class Decision:
    """What a policy says about one tool call, and why, in words that the model may read."""

    __slots__ = ("kind", "why")

    def __init__(self, kind: Literal["allow", "ask", "deny"], why: str = "") -> None:
        self.kind, self.why = kind, why


ALLOWED = Decision("allow")


class Policy(Protocol):
    """Decides on every tool call before it is performed. It is a function of its arguments: no clock, no dice."""

    spec: str

    def decide(self, tool: Tool, arguments: Mapping[str, Any], context: Label) -> Decision:
        """Decide on a call that a model made in a context of that label."""
        ...


class ReadOnly:
    """The policy until a stricter one is configured: `read` and `self` run, everything else needs a grant.

    Args:
        grants: names of tools, or effects, that may run without asking.
        ask: whether a person is asked for the rest; otherwise it is refused.
    """

    def __init__(self, grants: Sequence[str] = (), *, ask: bool = True) -> None:
        self.grants, self.ask = tuple(grants), ask
        self.spec = ",".join(["ask" if ask else "never", *grants])

    def decide(self, tool: Tool, arguments: Mapping[str, Any], context: Label) -> Decision:  # noqa: ARG002
        """Allow what only reads or keeps to itself, and what is granted."""
        if tool.effect in ("read", "self") or tool.name in self.grants or tool.effect in self.grants:
            return ALLOWED
        why = f"`{tool.name}` has the effect {tool.effect!r}, which is not granted"
        return Decision("ask" if self.ask else "deny", why)


class Environment(Protocol):
    """A world with a state of its own. Its moves are tools that change it; `copy.deepcopy` must copy it."""

    def reset(self) -> Observation:
        """Put the world back to its start and say what is there."""
        ...

    def moves(self) -> tuple[Tool, ...]:
        """Return the tools that act on this very object."""
        ...


class Oracle(Protocol):
    """Who knows the truth of a suite. Only `sim:` may hold one; a strategy never does.

    A reply is a text, but for `act`, which wants a `Step`, and for `thoughts` and `parts`, which want several texts.
    """

    def right(self, asked: Inquiry) -> Any:
        """Return a right reply; for `thoughts` all right ones, the best first. None: there is none."""
        ...

    def wrong(self, asked: Inquiry, dice: Callable[[int], int]) -> Any:
        """Return a plausible wrong reply, of `thoughts` one; `dice(n)` is a number from 0 to n - 1. None: there is none."""
        ...

    def accepts(self, asked: Inquiry, value: Any) -> bool:
        """Say whether what is graded is right: an answer, or a path that can still be completed."""
        ...
