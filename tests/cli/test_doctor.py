"""`stratagem doctor`: what it finds in a sound installation, and in each kind of broken state."""

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Checks = dict[str, list[tuple[str, str, str]]]


def examined(cli: Any, *words: object) -> tuple[int, Checks]:
    """Return the exit status, and what each check found."""
    import json

    result = cli("doctor", "--json", *words)
    found: Checks = {}
    for one in json.loads(result.stdout)["checks"]:
        found.setdefault(one["name"], []).append((one["state"], one["message"], one["remedy"]))
    return result.exit_code, found


def test_a_fresh_installation_is_sound_and_nothing_is_made(cli: Any, valid: Any) -> None:
    valid(cli.json("doctor"), "doctor")
    status, found = examined(cli)
    assert status == 0
    assert {state for checks in found.values() for state, _, _ in checks} <= {"ok", "warn"}
    assert set(found) == {
        "python", "pydantic", "click", "rich", "prices", "sqlite", "fts5", "strategies", "local models", "open files", "encoding",
        "home", "journal", "memory", "key file", "keyring", "proxy", "settings",
    }  # fmt: skip
    assert found["home"] == [("ok", f"{cli.home} is made by the first run", "")]
    assert not cli.home.exists()


def test_after_a_run_its_journal_and_memory_are_verified(cli: Any) -> None:
    cli("run", "What is 12 * 7?", "--tool", "calculate")
    status, found = examined(cli)
    assert status == 0
    ((state, message, _),) = found["journal"]
    assert (state, re.sub(r"[\d.]+ MB", "N MB", message)) == ("ok", "1 run, 8 effects, 0 payloads, N MB")
    assert found["memory"][0][0] == "ok"
    assert found["home"] == [("ok", str(cli.home), "")]
    assert found["disk"][0][0] in ("ok", "warn")


def test_the_lines_have_sign_state_name_and_remedy(cli: Any) -> None:
    cli.home.mkdir()
    cli.home.chmod(0o755)
    line = next(line for line in cli("doctor").stdout.splitlines() if " home " in line)
    assert re.split(" {2,}", line) == [
        "!",
        "warn",
        "home",
        f"{cli.home} is open to others (0755) · chmod 700 {cli.home}",
    ]


def damaged_row(journal: Path) -> None:
    with sqlite3.connect(journal) as database:
        database.execute("UPDATE effect SET result = X'7B7D' WHERE seq = 0")
    database.close()


def truncated(journal: Path) -> None:
    data = journal.read_bytes()
    journal.write_bytes(data[: len(data) // 2])


def not_a_database(journal: Path) -> None:
    journal.write_bytes(b"no database" * 1000)


def newer(journal: Path) -> None:
    with sqlite3.connect(journal) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()


@pytest.mark.parametrize(
    ("damage", "words", "remedy"),
    [
        (
            damaged_row,
            "run '{run}': row 0 is not what was written",
            "perform it again: `stratagem resume {run} --drop-damaged`.",
        ),
        (truncated, "journal.sqlite", "Restore"),
        (not_a_database, "journal.sqlite", "Restore"),
        (newer, "newer stratagem", "Upgrade"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_journal_that_is_not_sound_fails(
    cli: Any, script: Any, damage: Callable[[Path], None], words: str, remedy: str
) -> None:
    run_id = cli.answered("Capital?", "--strategy", "direct", "--model", script("Paris"))
    damage(cli.home / "journal.sqlite")
    status, found = examined(cli)
    assert status == 1
    state, message, advice = found["journal"][-1]
    assert state == "fail"
    assert words.format(run=run_id) in message
    assert remedy.format(run=run_id) in advice


def test_a_memory_that_is_not_sound_fails(cli: Any) -> None:
    cli("run", "What is 12 * 7?", "--tool", "calculate")
    with sqlite3.connect(cli.home / "memory.sqlite") as database:
        database.execute("UPDATE record SET text = text || '!'")
    database.close()
    status, found = examined(cli)
    assert (status, found["memory"][0][0]) == (1, "fail")
    assert "is not what was written" in found["memory"][0][1]


def test_a_home_that_is_a_file_fails(cli: Any) -> None:
    cli.home.write_text("a file")
    status, found = examined(cli)
    assert (status, found["home"][0][:2]) == (1, ("fail", f"{cli.home} is no folder"))


def test_files_that_others_can_read_are_a_warning(cli: Any, script: Any) -> None:
    cli.answered("Capital?", "--strategy", "direct", "--model", script("Paris"))
    (cli.home / "journal.sqlite").chmod(0o644)
    status, found = examined(cli)
    assert status == 0
    assert found["journal"][0] == (
        "warn",
        f"{cli.home / 'journal.sqlite'} is open to others (0644)",
        f"chmod 600 {cli.home / 'journal.sqlite'}",
    )


def test_wrong_settings_are_reported_and_do_not_stop_it(cli: Any) -> None:
    path = cli.folder / "stratagem.toml"
    path.write_text('modle = "offline"')
    status, found = examined(cli)
    assert status == 1
    assert found["settings"][0][:2] == ("fail", f"{path} sets 'modle', which does not exist; did you mean 'model'?")


def test_a_variable_that_means_nothing_is_a_warning(cli: Any) -> None:
    cli.env["STRATAGEM_MODLE"] = "offline"
    status, found = examined(cli)
    assert status == 0
    assert found["settings"][1] == (
        "warn",
        "STRATAGEM_MODLE is set, which means nothing; did you mean 'STRATAGEM_MODEL'?",
        "Unset or correct it.",
    )


def test_every_value_has_its_origin(cli: Any) -> None:
    path = cli.folder / "stratagem.toml"
    path.write_text('seed = 3\nroot = ["docs"]\n')
    cli.env["STRATAGEM_BUDGET"] = "calls=4"
    values = {one["key"]: (one["value"], one["origin"]) for one in cli.json("doctor")["values"]}
    assert values["seed"] == (3, str(path))
    assert values["root"] == ([str(cli.folder / "docs")], str(path))
    assert values["budget"] == ("calls=4", "STRATAGEM_BUDGET")
    assert values["home"] == (str(cli.home), "STRATAGEM_HOME")
    assert values["model"] == ("offline", "default")
    values = {one["key"]: one for one in cli.json("doctor", "--home", cli.folder)["values"]}
    assert values["home"] == {"key": "home", "value": str(cli.folder), "origin": "--home"}
    assert re.search(rf"  seed +3 +{path}\n", cli("doctor").stdout)


def test_too_few_open_files_are_a_warning(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 4096))
    assert examined(cli)[1]["open files"][0][:2] == ("warn", "at most 256")


def test_a_strategy_that_cannot_be_loaded_fails(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stratagem.strategies.names", lambda: {"broken": "stratagem.strategies.broken"})
    status, found = examined(cli)
    assert status == 1
    assert found["strategies"][0][0] == "fail"
    assert "broken: ModuleNotFoundError" in found["strategies"][0][1]


def test_what_belongs_to_no_run_is_named_and_swept(cli: Any, script: Any) -> None:
    cli.answered("Capital? " * 300, "--strategy", "direct", "--model", script("Paris"))
    with sqlite3.connect(cli.home / "journal.sqlite") as database:
        database.execute("INSERT INTO blob (digest, size, body) VALUES (zeroblob(32), 1, x'00')")
    database.close()
    _, found = examined(cli)
    states = [state for state, _, _ in found["journal"]]
    assert "warn" in states or "fail" in states
    status, found = examined(cli, "--sweep")
    assert found["sweep"] == [("ok", "removed 1 payload that nothing referred to", "")]
    assert (status, [state for state, _, _ in found["journal"]]) == (0, ["ok"])
    assert cli.json("show", "last")["answer"]["text"] == "Paris"


def test_another_journal_is_checked_where_it_is(cli: Any, script: Any) -> None:
    journal = ("--journal", "sqlite:other.sqlite")
    cli("run", "Capital?", "--strategy", "direct", "--model", script("Paris"), *journal)
    _, found = examined(cli, *journal)
    assert found["journal"][-1][1].startswith("1 run, 1 effect, ")
    assert ("journal", "sqlite:other.sqlite", "--journal") in [
        tuple(one.values()) for one in cli.json("doctor", *journal)["values"]
    ]
