"""Longer chain: one chain of thought that is told to wait, and goes on thinking."""

from stratagem.core import Answer, Count, Run, Step, Strategy, Task, Transcript, signature, strategy
from stratagem.errors import UnparsedReply
from stratagem.strategies.basic.chain_of_thought import Reasoned, chain_of_thought


@signature
def think_on(question: str, notes: tuple[str, ...], attempt: str) -> Reasoned:
    """Q: {question}
    A: {attempt} Wait,"""
    ...


@strategy(paper="arXiv:2501.19393", calls="starter + rounds", lower="starter + rounds")
async def longer_chain(
    run: Run,
    task: Task,
    *,
    starter: Strategy = chain_of_thought,
    rounds: Count = 4,
) -> Answer:
    """Let one chain of thought go on: whenever it has come to an answer, add "Wait," and continue it.

    Muennighoff et al., "s1: Simple test-time scaling", 2025: budget forcing. The sequential baseline: what one chain
    makes of the tokens that other strategies spend on samples, judges or search.

    Args:
        starter: strategy that begins the chain; its thoughts and its answer are what is continued.
        rounds: continuations (authors' model card: up to four); none is the starter alone.

    Returns:
        The answer that the chain came to last; the chain is the one step of `answer.steps`.

    Raises:
        NoAnswer: no round came to an answer that can be read.

    Cost:
        Strictly sequential. Every continuation has the whole chain in its prompt, so prompt tokens grow with the
        square of `rounds`; a prompt cache makes them cheap, and budgets of tokens count them in full.

    Fails when:
        - the first answer was right: doubt may replace it;
        - the model repeats its chain word for word: nothing new comes of more tokens.

    Paper, code, ours:
        Paper: a reasoning model's end-of-thinking token is suppressed and "Wait" appended, up to a number of tokens.
        Code: one text completion continued with the rest of 32,000 tokens.
        Ours: works with any chat model: each round is a call that shows the chain up to its answer, then "Wait,". The
            budget is what limits tokens: a round that it cannot pay for is not made, the last answer stands. A start
            or a round in which no answer can be read belongs to the chain like any other.
    """
    try:
        answer = await starter(run, task)
    except UnparsedReply as unread:
        chain = unread.reply.strip()
    else:
        run.offer(answer)
        thoughts = " ".join(turn.step.thought for turn in answer.steps)
        chain = think_on.write(Reasoned(thoughts, answer.text)).text.strip()
    for _ in range(rounds):
        if not run.budget.allows(calls=1):
            break
        try:
            reply = await run.ask(think_on, question=task.question, notes=task.notes, attempt=chain)
        except UnparsedReply as unread:
            chain = f"{chain} Wait, {unread.reply.strip()}"
        else:
            chain = f"{chain} Wait, {think_on.write(reply).text}"
            run.offer(task.answer(reply.answer, steps=Transcript().then(Step(chain, answer=reply.answer))))
    return run.best
