"""How a question of a strand becomes a request. Core only."""

from collections.abc import Mapping
from operator import is_
from typing import Any

from stratagem.core._canonical import clean
from stratagem.core._environment import Recalled
from stratagem.core._model import Head, Request
from stratagem.core._options import Options
from stratagem.core._render import check_immutable, same
from stratagem.core._request_digest import request_digest
from stratagem.core._signature import Signature
from stratagem.core._strand import Strand
from stratagem.core._tool import Tools
from stratagem.core._transcript import Transcript
from stratagem.core._value import made
from stratagem.core._values import Attachment, Content, Example
from stratagem.core._world import Asking

_IMMUTABLE = frozenset({str, int, bool, type(None), Transcript, Tools, Content, Recalled})
# What is the same if it is the same object, tuples of these besides: nothing else is sure not to have changed meanwhile.
_STEADY = frozenset({str, int, bool, float, type(None), Example})


def request_of(
    strand: Strand,
    options: Options,
    signature: Signature[..., Any],
    inputs: Mapping[str, Any],
    repair: tuple[tuple[str, str], ...],
) -> Request:
    """Return the next request of a strand. What was asked just before, of whatever strand, is not made again.

    Args:
        strand: that asks.
        options: of the model.
        signature: what is asked.
        inputs: by name, in the order of the declaration.
        repair: unreadable replies to the same request, each with the complaint.

    Raises:
        UsageError: an input is no immutable value.
    """
    world = strand.world
    ready = None if world.prompts or repair else options.heads.get(signature)
    latest = None if ready is None else ready.latest
    steps: Transcript | None = None
    attached: tuple[Attachment, ...] = ()
    if latest is not None and (
        all(map(is_, latest.inputs.values(), inputs.values()))
        or all(map(same, latest.inputs.values(), inputs.values()))
    ):
        head, inputs, message, digest = latest
    else:
        head, message, digest, steps, attached = _made(strand, options, signature, inputs, repair)
    requests = strand.requests
    occurrence = requests.get(digest, 0)
    requests[digest] = occurrence + 1
    return Request(
        signature,
        inputs,
        head,
        message,
        steps,
        repair,
        digest,
        strand.path,
        occurrence,
        1,
        None,
        world.seed,
        attached,
    )


def _made(
    strand: Strand,
    options: Options,
    signature: Signature[..., Any],
    inputs: Mapping[str, Any],
    repair: tuple[tuple[str, str], ...],
) -> tuple[Head, str, bytes, Transcript | None, tuple[Attachment, ...]]:
    tools, attached, steady = None, (), not repair
    for value in inputs.values():
        kind: Any = type(value)  # pyright: ignore[reportUnknownVariableType]  (the type of Any)
        if kind is str or (kind is tuple and not value):
            continue
        if kind not in _STEADY and not (kind is tuple and _STEADY.issuperset(map(type, value))):
            steady = False
        if kind is Tools:
            tools = value
        elif kind is Content:
            attached = (*attached, *value.attachments)
            strand.label = strand.label | value.whole_label
        elif kind is Recalled:
            strand.label = strand.label | value.label
        elif kind not in _IMMUTABLE:
            check_immutable(value)
    world = strand.world
    ready = None if world.prompts else options.heads.get(signature if tools is None else (signature, tools.digest))
    if ready is None:
        ready = world.ready(signature, options, tools)
    head = ready.head
    message = ready.message(inputs)
    steps: Transcript | None = inputs[ready.given] if ready.given else None
    try:
        said = message.encode()
    except UnicodeEncodeError:
        message = clean(message)
        said = message.encode()
    digest = request_digest(head.digest, said, steps, repair, attached)
    if steady:
        ready.latest = made(Asking, (head, inputs, message, digest))
    return head, message, digest, steps, attached
