"""The order in which a program asked last, where that is not the order of its rows.

Rows are numbered as they are written. A program that was edited asks again for what is recorded, and for something new in
between: then an earlier row stands behind a later one. A *turn* says so: of two rows the one of the lower turn came
first, and in one turn the one of the lower number. Rows of turn 0 need not be mentioned, and a run that was never
edited has no others.

Rule 1: what happened in sibling branches of one `map` has no order, so it changes no turn.
Rule 2: a program that is not known to have changed asks a pool's branches for what is recorded in the order of its
        replay: that is no news. Where something new came first, it is.
"""

import operator
from collections.abc import Mapping, Sequence
from typing import Any

from stratagem.core._canonical import Json

Turn = tuple[int, int]  # and the number of the row

_NEVER: Turn = (-1, -1)
_NOBODY = (_NEVER, "")


class _Scope:
    """The newest that has happened in one scope, and in what it opened."""

    __slots__ = ("first", "own", "pools", "second", "within")

    def __init__(self) -> None:
        self.own = _NEVER
        self.first = self.second = _NOBODY  # of two waves, so that one of them is another one
        self.pools: dict[str, tuple[Turn, Turn]] | None = None  # of each pool: of all rows, and of the new ones
        self.within: dict[str, _Scope] | None = None

    def heard(self, wave: str, turn: Turn) -> None:
        """Take note of what happened in a wave."""
        if turn <= self.first[0]:
            if wave != self.first[1] and turn > self.second[0]:
                self.second = turn, wave
            return
        if wave != self.first[1]:
            self.second = self.first
        self.first = turn, wave


def turns_of(asked: Sequence[Any], begin: int, *, edited: bool) -> dict[int, int]:
    """Return the turns of rows above 0, by number.

    Args:
        asked: rows in the order in which the program asked for them, or the first three fields of each.
        begin: number of the first row that is new.
        edited: whether the program is known to have changed.
    """
    if all(map(operator.lt, (numbers := [row[0] for row in asked]), numbers[1:])):
        return {}
    root, turns = _Scope(), dict[int, int]()
    last, path, new = _NEVER, None, False
    way: _Way = []
    for row in asked:
        number, place = row[0], row[2]
        if place != path or new != (number >= begin):
            if path is not None:
                _heard(way, last, new=new)
            if place != path:
                way = _way(root, place)
            path, new = place, number >= begin
            last = _before(way, whole=new or edited)
        turn = max(0, last[0] if number > last[1] else last[0] + 1)
        if turn:
            turns[number] = turn
        last = turn, number
    return turns


_Way = list[tuple[_Scope, str, bool]]  # from the root: each scope, the wave that leads on, and whether that is a pool


def _way(root: _Scope, path: str) -> _Way:
    """Return the scopes that lead to a strand, and its own; they are made if they are not there."""
    way: _Way = []
    scope = root
    for name in path.split("/") if path else ():
        wave, branch, _ = name.partition("[")
        way.append((scope, wave, bool(branch) and wave.startswith("pool")))
        within = scope.within
        if within is None:
            within = scope.within = {}
        found = within.get(name)
        if found is None:
            found = within[name] = _Scope()
        scope = found
    way.append((scope, "", False))
    return way


def _heard(way: _Way, turn: Turn, *, new: bool) -> None:
    """Take note of the last row of a strand, in every scope above it."""
    for scope, wave, pool in way[:-1]:
        scope.heard(wave, turn)
        if pool:
            if scope.pools is None:
                scope.pools = {}
            every, news = scope.pools.get(wave, (_NEVER, _NEVER))
            scope.pools[wave] = max(every, turn), max(news, turn) if new else news
    own = way[-1][0]
    if turn > own.own:
        own.own = turn


def _before(way: _Way, *, whole: bool) -> Turn:
    """Return the newest of what came before a row: not what runs beside it in a branch of the same `map`.

    Args:
        way: to the row's strand.
        whole: whether what is recorded of the other branches of a pool counts as well.
    """
    own = way[-1][0]
    newest = max(own.own, own.first[0])
    for scope, wave, pool in way[:-1]:
        other = (scope.second if scope.first[1] == wave else scope.first)[0]
        if other > newest:
            newest = other
        if scope.own > newest:
            newest = scope.own
        if pool and scope.pools and wave in scope.pools:
            newest = max(newest, scope.pools[wave][0 if whole else 1])
    return newest


def turns_form(turns: Mapping[int, int]) -> Json:
    """Return turns as JSON: of each turn from 1 on, the numbers of its rows as pairs of first and last.

    >>> turns_form({1: 1, 4: 1, 5: 1})
    [[[1, 1], [4, 5]]]
    """
    form: list[list[list[int]]] = [[] for _ in range(max(turns.values(), default=0))]
    for number, turn in sorted(turns.items()):
        pairs = form[turn - 1]
        if pairs and pairs[-1][1] == number - 1:
            pairs[-1][1] = number
        else:
            pairs.append([number, number])
    return form


def turns_in(form: Sequence[Sequence[Sequence[int]]]) -> dict[int, int]:
    """Return the turns that `turns_form` wrote."""
    turns: dict[int, int] = {}
    for turn, pairs in enumerate(form, 1):
        for first, last in pairs:
            turns.update(dict.fromkeys(range(first, last + 1), turn))
    return turns
