"""Read JSON in what a model wrote around it, without changing its meaning: the first half of repair (IN04).

In this order: the text itself, the content of a code fence, the last balanced object or array, and the same as a
Python literal (single quotes, True, None). What none of these reads is a `ValueError`; nothing is completed or guessed.
"""

import json
import re
from typing import Any, cast

from stratagem.core._canonical import clean
from stratagem.core._late import ast

_FENCE = re.compile(r"```[\w-]*[ \t]*\n(.*?)(?:\n[ \t]*)?```", re.DOTALL)
_PAIRS = {"}": "{", "]": "["}
LONGEST = 1_000_000  # characters that are searched for a balanced value


def fenced(text: str) -> bool:
    """Return whether a text is one code fence and nothing else."""
    whole = text.strip()
    return len(whole) > 6 and whole.startswith("```") and whole.endswith("```") and whole.count("```") == 2


def unfenced(text: str) -> str:
    r"""Return the content of the last code fence, or the text if there is none.

    >>> unfenced("Here:\n```json\n[1]\n```\nDone.")
    '[1]'
    """
    found = _FENCE.findall(text)
    return found[-1].strip() if found else text.strip()


def read_json(text: str) -> Any:
    """Return the JSON value that a text holds; `ValueError` says that there is none.

    >>> read_json("Sure! {'a': [1, True]}")
    {'a': [1, True]}
    """
    if len(text) > LONGEST:
        raise ValueError(f"longer than {LONGEST} characters")
    tried = list(dict.fromkeys(part for part in (text.strip(), unfenced(text), balanced(text)) if part))
    for part in tried:
        try:
            return _clean(json.loads(part, parse_constant=_no_constant))
        except (ValueError, RecursionError):
            continue
    for part in tried:
        try:
            value = ast.literal_eval(part)
            return _clean(json.loads(json.dumps(value, allow_nan=False)))
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    raise ValueError("no JSON value in the reply")


def balanced(text: str) -> str:
    """Return the last balanced object or array of a text, or the empty string.

    >>> balanced('a {"b": "}"} c [1] d')
    '[1]'
    """
    found, start, quote, skip = "", 0, "", False
    stack: list[str] = []
    for place, char in enumerate(text):
        if skip:
            skip = False
        elif quote:
            skip = char == "\\"
            quote = "" if char == quote else quote
        elif char == '"' and stack:
            quote = char
        elif char in "{[":
            start = start if stack else place
            stack.append(char)
        elif char in "}]":
            if not stack or stack.pop() != _PAIRS[char]:
                stack = []
            elif not stack:
                found = text[start : place + 1]
    return found


def _clean(value: Any) -> Any:
    """Return JSON data whose texts have no lone surrogates: an escape may write one that no encoder writes again."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_clean(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {clean(key): _clean(item) for key, item in cast("dict[str, Any]", value).items()}
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
