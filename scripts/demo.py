"""The main job on the embedded defaults: the reference agent answers questions about real files of this repository.

    python scripts/demo.py [--home DIR]

No key, no network, no neural model. For each question it prints what was recalled from earlier runs, the plan, the tool
calls, the answer with its citations, and the computation. Exit status 0 if every question was answered with citations.
"""

import argparse
import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

from make_sample_db import make

import stratagem
from stratagem.core import Recalled, decoded, json_of, printable
from stratagem.strategies import autonomous_agent

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 110

QUESTIONS = (
    "What does exit code 4 mean?",  # docs/manual.md
    "What was the mean precipitation in 2013 in seattle-weather.csv?",  # docs/data
    "Which month had the most rainy days?",  # the SQLite database made from it
    "Which 3 days had the highest wind in seattle-weather.csv, and what is (9.5 + 8.8 + 8.8) / 3?",
)

NEXT = (
    ('stratagem run "Your question" --root YOUR_FOLDER', "ask about your own txt, md, csv and sqlite files"),
    ('stratagem run "Your question" --root docs --strategy react', "another strategy; `stratagem catalog` lists them"),
    ("stratagem show last --home {home}", "what the last run did, effect by effect"),
    ("stratagem models", "what else can answer, and what each needs"),
)


def cut(text: str) -> str:
    """Return the first line of a text, short enough for a terminal."""
    line = printable(text).partition("\n")[0]
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"


def called(name: str, arguments: Mapping[str, object]) -> str:
    """Return a tool call as Python would write it."""
    return f"{name}({', '.join(f'{key}={json_of(value)!r}' for key, value in arguments.items())})"


def told(event: stratagem.Event) -> list[str]:
    """Return what an event says about the plan or a tool call, in lines."""
    match event.type, event.data:
        case "note", {"kind": "plan", "goals": list(goals)}:
            return [f"  plan {number}    {cut(str(goal))}" for number, goal in enumerate(goals, 1)]
        case "effect.requested", {"kind": "tool", "name": str(name), "arguments": dict(arguments)}:
            return [f"  call      {cut(called(name, arguments))}"]
        case _:
            return []


def recalled(record: stratagem.RunRecord) -> list[str]:
    """Return which earlier runs the memory brought up, in lines."""
    found = [Recalled.of(form) for row in record.rows if record.name(row) == "recall" for form in decoded(row.result)]
    return [f"  recalled  {one.source}: {cut(str(one))}" for one in found]


def numbered(answer: stratagem.Answer, first: int) -> tuple[str, list[str]]:
    """Return the text with its locators replaced by numbers from `first`, and the locators in that order."""
    text = answer.text
    cited = sorted((one for one in answer.sources if f"[{one}]" in text), key=lambda one: text.index(f"[{one}]"))
    for number, source in enumerate(cited, first):
        text = text.replace(f"[{source}]", f"[{number}]")
    return text, cited


def explained(answer: stratagem.Answer, source: str) -> list[str]:
    """Return the last call that a citation comes from, and the first line of what it returned."""
    calls = [
        (call, seen)
        for turn in answer.steps
        for call, seen in zip(turn.step.calls, turn.observations, strict=True)
        if source in seen.sources
    ]
    call, seen = calls[-1]
    return [f"            {printable(called(call.name, call.arguments))}", f"            → {cut(seen.text.strip())}"]


async def main(home: Path) -> int:
    """Ask every question; return the exit status."""
    made = home / "demo"
    make(made)
    runs: list[str] = []
    tokens = place = 0
    async with stratagem.open(model="offline", roots=[ROOT / "docs", made], budget="calls=60", home=home) as session:
        for number, question in enumerate(QUESTIONS, 1):
            print(f"\n{number}. {question}", flush=True)
            seen: list[str] = []
            answer = await session.run(
                autonomous_agent, question, on_event=lambda event, seen=seen: seen.extend(told(event))
            )
            print("\n".join([*recalled(await session.show(answer.run_id)), *seen]))
            text, cited = numbered(answer, place + 1)
            for line in (text if answer.ok else answer.reason).splitlines():
                print(f"  answer    {printable(line)}")
            for source in cited:
                place += 1
                print("\n".join([f"  {f'[{place}]':<9} {source}", *explained(answer, source)]))
            tokens += answer.usage.tokens
            if answer.ok and cited:
                runs.append(answer.run_id)
    print(f'\nNext, after export PATH="{Path(sys.executable).parent}:$PATH"')
    for line, why in NEXT:
        print(f"  {line.format(home=home):<60}  {why}")
    print()
    print(f"{len(runs)} of {len(QUESTIONS)} answered · {tokens} model tokens · runs {' '.join(runs)}")
    return 0 if len(runs) == len(QUESTIONS) else 1


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--home", type=Path, default=ROOT / ".stratagem", help="folder of the state")
    try:
        sys.exit(asyncio.run(main(options.parse_args().home)))
    except stratagem.StratagemError as failure:
        sys.exit(f"{failure}\n{failure.remedy}".strip())
