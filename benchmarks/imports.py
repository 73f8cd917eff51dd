"""What starting costs: `import stratagem` with every public name, `stratagem --help`, and a first answer."""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Report, smallest

ROOT = Path(__file__).parent.parent
NOTHING = "pass"
TOUCHED = "import stratagem\nfor name in stratagem.__all__: getattr(stratagem, name)"
OFFLINE = """
import stratagem
answer = stratagem.run("react", "What is 6 * 7?", model="offline", roots=[{root!r}], home={home!r})
assert answer.ok and "42" in answer.text, str(answer)
"""
HELP = "import sys; sys.argv = ['stratagem', '--help']; from stratagem.cli import main; main()"


def elsewhere(program: str, *arguments: str) -> float:
    """Return the CPU seconds of a program in a process of its own, the interpreter's start included."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": ""}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{program!r} failed: {done.stderr.strip()[-500:]}")
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def measure(report: Report, *, repeats: int = 7) -> None:
    """Print CPU of the processes, with and without the interpreter's own start."""
    report.title("imports", f"CPU of a process of its own, the smallest of {repeats}; byte code is there")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "root")
        root.mkdir()
        (root / "notes.md").write_text("# Notes\n\nThe shop opens at nine.\n", "utf-8")
        offline = OFFLINE.format(root=str(root), home=str(Path(folder, "home")))
        for program in (TOUCHED, HELP, offline):
            elsewhere(program)  # writes the byte code
        best = smallest(
            repeats,
            nothing=lambda: elsewhere(NOTHING),
            touched=lambda: elsewhere(TOUCHED),
            helped=lambda: elsewhere(HELP),
            offline=lambda: elsewhere(offline),
        )
    ms = {name: took * 1000 for name, took in best.items()}
    start = ms["nothing"]
    report.shown("yardstick: the interpreter's own start", start, "ms CPU")
    report.judged("import stratagem, every name of __all__", ms["touched"] - start, "ms CPU", most=100)
    report.judged("stratagem --help", ms["helped"] - start, "ms CPU", most=100)
    report.shown("first answer of `offline`, recorded in a file", ms["offline"] - start, "ms CPU")
    report.shown("  each of the three with the interpreter's start", ms["touched"], "ms CPU",
                 f"{ms['helped']:.0f} and {ms['offline']:.0f} ms")  # fmt: skip
