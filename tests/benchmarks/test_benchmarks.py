"""Each benchmark runs with tiny sizes and prints its yardstick and its targets; what it judges, it judges rightly."""

import asyncio
import contextlib
import gc
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import (
    cap,
    crash,
    imports,
    loop,
    many_runs,
    measure,
    models,
    peers,
    people,
    resume,
    size,
    time_travel,
    wind_tunnel,
    world,
)
from benchmarks import map as fan_out
from stratagem.errors import CapabilityError


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def report(lines):
    return measure.Report(lines.append)


def judged(lines):
    return [line[3:59].strip() for line in lines if line.endswith((": MET", ": MISSED"))]


def yardsticks(lines):
    return [line[3:59].strip() for line in lines if line.startswith("   yardstick")]


def test_the_wind_tunnel_asks_alone_and_in_waves(report, lines) -> None:
    wind_tunnel.measure(report, asks=20, repeats=1)
    assert judged(lines) == ["sequential ask", "map of ten, each a strategy"]
    assert yardsticks(lines) == ["yardstick: render, hash, ask, remember, no core"]


def test_a_call_is_measured_beside_bare_aiohttp_and_the_official_client(report, lines) -> None:
    models.measure(report, width=4, rounds=1, repeats=1, streams=2, flight=3, long=12)
    assert judged(lines) == [
        "CPU, of bare aiohttp",
        "CPU, of the official client",
        "p99, of bare aiohttp",
        "calls that failed",
        "a stream through the gateway, of bare aiohttp",
        "later than bare aiohttp",
        "3 calls in flight, bare: failed",
        "3 calls in flight, gateway: failed",
        "memory per call in flight, gateway",
        "anthropic through the gateway, of the class bare",
        "calls that failed",
        "google through the gateway, of the class bare",
        "calls that failed",
        "responses through the gateway, of the class bare",
        "calls that failed",
        "digest of a step of 2.5 kB, at step 10",
        "at step 12",
        "step 12, of step 10",
        "what the first compatible call imports, core included",
    ]
    assert yardsticks(lines) == [
        "yardstick: bare aiohttp",
        "yardstick: the official client on aiohttp",
        "yardstick: a stream of 50 deltas, bare aiohttp",
        "yardstick: the official client",
        "yardstick: first token after the server's pause, bare",
        "yardstick: the official client",
        "yardstick: memory per call in flight, bare aiohttp",
        "yardstick: anthropic, the class bare on aiohttp",
        "yardstick: google, the class bare on aiohttp",
        "yardstick: responses, the class bare on aiohttp",
        "yardstick: import asyncio, aiohttp",
        "yardstick: import openai",
    ]
    assert not [line for line in lines if "failed" in line and not line.endswith(("0 failed", "MET"))]


async def test_a_call_that_fails_is_counted_and_has_no_time() -> None:
    @contextlib.asynccontextmanager
    async def failing(url):
        async def call(heard):
            raise OSError(url)

        yield call

    assert await models.at_once(failing, "there", 3, 2) == (pytest.approx(0, abs=1), float("inf"), 6)


def test_the_loop_is_measured_in_memory_and_in_a_file(report, lines) -> None:
    loop.measure(report, steps=3, repeats=1)
    assert judged(lines) == [
        "in memory",
        "the same, of the plain loop",
        "12 steps, of 3",
        "in SQLite, every effect durable",
        "the same, of the bare commits",
        "bytes of the closed file, of the transcript",
        "write-ahead log while open",
    ]
    assert yardsticks(lines) == ["yardstick: a plain loop that logs JSON", "yardstick: 7 bare commits of one row"]


async def test_a_step_of_the_loop_adds_what_the_peers_were_measured_with() -> None:
    assert 850 < (await loop.plain(200) - await loop.plain(100)) / 100 < 1000


def test_many_runs_are_measured_bare_and_through_a_session(report, lines, monkeypatch) -> None:
    asked: list[str] = []

    def here(name: str, runs: int, *, owner: bool) -> dict[str, float]:
        asked.append(name)
        return many_runs.case(name, runs, owner=owner, pace_s=0.0)

    monkeypatch.setattr(many_runs, "elsewhere", here)
    many_runs.measure(report, runs=3, repeats=1)
    assert asked == [*many_runs.CASES, "memory"]
    assert [name for name in judged(lines) if name != "memory per run, rows included"] == [
        "in memory, CPU per effect",
        "in SQLite, CPU per effect",
        "through a session, in memory, CPU per effect",
        "through a session, in SQLite, CPU per effect",
    ]
    assert "yardstick: tasks that only sleep, per sleep" in yardsticks(lines)


def test_a_case_runs_in_a_process_of_its_own() -> None:
    assert many_runs.elsewhere("tasks", 1, owner=True)["wall"] >= many_runs.CALLS * world.PACE_S


def test_the_fan_out_is_compared_with_its_critical_path(report, lines) -> None:
    fan_out.measure(report, branches=3, pace_s=0.001, durable_pace_s=0.001, repeats=1)
    assert judged(lines) == ["in memory, calls of 1 ms", "in SQLite, calls of 1 ms"]


@pytest.mark.parametrize(("branches", "allowed"), [(5, 3), (3, 3), (2, 3), (1, 0)])
async def test_the_cap_lets_exactly_its_number_through(branches, allowed) -> None:
    performed, refused, most = await cap.capped(branches, allowed, 0.0)
    assert (performed, refused) == (min(branches, allowed), max(0, branches - allowed))
    assert most <= performed


def test_the_cap_is_judged_from_both_sides(report, lines) -> None:
    cap.measure(report, branches=4, cap=3, pace_s=0.0, repeats=1)
    assert judged(lines) == ["calls above the cap", "calls below what the cap allows"]
    assert report.missed == 0


def test_a_resume_reuses_every_effect_and_performs_none(report, lines) -> None:
    resume.measure(report, effects=16, repeats=1)
    assert judged(lines) == [
        f"{name}"
        for what in ("a loop", "4 x 4 branches")
        for name in (f"{what}: CPU", "performed again", "reused, of those recorded")
    ]
    exact = [line for line in lines if "performed again" in line or "reused" in line]
    assert [line.rsplit(maxsplit=1)[1] for line in exact] == ["MET"] * 4


async def test_a_branch_of_the_resumed_program_is_one_effect(tmp_path) -> None:
    made = await resume.recorded(tmp_path / "a.sqlite", lambda run: resume.branched(run, 3), world.Drawn())
    *_, reused, performed = await resume.resumed(
        tmp_path / "a.sqlite", lambda run: resume.branched(run, 3), world.Drawn()
    )
    assert (made, reused, performed) == (9, 9, 0)


def test_starting_is_measured_from_outside(report, lines) -> None:
    imports.measure(report, repeats=1)
    assert judged(lines) == ["import stratagem, every name of __all__", "stratagem --help"]
    assert yardsticks(lines) == ["yardstick: the interpreter's own start"]


def test_a_program_that_fails_is_no_figure() -> None:
    with pytest.raises(RuntimeError, match="boom"):
        imports.elsewhere("raise SystemExit('boom')")


def test_an_environment_that_cannot_be_made_is_skipped_with_the_reason(report, lines, monkeypatch) -> None:
    monkeypatch.setattr(size, "installed", lambda folder: "no such index")
    size.measure(report)
    assert judged(lines) == ["direct dependencies"]
    assert lines[-1].endswith("skipped: no such index")


def test_sizes_count_byte_code_apart_and_the_installer_not_at_all(tmp_path) -> None:
    for name, length in {"a/b.py": 10, "a/b.pyc": 7, "a-1.dist-info/RECORD": 3, "pip/main.py": 99}.items():
        path: Path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(length))
    assert size.sizes(tmp_path) == (13, 7, 1)


def test_the_peers_are_printed_with_their_date(report, lines) -> None:
    peers.measure(report)
    assert "2026-11-21" in lines[0]
    assert len(lines) == 2 + len(peers.PEERS) + len(peers.STORES)


@pytest.mark.parametrize(
    ("value", "target", "met", "fails"),
    [(2.0, {"most": 2.0}, True, False), (2.1, {"most": 2.0}, False, False), (3.1, {"most": 2.0}, False, True),
     (2.0, {"least": 2.0}, True, False), (1.9, {"least": 2.0}, False, False), (1.3, {"least": 2.0}, False, True)],
)  # fmt: skip
def test_a_ratio_fails_only_beyond_the_slack(report, lines, value, target, met, fails) -> None:
    report.judged("it", value, "x", ratio=True, **target)
    assert lines[0].endswith("MET" if met else "MISSED")
    assert bool(report.failed) is fails
    assert (report.met, report.missed) == (met, not met)


def test_an_absolute_figure_never_fails_the_check(report) -> None:
    report.judged("it", 900.0, "ms", most=1.0)
    assert (report.missed, report.failed) == (1, [])


def test_the_collector_is_put_back() -> None:
    before = gc.get_threshold()
    with measure.collector(owner=True):
        assert gc.get_threshold() == measure.THRESHOLD
    assert gc.get_threshold() == before


@pytest.mark.parametrize(
    ("waiting", "found", "said"),
    [(0.5, [1.0, 1.1, 3.0], "is quiet"), (0.5, [1.0, 1.3, 1.4], "is busy"), (99.0, [1.0, 1.0, 1.0], "is busy")],
)
def test_a_busy_machine_is_said_to_be_busy(monkeypatch, waiting, found, said) -> None:
    monkeypatch.setattr(measure.os, "getloadavg", lambda: (waiting, 0.0, 0.0), raising=False)
    assert f"the machine {said}" in measure.advice(found)


def test_what_is_awaited_is_measured_in_a_loop_that_runs() -> None:
    loops: list[object] = []

    async def work() -> None:
        loops.append(asyncio.get_running_loop())

    assert measure.cpu(work) >= 0.0
    assert len(loops) == 1


def test_cases_take_turns_and_the_smallest_counts() -> None:
    order: list[str] = []
    figures = {"a": iter([3.0, 1.0]), "b": iter([2.0, 4.0])}

    def case(name):
        order.append(name)
        return next(figures[name])

    assert measure.smallest(2, a=lambda: case("a"), b=lambda: case("b")) == {"a": 1.0, "b": 2.0}
    assert order == ["a", "b", "a", "b"]


@pytest.mark.parametrize(("arguments", "status"), [(["cap"], 0), (["cap", "--check"], 1)])
def test_the_command_fails_only_if_it_is_asked_to(capsys, monkeypatch, arguments, status) -> None:
    monkeypatch.setattr(cap, "measure", lambda report: report.judged("it", 9.0, "x", most=1.0, ratio=True))
    assert command.main(arguments) == status
    assert "beyond the slack: it: 9 x, target 1" in capsys.readouterr().out


def test_an_unknown_benchmark_is_refused_with_those_that_exist(capsys) -> None:
    with pytest.raises(SystemExit):
        command.main(["windtunnel"])
    assert "there is no benchmark 'windtunnel'; there are wind_tunnel, " in capsys.readouterr().err


def test_every_file_is_a_benchmark_that_the_command_knows_or_says_why_not() -> None:
    files = {path.stem for path in command.FOLDER.glob("*.py")} - {"__init__", "__main__"}
    parts = {"model_clients", "model_hosted", "model_server", "model_width"}  # of `models`
    assert files == {
        *command.ORDER,
        *parts,
        "measure",
        "world",
        "ladder",
        "journal_rows",
    }  # the last is a program of its own


def test_a_kill_leaves_no_wrong_value_and_a_missing_peer_is_said(report, lines, monkeypatch) -> None:
    monkeypatch.setattr(crash, "_installed", lambda: False)
    crash.measure(report, kills=1, branches=2)
    assert judged(lines) == ["wrong values, and runs that did not end"]
    assert (report.met, report.missed) == (1, 0)
    assert any("LangGraph is not measured: pip install langgraph" in line for line in lines)
    row = next(line.split() for line in lines if line.strip().startswith("stratagem  "))
    assert row[1:5] == ["1", "0", "/", "22"]


def test_the_pause_of_a_paced_model_is_its_own() -> None:
    run = world.begun(world.services(world.Paced(0.0)))
    assert asyncio.run(run.ask(world.guess, question=world.QUESTION, notes=())) in ("41", "42")


def test_waiting_is_measured_in_sqlite(report, lines, monkeypatch) -> None:
    def absent(**_: object) -> None:
        raise CapabilityError("no server here")

    monkeypatch.setattr(people, "Server", absent)
    monkeypatch.setattr(people, "IDLE_S", 0.01)
    people.measure(report, parked=2, runs=3, repeats=1)
    assert judged(lines) == [
        "SQLite: 2 waiting runs, share of a core",
        "their memory",
        "from the answer to the end of a parked run",
        "from the answer to the next step of a live run",
        "3 parked runs answered and woken",
    ]
    assert any("skipped: no server here" in line for line in lines)


def test_a_fork_is_measured(report, lines) -> None:
    time_travel.measure(report, effects=5, repeats=1)
    assert judged(lines) == ["made: wall clock", "stored by the fork, file closed"]
