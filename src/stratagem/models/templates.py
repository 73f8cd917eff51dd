"""Chat templates: the form of a conversation that a model was trained on, written in Jinja by whoever made the model.

Rule 1: the template is that of the model file; nothing here knows a form by name.
Rule 2: a template is somebody else's program: it is filled in Jinja's sandbox, and sees nothing but what is given to it.

llama.cpp fills the templates of the models that it runs. Here they are filled to find out what they can say, and to show
what a model reads.
"""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from stratagem.errors import CapabilityError, UsageError

EXTRA = 'pip install "stratagem[local]"'
_PROBE = "probe_9f2c"  # a name that no template contains


class Template:
    """One template.

    Args:
        text: the template.
        bos: the mark before a text.
        eos: the mark after a reply.

    Raises:
        UsageError: it is no template.
        CapabilityError: Jinja is not installed.
    """

    def __init__(self, text: str, bos: str = "", eos: str = "") -> None:
        try:
            from jinja2 import TemplateError
            from jinja2.sandbox import ImmutableSandboxedEnvironment
        except ImportError:
            raise CapabilityError("chat templates need the package jinja2", remedy=f"Install it: {EXTRA}") from None
        around: Any = ImmutableSandboxedEnvironment(  # as Transformers does, for which templates are written
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"], autoescape=False
        )
        around.filters["tojson"] = _json
        self._failures: type[Exception] = TemplateError
        try:
            self._template = around.from_string(text)
        except TemplateError as failure:
            raise UsageError(f"the chat template cannot be read: {failure}") from None
        self._text, self._bos, self._eos = text, bos, eos

    def filled(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        begins: bool = True,
        today: datetime.date | None = None,
    ) -> str:
        """Return a conversation as the model reads it.

        Args:
            messages: `role` and `content` of each, as chat completions have them.
            tools: schemas of the tools, as chat completions have them.
            begins: whether the reply is to follow.
            today: for templates that state the date; None is the first of January 2025.

        Raises:
            UsageError: the template does not take such a conversation, and says why.
        """
        day = today or datetime.date(2025, 1, 1)
        try:
            return self._template.render(
                messages=messages, tools=list(tools) or None, add_generation_prompt=begins, bos_token=self._bos,
                eos_token=self._eos, raise_exception=_refused, strftime_now=day.strftime,
            )  # fmt: skip
        except (
            self._failures,
            _Refused,
            TypeError,
            ValueError,
            ArithmeticError,
            LookupError,
            AttributeError,
        ) as failure:
            raise UsageError(f"the chat template does not take this conversation: {failure}") from None

    @property
    def takes_tools(self) -> bool:
        """Whether it shows the model the tools that it is given."""
        if "tools" not in self._text:
            return False
        parameters: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
        tool: dict[str, Any] = {
            "type": "function",
            "function": {"name": _PROBE, "description": "probe", "parameters": parameters},
        }
        try:
            return _PROBE in self.filled([{"role": "user", "content": "?"}], tools=[tool])
        except UsageError:
            return False


class _Refused(Exception):
    """A template does not take what it was given."""


def _refused(message: object = "") -> NoReturn:
    raise _Refused(str(message))


def _json(value: Any, indent: int | None = None, **_: object) -> str:
    """Return data as JSON without HTML's escapes, which Jinja's own filter writes."""
    import json

    return json.dumps(value, ensure_ascii=False, indent=indent)
