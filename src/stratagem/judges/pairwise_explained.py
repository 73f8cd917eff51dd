"""Pairwise, explained: the model rates which of two answers is better, in random order, and says why."""

import re
from dataclasses import dataclass
from typing import Annotated

from stratagem.core import Answer, Marked, PairJudge, Preference, Run, Task, Within, judge, operation, signature
from stratagem.errors import UnparsedReply

WORST, BEST = 1, 8  # of the article's scale; higher is better for the second answer


@dataclass(frozen=True)
class Rating:
    """The first line of the reply, and the rest."""

    rating: Annotated[int, Within(WORST, BEST)]
    explanation: Annotated[str, Marked("\n")] = ""


@signature
def rate(question: str, answer: str, rival: str) -> Rating:
    """### Question
    {question}

    ### The Start of Assistant 1's Answer
    {answer}
    ### The End of Assistant 1's Answer

    ### The Start of Assistant 2's Answer
    {rival}
    ### The End of Assistant 2's Answer

    ### System
    We would like to request your feedback on the performance of two AI assistants in response to the user question displayed above.
    Please compare the helpfulness, relevance, accuracy, level of details of their responses.
    The rating should be from the set of 1, 2, 3, 4, 5, 6, 7, or 8, where higher numbers indicated that Assistant 2 was better than Assistant 1.
    Please first output a single line containing only one value indicating the preference between Assistant 1 and 2.
    In the subsequent line, please provide a brief explanation of your evaluation, avoiding any potential bias and ensuring that the order in which the responses were presented does not affect your judgment.
    """
    ...


@judge(
    ids=["EV07"],
    paper="Rajani et al. 2023, Can foundation models label data like humans?",
    calls="1",
    lower="1",
    needs="nothing",
)
async def pairwise_explained(run: Run, task: Task, answer: Answer, rival: Answer) -> Preference:
    """Show both answers in random order and ask for a rating from 1 to 8 and a brief explanation.

    Rajani et al., "Can foundation models label data like humans?", Hugging Face, 2023.

    Args:
        None: the scale and the prompt are the article's.

    Returns:
        `first` is 1 where the rating is best for `answer`, 0 where it is best for `rival`; the ratings 4 and 5, a tie
        in the article, are 4/7 and 3/7. In `feedback`, Assistant 1 is `answer`, whatever the order was.

    Raises:
        UnparsedReply: the first line is no rating, also after the session's repairs; `preferences` leaves it out.

    Cost:
        One call; its prompt holds both answers.

    Fails when:
        - the model favours a slot (GPT-4 tends to answer 1): random order makes that noise, not truth; ask in both orders to see it;
        - one answer is longer: length is mistaken for quality.

    Paper, code, ours:
        Paper: the order is drawn for each pair; replies off the scale occur, and what becomes of them is not said.
        Code: none released for this prompt.
        Ours: the prompt byte for byte. The order comes from `run.rng` and is noted as the event `order`; a rating off
            the scale, or a first line with more than the number, is unreadable.
    """
    swapped = run.rng.choice((False, True))
    run.note("order", swapped=swapped)
    first, second = (rival, answer) if swapped else (answer, rival)
    rated = await run.ask(rate, question=task.question, answer=first.text, rival=second.text)
    rating = WORST + BEST - rated.rating if swapped else rated.rating
    return Preference((BEST - rating) / (BEST - WORST), renamed(rated.explanation) if swapped else rated.explanation)


@operation(calls="n * judge", lower="n * judge")
async def preferences(
    run: Run, pairs: tuple[tuple[Task, Answer, Answer], ...], *, judge: PairJudge = pairwise_explained
) -> tuple[Preference | None, ...]:
    """Judge pairs of answers at once; one that the judge's reply cannot be read for is None, and is to be left out."""

    async def prefer(run: Run, pair: tuple[Task, Answer, Answer]) -> Preference | None:
        try:
            return await judge(run, *pair)
        except UnparsedReply:
            return None

    return tuple(await run.map(prefer, pairs))


def renamed(text: str) -> str:
    """Return a text about Assistant 1 and 2 with the two exchanged.

    >>> renamed("Assistant 2 is right, assistant 1 is not.")
    'Assistant 1 is right, assistant 2 is not.'
    """
    return re.sub(r"(?i)(\bassistant )([12])\b", lambda found: f"{found[1]}{3 - int(found[2])}", text)
