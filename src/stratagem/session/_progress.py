"""`progress`: a listener that shows a run while it goes on.

Rule: everything shown came from events, so from models, tools and files: it is escaped, and never read as markup.
"""

import os
import sys
import time
from collections import deque
from typing import IO, Any

from stratagem.core import Event, budget_of, printable
from stratagem.errors import revive

PER_SECOND = 10  # redraws at most
RECENT = 8  # finished effects of a run that stay in sight
AT_ONCE = 8  # runs in sight
SHOWN = 60  # characters of a text

RUNNING, DONE, FAILED = "●", "✓", "✗"


class Progress:
    """A listener that shows nothing: what `progress()` is where nobody looks."""

    def __call__(self, event: Event) -> None:
        """Show what an event changes."""

    def close(self) -> None:
        """Stop showing, and leave the terminal as it was. The listener may be used again."""


def progress(stream: IO[str] | None = None) -> Progress:
    """Return a listener for `on_event` of `open` and `run`.

    It draws on a terminal, at most ten times a second, updates one cell in a notebook, and does nothing elsewhere.
    Several runs at once are shown as one line each.

    Args:
        stream: where it draws; standard error if left out.
    """
    target = sys.stderr if stream is None else stream
    if _notebook() is not None:
        return InNotebook()
    return OnTerminal(target) if redraws(target) else Progress()


def redraws(stream: IO[str]) -> bool:
    """Return whether a stream is a terminal that wants to be redrawn and coloured."""
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return not os.environ.get("CI") or bool(os.environ.get("FORCE_COLOR"))


def coloured(stream: IO[str]) -> bool:
    """Return whether colours are wanted on a stream: on a terminal that redraws, or where FORCE_COLOR says so."""
    return redraws(stream) or bool(os.environ.get("FORCE_COLOR") and not os.environ.get("NO_COLOR"))


class Effect:
    """A line of the picture: one effect that runs or has ended."""

    __slots__ = ("begun", "name", "seconds", "sign", "text")

    def __init__(self, name: str, text: str) -> None:
        self.name, self.text, self.begun = name, text, time.monotonic()
        self.sign, self.seconds = RUNNING, 0.0

    def took(self) -> float:
        """Return how long it took, or has taken so far, in seconds."""
        return time.monotonic() - self.begun if self.sign == RUNNING else self.seconds


class Picture:
    """What is known of one run."""

    def __init__(self, event: Event) -> None:
        data = event.data
        self.title = " · ".join((_brief(data["strategy"]), _brief(data["model"]), event.run_id))
        self.allowed = budget_of(data["budget"]).calls
        self.calls = self.tokens = 0
        self.begun, self.seconds = time.monotonic(), -1.0
        self.ended: deque[Effect] = deque(maxlen=RECENT)
        self.running: dict[tuple[str, str, str], list[Effect]] = {}

    def see(self, event: Event) -> None:
        """Take in what an event says."""
        data = event.data
        if event.type == "effect.requested":
            effect = Effect(data["name"], _arguments(data.get("arguments", {})))
            self.running.setdefault((event.scope, data["kind"], data["name"]), []).append(effect)
        elif event.type == "effect.finished":
            self._end(event)
        elif event.type == "note":
            self._note(data)
        elif event.type == "run.finished":
            self.seconds = time.monotonic() - self.begun
            self.running.clear()

    def _end(self, event: Event) -> None:
        data = event.data
        key = (event.scope, data["kind"], data["name"])
        begun = self.running.get(key, [])
        effect = begun.pop(0) if begun else Effect(data["name"], "")
        if not begun:
            self.running.pop(key, None)
        effect.sign = FAILED if data["error"] is not None or data.get("failed") else DONE
        effect.seconds = data["seconds"]
        if data["error"] is not None:
            effect.text = _brief(str(revive(data["error"])))
        elif data.get("text"):
            effect.text = f"{effect.text} → {_brief(data['text'])}"
        used: dict[str, int] = data["usage"] or {}
        # A call without usage cost what is usual; one that failed without any was never performed.
        self.calls += data["kind"] == "model" and (data["usage"] is not None or data["error"] is None)
        self.tokens += used.get("prompt_tokens", 0) + used.get("completion_tokens", 0)
        self.ended.append(effect)

    def _note(self, data: dict[str, Any]) -> None:
        goals: Any = data.get("goals")
        said = " / ".join(map(str, goals)) if isinstance(goals, list | tuple) else ""  # pyright: ignore[reportUnknownArgumentType]
        effect = Effect(str(data.get("kind", "note")), _brief(said))
        effect.sign = DONE
        self.ended.append(effect)

    def figures(self) -> str:
        """Return calls, tokens and time."""
        calls = f"{self.calls:,} of {self.allowed:,} calls" if self.allowed is not None else f"{self.calls:,} calls"
        took = self.seconds if self.seconds >= 0 else time.monotonic() - self.begun
        return f"{calls}   {self.tokens:,} tokens   {took:.1f} s"

    def effects(self) -> list[Effect]:
        """Return the effects in sight: those that ended last, then those that run."""
        running = [effect for effects in tuple(self.running.values()) for effect in tuple(effects)]
        return [*tuple(self.ended), *running[:RECENT]]


class Pictures:
    """The runs in sight, oldest first."""

    def __init__(self) -> None:
        self.runs: dict[str, Picture] = {}

    def see(self, event: Event) -> None:
        """Take in what an event says."""
        if event.type == "run.started":
            self.runs[event.run_id] = Picture(event)
        elif event.run_id in self.runs:
            self.runs[event.run_id].see(event)

    def lines(self) -> list[tuple[str, str, str]]:
        """Return the lines as (sign, left, right): all effects of a single run, one line each of several."""
        shown = list(self.runs.values())
        lines = [("", picture.title, picture.figures()) for picture in shown[:AT_ONCE]]
        if len(shown) == 1:
            lines += [
                (one.sign, f"{printable(one.name)}  {one.text}".rstrip(), f"{one.took():.1f} s")
                for one in shown[0].effects()
            ]
        if len(shown) > AT_ONCE:
            lines.append(("", f"and {len(shown) - AT_ONCE} more runs", ""))
        return lines


class OnTerminal(Progress):
    """Draws with rich."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream, self._pictures = stream, Pictures()
        self._live: Any = None

    def __call__(self, event: Event) -> None:
        """Show what an event changes."""
        self._pictures.see(event)
        if self._live is None and event.type == "run.started":
            self._begin()
        if event.type == "run.finished":
            if len(self._pictures.runs) == 1:
                self.close()
            self._pictures.runs.pop(event.run_id, None)

    def _begin(self) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(file=self._stream, markup=False, highlight=False, emoji=False)
        # Standard output and error stay as they are: what is written to them meanwhile is the caller's business.
        self._live = Live(
            get_renderable=self._drawn,
            console=console,
            refresh_per_second=PER_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def _drawn(self) -> Any:
        from rich.table import Table
        from rich.text import Text

        colours = {RUNNING: "yellow", DONE: "green", FAILED: "red", "": "bold"}
        table = Table.grid(expand=True, padding=(0, 1))
        table.add_column(width=1)
        table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        table.add_column(justify="right", no_wrap=True)
        for sign, left, right in self._pictures.lines():
            style = colours[sign]
            table.add_row(
                Text(sign, style), Text(left, style if not sign else ""), Text(right, "dim" if sign else style)
            )
        return table

    def close(self) -> None:
        """Draw the last state and give the terminal back."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()


class InNotebook(Progress):
    """Updates one cell of a notebook."""

    def __init__(self) -> None:
        self._pictures, self._handle, self._last = Pictures(), None, 0.0

    def __call__(self, event: Event) -> None:
        """Show what an event changes."""
        self._pictures.see(event)
        now = time.monotonic()
        if event.type == "run.started" or event.type == "run.finished" or now - self._last >= 1 / PER_SECOND:
            self._last = now
            self._show()
        if event.type == "run.finished":
            self._pictures.runs.pop(event.run_id, None)
            self._handle = self._handle if self._pictures.runs else None

    def _show(self) -> None:
        import html

        text = "\n".join(f"{sign or ' '} {left}   {right}" for sign, left, right in self._pictures.lines())
        body = f'<pre style="white-space:pre-wrap">{html.escape(text)}</pre>'
        bundle = {"text/plain": text, "text/html": body}
        if self._handle is None:
            self._handle: Any = sys.modules["IPython"].display.display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


def _notebook() -> Any:
    """Return the shell of the notebook this runs in; None elsewhere. IPython is never imported for it."""
    module: Any = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    return shell if type(shell).__name__ == "ZMQInteractiveShell" else None


def _arguments(arguments: dict[str, Any]) -> str:
    """Return the arguments of a call, the values only: a name is worth its place only where it is ambiguous."""
    return _brief(", ".join(f'"{value}"' if isinstance(value, str) else str(value) for value in arguments.values()))


def _brief(text: str) -> str:
    line = " ".join(printable(str(text)[: 4 * SHOWN]).split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 1]}…"


__all__ = ["Progress", "coloured", "progress", "redraws"]
