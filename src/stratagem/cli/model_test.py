"""`stratagem models test`: what a model's server really honours."""

import json
from typing import Any

import click

from stratagem.cli._ends import ANSWERED, BUDGET, NO_ANSWER, usage
from stratagem.cli._output import SCHEMA, Mode, counted, say, table
from stratagem.cli._settings import Verb, network_of, offers, reaching, speaking, user_file

SIGNS = {
    "honoured": ("✓", "green"), "accepted": ("✓", "green"), "ignored": ("✗", "red"), "refused": ("✗", "red"),
    "unclear": ("?", "yellow"), "untried": ("-", "dim"),
}  # fmt: skip


@click.command("models test", cls=Verb)
@click.argument("spec", **offers("models"))
@click.option(
    "--budget", metavar="LIMITS", default="", help="What it may spend, such as calls=12,tokens=8000,usd=0.05."
)
@reaching
@speaking("json", "quiet", "debug")
@click.pass_obj
def models_test(mode: Mode, spec: str, budget: str) -> int:
    """Find out by ten small requests at most what a model's server really honours.

    Whether a seed repeats a text, several draws come of one request, log-probabilities come, replies keep to a schema,
    tools are called, one by its name too, streams count tokens, stops and limits hold, and a given text is scored. It says
    first what that costs at most, then what was found beside what is declared, and at last what to paste into your settings.
    Nothing is recorded.
    Exit status 1 if the server does less than is declared, 4 if --budget kept something from being asked.
    """
    import asyncio

    from stratagem.core import budget_of

    return asyncio.run(_tested(mode, spec, budget_of(budget or None)))


def _place(mode: Mode, spec: str) -> dict[str, str]:
    """Return where the models of a spec are, as far as that is not as usual."""
    prefix = spec.partition(":")[0]
    if url := mode.server.get("base_url"):
        named = {"base-url": url, "api-key-env": mode.server.get("api_key_env") or ""}
    else:
        routes = network_of()
        route = routes.providers.get(prefix) if routes is not None else None
        named = {"base-url": route.base_url, "api-key-env": route.api_key_env} if route is not None else {}
    return {key: value for key, value in named.items() if value}


async def _tested(mode: Mode, spec: str, limits: Any) -> int:
    from stratagem.core._admission import check_price, learn_price
    from stratagem.models.findings import row_of
    from stratagem.models.probe import Probe

    declared, trial, direct = await _opened(mode, spec)
    try:
        await learn_price(declared)
        check_price(declared, limits)
        probe = Probe(trial, declared.capabilities, limits, direct=direct)
        mode.tell(
            f"{spec}: at most {counted(probe.calls, 'call')} and {counted(probe.tokens, 'token')}, {_worth(probe)}"
        )
        findings = await probe.run()
    finally:
        await trial.aclose()
        await declared.aclose()
        if direct is not None:
            await direct.aclose()
    row = {**_place(mode, spec), **row_of(findings, declared.capabilities)}
    less = [one.name for one in findings if one.less]
    if mode.json:
        found = [{**one._asdict(), "agrees": not one.less} for one in findings]
        mode.document(
            {
                "schema": SCHEMA,
                "model": spec,
                "findings": found,
                "row": row,
                "agrees": not less,
                "usage": probe.usage.plain(),
            }
        )
    else:
        _print(mode, spec, findings, row if probe.heard else None, probe.usage)
    return BUDGET if probe.ended else NO_ANSWER if less else ANSWERED


async def _opened(mode: Mode, spec: str) -> tuple[Any, Any, Any]:
    """Return a model as it is used, one through which everything that is asked is sent, and what asks beside it."""
    from stratagem.models import open_model, prepared
    from stratagem.models.probe import EVERYTHING
    from stratagem.models.routes import Routes
    from stratagem.models.sources import Sources
    from stratagem.models.table import ROWS

    mode.aim(spec)
    prefix = spec.partition(":")[0]
    if "|" in spec:
        raise usage(f"{spec!r} names several models", "Test one at a time.")
    if prefix in ("offline", "script", "replay", "sim"):
        remedy = "Name a model behind a server, such as `vllm:NAME` or `openai:NAME`."
        raise usage(
            f"the model {prefix!r} has no server: what it honours is known, and there is nothing to test", remedy
        )
    sources, routes = Sources(), network_of() or Routes()
    where: dict[str, Any] = {"base_url": mode.server.get("base_url"), "api_key_env": mode.server.get("api_key_env")}
    await prepared(spec, routes, sources, **where)
    declared = open_model(spec, home=mode.home, network=routes, sources=sources, **where)
    if (lacks := getattr(declared, "lacks", None)) is not None:
        raise lacks
    if prefix not in ROWS:
        return declared, declared, None
    from stratagem.models.keys import placed
    from stratagem.models.probe_direct import Direct
    from stratagem.models.transport import Access

    route = routes.of(prefix)
    row, key = placed(prefix, where["base_url"] or None, where["api_key_env"] or None, route, sources)
    direct = Direct(row, spec.partition(":")[2], key, Access.of(row.url, route))
    everything = routes.claiming(prefix, EVERYTHING, where["base_url"] or "")
    return declared, open_model(spec, home=mode.home, network=everything, sources=sources, **where), direct


def _worth(probe: Any) -> str:
    return "of unknown price" if probe.usd is None else f"${probe.usd:.4g} at most"


def _print(mode: Mode, spec: str, findings: list[Any], row: dict[str, Any] | None, used: Any) -> None:
    lines = [
        (
            SIGNS[one.found][0],
            one.name,
            one.declared or "-",
            one.found + (" (less than declared)" if one.less else ""),
            one.said,
        )
        for one in findings
    ]
    table(lines, elastic=4, colours=[SIGNS[one.found][1] for one in findings], whole=True)
    prefix = spec.partition(":")[0]
    if row is None:
        say()
        say("# nothing came, so nothing was found out, and there is nothing to paste")
    elif prefix != "local":  # a model of this machine has no row in the settings
        say()
        say(f"# what its row should say; to paste into {user_file()}")
        say(f"[providers.{prefix}]")
        for key, value in row.items():
            say(f"{key} = {json.dumps(value)}")
    cost = "cost unknown" if used.usd is None else f"{used.bound}${used.usd:.4g}"
    spent = (counted(used.calls, "call"), counted(used.requests, "request"), used.size, cost)
    mode.tell(", ".join(spent))
