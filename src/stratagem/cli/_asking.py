"""Asks a person at the terminal, and reads what a person wrote on the command line."""

import json
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from stratagem.cli._ends import Fault, usage
from stratagem.cli._output import Mode, warn
from stratagem.cli._settings import nearest
from stratagem.cli._wanting import kinds_of, needs_one_word, options_of, wanted

YES, NO, UNKNOWN = ("yes", "y", "true"), ("no", "n", "false"), ("unknown", "u", "null")


def interactive(mode: Mode) -> bool:
    """Return whether a person can be asked: standard input and standard error are terminals, and nobody reads JSON."""
    return not mode.machine and sys.stdin.isatty() and sys.stderr.isatty()


def value_of(text: str, schema: Mapping[str, Any]) -> Any:
    """Return what a person wrote, as the question's schema wants it: an option, yes and no, plain text, else JSON.

    A question for an object that needs nothing but a yes or no takes a plain yes, no or unknown for that field.

    Raises:
        Fault: it does not fit.
    """
    kinds = kinds_of(schema)
    word = text.strip().casefold()
    if (options := options_of(schema)) is not None:
        return _option(text, options)
    if field := needs_one_word(schema):
        part = kinds_of(schema["properties"][field])
        if word in YES or word in NO:
            return {field: word in YES}
        if "null" in part and word in UNKNOWN:
            return {field: None}
    if "boolean" in kinds and (word in YES or word in NO):
        return word in YES
    if "null" in kinds and word in UNKNOWN:
        return None
    if "string" in kinds and set(kinds) <= {"string", "null"}:
        return text
    try:
        return json.loads(text)
    except ValueError:
        if "string" in kinds:
            return text
        raise _unfit(text, schema) from None


def _option(text: str, options: Sequence[Any]) -> Any:
    """Return the option that is meant: written out, by its beginning, or yes and no in another word."""
    word = text.strip().casefold()
    names = {str(option).casefold(): option for option in options}
    found = [option for name, option in names.items() if word and name.startswith(word)]
    for words, meant in ((YES, "yes"), (NO, "no")):
        if word in words and meant in names:
            return names[meant]
    if word in names or len(found) == 1:
        return names.get(word, found[0] if found else None)
    said = ", ".join(map(str, options))
    raise usage(f"{text!r} is none of {said}{nearest(word, names)}", "Write one of them.")


def _unfit(text: str, schema: Mapping[str, Any]) -> Fault:
    kinds = kinds_of(schema)
    if "boolean" in kinds:
        return usage(f"{text!r} is neither yes nor no", f"Write yes or no{', or unknown' if 'null' in kinds else ''}.")
    return usage(f"{text!r} is not JSON", f"The question wants {wanted(schema)}.")


def ask(question: str, schema: Mapping[str, Any]) -> Any:
    """Ask until the answer fits; the parts of an object one after the other.

    Raises:
        KeyboardInterrupt: the person wants to answer later: Ctrl-C, or the end of the input.
    """
    warn(question)
    properties: Mapping[str, Any] = schema.get("properties", {}) if schema.get("type") == "object" else {}
    if not properties:
        return _part("answer", schema)
    given: dict[str, Any] = {}
    for name, part in properties.items():
        given[name] = _part(name, part)
    return given


def _part(name: str, schema: Mapping[str, Any]) -> Any:
    kinds, options = kinds_of(schema), options_of(schema)
    hint = "" if kinds in ((), ("string",)) else f" ({wanted(schema)})"
    if "boolean" in kinds and set(kinds) <= {"boolean", "null"}:
        hint = f" [yes/no{'/unknown' if 'null' in kinds else ''}]"
    if options is not None:
        hint = f" [{'/'.join(map(_begun, options))}]"
    while True:
        text = _line(f"{name}{hint}: ")
        try:
            return value_of(text, schema)
        except Fault as failure:
            warn(f"{failure.message}. {failure.remedy}")


def _begun(option: Any) -> str:
    """Return an option with its beginning marked, which is enough to write."""
    text = str(option)
    return {"always": "(a)lways for this run"}.get(text, f"({text[:1]}){text[1:]}")


def _line(prompt: str) -> str:
    # Whatever handles these elsewhere, here they must end the reading.
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        sys.stderr.write(prompt)
        sys.stderr.flush()
        line = sys.stdin.readline()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if not line:
        raise KeyboardInterrupt
    return line.rstrip("\r\n")
