"""Drives one run for `run`, `resume`, `answer` and `fork`: opens the session, shows progress, prints the end."""

import asyncio
import functools
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import stratagem
from stratagem.cli._asking import ask, interactive
from stratagem.cli._ends import OF_STOP, PIPE_CLOSED, RUN_NOTE, understood
from stratagem.cli._interrupts import Interrupts
from stratagem.cli._output import SCHEMA, Mode, say, warn
from stratagem.cli._reading import budget_document, counts_of, inbox, reused, usage_of
from stratagem.cli._settings import tables
from stratagem.cli._told import Listening, ending
from stratagem.core import Answer, Budget, budget_of
from stratagem.errors import StratagemError
from stratagem.session import RunRecord, Session
from stratagem.session._journals import journal_of
from stratagem.session._records import home_of

Begin = Callable[[Session, Listening], Awaitable[Answer]]


def drive(mode: Mode, begin: Begin, **settings: Any) -> int:
    """Open a session, begin a run or continue one, and print how it ends.

    Args:
        mode: how to speak.
        begin: begins or continues the run, in a session, with its listener.
        **settings: as `stratagem.open` takes them.

    Returns:
        The exit status.

    Raises:
        Fault: the run ended by an error; it can be resumed if the fault names it.
    """
    return asyncio.run(_driven(mode, begin, settings))


async def aimed(mode: Mode, session: Session, run_id: str, *specs: str) -> None:
    """Refuse an address if neither the recorded model of a run nor one of these is asked at a server."""
    if mode.server.get("base_url") or mode.server.get("api_key_env"):
        mode.aim((await session.show(run_id)).model, *specs)


async def begin_anew(session: Session, listening: Listening, run_id: str, **changes: Any) -> Answer:
    """Continue a run."""
    listening.run_id = run_id
    return await session.resume(run_id, **changes)


async def _driven(mode: Mode, begin: Begin, settings: dict[str, Any]) -> int:
    home = home_of(mode.home)
    listening, journal = Listening(mode), journal_of(mode.journal, home)
    with listening, Interrupts(journal.aclose, listening.close) as interrupts:
        try:
            async with stratagem.open(
                home=home, journal=journal, on_event=listening, **mode.server, **tables(), **settings
            ) as session:
                interrupts.stop = listening.stop = functools.partial(_stop, session, interrupts.driving)
                answer = await _ended(mode, session, begin, listening)
                told = listening.chained or listening.cut or bool(answer.counts.reused) or not listening.driven
                wanted = mode.json or not answer.ok or told
                record = await session.show(answer.run_id) if wanted else None
        except asyncio.CancelledError:  # nothing ran yet, or nothing any more: its end was just being stored
            if listening.run_id is not None and not mode.machine:
                warn(f"continue: {mode.again('resume', listening.run_id)}")
            raise KeyboardInterrupt from None
        finally:
            await interrupts.leaving()
    if listening.reader_gone:
        return PIPE_CLOSED
    _print(mode, answer, record, driven=listening.driven)
    return OF_STOP[answer.stop]


def _stop(session: Session, driving: "asyncio.Task[Any]") -> None:
    """Stop what runs, or if nothing does what is about to."""
    for run_id in session.live:
        session.cancel(run_id)
    if not session.live:
        driving.cancel()


async def _ended(mode: Mode, session: Session, begin: Begin, listening: Listening) -> Answer:
    """Drive a run to its end; at a terminal its questions are asked on the way."""
    try:
        answer = await begin(session, listening)
        while answer.stop == "suspended" and interactive(mode):
            listening.close()
            if not await _asked(session, answer.run_id):
                break
            answer = await begin_anew(session, listening, answer.run_id)
        return answer
    except StratagemError as failure:
        run_id = listening.run_id
        fault = understood(failure, run_id, mode.again("resume", run_id) if run_id else "", mode.path)
        assert fault is not None
        raise fault from failure
    except Exception as failure:
        if listening.run_id is not None:
            failure.add_note(RUN_NOTE + listening.run_id)
        raise
    finally:
        listening.close()


async def _asked(session: Session, run_id: str) -> bool:
    """Ask the open questions of a run at the terminal; return whether there is something to go on with."""
    for one in (await session.show(run_id)).questions():
        try:
            value = ask(one["question"], one["schema"])
        except KeyboardInterrupt:
            warn("")
            return False
        await session.answer(run_id, value, one["id"])
    return True


def _print(mode: Mode, answer: Answer, record: RunRecord | None, *, driven: bool) -> None:
    if mode.json:
        assert record is not None
        mode.document(run_document(mode, record))
    elif not mode.jsonl:
        _human(mode, answer, record, driven=driven)


def run_document(mode: Mode, record: RunRecord) -> dict[str, Any]:
    """Return the JSON document of a run that was driven: `run answer usage budget waiting resume`."""
    return {
        "schema": SCHEMA,
        "run": record.plain(),
        "answer": record.end.get("answer"),
        "usage": usage_of(record).plain(),
        "fallbacks": [one.plain() for one in record.fallbacks()],
        "budget": budget_document(record),
        "waiting": record.questions(),
        "resume": continues(mode, record),
        **counts_of(record),
    }


def continues(mode: Mode, record: RunRecord) -> str | None:
    """Return the command line that continues a run; None if it has ended."""
    if record.state == "waiting" and (open_questions := inbox(mode, record)):
        return open_questions[0].line
    if record.state != "finished":
        return mode.again("resume", record.id, record=record.record)
    if record.stop != "budget":
        return None
    return mode.again("resume", record.id, f" --budget {_larger(record)}", record.record)


def _larger(record: RunRecord) -> Budget:
    """Return limits with which a run can go on: twice what they were, and what was spent, whichever is more."""
    limits, spent = budget_of(record.record.get("budget", "")), usage_of(record)
    larger: dict[str, Any] = {}
    for name, limit in limits._asdict().items():
        if limit is not None:
            most = 2 * max(limit, getattr(spent, name, None) or 0) or 1
            larger[name] = most if isinstance(most, int) else float(f"{most:.4g}")
    return Budget(**larger)


def _human(mode: Mode, answer: Answer, record: RunRecord | None, *, driven: bool) -> None:
    if not answer.ok:
        warn(f"{ending(answer)}{'; best answer so far, not verified:' if answer.text else ''}")
    if answer.text:
        say(answer.text)
    sys.stdout.flush()
    sources(mode, answer)
    if record is not None and (stood_in := record.fallbacks_told()):
        mode.tell(stood_in)
    if record is not None and (cut := record.cut_told()):
        mode.tell(cut)
    mode.tell(answer.cost())
    if driven and (reuse := reused(answer.counts)):  # of a run that had ended, they were counted long ago
        mode.tell(reuse)
    if record is None or answer.ok:
        return
    if waiting := inbox(mode, record):
        for one in waiting:
            warn("\n".join(one.lines()))
    elif line := continues(mode, record):
        warn(f"continue: {line}")


def sources(mode: Mode, answer: Answer) -> None:
    """Print what the answer cites, numbered, where a person reads."""
    lines = [f"[{number}] {source}" for number, source in enumerate(answer.sources, 1)]
    if lines and sys.stdout.isatty():
        say("\n" + "\n".join(lines))
    elif lines and sys.stderr.isatty():
        mode.tell("\n".join(lines))


def roots_of(given: tuple[str, ...]) -> list[Path]:
    """Return roots as paths, with `~` resolved."""
    return [Path(root).expanduser() for root in given]
