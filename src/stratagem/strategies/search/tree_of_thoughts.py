"""Tree of thoughts: search over partial solutions that the model generates and values itself."""

from typing import Annotated, Literal

from stratagem.core import Answer, Operation, Positive, Role, Run, Task, signature, strategy
from stratagem.parts.pace import Pace
from stratagem.parts.rank import top
from stratagem.strategies.search._thoughts import (
    HOPELESS,
    ROOT,
    Path,
    children,
    propose,
    sample,
    value_each,
    vote_across,
)


@signature
def conclude(question: str, notes: tuple[str, ...], path: Path) -> Annotated[str, Role("answer")]:
    """State only the final answer that these steps lead to."""
    ...


@strategy(
    ids=["RE17"],
    paper="arXiv:2305.10601",
    calls="max_steps * (generate(branching) + evaluate(branching)) + 1 if search == 'depth' else"
    " generate(branching) + evaluate(branching)"
    " + (min(depth, max_steps) - 1) * (width * generate(branching) + evaluate(width * branching)) + 1",
    lower="generate(branching) + evaluate(1) + 1",
)
async def tree_of_thoughts(
    run: Run,
    task: Task,
    *,
    generate: Operation[tuple[str, ...]] = propose,
    evaluate: Operation[tuple[float, ...]] = value_each,
    search: Literal["breadth", "depth"] = "breadth",
    depth: Positive = 3,
    width: Positive = 5,
    branching: Positive = 8,
    max_steps: Positive = 100,
) -> Answer:
    """Grow a tree of partial solutions, keep to the promising ones, state the answer of the deepest.

    Yao et al., "Tree of Thoughts: Deliberate Problem Solving with Large Language
    Models", NeurIPS 2023. The defaults are the paper's for the Game of 24. Creative writing is `generate=sample(temperature=1.0),
    evaluate=vote_across(temperature=1.0), depth=2, width=1, branching=5`: a plan, then the text. Mini crosswords are
    `search='depth', evaluate=value_each(votes=1, threshold=0.5), depth=10, width=3`.

    Args:
        generate: `propose` asks once for all next thoughts of a path, `sample` draws each by itself.
        evaluate: `value_each(votes=3, threshold=0)` scores every new path alone, and prunes those below `threshold`: a vote
            counts 0.001 for "impossible", 1 for "likely", 20 for "sure" (paper: 3 votes). `vote_across(votes=5)`
            compares all new ones and prunes none (paper: 5 votes).
        search: `breadth` grows all paths of a level at once, `depth` the best child first, and goes back when it is hopeless.
        depth: thoughts of a complete path (paper: 3 for the Game of 24, at most 10 words of a crossword).
        width: paths kept of those that are grown at once: of a level (paper: b = 5), or of one
            path's children (code: 3).
        branching: thoughts taken from one `generate` (code: every line of a proposal).
        max_steps: times that paths are grown: levels, or single paths (paper: 100).

    Cost:
        Breadth first, two parallel waves per level; depth first, two per grown path, one after the other. Then one call. The bound of
        breadth first is reached if `width` is at most `branching`; depth first stops at the first complete path.

    Fails when:
        - the evaluation cannot tell good paths from bad: a random, expensive search;
        - one thought is the whole solution: best-of-n at a higher price;
        - depth first, an early thought is wrong but looks likely: its whole subtree is walked first.

    Paper, code, ours:
        Paper: says nothing of equal thoughts.
        Code: gives a second copy of a path the value 0, and caches values across puzzles, so that cost depends on their order.
        Ours: merges copies and caches nothing.
        Paper: the last candidate is the answer; how it is put into words belongs to the task.
        Code: swaps the last proposal's prompt for one that writes the answer, and counts a puzzle as solved if any of the
            last five candidates is right.
        Ours: one more call states the answer of the first; it is all that is returned.
        Paper: depth first goes on after a complete path and prunes by a threshold; crosswords report the deepest path.
        Code: crosswords sum the confidences of 8 proposals and prune if any clue is judged impossible.
        Ours: stops at the first complete path; values whole paths; a complete path is valued like any other.
        Paper: has no budget.
        Ours: growth that the budget cannot pay for is not started (calls exactly, tokens, money and time by what calls have cost; what
            has no price yet leaves that of a conclusion), and the deepest path so far is concluded: with too little for
            one level, that is the question alone.
    """

    async def grow(run: Run, paths: tuple[Path, ...]) -> list[tuple[str, ...]]:
        return await run.map(lambda run, path: generate(run, task, path, branching), paths)

    frontier: tuple[Path, ...] = (ROOT,)
    deepest, pace = ROOT, Pace(run)
    for _ in range(max_steps):
        grown, waiting = (frontier, ()) if search == "breadth" else (frontier[:1], frontier[1:])
        if not grown or len(deepest) == depth:
            break
        step = len(grown) * generate.bound(branching) + evaluate.bound(len(grown) * branching)
        thoughts = await pace.within("grown", step, grow, grown, last=1)
        if thoughts is None:
            break
        new = sum((children(path, found, branching) for path, found in zip(grown, thoughts, strict=True)), ())
        scores = await pace.within("valued", evaluate.bound(len(new)), evaluate, task, new, last=1)
        if scores is None:
            break
        ranked = top(tuple(zip(new, scores, strict=True)), scores, n=width)
        frontier = (*[path for path, score in ranked if score > HOPELESS], *waiting)
        deepest = max((deepest, *frontier), key=len)
        if deepest:
            run.offer(task.answer("\n".join(deepest)))
    return task.answer(await run.ask(conclude, question=task.question, notes=task.notes, path=deepest))


__all__ = ["conclude", "propose", "sample", "tree_of_thoughts", "value_each", "vote_across"]
