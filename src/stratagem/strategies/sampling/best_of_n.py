"""Best of n: draw several answers, let a judge score each, return the best."""

import math

from stratagem.core import Answer, Judge, Positive, Run, Strategy, Task, Temperature, strategy
from stratagem.errors import NoAnswer, UnparsedReply
from stratagem.judges.self_check import self_check
from stratagem.parts.pace import paced
from stratagem.strategies.basic.chain_of_thought import chain_of_thought

UNJUDGED = -math.inf  # below every score of a judge: the first sample, if no judgement can be read or paid for


@strategy(paper="arXiv:2110.14168", calls="n * (sampler + judge)", lower="n * sampler + judge")
async def best_of_n(
    run: Run,
    task: Task,
    *,
    sampler: Strategy = chain_of_thought,
    judge: Judge = self_check,
    n: Positive = 10,
    temperature: Temperature = 0.7,
) -> Answer:
    """Sample `n` independent answers and return the one that the judge scores highest.

    Cobbe et al., "Training Verifiers to Solve Math Word Problems", 2021. The baseline of every strategy that uses a judge:
    give it the same one.

    Args:
        sampler: strategy that draws one answer; must vary with temperature.
        judge: scores one answer (paper: a trained verifier); what it `needs` is what the result needs.
        n: number of samples (paper: 100).
        temperature: of every sample (paper: 0.7); judgements keep the caller's.

    Returns:
        The sample with the highest score; ties go to the first drawn. Where nothing was judged, the first drawn.

    Raises:
        NoAnswer: no sample could be read, or none has a value.
        BudgetExhausted: not even one sample could be paid for.

    Cost:
        Two parallel waves, the samples and their judgements. Under a limit, of calls, tokens, money or time, samples are drawn one
        by one until one was judged, and then only as many as the rest pays for with their judgements, again while
        some is left.

    Fails when:
        - the judge prefers a kind of wrong answer: more samples find more of that kind, and the result gets worse with `n`;
        - the model makes the same mistake every time: there is nothing to choose.

    Paper, code, ours:
        Paper: the verifier is a trained model that scores every token.
        Code: no verifier was released.
        Ours: any judge. A sample without a value is not judged, since it cannot be right.
    """

    async def draw(run: Run, _: int) -> bool:
        try:
            answer = await sampler(run.using(temperature=temperature), task)
            if answer.value is None:
                return False
            run.offer(answer, UNJUDGED)
            run.offer(answer, (await judge(run, task, answer)).score)
        except (UnparsedReply, NoAnswer):
            return False
        return True

    await paced(run, draw, n)
    return run.best
