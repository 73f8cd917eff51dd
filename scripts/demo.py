"""The main job on the embedded defaults: the reference agent answers questions about real files of this repository.

    python scripts/demo.py [--home DIR]

No key, no network, no neural model. For each question it prints the plan, the tool calls, the answer with its
citations and the computation. Exit status 0 if every question was answered.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from make_sample_db import make

import stratagem
from stratagem.core import printable
from stratagem.strategies import autonomous_agent

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 110

QUESTIONS = (
    "What does exit code 4 mean?",  # docs/manual.md
    "What was the mean precipitation in 2013?",  # docs/data/seattle-weather.csv
    "Which month had the highest total precipitation?",  # the SQLite database made from it
)

NEXT = """
Next:
  stratagem run "Your question" --root YOUR_FOLDER        ask about your own txt, md, csv and sqlite files
  stratagem run "Your question" --root docs --strategy react    another strategy; `stratagem catalog` lists them
  stratagem show last                                     what the last run did, effect by effect
  stratagem models                                        what else can answer, and what each needs
"""


def cut(text: str) -> str:
    """Return the first line of a text, short enough for a terminal."""
    line = printable(text).partition("\n")[0]
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"


def shown(event: stratagem.Event) -> None:
    """Print what an event says about the plan or a tool call."""
    match event.type, event.data:
        case "note", {"kind": "plan", "goals": list(goals)}:
            for number, goal in enumerate(goals, 1):
                print(f"  plan {number}  {cut(str(goal))}")
        case "effect.requested", {"kind": "tool", "name": str(name), "arguments": dict(arguments)}:
            print(f"  call    {name}({cut(', '.join(f'{key}={value!r}' for key, value in arguments.items()))})")
        case _:
            pass


async def main(home: Path) -> int:
    """Ask every question; return the exit status."""
    made = home / "demo"
    make(made)
    answered: list[str] = []
    tokens = 0
    async with stratagem.open(model="offline", roots=[ROOT / "docs", made], budget="calls=60", home=home) as session:
        for number, question in enumerate(QUESTIONS, 1):
            print(f"\n{number}. {question}")
            answer = await session.run(autonomous_agent, question, on_event=shown)
            print(f"  answer  {answer.text if answer.ok else answer.reason}")
            for place, source in enumerate(answer.sources, 1):
                print(f"          [{place}] {source}")
            tokens += answer.usage.tokens
            if answer.ok:
                answered.append(answer.run_id)
    print(NEXT)
    print(f"{len(answered)} of {len(QUESTIONS)} answered · {tokens} model tokens · runs {' '.join(answered)}")
    return 0 if len(answered) == len(QUESTIONS) else 1


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--home", type=Path, default=ROOT / ".stratagem", help="folder of the state")
    sys.exit(asyncio.run(main(options.parse_args().home)))
