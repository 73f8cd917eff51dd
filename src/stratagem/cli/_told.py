"""What is told of a run while it goes on: events as JSON, every effect in words, or a picture that is redrawn."""

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any

from stratagem.cli._output import Mode, first_line, json_text, warn
from stratagem.core import Answer, Event
from stratagem.errors import revive
from stratagem.session._progress import Progress, progress

ARGUMENTS = 100  # characters of a call's arguments that are shown
RESULT = 120  # and of its result


class Listening:
    """Hears the events of one run and tells them as the mode wants it.

    Attributes:
        run_id: the run that began, if one did.
        chained: whether models of a chain were asked, so that the record says which of them answered.
        cut: whether a reply was cut off at its longest.
        driven: whether a run was driven at all: one that has ended only hands out its answer.
        reader_gone: whether nobody reads standard output any more.
        stop: called when that is so.
    """

    def __init__(self, mode: Mode) -> None:
        self._mode = mode
        self.run_id: str | None = None
        self.driven = self.chained = self.cut = False
        self.reader_gone = False
        self.stop: Callable[[], None] = lambda: None
        plain = mode.machine or mode.quiet or mode.verbose
        self._drawn: Progress | None = None if plain else progress(sys.stderr)

    def __enter__(self) -> "Listening":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._drawn is not None:
            self._drawn.close()

    def __call__(self, event: Event) -> None:
        """Tell one event."""
        if event.type == "run.started":
            self.run_id, self.driven = event.run_id, True
            if edited := event.data.get("changed"):
                self._mode.tell(f"changed since it was recorded: {', '.join(edited)}")
            self.chained = "|" in event.data["model"]
        elif event.type == "effect.finished":
            self.chained = self.chained or bool(event.data.get("model"))
            self.cut = self.cut or "cut" in event.data
        if self._mode.jsonl:
            self._line(event)
        elif self._drawn is not None:
            self._drawn(event)
        elif self._mode.verbose:
            for line in told(event):
                warn(line)

    def _line(self, event: Event) -> None:
        """Print an event as JSON; when the reader has left, the run stops."""
        if self.reader_gone:
            return
        try:
            sys.stdout.write(json_text(event.plain()) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            self.reader_gone = True
            self.stop()


def told(event: Event) -> list[str]:
    """Return the lines that say what an event means."""
    data = event.data
    match event.type:
        case "run.started":
            return [f"run {event.run_id} · {data['strategy']} · {data['model']}"]
        case "note":
            return _note(event)
        case "effect.requested" if data["kind"] == "tool":
            return [f"{_place(event)}→ {called(data['name'], data['arguments'])}"]
        case "effect.finished":
            failed = [f"{_place(event)}  ✗ attempt {at}: {said}" for at, said in enumerate(data.get("attempts", ()), 1)]
            return [*failed, f"{_place(event)}{_finished(data)}"]
        case "budget.refused":
            return [f"{_place(event)}! budget: {data['limit']} limit is {data['allowed']:g}"]
        case "policy.decided" if data["decision"] != "allow":
            return [f"{_place(event)}! policy: {data['decision']}: {data['why']}"]
        case "question.asked":
            return [f"{_place(event)}? {data['question']}"]
        case "events.dropped":
            return [f"! {data['count']} events are not shown: the terminal was too slow"]
        case _:
            return []


def called(name: str, arguments: dict[str, Any]) -> str:
    """Return a tool call as it would be written: `search_files(query="exit code")`."""
    given = ", ".join(f"{key}={json_text(value)}" if key else json_text(value) for key, value in arguments.items())
    return f"{name}({given if len(given) <= ARGUMENTS else f'{given[: ARGUMENTS - 2]} …'})"


def _place(event: Event) -> str:
    return f"  {event.scope}  " if event.scope else "  "


def _note(event: Event) -> list[str]:
    facts = {key: value for key, value in event.data.items() if key != "kind"}
    kind = event.data["kind"]
    if kind == "plan" and isinstance(facts.get("goals"), list | tuple):
        return [f"{_place(event)}plan:", *(f"    {at}. {goal}" for at, goal in enumerate(facts["goals"], 1))]
    said = ", ".join(f"{key}={json_text(value)}" for key, value in facts.items())
    return [f"{_place(event)}{kind}: {first_line(said, RESULT)}"]


def _finished(data: dict[str, Any]) -> str:
    took = f"{data['seconds']:.2f} s"
    if data["error"] is not None:
        return f"✗ {data['name']}: {first_line(str(revive(data['error'])), RESULT)}  {took}"
    if data["kind"] == "tool":
        return f"{'✗' if data['failed'] else '←'} {first_line(data['text'], RESULT) or '(nothing)'}  {took}"
    used: dict[str, int] = data["usage"] or {}
    tokens = used.get("prompt_tokens", 0) + used.get("completion_tokens", 0)
    return f"✓ {data['name']}  {tokens:,} tokens{' (cut)' if 'cut' in data else ''}  {took}"


def ending(answer: Answer) -> str:
    """Return why a run ended that has no answer, in one line."""
    words = {
        "budget": "budget ended",
        "no_answer": "no answer",
        "unparsed": "a reply could not be read",
        "refused": "the model refused",
        "cancelled": "cancelled",
        "suspended": "waits for a person",
    }
    reason = answer.reason.removeprefix("budget exhausted: ")
    return f"{words[answer.stop]}{f': {reason}' if reason else ''}"
