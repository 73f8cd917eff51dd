"""A run goes on at the server that its record names, and at no other because an address was left out."""

from pathlib import Path
from typing import Any

import pytest

import stratagem
from stratagem.errors import Rejected, UsageError
from stratagem.models import open_model
from stratagem.testing.model_server import Fault, ModelServer, Said


async def failed_at(server: ModelServer, settings: dict[str, Any], **more: Any) -> str:
    """Begin a run that its server refuses, and return its id."""
    server.add(Fault("status", status=400))
    async with stratagem.open(model="vllm:m", base_url=f"{server.url}/", **settings, **more) as session:
        with pytest.raises(Rejected):
            await session.run("direct", "2+2?", run_id="first")
        return "first"


async def test_a_record_has_the_address_and_the_name_of_the_variable_and_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOX_KEY", "sk-canary-1")
    settings: dict[str, Any] = {"home": tmp_path, "memory": "none"}
    async with ModelServer() as server:
        run = await failed_at(server, settings, api_key_env="BOX_KEY")
    async with stratagem.open(**settings) as session:
        record = (await session.show(run)).record
    assert record["server"] == {"base_url": server.url, "api_key_env": "BOX_KEY"}
    assert "canary" not in repr(record)


async def test_a_session_that_was_told_of_no_address_does_not_go_on_with_it(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"home": tmp_path, "memory": "none"}
    async with ModelServer() as server:
        run = await failed_at(server, settings)
        async with stratagem.open(model="vllm:m", **settings) as session:
            with pytest.raises(UsageError, match=f"was asked at {server.url}, and no address is given now"):
                await session.resume(run)
        assert len(server.seen) == 1
        told: list[dict[str, Any]] = [
            {"base_url": server.url},
            {"network": {"providers": {"vllm": {"base-url": server.url}}}},
            {"model": open_model("vllm:m", base_url=server.url)},
        ]
        for one in told:
            server.add(Said("4"))
            async with stratagem.open(**settings, **one) as session:
                assert (await session.fork(run, at=0)).text == "4"
