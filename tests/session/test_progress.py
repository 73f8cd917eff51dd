"""`progress()`: what is drawn, and where nothing is."""

import io
import sys
import time
import types
from typing import Any

import pytest

import stratagem
from stratagem.core import Event
from stratagem.session._progress import InNotebook, OnTerminal, Pictures, Progress, coloured, progress, redraws


class Screen(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands until the test moves it."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def event(named: str, run: str = "k7m2qd22", scope: str = "", **data: Any) -> Event:
    return Event(named, run, 1, 0.0, scope, data)


def started(run: str = "k7m2qd22", budget: str = "") -> Event:
    return event("run.started", run, strategy="react", model="offline", budget=budget, question="Well?")


def asked(name: str, kind: str = "tool", scope: str = "react", **data: Any) -> Event:
    return event("effect.requested", scope=scope, kind=kind, name=name, **data)


def ended(name: str, kind: str = "tool", scope: str = "react", **data: Any) -> Event:
    facts = {"seconds": 0.25, "error": None, "usage": None, "n": 0, **data}
    return event("effect.finished", scope=scope, kind=kind, name=name, **facts)


def lines(*events: Event) -> list[tuple[str, str, str]]:
    pictures = Pictures()
    for one in events:
        pictures.see(one)
    return pictures.lines()


def test_it_is_exported() -> None:
    assert stratagem.progress is progress


@pytest.mark.parametrize(
    ("environment", "redrawn", "in_colour"),
    [
        ({}, True, True),
        ({"NO_COLOR": "1"}, False, False),
        ({"TERM": "dumb"}, False, False),
        ({"CI": "true"}, False, False),
        ({"CI": "true", "FORCE_COLOR": "1"}, True, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, False, True),
    ],
)
def test_a_terminal_is_drawn_on_where_it_is_wanted(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], *, redrawn: bool, in_colour: bool
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (redraws(Screen()), coloured(Screen())) == (redrawn, in_colour)
    assert type(progress(Screen())) is (OnTerminal if redrawn else Progress)


def test_nothing_is_drawn_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(progress(io.StringIO())) is Progress
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    silent = progress()
    assert type(silent) is Progress
    silent(started())
    silent.close()
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert type(progress(io.StringIO())) is Progress
    assert coloured(io.StringIO())


def test_the_first_line_has_title_calls_tokens_and_time(clock: list[float]) -> None:
    used = {"prompt_tokens": 1200, "completion_tokens": 4}
    begin = [started(budget="calls=40,usd=1"), asked("react.act", "model"), ended("react.act", "model", usage=used)]
    pictures = Pictures()
    for one in begin:
        pictures.see(one)
    clock[0] += 2.06
    assert pictures.lines()[0] == ("", "react · offline · k7m2qd22", "1 of 40 calls   1,204 tokens   2.1 s")
    pictures.see(event("run.finished", answer=None, state="finished"))
    clock[0] += 100
    assert pictures.lines()[0][2] == "1 of 40 calls   1,204 tokens   2.1 s"


def test_a_call_counts_even_if_it_failed_and_not_if_it_was_refused() -> None:
    refusal = ["BudgetExhausted", "calls", 2, "", {}]
    gone = ["Unreachable", "gone", {}]
    events = [
        started(),
        ended("a", "model", usage={"prompt_tokens": 1, "completion_tokens": 1}),
        ended("a", "model"),
        ended("a", "model", error=gone, usage={"prompt_tokens": 0, "completion_tokens": 0}),
        ended("a", "model", error=refusal),
        ended("read_file"),
    ]
    assert lines(*events)[0][2].startswith("3 calls   2 tokens")


def test_an_effect_runs_until_its_end_is_told(clock: list[float]) -> None:
    pictures = Pictures()
    pictures.see(started())
    pictures.see(asked("search_files", arguments={"query": "runs", "n": 3}))
    clock[0] += 0.4
    assert pictures.lines()[1:] == [("●", 'search_files  "runs", 3', "0.4 s")]
    pictures.see(ended("search_files", text="3 files"))
    assert pictures.lines()[1:] == [("✓", 'search_files  "runs", 3 → 3 files', "0.2 s")]


def test_failures_have_their_own_sign_and_words() -> None:
    events = [
        started(),
        ended("read_file", text="no such file", failed=True),
        ended("act", "model", error=["Unreachable", "gone", {}]),
    ]
    assert [(sign, left) for sign, left, _ in lines(*events)[1:]] == [
        ("✗", "read_file   → no such file"), ("✗", "act  gone"),
    ]  # fmt: skip


def test_equal_effects_at_once_end_one_by_one() -> None:
    draws = [asked("sample", "model"), asked("sample", "model"), asked("sample", "model", scope="other")]
    assert [sign for sign, _, _ in lines(started(), *draws, ended("sample", "model"))] == ["", "✓", "●", "●"]


def test_only_the_last_effects_stay_in_sight() -> None:
    events = [part for n in range(30) for part in (asked(f"tool{n}"), ended(f"tool{n}"))]
    shown = [left for _, left, _ in lines(started(), *events)[1:]]
    assert shown == [f"tool{n}" for n in range(22, 30)]


def test_a_plan_is_shown_when_it_is_noted() -> None:
    note = event("note", kind="plan", goals=["first", "second"])
    assert lines(started(), note)[1][:2] == ("✓", "plan  first / second")
    assert lines(started(), event("note", kind="split", width=3))[1][:2] == ("✓", "split")


def test_several_runs_are_a_line_each_and_many_are_counted() -> None:
    many = [started(f"run{n:05}") for n in range(11)]
    shown = [left for _, left, _ in lines(*many, asked("x"))]
    assert shown == [*(f"react · offline · run{n:05}" for n in range(8)), "and 3 more runs"]


def test_what_came_from_elsewhere_is_escaped_and_cut() -> None:
    hostile = "\x1b[2Jred\u202e \r" + "x" * 500
    (_, title, _), (_, left, _) = lines(
        event("run.started", strategy=hostile, model="m", budget="", question=""),
        asked("t\x1b", arguments={"a": hostile}),
    )
    assert title.startswith("\\x1b[2Jred\\u202e \\rxxx")
    assert left.startswith('t\\x1b  "\\x1b[2Jred\\u202e')
    assert max(len(title), len(left)) < 150
    assert left.endswith("…")


def test_events_of_a_run_whose_start_was_not_heard_are_left_out() -> None:
    assert lines(asked("x"), ended("x")) == []


def test_a_terminal_shows_the_run_and_is_given_back() -> None:
    screen = Screen()
    listener = progress(screen)
    listener(started(budget="calls=4"))
    listener(asked("read_file", arguments={"path": "a[bold].txt"}))
    listener(ended("read_file"))
    listener(event("run.finished", answer=None, state="finished"))
    text = screen.getvalue()
    assert "react · offline · k7m2qd22" in text
    assert 'read_file  "a[bold].txt"' in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1
    before = len(text)
    listener(started("second22"))
    listener.close()
    listener.close()
    assert "second22" in screen.getvalue()[before:]


def test_the_terminal_is_given_back_after_the_last_of_several_runs() -> None:
    screen = Screen()
    listener = progress(screen)
    listener(started("first222"))
    listener(started("second22"))
    listener(event("run.finished", "first222", answer=None, state="finished"))
    assert "\x1b[?25h" not in screen.getvalue()
    listener(event("run.finished", "second22", answer=None, state="finished"))
    assert screen.getvalue().count("\x1b[?25h") == 1


class ZMQInteractiveShell:
    """What IPython calls the shell of a notebook."""


class Cell:
    """A cell that remembers what was displayed in it."""

    def __init__(self) -> None:
        self.shown: list[dict[str, str]] = []
        self.begun = 0

    def display(self, bundle: dict[str, str], *, raw: bool, display_id: bool) -> "Cell":
        assert (raw, display_id) == (True, True)
        self.begun += 1
        self.shown.append(bundle)
        return self

    def update(self, bundle: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.shown.append(bundle)


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Cell:
    """A notebook's cell."""
    made = Cell()
    module = types.ModuleType("IPython")
    module.__dict__["get_ipython"] = ZMQInteractiveShell
    module.__dict__["display"] = types.SimpleNamespace(display=made.display)
    monkeypatch.setitem(sys.modules, "IPython", module)
    return made


def test_a_notebook_updates_one_cell_ten_times_a_second_at_most(cell: Cell, clock: list[float]) -> None:
    listener = progress()
    assert type(listener) is InNotebook
    listener(started())
    for n in range(100):
        clock[0] += 0.01
        listener(asked(f"tool{n}", arguments={"x": "<b>"}))
        listener(ended(f"tool{n}"))
    listener(event("run.finished", answer=None, state="finished"))
    assert cell.begun == 1
    assert 10 <= len(cell.shown) <= 13
    assert "tool99" in cell.shown[-1]["text/plain"]
    assert "&lt;b&gt;" in cell.shown[-1]["text/html"]
    assert "<b>" not in cell.shown[-1]["text/html"]
    listener(started("second22"))
    assert cell.begun == 2


def test_a_shell_of_ipython_that_is_no_notebook_is_a_terminal(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: None)
    assert type(progress(Screen())) is OnTerminal


async def test_a_session_tells_it_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    script = tmp_path / "model.jsonl"
    script.write_text('{"signature": "direct.answer", "reply": "Paris"}\n')
    screen = Screen()
    async with stratagem.open(model=f"script:{script}", memory="none", journal="memory", budget="calls=3") as session:
        await session.run("direct", "Capital of France?", on_event=progress(screen))
    assert "1 of 3 calls" in screen.getvalue()
    assert "✓" in screen.getvalue()
