"""`open`: puts model, tools, memory, policy, journal and budget into a session. What is not given is not granted."""

import contextlib
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from stratagem.core import (
    Budget,
    Clock,
    Forgetful,
    Journal,
    Listener,
    Memory,
    Model,
    Policy,
    Sandbox,
    Services,
    Tool,
    Tools,
    budget_of,
)
from stratagem.errors import UsageError
from stratagem.session._address import Address
from stratagem.session._loading import model_of, policy_of, tools_of
from stratagem.session._recorded import recorded, with_id
from stratagem.session._records import home_of
from stratagem.session._session import Session

if TYPE_CHECKING:
    from pathlib import Path

    from stratagem.models.routes import Routes


@contextlib.asynccontextmanager
async def open(  # noqa: A001  (the contract's name)
    *,
    model: Model | str = "offline",
    options: Mapping[str, Any] | None = None,
    tools: Sequence[Tool | str] = (),
    roots: Sequence["str | Path"] = (),
    memory: Memory | str | None = None,
    budget: Budget | str | None = None,
    policy: Policy | str | None = None,
    sandbox: Sandbox | None = None,
    journal: Journal | str | None = None,
    home: "str | Path | None" = None,
    seed: int = 0,
    repairs: int = 1,
    strict: bool = False,
    on_event: Listener | None = None,
    clock: Clock | None = None,
    base_url: str | None = None,
    api_key_env: str | None = None,
    network: "Mapping[str, Any] | Routes | None" = None,
    prices: Mapping[str, Any] | None = None,
    limits: Mapping[str, Any] | None = None,
) -> AsyncGenerator[Session, None]:
    """Open a session.

    Args:
        model: a spec such as `offline`, `script:FILE` or `openai:NAME`, or a model.
        options: model options of every run, such as `{"temperature": 0.7}`; an unset temperature is 0.
        tools: tools by object, `FILE.py:NAME`, or name of a built-in one.
        roots: folders beneath which the built-in read-only tools may read. Nothing else is readable.
        memory: None is one SQLite file in `home`; "none" remembers nothing.
        budget: limits of every run of the session, such as `calls=40,tokens=8000,usd=0.10,seconds=60`.
        policy: "ask" (the default) parks a run that needs a person's word, "never" refuses; both may be followed by
            grants: "never,send_mail".
        sandbox: where code is executed; None executes none.
        journal: None is one SQLite file in `home`; "memory" forgets with the process; `sqlite:PATH`; or the URL of a
            PostgreSQL server, `postgresql://...` (extra `postgres`).
        home: folder of the state; None is STRATAGEM_HOME, else the platform's data folder.
        seed: of `run.rng` and of simulated models.
        repairs: repair calls per unreadable reply.
        strict: refuse model options that are not honoured, instead of leaving them off.
        on_event: called with every `Event`; it can slow nothing and break nothing.
        clock: tells the time; for tests.
        base_url: where the server of this session's models is, such as `http://127.0.0.1:8000/v1`; None
            is each provider's own. A server elsewhere gets no key, unless `api_key_env` names one.
        api_key_env: environment variable with the key for that address.
        network: how providers are reached, with the keys of the user's settings file: `proxy`, `ca-file`, `client-cert`,
            `client-key`, `allow-http` and `providers`; None is as usual.
        prices: of models by spec, in USD per million tokens: `{"vllm:m": {"input_per_mtok": 0.1, "output_per_mtok": 0.4}}`;
            else the table of the extra `prices` is asked.
        limits: of providers by prefix, a minute and at once: `{"openai": {"rpm": 500, "tpm": 200_000, "concurrency": 8}}`.

    Yields:
        The session; leaving the block closes its files.

    Raises:
        UsageError: an unknown model, tool, limit or folder.
        CapabilityError: the model needs a package that is not installed.
    """
    _check_given(repairs, seed, model, base_url, api_key_env)
    _check_tables(prices, limits)
    made = "" if isinstance(model, str) else model.spec
    folder = home_of(home)
    paths = [_root(root) for root in ([roots] if isinstance(roots, str | os.PathLike) else roots)]
    allowed, granted = budget_of(budget), tools_of(tools, paths)
    kept = _journal(journal, folder)
    model = await with_id(kept, model)
    reached = await _reached(model, network, base_url, api_key_env)
    reached |= {"prices": prices, "limits": limits}

    def opened(given: Model | str) -> Model:
        return model_of(given, home=folder, recorded=partial(recorded, kept), **_for(given, reached))

    services = Services(
        opened(model),
        open_model=opened,
        tools=Tools(granted),
        memory=_memory(memory, folder),
        journal=kept,
        policy=policy_of(policy),
        sandbox=sandbox,
        clock=clock,
        seed=seed,
        repairs=repairs,
        strict=strict,
    )
    session = Session(
        services, allowed, roots=tuple(paths), options=options or {}, home=folder, on_event=on_event,
        own_policy=policy is not None,
        address=Address(base_url or "", api_key_env or "", reached["network"], made),
    )  # fmt: skip
    try:
        yield session
    finally:
        await session.aclose()


def _check_given(repairs: Any, seed: Any, model: Model | str, base_url: str | None, api_key_env: str | None) -> None:
    if type(repairs) is not int or repairs < 0:
        raise UsageError(f"repairs must be a whole number from 0 up, got {repairs!r}")
    if type(seed) is not int:
        raise UsageError(f"seed must be a whole number, got {seed!r}")
    _check_address(model, base_url, api_key_env)


def _check_tables(prices: Mapping[str, Any] | None, limits: Mapping[str, Any] | None) -> None:
    if prices or limits:
        from stratagem.models.routes import check_tables  # noqa: PLC0415

        check_tables(prices, limits)


async def _reached(
    model: Model | str, network: "Mapping[str, Any] | Routes | None", base_url: str | None, api_key_env: str | None
) -> dict[str, Any]:
    """Return what opens every model of a session; where the key of its own is kept has been asked."""
    from stratagem.models import prepared  # noqa: PLC0415  (only a session needs models)
    from stratagem.models.routes import routes_of  # noqa: PLC0415
    from stratagem.models.sources import Sources  # noqa: PLC0415

    sources, routes = Sources(), routes_of(network)
    if isinstance(model, str):
        await prepared(model, routes, sources, base_url, api_key_env)
    return {"base_url": base_url, "api_key_env": api_key_env, "network": routes, "sources": sources}


def _check_address(model: Model | str, base_url: str | None, api_key_env: str | None) -> None:
    """Refuse an address beside a model without a server; `offline` is what a session has that only continues runs."""
    if isinstance(model, str) and model != "offline" and (base_url or api_key_env):
        from stratagem.models import check_address  # noqa: PLC0415  (only a session needs models)

        check_address((model,), "base_url" if base_url else "api_key_env")
    if api_key_env:
        from stratagem.models.routes import check_variable  # noqa: PLC0415

        check_variable(api_key_env, "api_key_env")


def _for(given: Model | str, reached: dict[str, Any]) -> dict[str, Any]:
    """Return how a model of a session is reached: the session's address is that of its models with a server."""
    from stratagem.models import takes_address  # noqa: PLC0415  (only a session needs models)

    if not (reached["base_url"] or reached["api_key_env"]) or takes_address(given):
        return reached
    return {**reached, "base_url": None, "api_key_env": None}


def _root(root: "str | Path") -> "Path":
    from pathlib import Path  # noqa: PLC0415

    path = Path(root).expanduser()
    if not path.exists():
        raise UsageError(f"there is no folder {str(root)!r} to read beneath", remedy="Check `--root`.")
    if not path.is_dir():
        raise UsageError(f"{str(root)!r} is a file: a root is a folder", remedy=f"Use {str(path.parent)!r}.")
    return path.resolve()


def _journal(given: Journal | str | None, home: "Path") -> Journal:
    from stratagem.session._journals import journal_of  # noqa: PLC0415

    return journal_of(given, home) if given is None or isinstance(given, str) else given


def _memory(given: Memory | str | None, home: "Path") -> Memory:
    if given == "none":
        return Forgetful()
    if given is None or isinstance(given, str):
        from pathlib import Path  # noqa: PLC0415

        from stratagem.memory.fts import FtsMemory  # noqa: PLC0415

        if given is not None and not given.startswith("sqlite:"):
            raise UsageError(f"a memory is 'none' or 'sqlite:PATH', got {given!r}")
        return FtsMemory(home / "memory.sqlite" if given is None else Path(given.removeprefix("sqlite:")))
    return given


def inside_loop() -> bool:
    """Return whether an event loop is running in this thread."""
    import asyncio  # noqa: PLC0415

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def run(strategy: Any, task: Any, **settings: Any) -> Any:
    """Run one strategy on one task and return its answer: `open` and `Session.run` in one, without `await`.

    Args:
        strategy: a strategy, or its spec string.
        task: a `Task`, or a question in words.
        **settings: as `open` takes them.

    Raises:
        UsageError: an event loop is running already (a notebook, an async program): use `await session.run(...)`.
    """
    import asyncio  # noqa: PLC0415

    if inside_loop():
        raise UsageError(
            'this is a notebook or an async program: use "async with stratagem.open(...) as session" and '
            '"await session.run(...)"'
        )

    async def main() -> Any:
        async with open(**settings) as session:
            return await session.run(strategy, task)

    return asyncio.run(main())


__all__ = ["open", "run"]
