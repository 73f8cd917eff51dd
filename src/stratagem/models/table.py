"""Providers whose servers speak chat completions: one row each, as data.

Rule 1: a key goes to its row's origin and to no other (`keys.py`).
Rule 2: a row says what is known of a server. Another address under `openai:` is an unknown server, and gets `PLAIN`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from stratagem.core import Capabilities

_USUAL = frozenset({"tools", "temperature", "top_p", "stop", "max_tokens"})
_ALL = _USUAL | {"seed", "logprobs", "schema"}
IMAGES = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif"})


@dataclass(frozen=True, slots=True)
class Row:
    """One provider.

    Attributes:
        prefix: of its specs.
        title: its name.
        url: where it answers, with the version in its path.
        variable: name of the environment variable with its key; empty if it needs none.
        fields: options and features it honours.
        schema: how it keeps to a JSON schema: `none`, `advisory` or `constrained`.
        native_n: whether one request brings several draws.
        media: types of images it reads; which models do is the provider's business.
        limit: name of the field that limits a reply.
        templated: whether the server fills a chat template, in which marks such as `<|end|>` mean something.
        unfinished: whether a whole reply without a reason for its end is accepted.
        reasoning: names of models that take `effort`, and neither temperature, top_p, stop nor log-probabilities.
        thoughts: field in which the server wants a turn that called tools to say what the model thought before it.
    """

    prefix: str
    title: str
    url: str
    variable: str = ""
    fields: frozenset[str] = _USUAL
    schema: str = "none"
    native_n: bool = False
    media: frozenset[str] = frozenset()
    limit: str = "max_tokens"
    templated: bool = False
    unfinished: bool = False
    reasoning: str = ""
    thoughts: str = ""

    def reasons(self, name: str) -> bool:
        """Return whether a model of this provider is one of those that reason before they answer."""
        return bool(self.reasoning) and re.match(self.reasoning, name) is not None

    def capabilities(self, name: str) -> Capabilities:
        """Return what a model of this provider honours."""
        fields = self.fields
        if self.reasoning:
            thinks = self.reasons(name)
            fields = fields - {"temperature", "top_p", "stop", "logprobs"} if thinks else fields - {"effort"}
        return Capabilities(fields, native_n=self.native_n, schema=self.schema, media=self.media)


_OF_OPENAI = r"(o\d|gpt-5)"

ROWS: Mapping[str, Row] = {
    row.prefix: row
    for row in (
        Row(
            "openai", "OpenAI", "https://api.openai.com/v1", "OPENAI_API_KEY", _ALL | {"effort"}, "constrained",
            native_n=True, media=IMAGES, limit="max_completion_tokens", reasoning=_OF_OPENAI,
        ),
        Row(
            "vllm", "vLLM", "http://127.0.0.1:8000/v1", fields=_ALL, schema="constrained", native_n=True, media=IMAGES,
            templated=True,
        ),
        Row(
            "llamacpp", "llama.cpp", "http://127.0.0.1:8080/v1", fields=_ALL, schema="constrained", native_n=True,
            templated=True,
        ),
        Row(
            "ollama", "Ollama", "http://127.0.0.1:11434/v1", fields=_USUAL | {"seed", "schema"}, schema="constrained",
            templated=True, unfinished=True,
        ),
        Row(
            "sglang", "SGLang", "http://127.0.0.1:30000/v1", fields=_ALL, schema="constrained", native_n=True,
            media=IMAGES, templated=True,
        ),
        Row("groq", "Groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY", _USUAL | {"seed"}, "advisory"),
        Row(
            "deepseek", "DeepSeek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", _USUAL | {"logprobs"}, "advisory",
            thoughts="reasoning_content",
        ),
        Row(
            "openrouter", "OpenRouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", _USUAL | {"seed"},
            "advisory", media=IMAGES, thoughts="reasoning_details",
        ),
        Row("together", "Together", "https://api.together.xyz/v1", "TOGETHER_API_KEY", _USUAL | {"seed"}, "advisory"),
        Row(
            "fireworks", "Fireworks", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY", _USUAL, "advisory"
        ),
        Row("xai", "xAI", "https://api.x.ai/v1", "XAI_API_KEY", _USUAL | {"seed"}, "advisory", media=IMAGES),
    )
}  # fmt: skip

PLAIN = Row("openai", "an OpenAI-compatible server", "", schema="advisory", templated=True)


def row_at(prefix: str, base_url: str) -> Row:
    """Return the row for an address of one's own: under `openai:` nothing is known of the server there."""
    return replace(PLAIN if prefix == "openai" else ROWS[prefix], url=base_url)
