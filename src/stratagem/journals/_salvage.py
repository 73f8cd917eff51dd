"""What of a damaged run is sound, wherever it stands, and what must not be forgotten of the rest.

Rule 1: a row is as it was written if its seal fits its content and the seal before it. A damaged row mostly has its
        seal still, by which the row after it is known to be sound. Where the seal is what is damaged, the one that the
        content gives is tried: if the next row fits it, both are sound.
Rule 2: a kind, a path, an occurrence or a digest that is damaged alone is put right, where the seal tells what it was.
Rule 3: a damaged row may have been the intent, or the result, of a tool that must not be performed twice. Where its key
        can be read, an intent is kept in its place, so that a person is asked before the tool is performed again. For a
        tool that may be performed freely it means nothing.
Rule 4: where the key of an intent cannot be read, or not even whether it was one, an intent is kept that has no call of
        its own: it makes a person be asked before any such tool is performed to which the record does not lead.

Rule 5: where rows are missing of which only the number is known, from the record of the run or from an index, such an
        intent is put at the end.

Not known: what stood in rows that are missing without a trace; whether the row after a missing one is sound. It goes too.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, get_args

from stratagem.core import Row, StoredRun, decoded
from stratagem.core._effects import digest_of
from stratagem.core._journal import FIRST, Kind, seal

KINDS: Final[tuple[Any, ...]] = get_args(Kind)
NOTHING: Final = b"{}"  # the request of an intent of which nobody knows whose it was
BEYOND: Final = 1_000_000  # more rows than the ancestors of a fork have
MOST: Final = 16  # seals that a damaged row may have had, of those that are tried
NEAR: Final = 8  # rows before and after of which the path is tried; and occurrences


class Stored(NamedTuple):
    """A row as it was read.

    Attributes:
        key: by which the store finds it.
        row: what could be read; of what could not, something else.
        seal: as it is stored.
        whole: whether all of `row` could be read.
        paths: others that it may have.
    """

    key: int
    row: Row
    seal: Any
    whole: bool
    paths: tuple[str, ...] = ()


class Kept(NamedTuple):
    """A row that stays.

    Attributes:
        key: by which the store finds it.
        row: what it is from now on. Only what `changed` and `placed` name differs from what is stored.
        seal: its seal from now on.
        changed: whether number, kind, path, occurrence or digest differ.
        placed: whether it is an intent in the place of a damaged row: times, usage, result, sample differ too, and the
            request, if that is now empty: `{}`.
    """

    key: int
    row: Row
    seal: bytes
    changed: bool = False
    placed: bool = False


class _Guess(NamedTuple):
    """A seal that a row may have had; it rests on the content of row `at`, if not -1, and on the guess before."""

    seal: bytes
    at: int = -1
    before: "_Guess | None" = None


def salvaged(stored: Sequence[Stored], end: bytes) -> tuple[list[Kept], int]:
    """Return what stays of a run, sealed anew, and how many rows were not as they were written.

    Args:
        stored: its rows, in the order of their numbers.
        end: seal with which it stopped, or empty.
    """
    sound = _sound(stored, end)
    intents = _intents(stored, sound)
    kept: list[Kept] = []
    chain, number, newest = FIRST, -1, max(sound, default=-1)
    wall = active = 0
    taken = {row.seq for row in sound.values()}
    late = [at for at, row in intents.items() if at > newest or row.seq < 0 or row.seq in taken]
    for at in [*sorted({*sound, *intents}.difference(late)), *late]:
        one, row = stored[at], sound.get(at) or intents[at]
        if at in intents:
            row = row._replace(seq=number + 1 if at in late else row.seq, wall=wall, active=active)
        chain, number, wall, active = seal(chain, row), row.seq, row.wall, row.active
        kept.append(Kept(one.key, row, chain, row != one.row, at in intents))
    return kept, len(stored) - len(sound)


def standing_in(kept: Sequence[Kept], run: StoredRun) -> Kept:
    """Return the intent that stands at the end for rows that are missing. Its `key` is -1: it is stored nowhere yet.

    Args:
        kept: the rows that stay.
        run: record of the run. A fork of which no row is left has its number far beyond those of its ancestors.
    """
    last = kept[-1] if kept else None
    number = (BEYOND if run.parent else max(run.rows, 0)) if last is None else last.row.seq + 1
    wall, active = (run.created, 0) if last is None else (last.row.wall, last.row.active)
    row = Row(number, "intent", "", digest_of("intent", NOTHING), 0, wall, active, 0, None, NOTHING, b"")
    return Kept(-1, row, seal(FIRST if last is None else last.seal, row), placed=True)


def _sound(stored: Sequence[Stored], end: bytes) -> dict[int, Row]:
    """Return the rows that are as they were written, by their places."""
    sound: dict[int, Row] = {}
    newest = _Guess(FIRST)
    before = [newest]

    def proven(guess: _Guess | None) -> None:
        while guess is not None and guess.at >= 0:
            sound[guess.at] = stored[guess.at].row
            guess = guess.before

    for at, one in enumerate(stored):
        # The row before may be one that its number has brought here.
        around = [near.row.path for near in stored[max(0, at - NEAR) : at + NEAR]]
        fits = _fitting(one, before if newest in before else [*before, newest], around) if one.whole else None
        if fits is not None:
            sound[at] = fits[0]
            proven(fits[1])
            newest = _Guess(one.seal)
            before = [newest]
            continue
        guesses = [_Guess(seal(guess.seal, one.row), at, guess) for guess in before] if one.whole else []
        for guess in guesses:
            if guess.seal == end:
                proven(guess)
        before = [*([_Guess(one.seal)] if type(one.seal) is bytes else []), *guesses]
        del before[MOST // 2 : -MOST // 2]  # the newest and the oldest: where all seals are damaged, only that fits
    return sound


def _fitting(one: Stored, before: Sequence[_Guess], around: Sequence[str]) -> tuple[Row, _Guess] | None:
    """Return the row that the stored seal fits, and the seal before it."""
    for guess in before:
        if seal(guess.seal, one.row) == one.seal:
            return one.row, guess
    for row in _others(one, around):
        for guess in (*before[:1], *before[1:][-1:]):
            if seal(guess.seal, row) == one.seal:
                return row, guess
    return None


def _others(one: Stored, around: Sequence[str]) -> Iterator[Row]:
    row = one.row
    for path in dict.fromkeys((*one.paths, *around)):
        yield row._replace(path=path)
    for occurrence in range(NEAR):
        yield row._replace(occurrence=occurrence)
    for kind in KINDS:
        if kind != row.kind:
            yield row._replace(kind=kind)
    if row.kind in KINDS and row.kind != "model":  # that of a model call is not of what is stored
        yield row._replace(digest=digest_of("tool" if row.kind == "intent" else row.kind, row.request))


def _intents(stored: Sequence[Stored], sound: dict[int, Row]) -> dict[int, Row]:
    """Return the intents that stand for damaged rows, by their places."""
    begun = {(row.path, row.digest, row.occurrence) for row in sound.values() if row.kind == "intent"}
    found: dict[int, Row] = {}
    for at, one in enumerate(stored):
        row = None if at in sound else _intent(one.row) or _lost(one.row)
        if row is None:
            continue
        key = (row.path, row.digest, row.occurrence)
        # A result whose intent is there need not be replaced. An intent must: each time that it was begun is asked for.
        if one.row.kind != "tool" or key not in begun:
            begun.add(key)
            found[at] = row
    return found


def _lost(row: Row) -> Row | None:
    """Return the intent that stands for one of which nobody knows any more which call it was of."""
    if row.kind in KINDS and row.kind != "intent":  # the result of a tool that matters has an intent of its own
        return None
    request = row.request
    try:
        form: Any = decoded(request)
        lost = "tool" not in form or "arguments" not in form
    except (AttributeError, TypeError, ValueError):  # no bytes, no text, no JSON, no object
        lost = True
    path = row.path if type(row.path) is str else ""
    number = row.seq if type(row.seq) is int else -1
    request = NOTHING if lost else request
    return Row(number, "intent", path, digest_of("intent", request), 0, 0, 0, 0, None, request, b"")


def _intent(row: Row) -> Row | None:
    """Return the intent of the call that a damaged row was of, if it may have been a tool's."""
    path, digest, request, seq, occurrence = row.path, row.digest, row.request, row.seq, row.occurrence
    if [type(part) for part in (path, digest, request, seq, occurrence)] != [str, bytes, bytes, int, int]:
        return None
    if len(digest) != 32 or occurrence < 0:
        return None
    if digest_of("tool", request) != digest:
        request = NOTHING
        if row.kind not in ("tool", "intent"):
            return None
    elif "tool" not in decoded(request):  # code in a sandbox: it may be executed again
        return None
    return Row(seq, "intent", path, digest, occurrence, 0, 0, 0, None, request, b"")
