"""`python -m benchmarks [NAME ...] [--check]`: all of them, or some."""

import argparse
import importlib
import pkgutil
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path[:0] = [str(FOLDER.parent / "src"), str(FOLDER.parent)]
# The cheap ones first, so that a look at a change takes seconds.
ORDER = (
    "wind_tunnel",
    "simulated",
    "loop",
    "cap",
    "resume",
    "map",
    "imports",
    "many_runs",
    "time_travel",
    "people",
    "models",
    "size",
    "postgres",
    "crash",
    "local_model",
    "compare",
    "closed_forms",
    "peers",
)


def main(arguments: list[str]) -> int:
    """Run what is named; return 1 if a ratio is missed by half as much again and `--check` was given."""
    from benchmarks.measure import Report, advice, machine, units  # noqa: PLC0415  (needs the path)

    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ORDER)}; all if none is given")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a ratio is missed by half as much again")
    given = parser.parse_args(arguments)
    there = {module.name for module in pkgutil.iter_modules([str(FOLDER)])}
    known = [name for name in ORDER if name in there]
    if unknown := [name for name in given.names if name not in known]:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(known)}")
    report = Report()
    found = units()
    report.say(f"{machine()}; one turn of a fixed loop: {found[0] * 1e9:.0f} ns; {advice(found)}")
    for name in given.names or known:
        importlib.import_module(f"benchmarks.{name}").measure(report)
    found = units()
    report.say(f"\none turn of the fixed loop: {found[0] * 1e9:.0f} ns; {advice(found)}")
    report.say(f"{report.met} met, {report.missed} missed")
    for failed in report.failed:
        report.say(f"beyond the slack: {failed}")
    return 1 if given.check and report.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
