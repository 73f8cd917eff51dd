"""On a terminal: progress that is redrawn, colours, sources, questions. Elsewhere none of them."""

import os
import re
import select
import subprocess
import sys
import time
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals of POSIX")

LIMIT_S = 60.0
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
CONTROLS = re.compile("[\x00-\x08\x0b-\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Terminal:
    """A process on a pseudo-terminal of 80 columns."""

    def __init__(self, cli: Any, *words: object, **env: str) -> None:
        import fcntl
        import pty
        import struct
        import termios

        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stratagem", *map(str, words)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=cli.folder,
            env={**cli.process_env, "TERM": "xterm-256color", **env},
            start_new_session=True,
        )
        os.close(slave)
        self.text = ""

    def until(self, words: str) -> None:
        """Read until the terminal has shown these words."""
        end = time.monotonic() + LIMIT_S
        while words not in ESCAPE.sub("", self.text):
            assert time.monotonic() < end, self.text
            assert self._read(), self.text

    def write(self, text: str) -> None:
        os.write(self.master, text.encode())

    def end(self) -> int:
        """Read to the end, and return the exit status."""
        while self._read():
            pass
        os.close(self.master)
        return self.process.wait(LIMIT_S)

    def _read(self) -> bool:
        if not select.select([self.master], [], [], LIMIT_S)[0]:
            raise AssertionError(f"nothing came for {LIMIT_S} s: {self.text}")
        try:
            data = os.read(self.master, 65_536)
        except OSError:  # what Linux reports when the last writer has gone
            return False
        self.text += data.decode("utf-8", "replace")
        return bool(data)

    @property
    def lines(self) -> list[str]:
        """What was shown, without colours and movements."""
        return ESCAPE.sub("", self.text).replace("\r", "").splitlines()


def test_progress_is_redrawn_and_stays_above_the_answer(cli: Any, script: Any) -> None:
    (cli.folder / "a.txt").write_text("the first line\nthe second\n")
    model = script(
        {"signature": "react.act", "call": {"name": "read_file", "arguments": {"path": "a.txt"}}},
        {"signature": "react.act", "call": {"name": "read_file", "arguments": {"path": "b.txt"}}},
        {"signature": "react.act", "reply": "it says: the first line", "delay_s": 0.5},
    )
    words = ("run", "Read", "--strategy", "react", "--model", model, "--root", ".", "--budget", "calls=9")
    terminal = Terminal(cli, *words)
    assert terminal.end() == 0
    assert "\x1b[?25l" in terminal.text  # the cursor is hidden while it is redrawn
    assert terminal.text.rindex("\x1b[?25h") > terminal.text.rindex("\x1b[?25l")
    assert "\x1b[32m✓" in terminal.text
    assert "\x1b[31m✗" in terminal.text
    assert terminal.text.count("of 9 calls") <= 12  # half a second, ten times a second, and some
    lines = [line.rstrip() for line in terminal.lines if line.strip()]
    last = max(number for number, line in enumerate(lines) if "of 9 calls" in line)
    header, act, read, _, missed, _, *rest = lines[last:]
    assert re.search(r"react · script:\S* +3 of 9 calls +\d+ tokens +\d\.\d s$", header)
    assert re.fullmatch(r"✓ react\.act +\d\.\d s", act)
    assert re.fullmatch(r'✓ read_file  "a\.txt" → 1 the first line … +\d\.\d s', read)
    assert re.fullmatch(r'✗ read_file  "b\.txt" → .+ \d\.\d s', missed)
    assert rest[0] == "it says: the first line"
    assert rest[1] == "[1] a.txt:1-2"
    assert re.fullmatch(r"answered · 3 calls · ≤ \d+ tokens · no charge · \d\.\d s · run [a-z0-9]{8}", rest[2])
    assert len(rest) == 3


@pytest.mark.parametrize("times", [1, 2])
def test_an_interrupt_gives_the_terminal_back(cli: Any, script: Any, times: int) -> None:
    model = script({"signature": "direct.answer", "reply": "late", "delay_s": 600})
    terminal = Terminal(cli, "run", "Well?", "--strategy", "direct", "--model", model)
    terminal.until("● direct.answer")
    for _ in range(times):
        terminal.process.send_signal(2)
    assert terminal.end() == 130
    assert terminal.text.rindex("\x1b[?25h") > terminal.text.rindex("\x1b[?25l")


def test_sources_are_numbered(cli: Any) -> None:
    terminal = Terminal(cli, "run", "What is 12 * 7?", "--tool", "calculate")
    assert terminal.end() == 0
    assert "[1] calculate: 12 * 7 = 84" in terminal.lines


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"CI": "true"}])
def test_neither_colour_nor_redrawing_where_they_are_not_wanted(cli: Any, script: Any, env: dict[str, str]) -> None:
    model = script("Paris", "Paris")
    terminal = Terminal(cli, "run", "Capital?", "--strategy", "direct", "--model", model, **env)
    assert terminal.end() == 0
    assert "\x1b" not in terminal.text
    assert terminal.lines[0] == "Paris"
    assert terminal.lines[-1].startswith("answered · 1 call ")
    listing = Terminal(cli, "runs", **env)
    assert listing.end() == 0
    assert "\x1b" not in listing.text


def test_colour_can_be_forced_in_a_pipe_without_redrawing(cli: Any, script: Any) -> None:
    cli.answered("Capital?", "--strategy", "direct", "--model", script("Paris"))
    assert cli("runs").stdout.startswith("✓  ")
    cli.env["FORCE_COLOR"] = "1"
    assert cli("runs").stdout.startswith("\x1b[32m✓\x1b[0m  ")
    cli.env["NO_COLOR"] = "1"
    assert cli("runs").stdout.startswith("✓  ")
    cli.env["NO_COLOR"] = None
    result = cli("run", "Capital?", "--strategy", "direct", "--model", script("Paris"))
    assert (result.stdout, "\x1b" in result.stderr) == ("Paris\n", False)


def test_a_terminal_in_continuous_integration_may_be_coloured_by_force(cli: Any, script: Any) -> None:
    terminal = Terminal(
        cli, "run", "Capital?", "--strategy", "direct", "--model", script("Paris"), CI="true", FORCE_COLOR="1"
    )
    assert terminal.end() == 0
    assert "\x1b[32m✓" in terminal.text


def test_tables_fit_the_terminal_and_are_whole_in_a_pipe(cli: Any, script: Any) -> None:
    question = "Why? " * 60 + "the end"
    cli.answered(question, "--strategy", "direct", "--model", script("Because."))
    terminal = Terminal(cli, "runs", NO_COLOR="1")
    assert terminal.end() == 0
    (line,) = terminal.lines
    assert len(line) <= 80
    assert line.endswith("…")
    assert cli("runs").stdout.endswith("the end\n")


def test_a_table_counts_the_columns_of_wide_letters(cli: Any, script: Any) -> None:
    cli.answered("法国的首都是哪里" * 20, "--strategy", "direct", "--model", script("巴黎"))
    terminal = Terminal(cli, "runs", NO_COLOR="1")
    assert terminal.end() == 0
    (line,) = terminal.lines
    wide = sum(2 if one > "\u2e80" else 1 for one in line)
    assert 76 <= wide <= 80


def test_a_page_of_the_catalogue_is_set_on_a_terminal(cli: Any) -> None:
    terminal = Terminal(cli, "catalog", "RE07")
    assert terminal.end() == 0
    assert "\x1b[" in terminal.text
    assert any("self_consistency" in line and not line.startswith("#") for line in terminal.lines[:4])
    assert max(len(line) for line in terminal.lines) <= 80


SEND = {"signature": "react.act", "call": {"name": "send", "arguments": {"text": "hello"}}}
DONE = {"signature": "react.act", "contains": "sent hello", "reply": "it is sent"}
DENIED = {"signature": "react.act", "contains": "Denied", "reply": "it was refused"}


@pytest.mark.parametrize(
    ("word", "text", "sent"), [("y", "it is sent", True), ("no", "it was refused", False), ("a", "it is sent", True)]
)
def test_a_person_at_the_terminal_is_asked(
    cli: Any, script: Any, tool_file: Any, word: str, text: str, *, sent: bool
) -> None:
    model = script(DONE, DENIED, SEND)
    terminal = Terminal(cli, "run", "Send it", "--strategy", "react", "--model", model, "--tool", "mail.py:send")
    terminal.until("answer [(y)es/(n)o/(a)lways for this run]: ")
    terminal.write("perhaps\n")
    terminal.until("'perhaps' is none of yes, no, always")
    terminal.write(f"{word}\n")
    assert terminal.end() == 0
    assert text in terminal.lines
    assert (cli.folder / "sent.txt").exists() is sent


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_an_interrupt_at_a_question_leaves_the_run_waiting(cli: Any, script: Any, tool_file: Any, key: str) -> None:
    terminal = Terminal(cli, "run", "Send it", "--strategy", "react", "--model", script(SEND), "--tool", "mail.py:send")
    terminal.until("answer [(y)es/(n)o/(a)lways for this run]: ")
    if key == "\x03":
        terminal.process.send_signal(2)  # the terminal does not control a session here, so the key would be none
    else:
        terminal.write(key)
    assert terminal.end() == 3
    assert "answer: stratagem answer" in terminal.lines[-1]
    assert cli.json("show", "last")["run"]["state"] == "waiting"


def test_answer_asks_on_a_terminal(cli: Any, script: Any, tool_file: Any) -> None:
    model = script(DONE, SEND)
    cli("run", "Send it", "--strategy", "react", "--model", model, "--tool", "mail.py:send")
    terminal = Terminal(cli, "answer", "last")
    terminal.until("answer [(y)es/(n)o/(a)lways for this run]: ")
    terminal.write("yes\n")
    assert terminal.end() == 0
    assert "it is sent" in terminal.lines


HOSTILE = "\x1b[31mred\x1b]0;title\x07 \x9b2J \u202egnp.exe\u202c [bold]loud[/bold] \r overwritten"


def test_what_comes_from_files_models_and_the_caller_cannot_steer_the_terminal(cli: Any, script: Any) -> None:
    (cli.folder / "evil.txt").write_text(f"{HOSTILE}\n")
    model = script(
        {"signature": "react.act", "call": {"name": "read_file", "arguments": {"path": "evil.txt"}}},
        {"signature": "react.act", "call": {"name": f"no{HOSTILE}", "arguments": {"x": HOSTILE}}},
        {"signature": "react.act", "reply": HOSTILE},
    )
    words = ("run", f"Read {HOSTILE}", "--strategy", "react", "--model", model, "--root", ".")
    drawn, told = Terminal(cli, *words), Terminal(cli, *words, "--verbose")
    for terminal in (drawn, told):
        assert terminal.end() == 0
        plain = ESCAPE.sub("", terminal.text)
        assert not CONTROLS.search(plain.replace("\x1b", ""))
        assert "\x1b]" not in terminal.text
        assert "\\x1b[31mred" in plain
        assert "[bold]loud[/bold]" in plain
        assert not re.search("\r[^\n\x1b]* overwritten", terminal.text)
    for verb in ("", "--tree", "--events", "--costs", "--effect=1", "--json"):
        harmless(cli("show", "last", *filter(None, [verb])).output)
    for result in (cli("runs"), cli("runs", "--json"), cli("resume", "last")):
        harmless(result.output)


@pytest.mark.parametrize(
    "words",
    [
        ["run", "x", "--strategy", HOSTILE], ["run", "x", "--root", HOSTILE], ["run", "x", "--tool", HOSTILE],
        ["run", "x", "--model", HOSTILE], ["run", "x", "--budget", HOSTILE], ["run", "x", f"--{HOSTILE}"],
        ["show", HOSTILE], ["catalog", HOSTILE], [HOSTILE],
    ],
    ids=lambda words: words[-2].replace("x", "option") if len(words) > 1 else "verb",
)  # fmt: skip
def test_errors_cannot_steer_the_terminal(cli: Any, words: list[str]) -> None:
    result = cli(*words)
    assert result.exit_code == 2
    harmless(result.output)
    harmless(cli(*words, "--json").output)


def harmless(text: str) -> None:
    assert "\x1b" not in text
    assert "\r" not in text
    assert not CONTROLS.search(text)
