"""What a spec on the command line names, where it names only the file."""

import re
from typing import Any, Literal

from stratagem.cli._ends import usage

MADE_BY = {"strategy": "@strategy", "tool": "@tool()"}


def check_spec(spec: str, kind: Literal["strategy", "tool"]) -> None:
    """Refuse the bare name of a Python file, and say what there is in it.

    Raises:
        Fault: it is one.
        UsageError: it is one, and it cannot be imported.
    """
    bare = re.fullmatch(r"(?P<file>[^()]+\.py):?(?P<settings>\(.*\))?", spec.strip(), re.DOTALL)
    if bare is None:
        return
    file = bare["file"]
    names = _names_in(file, kind)
    if not names:
        raise usage(f"there is no {kind} in {file!r}", f"Write `{MADE_BY[kind]}` above a function in it.")
    said = ", ".join(names)
    raise usage(
        f"{spec!r} names a file, and no {kind} in it; there {'is' if len(names) == 1 else 'are'} {said}",
        f"Write {file}:{names[0] if len(names) == 1 else 'NAME'}{bare['settings'] or ''}.",
    )


def _names_in(file: str, kind: str) -> list[str]:
    """Return the names of the tools in a file, or of the strategies that it makes itself and did not import."""
    from pathlib import Path

    from stratagem.core import StrategyFunction, Tool
    from stratagem.session._loading import load_file

    module = load_file(Path(file))

    def own(one: Any) -> bool:
        if isinstance(one, Tool):
            return kind == "tool"
        return isinstance(one, StrategyFunction) and kind == "strategy" and one.card.module == module.__name__

    return [name for name, one in vars(module).items() if own(one)]


TYPES: dict[str, Any] = {"str": str, "int": int, "float": float, "bool": bool}


def output_of(text: str) -> Any:
    """Return the type that `--output` names: one of four, or a choice such as `red|blue`.

    >>> output_of("int"), output_of("red | blue")
    (<class 'int'>, typing.Literal['red', 'blue'])
    """
    if text in TYPES:
        return TYPES[text]
    choices = tuple(one.strip() for one in text.split("|"))
    if len(choices) < 2 or not all(choices) or len(set(choices)) < len(choices) or set(choices) <= set(TYPES):
        raise usage(
            f"`--output` is {', '.join(TYPES)}, or what may be chosen, got {text!r}",
            "Write choices with `|` between them, each once: `--output 'red|blue'`.",
        )
    return Literal[choices]
