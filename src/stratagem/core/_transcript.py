"""`Transcript`: a persistent conversation. A step costs what it adds, whatever came before it.

Rule 1: many views share one append-only buffer; a view is (buffer, length). `then` on the newest view appends in
        place, on an older one it copies once.
Rule 2: digests are a chain: that of a view is made of its newest turn and of the digest of the view before. The empty
        view has one of its own.
Rule 3: the text of a turn is rendered once per protocol and kept beside it.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator

from stratagem.core._canonical import Json, encoded, hashed, quoted, text_of
from stratagem.core._values import Observation, Step

EMPTY = hashed(b"t")


class Turn:
    """A step and the observations that its calls brought, in their order."""

    __slots__ = ("observations", "step")

    def __init__(self, step: Step, observations: tuple[Observation, ...] = ()) -> None:
        self.step, self.observations = step, observations

    def plain(self) -> Json:
        """Return the turn as JSON."""
        return [self.step.plain(), [seen.plain() for seen in self.observations]]

    def encoded(self) -> bytes:
        """Return the canonical bytes of `plain`, most of them without an encoder."""
        step, calls, seen = self.step, "", ""
        try:
            thought, answer = quoted(step.thought), "null" if step.answer is None else quoted(step.answer)
            for call in step.calls:
                calls += f"{calls and ','}[{quoted(call.name)},{call.text}]"
            for one in self.observations:
                failed = "false" if one.failed is False else text_of(one.failed)
                seen += f"{seen and ','}[{quoted(one.text)},{failed}]"
            return f"[[{thought},[{calls}],{answer}],[{seen}]]".encode()
        except TypeError:  # something that should be a text is none
            return encoded(self.plain())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Turn) and (self.step, self.observations) == (other.step, other.observations)

    def __hash__(self) -> int:
        return hash((self.step, self.observations))

    def __repr__(self) -> str:
        return f"Turn({self.step!r}, {self.observations!r})"


def _plainly(text: object) -> bool:
    """Return whether it is a text that every encoder writes."""
    return type(text) is str and text.isascii()


class _Buffer:
    __slots__ = ("reports", "sums", "texts", "turns")

    def __init__(self, turns: list[Turn], texts: dict[str, list[str]]) -> None:
        self.turns, self.texts = turns, texts
        self.sums: dict[str, list[int]] = {}
        self.reports: dict[Hashable, tuple[int, int]] = {}


_NOBODY = _Buffer([], {})  # of all empty views; nothing is ever appended to it


class Transcript:
    """An immutable conversation: `then` returns a longer one that shares this one's turns.

    >>> first = Transcript().then(Step("look"), Observation("a door"))
    >>> len(first), len(first.then(Step(answer="out"))), first.last.observations[0].text
    (1, 2, 'a door')

    Attributes:
        buffer: what views of one conversation share. Core only.
    """

    __slots__ = ("_length", "_summed_up", "buffer")

    def __init__(self) -> None:
        self.buffer, self._length = _NOBODY, 0
        self._summed_up = 0, EMPTY  # of how many turns a digest is known, and that

    @property
    def digest(self) -> bytes:
        """Of all turns, 32 bytes; made when it is asked for, from the last one that was."""
        length, digest = self._summed_up
        if length < self._length:
            for turn in self.buffer.turns[length : self._length]:
                digest = hashed(b"c" + digest + hashed(b"u" + turn.encoded()))
            self._summed_up = self._length, digest
        return digest

    def then(self, step: Step, *observations: Observation) -> "Transcript":
        """Return this conversation with one more turn."""
        buffer, length = self.buffer, self._length
        if not length:
            buffer = _Buffer([], {})
        elif length != len(buffer.turns):
            texts = {protocol: lines[:length] for protocol, lines in buffer.texts.items()}
            reports = buffer.reports
            buffer = _Buffer(buffer.turns[:length], texts)
            buffer.reports = {asked: told for asked, told in reports.items() if told[0] <= length}
        turn, known = Turn(step, observations), self._summed_up
        if (
            step.calls
            or observations
            or not _plainly(step.thought)
            or not (step.answer is None or _plainly(step.answer))
        ):
            known = (
                length + 1,
                hashed(b"c" + self.digest + hashed(b"u" + turn.encoded())),
            )  # tells whoever made what cannot be written
        buffer.turns.append(turn)
        made = Transcript.__new__(Transcript)
        made.buffer, made._length, made._summed_up = buffer, length + 1, known
        return made

    def since(self, length: int) -> list[Turn]:
        """Return the turns from number `length` on."""
        return self.buffer.turns[length : self._length]

    def size(self, counter: str, count: Callable[[str], int], since: int = 0) -> int:
        """Return the sum of `count` over the texts of turns, each counted once per `counter`. For core and models.

        Args:
            counter: name of what counts.
            count: counts.
            since: number of the first turn, from 0.
        """
        return self._summed(counter, lambda done: map(count, self.lines()[done:]), since)

    def measured(self, counter: str, count: Callable[[Turn], int], since: int = 0) -> int:
        """Return the same as `size`, of what counts turns instead of texts."""
        return self._summed(counter, lambda done: map(count, self.since(done)), since)

    def _summed(self, counter: str, rest: Callable[[int], Iterable[int]], since: int) -> int:
        if not self._length:
            return 0
        sums = self.buffer.sums.setdefault(counter, [])
        if len(sums) < self._length:
            for amount in rest(len(sums)):
                sums.append((sums[-1] if sums else 0) + amount)
        return sums[self._length - 1] - (sums[since - 1] if since else 0)

    def report(self, asked: Hashable, tokens: int) -> None:
        """Keep what a provider says that a request with this conversation takes; `asked` is all else of it. For models."""
        if self._length and self.buffer.reports.get(asked, (0, 0))[0] <= self._length:
            self.buffer.reports[asked] = self._length, tokens

    def reported(self, asked: Hashable) -> tuple[int, int] | None:
        """Return how many turns there were in the longest that was reported, and its tokens; None if none was."""
        found = self.buffer.reports.get(asked)
        return found if found is not None and found[0] <= self._length else None

    @property
    def last(self) -> Turn:
        """The newest turn; `IndexError` if there is none."""
        if not self._length:
            raise IndexError("the transcript is empty")
        return self.buffer.turns[self._length - 1]

    @property
    def observations(self) -> Iterator[Observation]:
        """All observations, oldest first."""
        return (seen for turn in self for seen in turn.observations)

    def lines(self, thoughts: bool = True) -> list[str]:  # noqa: FBT002  (core only)
        """Return the text of each turn in the protocol of the ReAct paper. Core only."""
        if not self._length:
            return []
        kept = self.buffer.texts.setdefault("thoughts" if thoughts else "acts", [])
        for number in range(len(kept) + 1, self._length + 1):
            kept.append(_written(self.buffer.turns[number - 1], number, thoughts=thoughts))
        return kept[: self._length]

    def __iter__(self) -> Iterator[Turn]:
        return iter(self.buffer.turns[: self._length])

    def __len__(self) -> int:
        return self._length

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Transcript) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Transcript({self._length} turns)"

    def plain(self) -> Json:
        """Return what enters a digest: the digest of the turns."""
        return {"$": "Transcript", "digest": self.digest.hex()}


def _written(turn: Turn, number: int, *, thoughts: bool) -> str:
    from stratagem.core._render import called  # noqa: PLC0415  (rendering imports transcripts)

    lines: list[str] = []
    if turn.step.thought and thoughts:
        lines.append(f"Thought {number}: {turn.step.thought}")
    for place, call in enumerate(turn.step.calls):
        lines.append(f"Action {number}: {called(call)}")
        if place < len(turn.observations):
            lines.append(f"Observation {number}: {turn.observations[place].text}")
    if turn.step.answer is not None:
        lines.append(f"Answer: {turn.step.answer}")
    return "\n".join(lines)
