"""What tests of recorded replies share: a model that counts, and programs that ask it."""

import asyncio
from collections.abc import Callable
from typing import Any

import stratagem
from stratagem import Answer, Run, Task, signature, strategy
from stratagem.core import Capabilities, Reply, Request, Sample, Usage

FIELDS = frozenset({"tools", "temperature", "top_p", "stop", "seed", "effort", "logprobs", "schema", "max_tokens"})


@signature
def name_it(question: str, notes: tuple[str, ...]) -> str:
    """Name a town."""
    ...


@strategy(calls="1")
async def once(run: Run, task: Task) -> Answer:
    """Ask once."""
    return task.answer(await run.ask(name_it, question=task.question, notes=task.notes))


@strategy(calls="n + 1")
async def twice(run: Run, task: Task, *, n: int = 1) -> Answer:
    """Ask, and ask again with what was said."""
    said = ()
    for _ in range(n + 1):
        said = (*said, await run.ask(name_it, question=task.question, notes=said))
    return task.answer(" ".join(said))


@strategy(calls="n")
async def fanned(run: Run, task: Task, *, n: int = 12) -> Answer:
    """Ask the same in branches."""
    said = await run.map(lambda run, _: run.ask(name_it, question=task.question, notes=()), range(n))
    return task.answer(" ".join(said))


@strategy(calls="n")
async def drawn(run: Run, task: Task, *, n: int = 3) -> Answer:
    """Draw several replies to one request."""
    return task.answer(" ".join(await run.sample(name_it, n, question=task.question, notes=())))


class Counting:
    """A model that says how often it was asked: `reply 1`, `reply 2`.

    Args:
        says: makes the text of a draw of a request and the number of the draw; it may raise.
        native_n: whether it draws several at once.
        reverse: whether who asks first is answered last.
    """

    spec = "counting"

    def __init__(
        self,
        says: Callable[[Request, int], str | Sample] | None = None,
        *,
        native_n: bool = False,
        reverse: bool = False,
    ) -> None:
        self._says = says or (lambda _, number: f"reply {number}")
        self.capabilities = Capabilities(FIELDS, native_n=native_n, max_output=20, priced=True)
        self.requests: list[Request] = []
        self._drawn = 0
        self._reverse = reverse
        self.closed = False

    def refuses(self, request: Request) -> frozenset[str]:
        return frozenset()

    def tokens(self, text: str) -> int:
        return len(text.split())

    async def complete(self, request: Request, *, on_delta: Any = None) -> Reply:
        self.requests.append(request)
        if self._reverse:
            for _ in range(20 - len(self.requests)):
                await asyncio.sleep(0)
        samples: list[Sample] = []
        for _ in range(request.n):
            self._drawn += 1
            said = self._says(request, self._drawn)
            samples.append(said if isinstance(said, Sample) else Sample(said))
        return Reply(tuple(samples), Usage(1, 1, 10, 2 * request.n, usd=0.5))

    async def aclose(self) -> None:
        self.closed = True


async def answered(model: Any, strategy: Any = once, question: str = "Where?", **settings: Any) -> Any:
    """Run a strategy in a session of its own, which forgets."""
    async with stratagem.open(model=model, **{"journal": "memory", "memory": "none", **settings}) as session:
        return await session.run(strategy, question)
