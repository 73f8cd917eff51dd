"""`stratagem doctor`: is everything here that a run needs, and is the state sound?"""

from typing import Any

import click
from click.core import ParameterSource

from stratagem.cli._ends import NO_ANSWER, Fault
from stratagem.cli._output import SCHEMA, Mode, table
from stratagem.cli._settings import Setting, resolved, speaking, strange_variables

SIGNS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}


@click.command()  # not a `Verb`: a wrong file of settings is what it reports, not what stops it
@click.option("--sweep", is_flag=True, help="Remove from the journal what no run refers to any more, first.")
@speaking("json", "debug")
@click.pass_context
def doctor(ctx: click.Context, sweep: bool) -> int:
    """Check the installation, the state and the settings.

    One line per check: ok, warn or fail, and what to do. Of the journal every byte is looked at. Then every setting with its
    origin. Exit status 1 if a check fails.
    """
    from stratagem.cli._checks import Check, state, system
    from stratagem.cli._model_checks import reaching
    from stratagem.session._journals import shown
    from stratagem.session._records import home_of

    mode: Mode = ctx.obj
    settings: dict[str, Setting] = {}
    try:
        settings = resolved()
        checks = [Check("settings", "ok", "every key is known")]
    except Fault as fault:
        checks = [Check("settings", "fail", fault.message, fault.remedy)]
    for name, near in strange_variables():
        checks.append(Check("settings", "warn", f"{name} is set, which means nothing{near}", "Unset or correct it."))
    home = mode.home or (settings["home"].value if settings else None)
    origin = "--home" if ctx.get_parameter_source("home") is ParameterSource.COMMANDLINE else None
    if settings:
        settings["home"] = Setting(str(home_of(home)), origin or settings["home"].origin)
    journal: str | None = mode.journal or (settings["journal"].value if settings else None) or None
    if settings and journal is not None:
        flag = ctx.get_parameter_source("journal") is ParameterSource.COMMANDLINE
        settings["journal"] = Setting(shown(journal), "--journal" if flag else settings["journal"].origin)
    checks = [*system(), *state(home_of(home), journal, sweep=sweep), *reaching(), *checks]
    _print(mode, checks, settings)
    return NO_ANSWER if any(check.state == "fail" for check in checks) else 0


def _print(mode: Mode, checks: list[Any], settings: dict[str, Setting]) -> None:
    if mode.json:
        values = [{"key": key, "value": one.value, "origin": one.origin} for key, one in settings.items()]
        mode.document({"schema": SCHEMA, "checks": [check._asdict() for check in checks], "values": values})
        return
    rows = [
        (SIGNS[one.state][0], one.state, one.name, " · ".join(filter(None, (one.message, one.remedy))))
        for one in checks
    ]
    table(rows, elastic=3, colours=[SIGNS[one.state][1] for one in checks], whole=True)
    if settings:
        table([("", "", "", "")], elastic=3)
        table([("", key, _written(one.value), one.origin) for key, one in settings.items()], elastic=2, whole=True)


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "-"  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return str(value) if value not in ("", None) else "-"
