"""Cassettes: what a model said once, kept in a file beside the tests, and said again without it.

    async with stratagem.open(model=Cassette("openai:gpt-4o-mini", "cassettes/trip.jsonl")) as session:
        ...

`STRATAGEM_CASSETTE=record pytest` asks the model for what the file lacks. Without it no request leaves the process: what
is missing is a `ScriptMiss` that shows the nearest line and where it differs.

Rule 1: a draw is found by its request and its place: digest, scope path, occurrence. So results never depend on the
        order in which branches ask.
Rule 2: what a program sees while it is recorded is what it will see when it is replayed: secrets are taken out of a reply
        before anybody reads it, so that no later request can depend on them.
Rule 3: a request that has a secret in it is found by the digest of what is left without the secret, and its line says
        `scrubbed`. All others have the journal's digest.
Rule 4: an error that says something about the request is recorded: it is an answer. One that says something about the
        moment (a limit of rates, a time-out, a wrong key) is raised and not recorded.
"""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Literal, get_args

from stratagem.core import Delta, Json, Model, Reply, Request, Sample, Usage
from stratagem.core._canonical import clean, decoded, encoded_clean, hashed, text_of
from stratagem.core._model import sample_bytes
from stratagem.errors import (
    BadReply,
    ContextTooLong,
    ModelError,
    Refused,
    Rejected,
    ScriptMiss,
    StratagemError,
    UsageError,
    record,
    revive,
)
from stratagem.models import open_model
from stratagem.models.compared import difference, fields, form_of, nearest
from stratagem.models.keys import hiding
from stratagem.testing._cassette_file import Key, Line, read, write
from stratagem.testing._cassette_secrets import Secrets

Mode = Literal["replay", "record", "refresh"]
VARIABLE = "STRATAGEM_CASSETTE"

_ANSWERS = (ContextTooLong, Refused, Rejected)  # errors that a second attempt would meet again
_ADDRESS = re.compile(r"https?://[^\s()'\"`]+")


class Cassette:
    """A model whose replies come from a file.

    Args:
        model: the model, or its spec. In replay it is never asked; what it honours decides what requests look like.
        path: the file. It need not exist.
        mode: `replay` asks nobody; `record` asks for what the file lacks; `refresh` asks for everything again, and keeps
            only what was asked for. None is what STRATAGEM_CASSETTE says, else `replay`.
        secrets: texts that must not get into the file, beside the values of the environment's key variables and the
            key that the model sends.
        strict: whether closing a replay fails if a line was not used.

    Raises:
        UsageError: there is no such mode, or the file is no cassette.
    """

    def __init__(
        self,
        model: Model | str,
        path: str | Path,
        mode: Mode | None = None,
        *,
        secrets: Iterable[str] = (),
        strict: bool = False,
    ) -> None:
        self.path, self.mode, self._strict = Path(path).expanduser(), mode or _from_environment(), strict
        if self.mode not in get_args(Mode):
            raise UsageError(f"a cassette's mode is one of {', '.join(get_args(Mode))}, got {mode!r}")
        self._model = open_model(model) if isinstance(model, str) else model
        self.spec, self.capabilities = self._model.spec, self._model.capabilities
        self._secrets = Secrets(more=secrets, hide=hiding(self._model))
        self._lines = read(self.path)
        self._used: set[Key] = set()
        self._new: set[Key] = set()
        self._asking: dict[Key, asyncio.Lock] = {}
        self._changed = self._failed = False

    def __repr__(self) -> str:
        return f"Cassette({self.spec!r}, {str(self.path)!r}, {self.mode!r})"

    @property
    def unused(self) -> tuple[int, ...]:
        """Numbers of the lines of the file that nobody has asked for."""
        return tuple(sorted(line.number for key, line in self._lines.items() if line.number and key not in self._used))

    def refuses(self, request: Request) -> frozenset[str]:
        """Return the options that the model does not honour."""
        return self._model.refuses(request)

    def tokens(self, text: str) -> int:
        """Return the number of tokens of a text, as the model counts."""
        return self._model.tokens(text)

    def complete(
        self, request: Request, *, on_delta: Callable[[Delta], None] | None = None
    ) -> Reply | Awaitable[Reply]:
        """Answer a request from the file; while recording, ask the model for what is missing.

        Raises:
            ScriptMiss: there is no line for it, and this is a replay.
            ModelError: what the line says, or while recording the model.
        """
        form, digest, scrubbed = self._identified(request)
        keys = [(request.path, digest, request.occurrence + number) for number in range(request.n)]
        if all(map(self._has, keys)):
            return self._reply(request, keys, on_delta)
        if self.mode == "replay":
            raise self._missed(form, next(key for key in keys if key not in self._lines))
        return self._recorded(request, form, keys, on_delta, scrubbed=scrubbed)

    def save(self) -> None:
        """Write the file if anything was recorded. A refresh in which the model failed drops nothing."""
        if not self._changed:
            return
        kept = self._lines
        if self.mode == "record":
            kept = {**read(self.path), **self._lines}  # what another has recorded meanwhile stays
        elif not self._failed:
            kept = {key: line for key, line in self._lines.items() if key in self._new}
        write(self.path, kept.values())
        self._lines, self._changed = read(self.path), False

    async def aclose(self) -> None:
        """Write what was recorded and close the model; `UsageError` if this is strict and a line was not used."""
        self.save()
        await self._model.aclose()
        if self._strict and self.mode == "replay" and self.unused:
            numbers = ", ".join(map(str, self.unused))
            raise UsageError(
                f"{self.path}: nobody has asked for line {numbers}",
                remedy="Remove the lines, or record anew: STRATAGEM_CASSETTE=refresh.",
            )

    def _identified(self, request: Request) -> tuple[dict[str, Json], str, bool]:
        """Return a request as a line has it, the digest it is found by, and whether a secret was in it."""
        form = form_of(request)
        cleaned = self._secrets.clean(form)
        if cleaned is form:
            return form, request.digest.hex(), False
        return cleaned, hashed(b"k" + encoded_clean({**cleaned, "signature": ""})).hex(), True

    def _has(self, key: Key) -> bool:
        return key in (self._lines if self.mode != "refresh" else self._new)

    def _reply(self, request: Request, keys: list[Key], on_delta: Callable[[Delta], None] | None) -> Reply:
        """Return the draws of these lines as one reply."""
        self._used.update(keys)
        lines = [self._lines[key] for key in keys]
        for line in lines:
            if line.error is not None:
                raise _revived(line)
        samples = tuple(Sample.of(line.reply) for line in lines)
        if on_delta is not None:
            for number, sample in enumerate(samples):
                on_delta(Delta(number, sample.text))
        costs = [line.usage for line in lines if line.usage is not None]
        return Reply(samples, sum(costs, Usage()) if costs else None, dropped=request.head.dropped)

    async def _recorded(
        self,
        request: Request,
        form: dict[str, Json],
        keys: list[Key],
        on_delta: Callable[[Delta], None] | None,
        *,
        scrubbed: bool,
    ) -> Reply:
        """Ask the model for the draws that are missing, and return all of them."""
        async with self._asking.setdefault(keys[0], asyncio.Lock()):  # runs at once may ask the same
            missing = [key for key in keys if not self._has(key)]
            wanted = [(request, keys)] if missing == keys else [(_one(request, key[2]), [key]) for key in missing]
            for asked, places in wanted:
                await self._asked(asked, form, places, on_delta, scrubbed=scrubbed)
        return self._reply(request, keys, None)

    async def _asked(
        self,
        request: Request,
        form: dict[str, Json],
        keys: list[Key],
        on_delta: Callable[[Delta], None] | None,
        *,
        scrubbed: bool,
    ) -> None:
        """Ask the model, and keep what it says; what it cost stands in the first line."""
        usage, said, error = None, list[Json](), None
        try:
            made = self._model.complete(request, on_delta=on_delta)
            reply = made if isinstance(made, Reply) else await made
            usage = reply.usage
            said = [self._secrets.clean(decoded(sample_bytes(sample))) for sample in reply.samples]
            if len(said) != len(keys):
                raise BadReply(f"{self.spec} sent {len(said)} draws instead of {len(keys)}")
        except _ANSWERS as failure:
            usage, error = failure.usage, self._secrets.clean(_without_address(record(failure)))
        except BaseException:
            self._failed = True
            raise
        shown = decoded(clean(text_of({name: value for name, value in form.items() if name != "model"})).encode())
        for number, (path, digest, occurrence) in enumerate(keys):
            line = Line(
                path, digest, occurrence, self.spec, shown, said[number] if error is None else None, error,
                usage if number == 0 else None, scrubbed,
            )  # fmt: skip
            self._lines[line.key] = line
            self._new.add(line.key)
        self._changed = True

    def _missed(self, form: dict[str, Json], key: Key) -> ScriptMiss:
        """Return the error that says what was asked, and what is nearest to it in the file."""
        path, digest, occurrence = key
        place = f"{path or 'the root'!r}" + (f", draw {occurrence + 1}" if occurrence else "")
        what = f"{self.path} has no reply to `{form.get('signature', '?')}` in {place}"
        how = f"To record it: {VARIABLE}=record."
        if not self._lines:
            return _miss(f"{what}: the file has no lines, or is not there", how)
        same = [line for line in self._lines.values() if line.digest == digest]
        if same:
            places = "; ".join(f"{one.path or 'the root'!r}, draw {one.occurrence + 1}" for one in same[:3])
            return _miss(f"{what}; the same request was recorded in {places}", how)
        known = (({**line.request, "model": line.model}, line) for line in self._lines.values())
        found = nearest(form, known)
        assert found is not None
        near, line = found
        hidden = "; a secret was taken out of that request" if line.scrubbed else ""
        names = ", ".join(fields(near, form)) or "a place where one of the two has a secret"
        which = f"line {line.number}" if line.number else "what was recorded just now"
        return _miss(
            f"{what}; the nearest is {which}, {line}, which differs in {names}{hidden}\n{difference(near, form)}", how
        )


def _from_environment() -> Any:
    said = os.environ.get(VARIABLE, "").strip() or "replay"
    if said not in get_args(Mode):
        raise UsageError(f"{VARIABLE} is one of {', '.join(get_args(Mode))}, got {said!r}")
    return said


def _miss(message: str, remedy: str) -> ScriptMiss:
    return ScriptMiss(message, provider="cassette", remedy=remedy)


def _one(request: Request, occurrence: int) -> Request:
    """Return the same request for one draw."""
    return Request(
        request.signature, request.inputs, request.head, request.message, request.steps, request.repair,
        request.digest, request.path, occurrence, 1, request.max_tokens, request.seed, request.attached,
    )  # fmt: skip


def _without_address(error: Json) -> Json:
    """Return a recorded error without the address of the server, and without its number of the request."""
    name, message, own = error
    kept = {key: value for key, value in own.items() if key not in ("request_id", "attempts")}
    return [name, _ADDRESS.sub("the server", message), kept]


def _revived(line: Line) -> StratagemError:
    try:
        error = revive(line.error)
    except (TypeError, ValueError):
        raise UsageError(f"line {line.number}: its `error` is none: {line.error!r}") from None
    if isinstance(error, ModelError):
        error.usage = line.usage
    return error
