"""`stratagem fork` and `stratagem replay`: run again over what is recorded."""

import ast
from collections.abc import Mapping
from typing import Any

import click

from stratagem.cli._ends import JOURNAL, OF_STOP, usage
from stratagem.cli._output import Mode, say, warn
from stratagem.cli._settings import Verb, nearest, offers, reaching, speaking

KINDS = ("reply", "prompt.FILE.FUNCTION", "param.NAME", "model", "strategy", "budget")


@click.command(cls=Verb)
@click.argument("run", **offers("runs"))
@click.option(
    "--at",
    type=click.IntRange(0),
    metavar="N",
    help="The effect from which on it is performed again; `show` numbers them.",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KIND=VALUE",
    help="What is changed: reply (of effect N), prompt.FILE.FUNCTION, param.NAME, model, strategy, budget. May be repeated.",
)
@reaching
@speaking("json", "jsonl", "quiet", "verbose", "debug")
@click.pass_obj
def fork(mode: Mode, run: str, at: int | None, changes: tuple[str, ...]) -> int:
    """Run RUN again over its own record, from effect N on or with something changed; RUN stays as it is.

    With `--at` alone, effect N and all that could have depended on it are performed again. With `--set` the changed program
    runs over the whole record: equal requests are reused, changed ones performed. The fork is a run of its own and stores
    only what it performed.
    """
    from stratagem.cli._drive import Listening, aimed, drive
    from stratagem.cli._naming import check_spec
    from stratagem.cli._reading import id_of
    from stratagem.session import Session

    given = _given(changes)
    if "strategy" in given:
        check_spec(given["strategy"], "strategy")
    if at is None and not given:
        raise usage(
            "a fork that changes nothing is a replay", "Name an effect, `--at N`, or a change, `--set KIND=VALUE`."
        )

    async def begin(session: Session, _: Listening) -> Any:
        run_id = await id_of(mode, session, run)
        await aimed(mode, session, run_id, *filter(None, (given.get("model"),)))
        return await session.fork(run_id, at=at, set=_meant(await session.show(run_id), at, given))

    return drive(mode, begin)


def _given(changes: tuple[str, ...]) -> dict[str, str]:
    """Return the changes by kind, as they were written."""
    given: dict[str, str] = {}
    for change in changes:
        kind, equals, text = change.partition("=")
        if not equals:
            raise usage(f"--set {change!r} sets nothing", "Write KIND=VALUE, such as --set model=offline.")
        if not (kind in KINDS or kind.startswith(("prompt.", "param."))):
            raise usage(f"--set cannot change {kind!r}{nearest(kind, KINDS)}", f"The kinds: {', '.join(KINDS)}.")
        if kind in given:
            raise usage(f"--set {kind} is given twice", "Write it once.")
        given[kind] = text
    return given


def _meant(record: Any, at: int | None, given: Mapping[str, str]) -> dict[str, Any]:
    """Return the changes as values: a reply of the kind that effect `at` has, a parameter as a spec would write it."""
    from stratagem.session._loading import strategy_of

    meant: dict[str, Any] = dict(given)
    if "reply" in given and at is not None:
        meant["reply"] = _reply(record, at, given["reply"])
    settings = [kind for kind in given if kind.startswith("param.")]
    if settings and (spec := given.get("strategy", record.strategy)):
        strategy = strategy_of(spec)
        for kind in settings:
            meant[kind] = _setting(strategy, kind.removeprefix("param."), given[kind])
    return meant


def _reply(record: Any, at: int, text: str) -> Any:
    """Return what takes the place of a result: text of a model or a tool, what a person said, else JSON."""
    import json

    from stratagem.cli._asking import value_of
    from stratagem.core import decoded
    from stratagem.session._fitting import fitted

    _, row = record.found(at) or (record, None)
    if row is None or row.kind in ("model", "tool"):
        return text  # an effect that does not exist is refused where the fork is made
    if row.kind == "wait":
        schema = decoded(row.request)["schema"]
        return fitted(schema, value_of(text, schema))
    try:
        return json.loads(text)
    except ValueError:
        remedy = f"See what it was: `stratagem show {record.id} --effect {at}`."
        raise usage(f"effect {at} is a {row.kind}: its value is JSON, which {text!r} is not", remedy) from None


def _setting(strategy: Any, name: str, text: str) -> Any:
    """Return a parameter's value: a literal, another strategy by its spec, or text."""
    from stratagem.core import Configurable, parse_spec
    from stratagem.session._loading import found

    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        pass
    default = strategy.card.defaults.get(name)
    if not isinstance(default, Configurable | tuple):
        return text
    own = strategy.card.name
    made: Any = parse_spec(f"{own}({name}={text})", lambda one: strategy if one == own else found(one))
    return made.settings[name]


@click.command(cls=Verb)
@click.argument("run", **offers("runs"))
@speaking("json", "quiet", "debug")
@click.pass_obj
def replay(mode: Mode, run: str) -> int:
    """Run RUN again from its record alone, with performing forbidden.

    It says whether the program of today still asks for what is recorded: it prints the same answer, or where the program
    first asks for something else (exit status 6), with the nearest request that is recorded.
    """
    from stratagem.cli._drive import run_document, sources
    from stratagem.cli._reading import id_of, read
    from stratagem.cli._told import ending
    from stratagem.errors import Diverged
    from stratagem.session import Session

    async def again(session: Session) -> Any:
        record = await session.show(await id_of(mode, session, run))
        try:
            return record, await session.replay(record.id)
        except Diverged as failure:
            return record, failure

    record, came = read(mode, again)
    diverged = isinstance(came, Diverged)
    if mode.json:
        answer = None if diverged else came.plain()
        mode.document(
            {**run_document(mode, record), "answer": answer, "divergence": _plain(came) if diverged else None}
        )
        return JOURNAL if diverged else OF_STOP[came.stop]
    if diverged:
        _tell(mode, record, came)
        return JOURNAL
    if not came.ok:
        warn(ending(came))
    if came.text:
        say(came.text)
    sources(mode, came)
    mode.tell(f"{came.cost()} · replayed, nothing was performed")
    return OF_STOP[came.stop]


def _plain(failure: Any) -> dict[str, Any]:
    """Return a divergence as JSON: the two requests as they would be sent, and the fields in which they differ."""
    return {
        "scope": failure.place,
        "asked": _request(failure.asked),
        "nearest": _request(failure.nearest),
        "differs": list(failure.differs),
    }


def _request(text: str) -> Any:
    import json

    return json.loads(text) if text else None


def _tell(mode: Mode, record: Any, failure: Any) -> None:
    import difflib

    form = _plain(failure)
    warn(f"run {record.id} diverged in {form['scope'] or 'the root'}: it asks for what is not recorded")
    if not form["differs"]:
        warn("nothing like it is recorded there")
        say(_shown(form["asked"]))
    else:
        warn(f"differs from the nearest that is recorded: {', '.join(form['differs'])}")
    for name in form["differs"]:
        before, now = (_shown(side.get(name)).splitlines() for side in (form["nearest"], form["asked"]))
        for line in difflib.unified_diff(before, now, f"recorded: {name}", f"asked: {name}", lineterm=""):
            say(line)
    mode.tell(f"perform what is new: {mode.again('fork', record.id, ' --set KIND=VALUE', record.record)}")


def _shown(value: Any) -> str:
    from stratagem.cli._output import json_text

    return value if isinstance(value, str) else "" if value is None else json_text(value, indent=2)
