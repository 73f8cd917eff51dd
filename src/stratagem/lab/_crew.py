"""The processes that run strategies, one per core, and what they send back.

Rule 1: they are started anew, never forked: nothing of this process's memory, where the keys are, is in them.
Rule 2: what comes back is handed on one item at a time, so that whoever listens can keep it at once.
Rule 3: none of them starts others: a program that compares its own strategy is executed again by each.
"""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stratagem.errors import UsageError, revive

INSIDE = "_STRATAGEM_LAB_WORKER"  # environment variable of processes that run strategies, and of what these start


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


class Crew:
    """Processes that perform jobs. Use it as a context: leaving it ends them.

    Args:
        setup: the first thing each is told.
        size: how many.
    """

    def __init__(self, setup: Mapping[str, Any], size: int) -> None:
        self._setup, self._size = setup, size
        self._said: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()
        self._hands: list[subprocess.Popen[str]] = []

    def __enter__(self) -> "Crew":
        refuse_inside()
        environment = {
            **os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONIOENCODING": "utf-8", INSIDE: "1",
        }  # fmt: skip
        for number in range(self._size):
            hand = subprocess.Popen(
                [sys.executable, "-m", "stratagem.lab._worker"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=environment,
                start_new_session=True,
            )  # fmt: skip
            self._hands.append(hand)
            threading.Thread(target=self._listen, args=(number, hand), daemon=True).start()
            self._tell(number, self._setup)
        return self

    def __exit__(self, *_: object) -> None:
        for hand in self._hands:
            hand.kill()
        for hand in self._hands:
            hand.wait()
            for stream in (hand.stdin, hand.stdout):
                if stream is not None:
                    try:
                        stream.close()
                    except OSError:
                        continue  # it holds what nobody reads any more

    def results(self, jobs: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Perform jobs, two of them with each process at any time, and yield one result per item as they come.

        Raises:
            StratagemError: the first failure that is not an expected end of a run.
            RuntimeError: a strategy failed in a way of its own, or a process died.
        """
        waiting = list(reversed(jobs))
        under_way = [0] * self._size
        for hand in [*range(self._size), *range(self._size)]:
            if waiting:
                self._tell(hand, waiting.pop())
                under_way[hand] += 1
        while any(under_way):
            hand, line = self._said.get()
            if not line:
                if under_way[hand]:
                    raise RuntimeError(
                        f"a process that ran strategies has died (exit status {self._hands[hand].wait()})"
                    )
                continue
            said = json.loads(line)
            if "error" in said:
                raise _failure(said["error"])
            if "done" not in said:
                yield said
                continue
            under_way[hand] -= 1
            if waiting:
                self._tell(hand, waiting.pop())
                under_way[hand] += 1

    def _tell(self, hand: int, form: Mapping[str, Any]) -> None:
        stream = self._hands[hand].stdin
        assert stream is not None
        try:
            stream.write(json.dumps(form) + "\n")
            stream.flush()
        except OSError:
            return  # it has died: the end of its output says so

    def _listen(self, number: int, hand: "subprocess.Popen[str]") -> None:
        assert hand.stdout is not None
        try:
            for line in hand.stdout:
                self._said.put((number, line))
        except ValueError:
            return  # closed while we read
        self._said.put((number, ""))


def _failure(form: Mapping[str, Any]) -> Exception:
    """Return what a process says of its failure, as an exception of this one."""
    if "ours" in form:
        return revive(form["ours"])
    failure = RuntimeError(form["foreign"])
    failure.add_note(form["trace"])
    return failure
