"""Audit the generators of reasoning-gym: which may be a suite here, and why the others may not.

python scripts/audit_reasoning_gym.py                  write src/stratagem/tasks/reasoning_gym.tsv and the manual's table
python scripts/audit_reasoning_gym.py --print NAME...  print the rows of these
python scripts/audit_reasoning_gym.py --page           write the manual's table from the file

It takes 25 minutes. Each generator has a process of its own with 60 seconds of CPU; what takes longer is too slow. A run
that was stopped goes on where it was. Needs Linux or macOS, and the extra `gym`.

A generator passes if, of 200 problems: equal seeds give equal problems, in another order and with other hashes too; at
least 90 % are different; every reference scores 1; nothing that is no answer does, nor the question, nor an answer that
names sixteen; no answer is right on more than 10 %; the scorer neither runs the answer as code nor changes the problem;
nothing writes files; and it passes the checks of every suite (`stratagem.testing.suite_checks`).
"""

import contextlib
import hashlib
import io
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType
from typing import Any

from stratagem.tasks import Item
from stratagem.tasks._reasoning_gym import PASSED, Found, ReasoningGym, dataset, line, table
from stratagem.testing.suite_checks import CHECKS, JUNK

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "src" / "stratagem" / "tasks" / "reasoning_gym.tsv"
PAGE = ROOT / "docs" / "manual" / "reasoning-gym.md"
HEADER = "generator\tverdict\twhy\tconstant\tfloor\tpartial\tms\n"
ITEMS, DIFFERENT, CONSTANT = 200, 0.9, 0.10
CPU_S, MEMORY = 60, 4 << 30
SOME = 40  # items on which what costs much is tried
NOTHING = (*JUNK, "zqx7", "...", "Answer:", "[[[[[[", "1e999999999", "9**9**9**9", "+", "a b c", "\n")
GUESSES = ("0", "1", "2", "yes", "no", "True", "False", "[]", "A", "8*3*1*1", "5*5-1/3")
PROBES = ("zqx7", "zqx7+1", "[zqx7]", "(zqx7)", "[[zqx7]]", "['zqx7']", '{"a": zqx7}', "print(zqx7)", "7919*7907")
TRACES = ("zqx7", "7919", str(7919 * 7907))


class Out(Exception):
    """A generator is left out."""

    def __init__(self, verdict: str, why: str) -> None:
        super().__init__(verdict, " ".join(why.split()))


class Auditor:
    """Looks at one generator."""

    def __init__(self, name: str, found: Found, stage: Callable[[str], None]) -> None:
        self.suite, self.found, self.stage = ReasoningGym(name, found), found, stage
        self.items: list[Item] = []

    def examined(self) -> Found:
        """Return what is found; what is left out after the first reason is not looked at further."""
        looks = (self.made, self.code, self.keyed, self.junk, self.echo, self.hedge, self.constant, self.checked)
        try:
            for look in looks:
                look()
        except Out as out:
            verdict, why = out.args
            return self.found._replace(verdict=verdict, why=why)
        return self.found

    def made(self) -> None:
        """Make problems."""
        self.stage("making problems")
        began = time.process_time()
        try:
            self.items = list(self.suite.items(ITEMS, seed="floor"))
        except Exception as failure:  # noqa: BLE001  (the package's code)
            if "different problems" in str(failure):
                raise Out("few", str(failure).partition(" has ")[2]) from None
            raise Out("none", f"makes no problems at its defaults: {type(failure).__name__}") from None
        tried = self.suite.entry.cache_info().misses
        self.found = self.found._replace(ms=1000 * (time.process_time() - began) / tried)
        if missing := sum(self.entry(one).get("answer") is None for one in self.items):
            raise Out("unanswered", f"{share(missing, ITEMS)} of its problems have no reference answer")
        if DIFFERENT * tried > ITEMS + 32:
            raise Out("few", f"of {tried} problems {ITEMS + 32} are different")
        self.before = [repr(self.entry(one)) for one in self.items]

    def code(self) -> None:
        """Look whether something of an answer comes to be executed."""
        for item in self.items[:SOME]:
            for probe in (*PROBES, f"{item.key}+zqx7", f"[zqx7, {item.key}]", f"{item.key}\nzqx7"):
                self.stage(f"scoring {probe[:40]!r}")
                RAN.clear()
                self.raw(item, probe)
                if RAN:
                    raise Out("code", "its scorer runs the answer as code")

    def keyed(self) -> None:
        """Score the references."""
        self.stage("scoring references")
        if bad := sum(self.raw(one, one.key) < 1 for one in self.items):
            raise Out("unkeyed", f"{bad} of its {ITEMS} references do not score 1")

    def junk(self) -> None:
        """Score what is no answer."""
        for said in NOTHING:
            self.stage(f"scoring {said[:40]!r}")
            scores = [self.raw(one, said) for one in self.items[:SOME]]
            self.found = self.found._replace(
                partial=max(self.found.partial, *(score for score in scores if score < 1), 0.0)
            )
            if paid := sum(score >= 1 for score in scores):
                raise Out("junk", f"pays {said[:20]!r} on {share(paid, SOME)} of its problems")

    def echo(self) -> None:
        """Score the question."""
        self.stage("scoring questions")
        for item in self.items[:SOME]:
            asked = self.entry(item)["question"]
            if max(self.raw(item, asked), self.suite.score(item.question, asked).right) >= 1:
                raise Out("echo", "pays for its own question")

    def hedge(self) -> None:
        """Score answers that name many."""
        self.stage("scoring many answers at once")
        dice = random.Random("hedge")
        paid = 0
        for item in self.items[:SOME]:
            named = sorted({item.key, *(one.key for one in dice.sample(self.items, 15))})
            said = [between.join(named) for between in (", ", "\n", " or ", " ")] if len(named) > 1 else []
            paid += any(self.suite.score(item.question, one).right >= 1 for one in said)
        if paid:
            raise Out("hedge", f"pays {paid} of {SOME} answers that name up to sixteen, one of them right")

    def constant(self) -> None:
        """Find the answer that is right most often."""
        self.stage("scoring constant answers")
        common = [key for key, _ in Counter(one.key for one in self.items).most_common(8)]
        shares = {
            said: sum(self.suite.score(one.question, said).right for one in self.items) for said in (*common, *GUESSES)
        }
        best = max(shares, key=lambda said: shares[said])
        self.found = self.found._replace(constant=best, floor=shares[best] / ITEMS)
        if self.found.floor > CONSTANT:
            raise Out("constant", f"one constant answer gets {self.found.floor:.0%}")
        self.suite.floor = (best, self.found.floor)

    def checked(self) -> None:
        """Run the checks of every suite."""
        for check in CHECKS:
            self.stage(f"the check {check.__name__}")
            try:
                check(self.suite)
            except Exception as failure:  # noqa: BLE001  (the package's code)
                said = str(failure).partition("\n")[0] or type(failure).__name__
                raise Out("check", f"{check.__name__.replace('_', ' ')}: no ({said[:100]})") from None
        if self.before != [repr(self.entry(one)) for one in self.items]:
            raise Out("alters", "its scorer changes the problem")

    def entry(self, item: Item) -> dict[str, Any]:
        return self.suite.entry(self.suite.read(item.question))

    def raw(self, item: Item, said: str) -> float:
        return self.suite.scored(self.suite.read(item.question), said)


RAN: list[CodeType] = []


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Note code that has a trace of an answer in it (an audit hook of the interpreter)."""
    if event == "exec" and isinstance(arguments[0], CodeType):
        code = arguments[0]
        held = repr((code.co_names, code.co_consts))
        if any(trace in held for trace in TRACES):
            RAN.append(code)


def share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}"


def digest(name: str, seeds: Sequence[int]) -> str:
    """Return the fingerprint of some problems."""
    with contextlib.redirect_stdout(io.StringIO()):
        made = {seed: dataset(name, seed)[0] for seed in seeds}
    texts = [f"{made[seed]['question']}\0{made[seed].get('answer')}" for seed in sorted(made)]
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()


def limited(work: Callable[[Callable[[str], None]], Any]) -> tuple[Any, str]:
    """Do work in a process and a folder of its own; return its result, and what it did last: a result of None is none."""
    with tempfile.TemporaryDirectory() as folder:
        result, doing = _limited(work, folder)
        written = sorted(os.listdir(folder))
    return (["acts", f"writes a file ({written[0]})"] if written else result), doing


def _limited(work: Callable[[Callable[[str], None]], Any], folder: str) -> tuple[Any, str]:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.chdir(folder)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 5))
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        sys.addaudithook(watch)
        with os.fdopen(writing, "w", buffering=1) as out:
            try:
                out.write(
                    json.dumps({"result": work(lambda text: print(json.dumps({"stage": text}), file=out))}) + "\n"
                )
            except BaseException as failure:  # noqa: BLE001  (the parent says what it was)
                out.write(json.dumps({"stage": f"{type(failure).__name__}: {failure}"}) + "\n")
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as lines:
        said = [json.loads(one) for one in lines]
    os.waitpid(child, 0)
    stages = [one["stage"] for one in said if "stage" in one]
    return next((one["result"] for one in said if "result" in one), None), (stages or ["the start"])[-1]


def audit(name: str, elsewhere: Callable[[str], str]) -> Found:
    """Return what is found of a generator.

    Args:
        name: of the generator.
        elsewhere: returns the fingerprint of the same problems, made in another order by a process with other hashes.
    """
    here, _ = limited(lambda _: digest(name, SEEDS))
    if isinstance(here, str) and elsewhere(name) not in (here, "None"):
        return Found("loose", "equal seeds give different problems")
    found, doing = limited(lambda stage: Auditor(name, Found(PASSED), stage).examined())
    if found is None:
        return Found("slow", f"takes more than {CPU_S} s of CPU for its audit ({' '.join(doing.split())[:80]})")
    return Found(*found)


SEEDS = tuple(random.Random("seeds").sample(range(1 << 31), 6))


@contextlib.contextmanager
def other_process() -> Iterator[Callable[[str], str]]:
    """Yield what makes fingerprints in a process whose hashes are others."""
    command = [sys.executable, __file__, "--digests"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONHASHSEED": "2"}
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        asks, answers = other.stdin, other.stdout

        def elsewhere(name: str) -> str:
            print(name, file=asks, flush=True)
            return answers.readline().strip()

        yield elsewhere
        asks.close()


def answer_digests() -> None:
    """Answer names on standard input with fingerprints."""
    random.seed(99)
    for name in sys.stdin:
        found, _ = limited(lambda _, name=name: digest(name.strip(), SEEDS[::-1]))
        print(found, flush=True)


def generators() -> list[str]:
    from importlib import import_module

    return sorted(import_module("reasoning_gym.factory").DATASETS)


def page(found: dict[str, Found]) -> None:
    """Write the manual's tables."""
    text = PAGE.read_text("utf-8")
    for title, rows in tables(found).items():
        before, header, after = text.partition(f"{title}\n")
        assert header, f"{PAGE.name} has no table {title!r}"
        text = before + header + rows + after[after.index("\n\n") + 1 :]
    PAGE.write_text(text, "utf-8")


def tables(found: dict[str, Found]) -> dict[str, str]:
    """Return the manual's tables: the header of each, and the lines below it."""
    suites = [
        f"| `{name}` | {cell(one.constant)} | {one.floor:.1%} | {one.partial:.2f} | {one.ms:.1f} |\n"
        for name, one in found.items()
        if one.verdict == PASSED
    ]
    out = [f"| `{name}` | {one.why.replace('|', '/')} |\n" for name, one in found.items() if one.verdict != PASSED]
    return {
        "| generator | best constant answer | it gets | package pays junk | ms a problem |": "".join(
            ["|---|---|---|---|---|\n", *suites]
        ),
        "| left out | because |": "".join(["|---|---|\n", *out]),
    }


def cell(text: str) -> str:
    flat = " ".join(text.split()).replace("|", "/").replace("`", "'")
    return f"`{flat[:24]}{'…' if len(flat) > 24 else ''}`"


def main(arguments: list[str]) -> None:
    if arguments == ["--page"]:
        page(table(FILE.read_text("utf-8")))
        return
    if arguments == ["--digests"]:
        generators()
        answer_digests()
        return
    if os.environ.get("PYTHONHASHSEED") != "1":
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONHASHSEED": "1"})
    names, printing = generators(), arguments[:1] == ["--print"]
    part = FILE.with_suffix(".part")
    kept = "" if printing or not part.exists() else part.read_text("utf-8")
    known = table(HEADER + kept)
    with other_process() as elsewhere, contextlib.nullcontext(sys.stdout) if printing else part.open("a") as out:
        for name in arguments[1:] if printing else names:
            if name not in known:
                known[name] = audit(name, elsewhere)
                out.write(line(name, known[name]))
                out.flush()
    if not printing:
        FILE.write_text(HEADER + "".join(line(name, known[name]) for name in names), "utf-8")
        part.unlink()
        page(known)


if __name__ == "__main__":
    main(sys.argv[1:])
