"""What providers with a form of their own honour, where their keys go, and what of the library is used."""

import ast
import asyncio
import inspect
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import stratagem.models
from stratagem.errors import CapabilityError, ModelError, NoReply, Rejected, Unavailable, UsageError
from stratagem.models import catalogue, hosted_table, open_model
from stratagem.models.hosted_bedrock import AwsKey
from stratagem.models.hosted_keys import placed_hosted
from stratagem.models.hosted_table import EFFORTS, HOSTED
from stratagem.models.hosted_wire import CURRENT, Attempt, Stopped, Wire
from stratagem.models.keys import Key
from stratagem.models.sources import Sources
from stratagem.models.transport import Times, Transport
from stratagem.testing.model_server import Fault, ModelServer, Said
from tests.conftest import HandClock
from tests.models._hosted import MODELS, HostedWired

SOURCES = Path(stratagem.models.__file__).parent
NAMES = {
    "BinaryContent", "ModelRequest", "ModelRequestParameters", "ModelResponse", "OutputObjectDefinition", "TextPart",
    "ThinkingPart", "ToolCallPart", "ToolDefinition", "ToolReturnPart", "UserPromptPart", "infer_model",
    "infer_provider_class", "model_request", "model_request_stream",
}  # fmt: skip

# Models of today and of yesterday, of each kind that the library tells apart.
KNOWN = {
    "anthropic": (
        "claude-3-haiku-20240307", "claude-3-7-sonnet-latest", "claude-sonnet-4-0", "claude-opus-4-1",
        "claude-sonnet-4-5", "claude-haiku-4-5", "claude-opus-4-5", "claude-opus-4-6", "claude-opus-4-7",
        "claude-opus-4-8", "claude-opus-5", "claude-sonnet-4-6", "claude-sonnet-5", "claude-sonnet-5-5",
        "claude-haiku-5-5", "claude-fable-5", "claude-mythos-5",
    ),
    "google": ("gemini-2.0-flash", "gemini-2.5-flash", "gemini-2.5-pro", "gemini-3-pro-preview", "gemma-3-27b-it"),
    "responses": (
        "gpt-4o", "gpt-4.1", "gpt-5", "gpt-5-mini", "gpt-5-chat-latest", "gpt-5.1", "gpt-5.2", "gpt-5.2-pro",
        "gpt-5.1-codex", "gpt-5.4", "gpt-5.4-mini", "gpt-5.5", "gpt-5.6-luna", "gpt-6-luna", "o1", "o3", "o4-mini",
    ),
    "mistral": ("mistral-large-latest", "mistral-small-latest", "magistral-medium-latest", "codestral-latest"),
    "cohere": ("command-a-03-2025", "command-a-reasoning-08-2025", "command-r-08-2024"),
    "bedrock": (
        "us.anthropic.claude-sonnet-4-6", "global.anthropic.claude-opus-4-8", "us.amazon.nova-pro-v1:0",
        "us.meta.llama4-scout-17b-instruct-v1:0", "anthropic.claude-3-7-sonnet-20250219-v1:0",
    ),
}  # fmt: skip


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer() as server:
        yield server


# What is used of the library


def test_at_most_fifteen_names_of_the_library_are_used() -> None:
    found: set[str] = set()
    for file in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "pydantic_ai":
                found |= {alias.name for alias in node.names}
            assert not (isinstance(node, ast.Import) and any(a.name.startswith("pydantic_ai") for a in node.names))
    assert found == NAMES
    assert len(NAMES) <= 15


def test_opening_a_model_imports_no_library_of_a_provider() -> None:
    program = (
        "import sys; from stratagem.models import open_model, catalogue; "
        "open_model('anthropic:m', base_url='http://127.0.0.1:1'); catalogue(); "
        "print([m for m in ('pydantic_ai', 'anthropic', 'openai', 'httpx2', 'boto3', 'google.genai') if m in sys.modules])"
    )
    there = {"PYTHONPATH": str(SOURCES.parents[1])}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=there)
    assert done.stdout == "[]\n"


async def test_the_library_is_imported_in_a_thread(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.add(Said("4"))
    wired = HostedWired(server.url, "anthropic")
    loading = wired.backend._load
    threads: list[bool] = []

    def load() -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            threads.append(True)
        loading()

    monkeypatch.setattr(wired.backend, "_load", load)
    await wired.answered()
    assert threads == [True]


def test_what_is_not_installed_names_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosted_table.HostedRow, "installed", property(lambda row: row.prefix != "mistral"))
    with pytest.raises(
        CapabilityError, match="models `mistral:` need pydantic-ai and the package of Mistral"
    ) as caught:
        open_model("mistral:m")
    assert caught.value.remedy == 'Install them: pip install "stratagem[mistral]"'
    row = next(row for row in catalogue() if row["name"] == "mistral:NAME")
    assert (row["available"], 'pip install "stratagem[mistral]"' in row["needs"]) == (False, True)


# What is honoured


@pytest.mark.parametrize("prefix", HOSTED)
async def test_what_is_not_refused_is_sent_and_the_library_warns_of_nothing(prefix: str) -> None:
    async with ModelServer(lambda _: Said("4")) as server:
        for name in KNOWN[prefix]:
            for effort in (None, "none", "low"):
                wired = HostedWired(server.url, prefix, name=name)
                for asked in ({"temperature": 0.5}, {"top_p": 0.5}):
                    options = {**asked, "seed": 1, "stop": ("END",), **({"effort": effort} if effort else {})}
                    request = wired.request(**options)
                    refused = wired.model.refuses(request)
                    request.head.dropped = refused
                    await wired.model.complete(request)
                    sent = str(server.seen[-1].body)
                    for option, value in asked.items():
                        place = (name, effort, option, sent)
                        assert ("0.5" in sent) == (option not in refused), (place, value)
                    assert ("END" in sent) == ("stop" not in refused), (name, sent)
                await wired.model.aclose()


@pytest.mark.parametrize(
    ("prefix", "name", "options", "refused"),
    [
        ("anthropic", "claude-haiku-4-5", {"seed": 1, "logprobs": True}, {"seed", "logprobs"}),
        ("anthropic", "claude-haiku-4-5", {"temperature": 1.0, "effort": "low"}, {"temperature"}),
        ("anthropic", "claude-haiku-4-5", {"temperature": 1.0, "top_p": 0.5}, {"top_p"}),
        ("anthropic", "claude-opus-4-8", {"temperature": 1.0}, {"temperature"}),
        ("anthropic", "claude-3-haiku-20240307", {"effort": "low"}, {"effort"}),
        ("google", "gemini-2.5-flash", {"seed": 1, "stop": ("a",), "effort": "low"}, set()),
        ("google", "gemini-2.0-flash", {"effort": "low"}, {"effort"}),
        ("responses", "gpt-4o", {"stop": ("a",), "seed": 1, "temperature": 0.0}, {"stop", "seed"}),
        ("responses", "o3", {"temperature": 0.0}, {"temperature"}),
        ("responses", "gpt-5.1", {"temperature": 0.0}, set()),
        ("responses", "gpt-5.1", {"temperature": 0.0, "effort": "high"}, {"temperature"}),
        ("mistral", "mistral-large-latest", {"seed": 1, "effort": "low"}, {"effort"}),
        ("cohere", "command-a-03-2025", {"seed": 1, "logprobs": 2}, {"logprobs"}),
        ("bedrock", "us.anthropic.claude-sonnet-4-6", {"seed": 1, "stop": ("a",)}, {"seed"}),
        ("google", "gemini-2.5-flash", {"effort": "very"}, {"effort"}),
    ],
)
def test_what_a_model_refuses_depends_on_the_request(
    prefix: str, name: str, options: dict[str, Any], refused: set[str]
) -> None:
    wired = HostedWired("http://127.0.0.1:1", prefix, name=name)
    assert wired.model.refuses(wired.request(**options)) == refused


@pytest.mark.parametrize("prefix", ["anthropic", "google", "responses"])
@pytest.mark.parametrize("effort", sorted(EFFORTS))
async def test_every_effort_is_understood(server: ModelServer, prefix: str, effort: str) -> None:
    names = {"anthropic": "claude-opus-4-6", "google": "gemini-3-pro-preview", "responses": "gpt-5.6-luna"}
    server.add(Said("4"))
    wired = HostedWired(server.url, prefix, name=names[prefix])
    await wired.answered(effort=effort)
    body = server.seen[0].body
    thinking = {
        "anthropic": body.get("thinking"), "google": body.get("generationConfig", {}).get("thinkingConfig"),
        "responses": body.get("reasoning"),
    }[prefix]  # fmt: skip
    if effort == "none" and prefix == "anthropic":
        assert thinking is None
    else:
        assert thinking


async def test_a_long_conversation_is_marked_for_the_cache(server: ModelServer) -> None:
    from stratagem.core import Observation, Step, ToolCall, Tools, Transcript, tool

    @tool
    def look(where: str) -> str:
        """Look."""
        return where

    for seen, marked in (("little", False), ("much " * 2000, True)):
        server.add(Said("4"))
        steps = Transcript().then(Step("", (ToolCall("look", {"where": "x"}),)), Observation(seen))
        await HostedWired(server.url, "anthropic").answered(tools=Tools((look,)), steps=steps)
        assert ("cache_control" in str(server.seen[-1].body)) is marked


# Where keys go


@pytest.mark.parametrize(
    ("prefix", "variable", "header", "value"),
    [
        ("anthropic", "ANTHROPIC_API_KEY", "x-api-key", "sk-1"),
        ("google", "GEMINI_API_KEY", "x-goog-api-key", "sk-1"),
        ("google", "GOOGLE_API_KEY", "x-goog-api-key", "sk-1"),
        ("responses", "OPENAI_API_KEY", "Authorization", "Bearer sk-1"),
        ("mistral", "MISTRAL_API_KEY", "Authorization", "Bearer sk-1"),
        ("cohere", "CO_API_KEY", "Authorization", "Bearer sk-1"),
        ("bedrock", "AWS_BEARER_TOKEN_BEDROCK", "Authorization", "Bearer sk-1"),
    ],
)
def test_a_key_goes_to_its_provider_only(
    prefix: str, variable: str, header: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = HOSTED[prefix]
    for name in (*row.variables, "AWS_BEARER_TOKEN_BEDROCK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "sk-1")
    sources = Sources()
    for name in (*row.variables, "NO_SUCH_VARIABLE"):
        sources.ask_now(name)  # the keyring has none of them
    url, key = placed_hosted(row, None, None, sources=sources)
    assert (url, key.lacks) == (row.home, None)
    assert key.headers(key.origin) == {header: value}
    assert key.headers("https://example.com:443") == {}
    elsewhere, none = placed_hosted(row, "https://example.com/v1", None, sources=sources)
    assert none.headers("https://example.com:443") == {}
    assert elsewhere == ("https://example.com" if row.versions else "https://example.com/v1")
    _, named = placed_hosted(row, "https://example.com", variable, sources=sources)
    assert named.headers("https://example.com:443") == {header: value}
    with pytest.raises(UsageError, match="is not set"):
        placed_hosted(row, "https://example.com", "NO_SUCH_VARIABLE", sources=sources)
    monkeypatch.delenv(variable)
    assert placed_hosted(row, None, None, sources=sources)[1].lacks is not None


@pytest.mark.parametrize("prefix", HOSTED)
async def test_the_library_never_has_the_key(server: ModelServer, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-canary-5d1")
    echo = "you sent {authorization}"
    server.add(Fault("status", status=400, message=echo))
    wired = HostedWired(server.url, prefix, key_variable="MY_KEY")
    with pytest.raises(Rejected, match=r"you sent (Bearer )?\*\*\*") as caught:
        await wired.answered()
    backend = wired.backend
    provider = backend._model.provider
    held = [backend._model, provider, provider.client, getattr(provider.client, "_client", None)]
    shown = [repr(caught.value), repr(vars(backend)), *(f"{one!r} {vars(one) if one else ''!r}" for one in held)]
    assert [text for text in shown if "sk-canary-5d1" in text] == []


def test_no_variable_of_the_environment_redirects_names_or_logs_anything(tmp_path: Path) -> None:
    program = inspect.getsource(_asking)
    environment = {
        "PATH": "/usr/bin", "PYTHONPATH": f"{SOURCES.parents[1]}:{Path(__file__).parents[2]}", "HOME": str(tmp_path),
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:9", "OPENAI_BASE_URL": "http://127.0.0.1:9",
        "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:9", "CO_API_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "ALL_PROXY": "http://127.0.0.1:9",
        "ANTHROPIC_CUSTOM_HEADERS": "x-canary: one", "OPENAI_ORG_ID": "org-canary", "OPENAI_PROJECT_ID": "canary",
        "ANTHROPIC_LOG": "debug", "OPENAI_LOG": "debug", "MISTRAL_DEBUG": "1", "GOOGLE_GENAI_USE_VERTEXAI": "true",
        "GOOGLE_GENAI_USE_ENTERPRISE": "true", "ANTHROPIC_AUTH_TOKEN": "canary", "MISTRAL_API_KEY": "canary",
        "ANTHROPIC_API_KEY": "canary", "OPENAI_API_KEY": "canary", "GOOGLE_API_KEY": "canary", "CO_API_KEY": "canary",
        "GEMINI_API_KEY": "canary", "AWS_ACCESS_KEY_ID": "canary", "AWS_SECRET_ACCESS_KEY": "canary",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{program}\nimport asyncio; asyncio.run(_asking())"],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.stdout == "anthropic 4\ngoogle 4\nresponses 4\nmistral 4\ncohere 4\nbedrock 4\n[]\n", done.stderr
    assert "the secret question" not in done.stderr
    assert "canary" not in done.stderr


async def _asking() -> None:
    from stratagem.models import open_model
    from stratagem.testing.model_server import ModelServer, Said
    from tests.models._hosted import MODELS
    from tests.models._wire import asked

    async with ModelServer(lambda _: Said("4")) as server:
        for prefix, name in MODELS.items():
            model: Any = open_model(f"{prefix}:{name}", base_url=server.url if prefix != "bedrock" else server.origin)
            reply = await model.complete(asked(model, "the secret question"))
            print(prefix, reply.samples[0].text)
            await model.aclose()
        said = [f"{one.headers}" for one in server.seen]
    print([text for text in said if "canary" in text])


# One attempt is one request


async def test_a_second_request_of_one_attempt_is_stopped(server: ModelServer) -> None:
    server.add(Said("4"), Said("5"))
    origin = server.origin
    transport = Transport(HandClock(), Times(), "here")
    wire = Wire(transport, Key("", "", origin), origin, "here")
    until = HandClock().stamp() + 10**9
    CURRENT.set(Attempt(until, "a"))
    place = f"{origin}/v1/chat/completions"
    with pytest.raises(Stopped, match=r"wanted to send POST to 'http://example\.com:80'"):
        await wire.send("POST", "http://example.com/v1/chat/completions", {}, b"{}")
    CURRENT.set(Attempt(until, "b"))
    with pytest.raises(Stopped, match="wanted to send GET"):
        await wire.send("GET", place, {}, b"")
    CURRENT.set(Attempt(until, "c"))
    await wire.send("POST", place, {"content-type": "application/json"}, b"{}")
    with pytest.raises(Stopped):
        await wire.send("POST", place, {}, b"{}")
    await transport.aclose()
    assert len(server.seen) == 1


# Bedrock: a library that works in a thread


def aws(server: ModelServer, **more: Any) -> HostedWired:
    key = AwsKey(("AKID", "the-secret", "the-token"), server.origin)
    return HostedWired(server.origin, "bedrock", key=key, **more)


async def test_bedrock_signs_for_its_origin_and_nothing_else(server: ModelServer) -> None:
    server.add(Said("4"), Said("4"))
    name = "us.amazon.nova-pro-v1:0"
    await aws(server, name=name).answered()
    await HostedWired(server.origin, "bedrock", name=name).answered()
    signed, unsigned = (one.headers for one in server.seen)
    assert signed["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKID/")
    assert signed["X-Amz-Security-Token"] == "the-token"
    assert "Authorization" not in unsigned
    assert "the-secret" not in str(signed)
    assert AwsKey(("A", "s", "t"), server.origin).signs("https://example.com:443") == {}
    assert "s3cret" not in repr(AwsKey(("A", "s3cret", ""), "x"))


@pytest.mark.parametrize("prefix", ["bedrock", "cohere", "mistral"])
async def test_faults_of_whole_replies(server: ModelServer, prefix: str) -> None:
    url = server.origin if prefix == "bedrock" else server.url
    server.add(
        Fault("status", status=429, retry_after="3"), Fault("status", status=500), Fault("disconnect"), Said("4")
    )
    reply = await HostedWired(url, prefix).answered()
    assert reply.attempts == ("RateLimited 429", "Unavailable 500", "NoReply")
    assert (reply.samples[0].text, reply.usage.requests, len(server.seen)) == ("4", 4, 4)
    for fault, kind in (
        ("html", "no JSON"), ("malformed", "no JSON"), ("error body", "an error instead"), ("empty", "sent"),
        ("cut", "broke off"),
    ):  # fmt: skip
        server.add(*[Fault(fault)] * 3)  # type: ignore[arg-type]
        with pytest.raises(ModelError, match=kind) as caught:
            await HostedWired(url, prefix).answered()
        assert (type(caught.value).__name__, caught.value.attempts) == ("CutReply" if fault == "cut" else "BadReply", 3)


async def test_bedrock_lets_go_when_it_is_cancelled_or_late(server: ModelServer) -> None:
    server.add(Fault("slow"), Fault("slow"))
    wired = aws(server)
    task = asyncio.create_task(wired.answered())
    await server.arrived(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await server.left(1)
    task = asyncio.create_task(wired.answered(timeout_s=10))
    await server.arrived(2)
    wired.clock.advance(10)
    with pytest.raises(NoReply):
        await task
    assert wired.gate.inside == 0


async def test_a_listener_hears_a_reply_that_comes_at_once(server: ModelServer) -> None:
    server.add(Said("one two"))
    wired = aws(server)
    await wired.answered(streamed=True)
    assert [(one.sample, one.text) for one in wired.heard] == [(0, "one two")]


def test_every_provider_has_a_model_in_these_tests() -> None:
    assert MODELS.keys() == KNOWN.keys() == HOSTED.keys()
    assert Unavailable is not None
