"""list_files and read_file: what a model sees of a folder and of a text."""

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.tools.builtin.roots import size_in_words
from stratagem.tools.builtin.text import decoded, lines_of


async def test_files_are_listed_by_path_with_kind_and_size(folder: Any) -> None:
    folder.write("b/table.csv", "a,b\n1,2\n")
    folder.write("a.md", "# Title\n")
    folder.write("picture.png", b"\x89PNG\0\0")
    folder.write("README", "no ending, but text\n")
    folder.write(".env", "KEY=1")
    folder.write(".git/config", "x")
    folder.database("b/data.db", "CREATE TABLE t (x)")
    seen = await folder("list_files")
    assert seen.text.splitlines() == [
        "README       text    20 B",
        "a.md         text    8 B",
        "b/data.db    sqlite  8.2 kB",
        "b/table.csv  csv     8 B",
        "picture.png  other   6 B",
    ]
    assert seen.value[3] == {"path": "b/table.csv", "kind": "csv", "bytes": 8}
    assert seen.sources == ()


async def test_the_kind_is_seen_in_the_file_if_its_ending_does_not_say(folder: Any) -> None:
    folder.database("no_ending", "CREATE TABLE t (x)")
    folder.write("fake.db", "this is text")
    folder.write("empty.sqlite", b"")
    folder.write("empty", b"")
    folder.write("latin.weird", "caf\u00e9 au lait, s'il vous pla\u00eet".encode("latin-1"))
    folder.write("wide.weird", "wide".encode("utf-16"))
    folder.write("noise.weird", bytes(range(1, 256)))
    folder.write("data.db-wal", b"")
    kinds = {entry["path"]: entry["kind"] for entry in (await folder("list_files")).value}
    assert kinds == {
        "no_ending": "sqlite",
        "fake.db": "text",
        "empty.sqlite": "other",
        "empty": "text",
        "latin.weird": "text",
        "wide.weird": "text",
        "noise.weird": "other",
        "data.db-wal": "other",
    }


async def test_one_folder_can_be_listed(folder: Any) -> None:
    folder.write("a/x.txt", "x")
    folder.write("ab/y.txt", "y")
    assert [entry["path"] for entry in (await folder("list_files", folder="a")).value] == ["a/x.txt"]
    assert (await folder("list_files", folder="./a/")).text == "a/x.txt  text    1 B"
    assert "there is no folder `b`" in await folder.fails("list_files", folder="b")
    assert "there is no folder `a/x.txt`" in await folder.fails("list_files", folder="a/x.txt")
    assert "has a part `..`" in await folder.fails("list_files", folder="../..")
    (folder.path / "link").symlink_to("a")
    assert "a symbolic link is on the way" in await folder.fails("list_files", folder="link")


async def test_an_empty_folder_is_said_to_be_empty(folder: Any) -> None:
    assert (await folder("list_files")).text == "no files"
    (folder.path / "sub").mkdir()
    seen = await folder("list_files", folder="sub")
    assert (seen.text, seen.value) == ("no files beneath `sub`", [])


async def test_at_most_500_files_are_listed_and_the_rest_is_counted(folder: Any) -> None:
    for number in range(503):
        folder.write(f"{number:03}.txt", "")
    seen = await folder("list_files")
    assert len(seen.value) == 500
    assert seen.text.splitlines()[-1] == "[cut: 500 of 503 files; name a folder]"


async def test_links_and_names_that_are_left_out_are_counted(folder: Any) -> None:
    folder.write("a.txt", "x")
    (folder.path / "link").symlink_to("a.txt")
    os.mkfifo(folder.path / "pipe")
    folder.write(os.fsdecode(b"\xff"), "")
    assert (await folder("list_files")).text.splitlines()[1:] == [
        "[left out: 2 links or special files]",
        "[left out: 1 names that are not printable Unicode]",
    ]


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (48_219, "48.2 kB"), (50_000_000, "50 MB"), (7_250_000_000, "7.2 GB")],
)
def test_sizes_are_written_for_people(size: int, words: str) -> None:
    assert size_in_words(size) == words


async def test_lines_are_read_with_their_numbers_and_can_be_cited(folder: Any) -> None:
    folder.write("docs/a.md", "".join(f"line {number}\n" for number in range(1, 301)))
    seen = await folder("read_file", path="docs/a.md", start=42, lines=3)
    assert seen.text.splitlines() == [
        "   42  line 42",
        "   43  line 43",
        "   44  line 44",
        "[lines 42-44 of 300; go on with start=45]",
    ]
    assert seen.value == {
        "path": "docs/a.md",
        "start": 42,
        "lines": ["line 42", "line 43", "line 44"],
        "total": 300,
    }
    assert seen.sources == ("docs/a.md:42-44",)
    assert (await folder("read_file", path="docs/a.md", start=300)).text.splitlines() == [
        "  300  line 300",
        "[lines 300-300 of 300]",
    ]
    assert (await folder("read_file", path="docs/a.md")).text.splitlines()[-1] == (
        "[lines 1-200 of 300; go on with start=201]"
    )


async def test_a_whole_short_file_has_no_remark(folder: Any) -> None:
    folder.write("a.txt", "only\nthis")
    assert (await folder("read_file", path="a.txt")).text == "    1  only\n    2  this"


@pytest.mark.parametrize(("start", "lines"), [(0, 1), (1, 0), (-3, 5)])
async def test_lines_count_from_one(folder: Any, start: int, lines: int) -> None:
    folder.write("a.txt", "x")
    assert "count from 1" in await folder.fails("read_file", path="a.txt", start=start, lines=lines)


async def test_a_line_behind_the_end_is_a_failure_that_says_the_end(folder: Any) -> None:
    folder.write("a.txt", "x\ny\n")
    assert await folder.fails("read_file", path="a.txt", start=3) == "`a.txt` has 2 lines: there is no line 3"


async def test_an_empty_file_is_said_to_be_empty(folder: Any) -> None:
    folder.write("a.txt", "")
    seen = await folder("read_file", path="a.txt")
    assert (seen.text, seen.failed, seen.value["total"], seen.sources) == ("`a.txt` is empty", False, 0, ())


async def test_a_long_line_is_cut_and_said_to_be_cut(folder: Any) -> None:
    folder.write("a.txt", "x" * 1_000_000 + "\nshort\n")
    seen = await folder("read_file", path="a.txt")
    first, second = seen.text.splitlines()
    assert first.endswith("x [cut: 2000 of 1000000 characters]")
    assert second == "    2  short"
    assert seen.value["lines"] == ["x" * 2000, "short"]


async def test_what_does_not_fit_is_continued_not_cut_within_a_line(folder: Any) -> None:
    folder.write("a.txt", ("y" * 500 + "\n") * 100)
    seen = await folder("read_file", path="a.txt")
    shown = len(seen.value["lines"])
    assert seen.text.splitlines()[-1] == f"[lines 1-{shown} of 100; go on with start={shown + 1}]"
    assert seen.sources == (f"a.txt:1-{shown}",)
    assert 17_000 < len(seen.text) < 20_000


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"\xef\xbb\xbfa\r\nb\rc\n", ["a", "b", "c"]),
        ("wide \u00fc\nx".encode("utf-16"), ["wide \u00fc", "x"]),
        (b"\xfe\xff\x00a\x00\n", ["a"]),
        ("one\u2028still\x0bone\x85\n".encode(), ["one\u2028still\x0bone\x85"]),
    ],
)
async def test_marks_and_line_ends_of_all_systems_are_understood(folder: Any, data: bytes, lines: list[str]) -> None:
    folder.write("a.txt", data)
    assert (await folder("read_file", path="a.txt")).value["lines"] == lines


async def test_bytes_that_are_not_unicode_are_replaced_and_it_is_said(folder: Any) -> None:
    folder.write("a.txt", "caf\u00e9 cr\u00e8me and more plain text\n".encode("latin-1"))
    seen = await folder("read_file", path="a.txt")
    assert seen.text.splitlines() == [
        "    1  caf\ufffd cr\ufffdme and more plain text",
        "[2 characters are not UTF-8: shown as \ufffd]",
    ]


@pytest.mark.parametrize("data", [b"PK\x03\x04\0\0", b"\x80\x81\x82\x83\x84\x85 abc"])
async def test_binary_data_is_refused_with_a_clear_text(folder: Any, data: bytes) -> None:
    folder.write("a.bin", data)
    assert await folder.fails("read_file", path="a.bin") == "`a.bin` is binary, not text"


async def test_a_database_is_not_read_as_text_and_the_right_tool_is_named(folder: Any) -> None:
    folder.database("d.db", "CREATE TABLE t (x)")
    assert "use describe_table and query_table" in await folder.fails("read_file", path="d.db")


async def test_a_folder_is_no_file(folder: Any) -> None:
    folder.write("a/b.txt", "x")
    assert await folder.fails("read_file", path="a") == "`a` is a folder: name a file"


async def test_a_file_of_more_than_50_mb_is_refused_by_its_size(folder: Any) -> None:
    os.truncate(folder.write("big.txt", ""), 50_000_001)
    assert await folder.fails("read_file", path="big.txt") == "`big.txt` has 50 MB: more than 50 MB"
    folder.write("big.txt", b"a\n" * 25_000_000)
    seen = await folder("read_file", path="big.txt", start=25_000_000)
    assert seen.text.splitlines()[0] == "25000000  a"


@given(st.text())
def test_lines_joined_are_the_text_again(text: str) -> None:
    plain, notes = decoded(text.encode("utf-8", "replace").replace(b"\0", b""), "a")
    assert notes == ()
    assert "\n".join(lines_of(plain)) == plain.removesuffix("\n") or not plain
    assert "\r" not in plain


@given(st.binary())
def test_any_bytes_are_text_or_refused(data: bytes) -> None:
    from stratagem.core import ModelRetry

    try:
        text, _ = decoded(data, "a")
    except ModelRetry:
        return
    text.encode()
