"""What tests of providers with a form of their own share: a model in front of the fault server, on a hand-moved clock."""

import json
from pathlib import Path
from typing import Any

from stratagem.models.gateway import Gateway
from stratagem.models.hosted import Hosted
from stratagem.models.hosted_keys import placed_hosted
from stratagem.models.hosted_table import HOSTED
from stratagem.models.keys import Key
from stratagem.models.limits import Gate
from stratagem.models.transport import Times
from tests.conftest import HandClock
from tests.models._wire import asked

MODELS = {
    "anthropic": "claude-haiku-4-5", "google": "gemini-2.5-flash", "responses": "gpt-4o",
    "mistral": "mistral-small-latest", "cohere": "command-a-03-2025", "bedrock": "us.anthropic.claude-sonnet-4-6",
}  # fmt: skip
SPOKEN = ("anthropic", "google", "responses")  # dialects of the fault server
GOLDEN = Path(__file__).parent / "golden"


class HostedWired:
    """A model that never really sleeps: `slept` has the waits, and the clock has moved on by them."""

    def __init__(
        self,
        url: str,
        prefix: str,
        *,
        name: str = "",
        times: Times = Times(),
        dice: float = 0.0,
        key_variable: str | None = None,
        key: Key | None = None,
    ) -> None:
        self.clock = HandClock()
        self.slept: list[float] = []
        self.row = HOSTED[prefix]
        place, found = placed_hosted(self.row, url, key_variable)
        self.gate = Gate(self.clock, self._sleep, 64)
        self.backend = Hosted(self.row, name or MODELS[prefix], place, key or found, self.clock, times)
        self.model = Gateway(
            f"{prefix}:{self.backend.name}", self.backend, clock=self.clock, sleep=self._sleep, dice=lambda: dice,
            gate=self.gate,
        )  # fmt: skip

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.clock.advance(seconds)

    def request(self, question: str = "2+2?", **settings: Any) -> Any:
        return asked(self.model, question, **settings)

    async def answered(self, request: Any = None, *, streamed: bool = False, **settings: Any) -> Any:
        """Answer a request, and close."""
        self.heard: list[Any] = []
        try:
            made = self.request(**settings) if request is None else request
            return await self.model.complete(made, on_delta=self.heard.append if streamed else None)
        finally:
            await self.model.aclose()


def shown(body: Any) -> str:
    """Return a request's body as a golden file has it."""
    return json.dumps(body, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
