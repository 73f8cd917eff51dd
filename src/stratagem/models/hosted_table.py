"""Providers with a form of their own: one row each, as data. Their requests are written by pydantic-ai's model classes.

Rule 1: a key goes to its row's origin and to no other (`keys.py`).
Rule 2: what a model takes is known by its name, before the library is imported: a test compares the patterns here with
        what the library would leave out with a warning.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from stratagem.core import Capabilities, Request
from stratagem.models.table import IMAGES

_USUAL = frozenset({"tools", "temperature", "top_p", "max_tokens"})
_FILES = IMAGES | {"application/pdf"}
SAMPLING = frozenset({"temperature", "top_p"})
EFFORTS = frozenset({"none", "minimal", "low", "medium", "high", "xhigh", "max"})
NO_MODEL = "(?!)"  # matches no name


@dataclass(frozen=True, slots=True)
class HostedRow:
    """One provider.

    Attributes:
        prefix: of its specs, and the family that reads opaque parts of its own replies back.
        title: its name.
        url: where it answers; `{region}` is filled in.
        variables: environment variables with its key; the first that is set counts. A model of AWS needs them all.
        header: which carries the key; empty is `Authorization: Bearer`.
        kind: what the library calls it.
        package: distribution that the extra brings for it, by the name of its module.
        fields: options and features it honours.
        schema: how it keeps to a JSON schema: `none`, `advisory` or `constrained`.
        media: types of attachments it reads; which models do is the provider's business.
        max_output: tokens of a reply if the request does not say; sent where the provider wants a number.
        thinks: names of models that take `effort`.
        always: names of those that reason unless they are told not to, so that sampling options mean nothing to them.
        unsampled: names of models that take neither temperature nor top_p, whatever else is asked.
        unschemed: names of models that do not constrain replies to a schema.
        together: names of models that take a schema and tools in one request.
        versions: ends of addresses that the client adds itself, so that they may be given or not.
        limited: whether every request has to say how long the reply may be.
        marked: whether what is to be cached has to be marked.
        streams: whether replies are read as they come.
    """

    prefix: str
    title: str
    url: str
    variables: tuple[str, ...]
    header: str
    kind: str
    package: str
    fields: frozenset[str] = _USUAL
    schema: str = "none"
    media: frozenset[str] = frozenset()
    max_output: int = 4096
    thinks: str = NO_MODEL
    always: str = NO_MODEL
    unsampled: str = NO_MODEL
    unschemed: str = NO_MODEL
    together: str = NO_MODEL
    versions: tuple[str, ...] = ("/v1",)
    limited: bool = False
    marked: bool = False
    streams: bool = True

    @property
    def installed(self) -> bool:
        """Whether the provider's extra is."""
        from importlib.util import find_spec  # noqa: PLC0415

        try:
            return all(find_spec(name) is not None for name in ("aiohttp", "pydantic_ai", self.package))
        except ModuleNotFoundError:  # of a package within a package
            return False

    @property
    def home(self) -> str:
        """Where it answers, in the region that the environment names."""
        import os  # noqa: PLC0415

        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        return (
            self.url.format(region=region)
            if re.fullmatch(r"[a-z0-9-]+", region)
            else self.url.format(region="us-east-1")
        )

    def capabilities(self, name: str) -> Capabilities:
        """Return what a model of this provider honours, whatever is asked with it."""
        fields = self.fields
        if re.match(self.unsampled, name):
            fields -= SAMPLING
        if not re.match(self.thinks, name):
            fields -= {"effort"}
        schema = self.schema
        if schema == "constrained" and re.match(self.unschemed, name):
            schema = "advisory"
        if schema == "constrained":
            fields |= {"schema"}
        return Capabilities(fields, schema=schema, media=self.media, max_output=self.max_output)

    def refuses(self, name: str, request: Request) -> frozenset[str]:
        """Return what cannot be honoured in this combination, beyond what the model never honours."""
        options = request.options
        effort: str | None = options.get("effort")
        refused = set[str]()
        if effort is not None and effort not in EFFORTS:
            refused.add("effort")
            effort = None
        if "effort" not in self.fields:  # as settings may claim: it is left off, whatever was asked
            effort = None
        thinks = bool(re.match(self.thinks, name)) and effort not in (None, "none")
        if thinks and self.prefix in ("anthropic", "bedrock", "responses"):
            refused |= SAMPLING
        if effort is None and re.match(self.always, name):
            refused |= SAMPLING
        if self.prefix == "responses" and effort == "none" and re.match(self.thinks, name):
            refused |= frozenset[str]() if re.match(_SILENT, name) else SAMPLING
        if self.prefix in ("anthropic", "bedrock") and "temperature" in options and "claude" in name:
            refused.add("top_p")  # they take one of the two
        return frozenset(refused & options.keys())


# Claude models that decide themselves how they sample, and those that have no constrained output.
_CLAUDE_UNSAMPLED = r"claude-(fable-5|mythos-5|opus-4-[78]|opus-5|sonnet-5|haiku-5-5)"
_CLAUDE_UNSCHEMED = r"claude-(2|3|instant|sonnet-4-0|sonnet-4-2025|opus-4-0|opus-4-2025)"
_CLAUDE_THINKS = r"claude-(3-7|[a-z]+-[4-9])"
_GPT_REASONS = r"(o\d|gpt-5(?!-chat)|gpt-[6-9])"
_SILENT = r"gpt-5\.[1-6](?!-pro|-chat|-codex)"  # of those that reason: they can be told not to
_GPT_ALWAYS = r"(o\d|gpt-5(?!\.[1-4](-(mini|nano|\d[\d-]*))?$)(?!-chat)|gpt-[6-9])"
_AWS = r"([a-z-]+\.)?"

HOSTED: Mapping[str, HostedRow] = {
    row.prefix: row
    for row in (
        HostedRow(
            "anthropic", "Anthropic", "https://api.anthropic.com", ("ANTHROPIC_API_KEY",), "x-api-key", "anthropic",
            "anthropic", _USUAL | {"stop", "effort"}, "constrained", _FILES, 8192, _CLAUDE_THINKS,
            unsampled=_CLAUDE_UNSAMPLED, unschemed=_CLAUDE_UNSCHEMED, together="claude", limited=True, marked=True,
        ),
        HostedRow(
            "google", "Google", "https://generativelanguage.googleapis.com", ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
            "x-goog-api-key", "google", "google.genai", _USUAL | {"stop", "seed", "effort"}, "constrained",
            _FILES | {"image/heic", "image/heif"}, 8192, r"gemini-(2\.5|[3-9])", unschemed="gemma",
            together=r"gemini-[3-9]", versions=("/v1", "/v1beta"),
        ),
        HostedRow(
            "responses", "OpenAI (Responses)", "https://api.openai.com/v1", ("OPENAI_API_KEY",), "", "openai-responses",
            "openai", _USUAL | {"effort"}, "constrained", _FILES, 4096, _GPT_REASONS, _GPT_ALWAYS, together=".",
            unschemed=r"gpt-(3|4-|4$)", versions=(),
        ),
        HostedRow(
            "mistral", "Mistral", "https://api.mistral.ai", ("MISTRAL_API_KEY",), "", "mistral", "mistralai",
            _USUAL | {"stop", "seed", "effort"}, "advisory", _FILES, 4096,
            r"(magistral-(medium|small)-latest|mistral-(medium(-latest|-3|-3[.-]5|-2604)?|small-(latest|2603)|large-4(-0)?))$",
            streams=False,
        ),
        HostedRow(
            "cohere", "Cohere", "https://api.cohere.com", ("CO_API_KEY",), "", "cohere", "cohere",
            _USUAL | {"stop", "seed", "effort"}, "advisory", frozenset(), 4096, "command-a-reasoning",
            versions=("/v1", "/v2"), streams=False,
        ),
        HostedRow(
            "bedrock", "Amazon Bedrock", "https://bedrock-runtime.{region}.amazonaws.com",
            ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "", "bedrock", "boto3", _USUAL | {"stop", "effort"},
            "advisory", IMAGES, 4096, f"{_AWS}anthropic[.]{_CLAUDE_THINKS}",
            unsampled=f"{_AWS}anthropic[.]{_CLAUDE_UNSAMPLED}", limited=True, marked=True,
            streams=False,
        ),
    )
}  # fmt: skip
