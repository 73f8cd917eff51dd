"""`stratagem diff`: where two runs part, and what differs."""

import sys
from typing import Any

import click

from stratagem.cli._ends import usage
from stratagem.cli._output import SCHEMA, Mode, counted, painted, say, table
from stratagem.cli._settings import Verb, offers, speaking

SIGNS = {"same": ("=", ""), "differs": ("~", "yellow"), "left": ("-", "red"), "right": ("+", "green")}
LINES = {"+": "green", "-": "red", "@": "blue"}


@click.command(cls=Verb)
@click.argument("left", metavar="RUN", **offers("runs"))
@click.argument("right", metavar="[RUN]", required=False, **offers("runs"))
@click.option("--all", "every", is_flag=True, help="List the effects that are the same, too.")
@speaking("json", "debug")
@click.pass_obj
def diff(mode: Mode, left: str, right: str | None, every: bool) -> int:
    """Show where two runs part: the first effect that differs, then effect by effect, and what both have cost.

    Effects are compared in the order of the program: by scope, request and occurrence. A fork is compared with all that
    it reuses of its parents. Of one RUN alone, which is a fork, it shows how it differs from the run it was forked from.
    """
    from stratagem.cli._reading import id_of, look
    from stratagem.core import Journal
    from stratagem.session import Session
    from stratagem.session._diff import difference

    async def compare(session: Session, journal: Journal) -> Any:
        one = await id_of(mode, session, left)
        if right is not None:
            return await difference(journal, one, await id_of(mode, session, right))
        parent = (await session.show(one)).parent
        if not parent:
            raise usage(f"run {one!r} is no fork: it has no parent to compare it with", "Name the other run behind it.")
        return await difference(journal, parent, one)

    found = look(mode, compare)
    if mode.json:
        mode.document(_document(found))
    else:
        _print(found, every=every)
    return 0


def _state(pair: Any) -> str:
    return "same" if pair.same else "left" if pair.right is None else "right" if pair.left is None else "differs"


def _plain(pair: Any) -> dict[str, Any]:
    effect = pair.one
    sides = {
        name: None if side is None else {"run": side.record.id, "n": side.row.seq}
        for name, side in (("left", pair.left), ("right", pair.right))
    }
    kind, name, scope = effect.row.kind, effect.record.name(effect.row), effect.row.path
    return {"kind": kind, "name": name, "scope": scope, **sides, "state": _state(pair), "differs": list(pair.differs)}


def _document(found: Any) -> dict[str, Any]:
    from stratagem.cli._reading import usage_of
    from stratagem.session._diff import explained

    first = None if found.first is None else {**_plain(found.first), "diff": explained(found.first)}
    return {
        "schema": SCHEMA,
        "runs": [one.plain() for one in (found.left, found.right)],
        "usage": [usage_of(one).plain() for one in (found.left, found.right)],
        "same_answer": found.same_answer,
        "first": first,
        "pairs": [_plain(pair) for pair in found.pairs],
    }


def _print(found: Any, *, every: bool) -> None:
    from stratagem.session._diff import explained

    _runs(found)
    say()
    if found.first is None:
        say("they do not part: every effect is the same")
    else:
        say(f"they part at {_where(found.first)}")
        for line in explained(found.first):
            sys.stdout.write(painted(line, LINES.get(line[:1], "")) + "\n")
    pairs = [pair for pair in found.pairs if every or not pair.same]
    if pairs:
        say()
        _effects(pairs)
    counts = {state: sum(_state(pair) == state for pair in found.pairs) for state in SIGNS}
    say(
        f"\n{counts['same']:,} same · {counts['differs']:,} differ · {counts['left']:,} only in {found.left.id} · "
        f"{counts['right']:,} only in {found.right.id}"
    )
    say(f"answers: {'the same' if found.same_answer else 'they differ'}")


def _runs(found: Any) -> None:
    from stratagem.cli._output import first_line
    from stratagem.cli._reading import HUES, money, sign, standing, usage_of

    rows: list[tuple[str, ...]] = []
    for one in (found.left, found.right):
        used = usage_of(one)
        parent = f"fork of {one.parent}" if one.parent else ""
        cost = (counted(used.calls, "call"), used.size, money(used), f"{used.seconds:.1f} s")
        ended: dict[str, Any] = one.end.get("answer") or {}
        answer = first_line(ended.get("text", ""), 60)
        rows.append((sign(one), one.id, standing(one), *cost, one.strategy or "(not named)", one.model, parent, answer))
    table(rows, elastic=10, colours=[HUES[row[0]] for row in rows])


def _where(pair: Any) -> str:
    effect = pair.one
    name = effect.record.name(effect.row)
    numbers = " and ".join(f"{side.record.id} effect {side.row.seq}" for side in (pair.left, pair.right) if side)
    what = {"left": "which only the first has", "right": "which only the second has"}.get(
        _state(pair), f"which differs in {', '.join(pair.differs)}"
    )
    return f"{name} in {effect.row.path or 'the root'} ({numbers}), {what}"


def _effects(pairs: list[Any]) -> None:
    rows = [
        (
            SIGNS[_state(pair)][0],
            *("" if side is None else f"{side.record.id}:{side.row.seq}" for side in (pair.left, pair.right)),
            pair.one.record.name(pair.one.row),
            pair.one.row.path,
            ", ".join(pair.differs),
        )
        for pair in pairs
    ]
    table(rows, elastic=4, colours=[SIGNS[_state(pair)][1] for pair in pairs])
