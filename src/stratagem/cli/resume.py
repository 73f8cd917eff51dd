"""`stratagem resume` and `stratagem answer`: continue what stopped."""

import re
from typing import Any

import click

from stratagem.cli._ends import Fault, usage
from stratagem.cli._output import Mode, counted
from stratagem.cli._settings import Verb, offers, reaching, speaking
from stratagem.errors import OwnedElsewhere


@click.command(cls=Verb)
@click.argument("run", **offers("runs"))
@click.option("--budget", metavar="LIMITS", help="New limits instead of the recorded ones, such as calls=80.")
@click.option("--strategy", metavar="SPEC", help="A changed strategy; what it still asks for is not performed again.")
@click.option(
    "--file", metavar="F", multiple=True, help="What was attached to the goal, again: a record has not its bytes."
)
@click.option("--drop-damaged", is_flag=True, help="Remove damaged records first, and perform them again.")
@reaching
@speaking("json", "jsonl", "quiet", "verbose", "debug")
@click.pass_obj
def resume(
    mode: Mode, run: str, budget: str | None, strategy: str | None, file: tuple[str, ...], drop_damaged: bool
) -> int:
    """Continue RUN: an id, the beginning of one, or `last`.

    Nothing that is recorded is performed again. Of a run that has ended, the recorded answer is printed.
    """
    from stratagem.cli._drive import Listening, aimed, begin_anew, drive
    from stratagem.cli._naming import check_spec
    from stratagem.cli._reading import id_of
    from stratagem.session import Session

    if strategy:
        check_spec(strategy, "strategy")

    async def begin(session: Session, listening: Listening) -> Any:
        run_id = await id_of(mode, session, run)
        await aimed(mode, session, run_id)
        if drop_damaged:
            dropped = await session.drop_damaged(run_id)
            mode.tell(f"{counted(dropped, 'damaged record')} of {run_id} {'was' if dropped == 1 else 'were'} removed")
        changes: dict[str, Any] = {"budget": budget, "strategy": strategy}
        if file:
            from stratagem.cli._attaching import again

            changes["task"] = again((await session.show(run_id)).record, file)
        return await begin_anew(session, listening, run_id, **changes)

    return drive(mode, begin)


NEGATIVE = re.compile(r"-(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
BEFORE_A_VALUE = ("--question", "--home", "--journal")  # the options behind which a word is theirs


class Answering(Verb):
    """A verb of which a negative number is an argument, and no option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words, with negative numbers behind `--`."""
        if "--" not in args:
            own = [at for at, word in enumerate(args) if NEGATIVE.fullmatch(word)]
            own = [at for at in own if at and args[at - 1] not in BEFORE_A_VALUE]
            if own:
                args = [*(word for at, word in enumerate(args) if at not in own), "--", *(args[at] for at in own)]
        return super().parse_args(ctx, args)


@click.command(cls=Answering)
@click.argument("run", **offers("runs"))
@click.argument("value", default=None, required=False)
@click.option("--question", metavar="ID", help="Which question, if there are several.")
@click.option("--no-resume", is_flag=True, help="Store the answer, and do not continue the run.")
@reaching
@speaking("json", "jsonl", "quiet", "verbose", "debug")
@click.pass_obj
def answer(mode: Mode, run: str, value: str | None, question: str | None, no_resume: bool) -> int:
    """Answer a question of RUN with VALUE, and continue it.

    VALUE is JSON; `yes` and `no` answer a question of that kind, and plain text one that wants text; a text that begins with
    `-` stands behind `--`. Without VALUE it is asked for on a terminal. If another process has the run, that one goes on
    with it.
    """
    from stratagem.cli._drive import Listening, aimed, begin_anew, continues, drive, run_document
    from stratagem.cli._reading import id_of, read
    from stratagem.session import RunRecord, Session

    async def store(session: Session) -> tuple[RunRecord, str]:
        run_id = await id_of(mode, session, run)
        one = _chosen(run_id, (await session.show(run_id)).questions(), question)
        who = await session.answer(run_id, _value(mode, one, value), one["id"])
        return await session.show(run_id), who

    def stored(record: RunRecord, who: str) -> int:
        if mode.json:
            mode.document(run_document(mode, record))
        else:
            mode.tell(f"stored; {who} goes on with it" if who else f"stored; continue: {continues(mode, record)}")
        return 0

    record, who = read(mode, store)
    if no_resume or who:
        return stored(record, who)

    async def begin(session: Session, listening: Listening) -> Any:
        await aimed(mode, session, record.id)
        return await begin_anew(session, listening, record.id)

    try:
        return drive(mode, begin)
    except Fault as fault:
        if isinstance(fault.__cause__, OwnedElsewhere):  # whoever answered another question was faster
            return stored(record, "another process")
        raise


def _chosen(run_id: str, waiting: list[dict[str, Any]], wanted: str | None) -> dict[str, Any]:
    """Return the question that is meant."""
    from stratagem.cli._settings import nearest

    listed = "; ".join(f"{one['id']}: {one['question']}" for one in waiting)
    if not waiting:
        raise usage(f"run {run_id!r} waits for nobody", f"See `stratagem show {run_id}`.")
    if wanted is None:
        if len(waiting) > 1:
            raise usage(f"run {run_id!r} asks {len(waiting)} questions: {listed}", "Name one: `--question ID`.")
        return waiting[0]
    found = next((one for one in waiting if one["id"] == wanted), None)
    if found is None:
        ids = [one["id"] for one in waiting]
        raise usage(f"run {run_id!r} has no open question {wanted!r}{nearest(wanted, ids)}", f"It asks {listed}")
    return found


def _value(mode: Mode, question: dict[str, Any], text: str | None) -> Any:
    from stratagem.cli._asking import ask, interactive, value_of, wanted

    if text is not None:
        return value_of(text, question["schema"])
    if not interactive(mode):
        remedy = f"Write it behind the run: `stratagem answer RUN VALUE`; VALUE is {wanted(question['schema'])}."
        raise usage(f"no answer is given to: {question['question']}", remedy)
    return ask(question["question"], question["schema"])
