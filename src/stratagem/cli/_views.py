"""The views of `stratagem show`: summary, tree, events, costs, one effect."""

import sys
from typing import Any

from stratagem.cli._output import Mode, counted, first_line, json_text, painted, say, table
from stratagem.cli._reading import (
    GONE,
    HUES,
    budget_document,
    counts_of,
    following,
    money,
    reused,
    sign,
    standing,
    usage_of,
)
from stratagem.cli._told import called
from stratagem.core import Row, Usage, decoded
from stratagem.errors import revive
from stratagem.session import RunRecord

BRIEF = 100  # characters of a request or a result in a list
REUSED = "="  # of an effect that a fork has of an ancestor
DECISIONS = ("decision", "order")  # bookkeeping that only `--events` shows


def document(record: RunRecord, effect: int | None) -> dict[str, Any]:
    """Return the JSON of `show`: `run effects notes`, and what the run has come to."""
    effects = record.effects(inherited=True)
    if effect is not None and (found := record.found(effect)) is not None:
        owner, row = found
        facts = {**owner.effect(row), "reused": owner is not record}
        effects = [{**facts, "request": owner.request(row), "result": _result(row)}]
    return {
        "run": record.plain(),
        "answer": record.end.get("answer"),
        "error": record.error,
        "usage": usage_of(record).plain(),
        "fallbacks": [one.plain() for one in record.fallbacks()],
        "budget": budget_document(record),
        "waiting": record.questions(),
        "effects": effects,
        "notes": record.notes(),
        **counts_of(record),
    }


def summary(mode: Mode, record: RunRecord, *, gone: bool) -> None:
    """Print what was asked, what was done, and what came of it.

    Args:
        mode: how to speak.
        record: the run, with its effects.
        gone: whether it is stored as running and nobody drives it.
    """
    facts = record.record
    mark, how = ("!", GONE) if gone else (sign(record), standing(record))
    sys.stdout.write(f"{painted(mark, HUES[mark])} run {record.id} · {how}\n")
    lines = {
        "question": first_line(record.question, 400),
        "strategy": record.strategy or "(cannot be named)",
        "model": record.model,
        "server": facts.get("server", {}).get("base_url", ""),
        "prices": facts.get("prices", ""),
        "budget": _limits(record),
        "roots": ", ".join(facts.get("roots", ())),
        "parent": record.parent,
        "answered": record.fallbacks_told(),
        "cut": record.cut_told(),
        "created": record.plain()["created"],
    }
    for name, value in lines.items():
        if value:
            say(f"  {name:9} {value}")
    if rows := [one for one in _every(record) if one[1].kind not in DECISIONS]:
        say()
        _effects(record, rows)
    answer: dict[str, Any] = record.end.get("answer") or {}
    if record.error is not None:
        say(f"\n{record.error['kind']}: {record.error['message']}")
    if answer.get("reason"):
        say(f"\n{answer['reason']}")
    if answer.get("text"):
        say(f"\n{answer['text']}")
    if answer.get("sources"):
        say("\n" + "\n".join(f"[{number}] {source}" for number, source in enumerate(answer["sources"], 1)))
    for line in following(mode, record, gone=gone):
        say(line if line.startswith("answer: ") else f"\n{line}")
    if reuse := reused(record.counts):
        say(f"\n{reuse}")
    used = usage_of(record)
    say(f"\n{counted(used.calls, 'call')} · {used.size} · {used.money} · {used.seconds:.1f} s")


def _every(record: RunRecord) -> list[tuple[RunRecord, Row]]:
    """Return the effects of a run, with the run that has each: a fork's reused ones first."""
    return [*record.inherited, *((record, row) for row in record.rows)]


def _limits(record: RunRecord) -> str:
    """Return the budget, and what was billed above it."""
    over = budget_document(record)["overshoot"]
    said = ",".join(f"{name}={amount:g}" for name, amount in over.items())
    return f"{record.record.get('budget', '')}{f' · overshoot {said}' if over else ''}"


def _effects(record: RunRecord, rows: list[tuple[RunRecord, Row]]) -> None:
    signs = [_sign(row, reused=owner is not record) for owner, row in rows]
    table(
        [
            (
                mark,
                str(row.seq),
                owner.name(row),
                row.path,
                "" if row.kind == "intent" else f"{row.took / 1e6:.2f} s",
                _tokens(owner, row),
                _brief(row),
            )
            for mark, (owner, row) in zip(signs, rows, strict=True)
        ],
        elastic=6,
        colours=[HUES[mark] for mark in signs],
    )


def _sign(row: Row, *, reused: bool) -> str:
    """Return the sign of an effect; an intent is none, for nobody knows from it whether the call happened."""
    return REUSED if reused else "·" if row.kind == "intent" else "✗" if _failed(row) else "✓"


def _failed(row: Row) -> bool:
    return row.failed or (row.kind == "tool" and bool(decoded(row.result).get("failed")))


def _tokens(record: RunRecord, row: Row) -> str:
    used = record.effect(row)["usage"]
    return "" if used is None else Usage(**used).size


def _brief(row: Row) -> str:
    """Return what an effect asked, if it is short, and the beginning of what came."""
    form = decoded(row.request)
    asked = ""
    if row.kind == "wait":
        asked = f"{first_line(str(form['wait']), BRIEF)} → "
    elif row.kind in ("tool", "intent") and form["arguments"]:
        asked = f"{called('', form['arguments'])[1:-1]} → "
    return f"{asked}{'begun' if row.kind == 'intent' else first_line(_text(row), BRIEF)}"


def _result(row: Row) -> Any:
    return decoded(row.result) if row.result else None


def _text(row: Row) -> str:
    """Return the result of an effect as a text: a reply's, a tool's, an error's message, else JSON."""
    result = _result(row)
    if row.failed:
        return str(revive(result)) or str(result[0])
    if isinstance(result, dict):
        calls = ", ".join(called(*call) for call in result.get("calls", ()))  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType, reportUnknownArgumentType]
        text = str(result.get("text", ""))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        if text or calls:
            return " ".join(part for part in (text, calls and f"→ {calls}") if part)
    return "" if result is None else json_text(result)


class Scope:
    """A scope of the tree: its effects and the scopes within, in the order in which they began."""

    def __init__(self, name: str) -> None:
        self.name, self.used = name, Usage()
        self.within: dict[str, Scope] = {}
        self.parts: list[Scope | tuple[RunRecord, Row]] = []

    def scope(self, name: str) -> "Scope":
        """Return the scope of a name, made if there is none."""
        if name not in self.within:
            self.within[name] = Scope(name)
            self.parts.append(self.within[name])
        return self.within[name]


def tree(record: RunRecord) -> None:
    """Print the scopes as a tree, with their sums and their effects."""
    root = Scope(record.id)
    for owner, row in _every(record):
        scope, used = root, _usage(owner, row)
        root.used += used
        for name in row.path.split("/") if row.path else ():
            scope = scope.scope(name)
            scope.used += used
        if row.kind not in DECISIONS:
            scope.parts.append((owner, row))
    _branch(record, root, "")


def _branch(record: RunRecord, scope: Scope, indent: str) -> None:
    used = scope.used
    say(f"{indent}{scope.name}  {counted(used.calls, 'call')}  {used.size}  {used.seconds:.2f} s")
    for part in scope.parts:
        if isinstance(part, Scope):
            _branch(record, part, f"{indent}  ")
            continue
        owner, row = part
        mark = _sign(row, reused=owner is not record)
        sys.stdout.write(f"{indent}  {painted(mark, HUES[mark])} ")
        say(f"{row.seq} {owner.name(row)}  {_brief(row)}")


def _usage(record: RunRecord, row: Row) -> Usage:
    """Return what one effect has cost; `seconds` is how long it took."""
    used = record.effect(row)["usage"]
    return (Usage(**used) if used else Usage())._replace(seconds=row.took / 1e6)


def events(record: RunRecord) -> None:
    """Print every row, with the seconds since the run began; since that of the ancestor, where a fork reused it."""
    rows = [
        (
            f"{(row.wall - owner.stored.created) / 1e6:.3f}",
            str(row.seq),
            row.kind,
            owner.name(row),
            row.path,
            f"{row.took / 1e6:.3f} s",
            _brief(row) if owner is record else f"{REUSED} {_brief(row)}",
        )
        for owner, row in _every(record)
    ]
    table(rows, elastic=6)


def costs(record: RunRecord) -> None:
    """Print what each signature and tool has cost, the dearest first; in a fork, what it reused counts."""
    sums: dict[tuple[str, str], tuple[int, Usage]] = {}
    for owner, row in _every(record):
        if row.kind in ("model", "tool"):
            key = (row.kind, owner.name(row))
            count, used = sums.get(key, (0, Usage()))
            sums[key] = (count + 1, used + _usage(owner, row))
    ordered = sorted(sums.items(), key=lambda item: (-item[1][1].tokens, -item[1][1].seconds))
    rows = [
        (
            kind,
            name,
            counted(count, "time"),
            f"{used.bound}{used.prompt_tokens:,} + {used.completion_tokens:,} tokens",
            money(used),
            f"{used.seconds:.2f} s",
        )
        for (kind, name), (count, used) in ordered
    ]
    whole = usage_of(record)
    rows.append(
        (
            "total",
            "",
            counted(whole.calls, "call"),
            f"{whole.bound}{whole.prompt_tokens:,} + {whole.completion_tokens:,} tokens",
            money(whole),
            f"{whole.seconds:.2f} s",
        )
    )
    table(rows, elastic=1)


def one_effect(record: RunRecord, number: int) -> None:
    """Print all of one effect: what was asked, and what came."""
    found = record.found(number)
    assert found is not None
    record, row = found
    facts = record.effect(row)
    say(f"effect {number} · {row.kind} · {record.name(row)} · {facts['started']} · {row.took / 1e6:.3f} s")
    say(f"scope: {row.path or '(root)'}")
    request = record.request(row)
    if row.kind == "model":
        head = request["head"]
        _section("instruction", head["instruction"])
        _section(
            "message",
            request["message"] if isinstance(request["message"], str) else json_text(request["message"], indent=2),
        )
        if files := request.get("attached"):
            lines = [f"{one['name']} · {one['type']} · {counted(one['bytes'], 'byte')}" for one in files]
            _section("attached", "\n".join(lines))
        _section("options", json_text({"model": head["model"], **head["options"]}))
    elif row.kind in ("tool", "intent"):
        _section("call", called(request["tool"], request["arguments"]))
    elif row.kind == "wait":
        _section("question", str(request["wait"]))
        _section("schema", json_text(request["schema"], indent=2))
    else:
        _section("request", json_text(request, indent=2))
    if row.kind == "intent":
        _section("state", "begun")
        return
    result = _result(row)
    text = result.get("text") if isinstance(result, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if row.failed:
        _section("error", f"{result[0]}: {_text(row)}")
        if tries := getattr(revive(_result(row)), "tries", ()):
            _section("came by", f"attempts: {', '.join(tries)}")
    elif isinstance(text, str):
        _section("text", text)
        via = result.get("via")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if isinstance(via, dict):
            _section("came by", "\n".join(f"{name}: {_listed(value)}" for name, value in via.items()))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        rest = {key: value for key, value in result.items() if key not in ("text", "via")}  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if rest:
            _section("beside it", json_text(rest, indent=2))
    else:
        _section("result", json_text(result, indent=2))


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _section(name: str, text: str) -> None:
    sys.stdout.write(f"\n{painted(name, 'bold')}\n")
    say(text)
