"""The processes that run strategies, one per core, and what they send back.

Rule 1: they are started anew, never forked: nothing of this process's memory, where the keys are, is in them.
Rule 2: what comes back is handed on one item at a time, so that whoever listens can keep it at once.
Rule 3: none of them starts others: a program that compares its own strategy is executed again by each.
Rule 4: who works sends a beat each second. Who sends none, with an item that is over its seconds, does not give control
        back: the process is ended and another takes its place. Without a limit in seconds nobody is ended.
Rule 5: a row of which three items had to be ended gets none behind the third of them, in the order of the items: whoever
        does not give control back would take half a minute for each. It is the order of the items, and not that of time, so
        that a comparison which is stopped and goes on comes to the same.
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from stratagem.core import budget_of
from stratagem.errors import UsageError, revive

INSIDE = "_STRATAGEM_LAB_WORKER"  # environment variable of processes that run strategies, and of what these start
GRACE = 30  # seconds without a beat, and beyond an item's limit, after which a process is ended
ENDED = 3  # items of a row that had to be ended; of those behind the last of them none is run
NOT_RUN = "not run"  # how an item behind these ends
TICK = 1.0  # seconds between two looks at who is silent
Job = dict[str, Any]


def refuse_inside() -> None:
    """Refuse a comparison in a process that runs the strategies of one.

    Raises:
        UsageError: this is such a process.
    """
    if os.environ.get(INSIDE):
        raise UsageError(
            "a comparison began while the file of a strategy was read, or inside a strategy",
            remedy='Put what compares beneath `if __name__ == "__main__":`, or strategies into a file of their own.',
        )


class Halt(Exception):
    """What ends all jobs.

    Args:
        failure: what a process says of it; None: it has died.
        status: of a process that has died.
        job: at which it happened; None: before the first.
        items: numbers of the items that were under way.
    """

    def __init__(
        self, failure: Exception | None, status: int, job: Mapping[str, Any] | None, items: Sequence[int]
    ) -> None:
        super().__init__(str(failure or status))
        self.failure, self.status, self.job, self.items = failure, status, job, items


class _Hand:
    """A process, and the jobs that it was given: it performs them in their order. Jobs lose the items that are done."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.jobs: deque[Job] = deque()
        self.begun: dict[int, float] = {}  # when the items that are under way began
        self.silent = 0  # looks since it was last heard

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):  # it holds what nobody reads any more
                    stream.close()


class Crew:
    """Processes that perform jobs. Use it as a context: leaving it ends them.

    Args:
        setup: the first thing each is told.
        size: how many.
    """

    def __init__(self, setup: Mapping[str, Any], size: int) -> None:
        self._setup, self._size = setup, size
        self._said: queue.SimpleQueue[tuple[_Hand, str]] = queue.SimpleQueue()
        self._hands: list[_Hand] = []
        self._waiting: deque[Job] = deque()
        self._looked = 0.0
        self._ended: dict[int, list[int]] = {}  # items that had to be ended, of each row

    def __enter__(self) -> "Crew":
        refuse_inside()
        for _ in range(self._size):
            self._start()
        return self

    def __exit__(self, *_: object) -> None:
        for hand in self._hands:
            hand.process.kill()
        for hand in self._hands:
            hand.end()

    def _start(self) -> _Hand:
        environment = {
            **os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONIOENCODING": "utf-8", INSIDE: "1",
        }  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, "-m", "stratagem.lab._worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=environment,
            start_new_session=True,
        )  # fmt: skip
        hand = _Hand(process)
        self._hands.append(hand)
        threading.Thread(target=self._listen, args=(hand,), daemon=True).start()
        self._tell(hand, self._setup)
        return hand

    def results(
        self, jobs: Sequence[Mapping[str, Any]], ended: Mapping[int, Sequence[int]] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Perform jobs, two of them with each process at any time, and yield one result per item as they come.

        Args:
            jobs: what is to be done.
            ended: numbers of the items that had to be ended at an earlier time, of each row.

        Raises:
            Halt: a failure that is not an expected end of a run, or a process died.
        """
        self._waiting = deque({**job, "items": list(job["items"])} for job in jobs)
        self._ended = {cell: list(numbers) for cell, numbers in (ended or {}).items()}
        self._looked = time.monotonic()
        for hand in [*self._hands, *self._hands]:
            self._give(hand)
        while any(hand.jobs for hand in self._hands):
            yield from self._heard()
            if time.monotonic() - self._looked >= TICK:
                self._looked = time.monotonic()
                for hand in list(self._hands):
                    hand.silent += 1
                    if self._is_stuck(hand):
                        yield from self._replaced(hand)

    def _heard(self) -> Iterator[dict[str, Any]]:
        """Take the next line of a process, or go on after a while without any; yield the result that it is."""
        try:
            hand, line = self._said.get(timeout=TICK)
        except queue.Empty:
            return
        if hand not in self._hands:
            return  # it has been replaced
        hand.silent = 0
        job = hand.jobs[0] if hand.jobs else None
        if not line:
            raise Halt(None, hand.process.wait(), job, list(hand.begun))
        said = json.loads(line)
        if "error" in said:
            raise Halt(_failure(said["error"]), 0, job, [] if said["at"] is None else [said["at"]])
        if "done" in said:
            hand.jobs.popleft()
            self._give(hand)
        elif "begun" in said:
            hand.begun[said["begun"]] = time.monotonic()
        elif "item" in said:
            hand.begun.pop(said["item"], None)
            assert job is not None
            job["items"] = [one for one in job["items"] if one[0] != said["item"]]
            yield said

    def _give(self, hand: _Hand) -> None:
        while self._waiting:
            job = self._waiting.popleft()
            last = last_run(self._ended.get(job["cell"], ()))
            job["items"] = [one for one in job["items"] if last is None or one[0] <= last]
            if job["items"]:
                hand.jobs.append(job)
                self._tell(hand, job)
                return

    def _is_stuck(self, hand: _Hand) -> bool:
        limit = budget_of(hand.jobs[0]["budget"]).seconds if hand.begun and hand.silent >= GRACE else None
        return limit is not None and time.monotonic() - min(hand.begun.values()) > limit + GRACE

    def _replaced(self, hand: _Hand) -> Iterator[dict[str, Any]]:
        """End a process that does not give control back, and start another; yield the failure of the item that keeps it.

        Where several items were under way nobody knows which of them keeps it: they are done again, one by one.
        """
        self._hands.remove(hand)
        hand.end()
        job, suspects = hand.jobs[0], list(hand.begun)
        rest = [one for one in job["items"] if one[0] not in suspects]
        again = [one for one in job["items"] if one[0] in suspects] if len(suspects) > 1 else []
        if not again:
            self._ended.setdefault(job["cell"], []).append(suspects[0])
        parts = [*({**job, "items": [one], "width": 1} for one in again), *([{**job, "items": rest}] if rest else [])]
        self._waiting.extendleft(reversed([*parts, *list(hand.jobs)[1:]]))
        fresh = self._start()
        self._give(fresh)
        self._give(fresh)
        if not again:
            yield _given_up(job, suspects[0])

    def _tell(self, hand: _Hand, form: Mapping[str, Any]) -> None:
        stream = hand.process.stdin
        assert stream is not None
        try:
            stream.write(json.dumps(form) + "\n")
            stream.flush()
        except OSError:
            return  # it has died: the end of its output says so

    def _listen(self, hand: _Hand) -> None:
        assert hand.process.stdout is not None
        try:
            for line in hand.process.stdout:
                self._said.put((hand, line))
        except ValueError:
            return  # closed while we read
        self._said.put((hand, ""))


def last_run(ended: Iterable[int]) -> int | None:
    """Return the last item of a row that is run, given those that had to be ended; None: all are.

    >>> last_run([7, 2]), last_run([7, 2, 9, 4])
    (None, 7)
    """
    first = sorted(ended)[:ENDED]
    return first[-1] if len(first) == ENDED else None


def _given_up(job: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return the result of an item whose process was ended: what it has spent went with it, so its money is unknown."""
    limit = budget_of(job["budget"]).seconds or 0.0
    reason = f"did not give control back within {limit + GRACE:g} s, and was ended; what it had spent is not known"
    seconds = 0.0 if job["model"].startswith("sim") else limit
    return {**_nothing(job["cell"], number, reason), "lost": True, "usd": None, "estimated": True, "seconds": seconds}


def left_out(cell: int, number: int) -> dict[str, Any]:
    """Return the result of an item that is not run, because three before it had to be ended."""
    reason = f"{ENDED} items before it did not give control back"
    return {**_nothing(cell, number, reason), "stop": NOT_RUN}


def _nothing(cell: int, number: int, reason: str) -> dict[str, Any]:
    return {
        "cell": cell, "item": number, "text": "", "made": [], "stop": "error", "reason": reason, "needs": [],
        "calls": 0, "tokens": 0, "prompt_tokens": 0, "usd": 0.0, "estimated": False, "seconds": 0.0, "waves": 0,
        "first": [], "lines": [], "heard": [], "grown": {}, "said": [], "unseen": 0, "prompts": {},
    }  # fmt: skip


def signal_of(status: int) -> str:
    """Return how a process has ended, in words.

    >>> signal_of(1), signal_of(-9)
    ('exit status 1', 'SIGKILL')
    """
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"exit status {status}"


def _failure(form: Mapping[str, Any]) -> Exception:
    """Return what a process says of its failure, as an exception of this one."""
    if "ours" in form:
        return revive(form["ours"])
    failure = RuntimeError(form["foreign"])
    failure.add_note(form["trace"])
    return failure
