"""Nothing outside a root can be opened, whatever a path says and whatever happens to the tree meanwhile."""

import errno
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from stratagem.core import ModelRetry
from stratagem.errors import UsageError
from stratagem.tools.builtin import beneath, builtin
from stratagem.tools.builtin.roots import MAX_ENTRIES, Roots

SECRET = b"the secret"


@pytest.fixture(params=["by the kernel", "by component"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of opening a folder beneath another."""
    if request.param == "by component":
        monkeypatch.setattr(beneath, "_kernel_call", lambda: None)
    elif beneath._kernel_call() is None:
        pytest.skip("this system has no openat2")
    return request.param


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a file, beside a secret."""
    root = tmp_path / "root"
    (root / "docs" / "deep").mkdir(parents=True)
    (root / "docs" / "deep" / "a.txt").write_bytes(b"inside")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.txt").write_bytes(SECRET)
    return root


def refused(root: Path, path: str) -> str:
    with pytest.raises(ModelRetry) as caught:
        Roots([root]).load(path)
    assert str(root) not in str(caught.value)
    return str(caught.value)


def test_a_file_beneath_the_root_is_read(root: Path, way: str) -> None:
    assert Roots([root]).load("docs/deep/a.txt").data == b"inside"
    assert Roots([root]).load("./docs//deep/a.txt").path == "docs/deep/a.txt"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("../outside/a.txt", "has a part `..`"),
        ("docs/../../outside/a.txt", "has a part `..`"),
        ("docs/deep/..", "has a part `..`"),
        ("/etc/passwd", "is an absolute path"),
        ("C:\\Windows\\a.txt", "is an absolute path"),
        ("docs/deep/a.txt\0.png", "has characters that no path here has"),
        ("docs/\udcff", "has characters that no path here has"),
        ("docs/a\nb", "has characters that no path here has"),
        (".env", "is hidden"),
        ("docs/.git/config", "is hidden"),
        ("", "is a folder: name a file"),
        (".", "is a folder: name a file"),
        ("docs", "is a folder: name a file"),
        ("docs/deep/a.txt/b", "there is no file `docs/deep/a.txt/b`"),
        ("zzzz", "there is no file `zzzz`; there are `docs/deep/a.txt`"),
        ("a.txt", "there is no file `a.txt`; did you mean `docs/deep/a.txt`?"),
        ("docs/" + "x" * 300, ": file name too long"),
        ("x/" * 3000 + "a", "is too long"),
    ],
)
def test_a_path_that_is_no_file_beneath_the_root_is_refused_with_a_reason(
    root: Path, way: str, path: str, said: str
) -> None:
    (root / ".env").write_text("KEY=1")
    assert said in refused(root, path)


def test_no_symbolic_link_is_followed_not_even_inside(root: Path, way: str) -> None:
    (root / "file").symlink_to(root.parent / "outside" / "a.txt")
    (root / "folder").symlink_to(root.parent / "outside")
    (root / "inside").symlink_to(root / "docs")
    (root / "docs" / "up").symlink_to("..")
    assert "is a symbolic link, and those are not followed" in refused(root, "file")
    for path in ("folder/a.txt", "inside/deep/a.txt", "docs/up/docs/deep/a.txt"):
        assert refused(root, path) == f"a symbolic link is on the way to `{path}`, and those are not followed"


def test_a_link_is_listed_nowhere_and_it_is_said(root: Path, way: str) -> None:
    (root / "folder").symlink_to(root.parent / "outside")
    (root / "file.txt").symlink_to(root.parent / "outside" / "a.txt")
    walk = Roots([root]).walk()
    assert [entry.path for entry in walk.entries] == ["docs/deep/a.txt"]
    assert walk.links == 2


def test_a_root_may_be_reached_through_a_link(root: Path, way: str) -> None:
    (root.parent / "link").symlink_to(root)
    assert Roots([root.parent / "link"]).load("docs/deep/a.txt").data == b"inside"


def test_a_hard_link_is_a_name_of_the_file_itself(root: Path, way: str) -> None:
    os.link(root.parent / "outside" / "a.txt", root / "hard.txt")
    assert Roots([root]).load("hard.txt").data == SECRET


def test_what_is_no_regular_file_is_refused_and_never_waited_for(root: Path, way: str) -> None:
    os.mkfifo(root / "pipe")
    listening = socket.socket(socket.AF_UNIX)
    try:
        here = os.getcwd()
        os.chdir(root)  # the address of a socket is short
        try:
            listening.bind("socket")
        finally:
            os.chdir(here)
        assert "is a pipe" in refused(root, "pipe")
        assert "is a socket" in refused(root, "socket")
        assert Roots([root]).walk().links == 2
    finally:
        listening.close()


def test_a_device_is_refused(way: str) -> None:
    assert "is a device" in refused(Path("/dev"), "zero")


def test_a_pipe_or_a_link_that_takes_the_place_of_a_file_between_look_and_open_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = os.stat(root / "docs" / "deep" / "a.txt")
    os.mkfifo(root / "pipe")
    (root / "link").symlink_to(root.parent / "outside" / "a.txt")
    looked: list[str] = []

    def stat_as_if_regular(path: str, **options: object) -> os.stat_result:
        looked.append(path)
        return status

    monkeypatch.setattr(os, "stat", stat_as_if_regular)
    folder = os.open(root, os.O_RDONLY)
    try:
        with pytest.raises(ModelRetry, match="is a pipe"):
            beneath.file_beneath(folder, ("pipe",), "pipe")
        with pytest.raises(OSError, match="symbolic links"):
            beneath.file_beneath(folder, ("link",), "link")
    finally:
        os.close(folder)
    assert looked == ["pipe", "link"]


def swapping(root: Path, stop: threading.Event) -> None:
    """Exchange a folder with a link to the outside, again and again."""
    real, link, spare = root / "docs" / "deep", root / "link", root / "spare"
    link.symlink_to(root.parent / "outside")
    while not stop.is_set():
        os.rename(real, spare)
        os.rename(link, real)
        os.rename(real, link)
        os.rename(spare, real)


def test_a_race_against_a_link_never_reads_the_outside(root: Path, way: str) -> None:
    stop = threading.Event()
    racer = threading.Thread(target=swapping, args=(root, stop))
    roots = Roots([root])
    read = refusals = 0
    racer.start()
    try:
        for _ in range(3_000):
            data = roots.head("docs/deep/a.txt", 100)
            assert data in (b"inside", b"")
            read += data == b"inside"
            refusals += not data
    finally:
        stop.set()
        racer.join()
    assert read
    assert refusals


def test_a_file_removed_between_list_and_read_is_said_to_be_gone(root: Path, way: str) -> None:
    roots = Roots([root])
    (path,) = [entry.path for entry in roots.walk().entries]
    (root / path).unlink()
    with pytest.raises(ModelRetry, match=r"there is no file `docs/deep/a\.txt`; there are no files"):
        roots.load(path)


def test_a_file_that_may_not_be_read_says_so(root: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("stratagem.tools.builtin.roots.file_beneath", denied)
    assert refused(root, "docs/deep/a.txt") == "`docs/deep/a.txt`: permission denied"


def test_no_descriptor_is_left_open(root: Path, way: str) -> None:
    roots = Roots([root])
    (root / "link").symlink_to("docs")
    before = len(os.listdir("/dev/fd"))
    for path in ("docs/deep/a.txt", "docs", "none", "link/deep/a.txt", "docs/deep/a.txt/b"):
        roots.head(path, 10)
    roots.walk()
    assert len(os.listdir("/dev/fd")) == before


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_root_that_is_no_folder_is_an_error_of_the_caller(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match=r"missing' does not exist|file' is not a folder"):
        builtin([tmp_path / name])


def test_one_folder_in_place_of_a_list_is_an_error_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="roots must be a sequence of folders"):
        builtin(str(tmp_path))


def test_a_root_that_vanishes_is_a_failure_not_a_crash(root: Path, way: str) -> None:
    roots = Roots([root])
    os.rename(root, root.parent / "moved")
    with pytest.raises(ModelRetry, match="the root `root` cannot be opened: no such file or directory"):
        roots.load("docs/deep/a.txt")


def test_several_roots_are_told_apart_by_unique_names(tmp_path: Path, way: str) -> None:
    for place in ("a/data", "b/data", "c/notes"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "x.txt").write_text(place)
    roots = Roots([tmp_path / "a/data", tmp_path / "b/data", tmp_path / "c/notes"])
    assert [entry.path for entry in roots.walk().entries] == ["data-2/x.txt", "data/x.txt", "notes/x.txt"]
    assert roots.load("data-2/x.txt").data == b"b/data"
    assert [entry.path for entry in roots.walk("notes").entries] == ["notes/x.txt"]
    with pytest.raises(ModelRetry, match="begins with none of the roots: `data/`, `data-2/`, `notes/`"):
        roots.load("x.txt")
    with pytest.raises(ModelRetry, match=r"has a part `\.\.`"):
        roots.load("data/../notes/x.txt")


def test_names_that_cannot_be_shown_are_left_out_and_counted(root: Path, way: str) -> None:
    folder = os.fsencode(root)
    for name in (b"\xff.txt", b"line\nbreak.txt", "turn\u202etxt.exe".encode()):
        with open(os.path.join(folder, name), "wb"):
            pass
    walk = Roots([root]).walk()
    assert [entry.path for entry in walk.entries] == ["docs/deep/a.txt"]
    assert walk.unnamed == 3


def test_a_walk_looks_at_a_limited_number_of_entries(root: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_ENTRIES == 50_000
    monkeypatch.setattr("stratagem.tools.builtin.roots.MAX_ENTRIES", 10)
    for number in range(20):
        (root / f"{number:02}.txt").touch()
    walk = Roots([root]).walk()
    assert walk.cut
    assert len(walk.entries) == 10


def test_a_walk_goes_down_a_limited_depth(tmp_path: Path, way: str) -> None:
    bottom = tmp_path / "/".join(["d"] * 70)
    bottom.mkdir(parents=True)
    (bottom / "deep.txt").touch()
    walk = Roots([tmp_path]).walk()
    assert (walk.entries, walk.cut) == ((), True)


@pytest.fixture
def holding(root: Path) -> Iterator[int]:
    """A file with another ending than text, which this process already has open."""
    (root / "data.db").write_bytes(b"somebody's")
    descriptor = os.open(root / "data.db", os.O_RDWR)
    yield descriptor
    os.close(descriptor)


def test_a_file_that_this_process_holds_open_is_read_without_opening_it(
    root: Path, holding: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[object] = []
    real = os.open

    def spying(path: object, *arguments: int, **options: int) -> int:
        opened.append(path)
        return real(path, *arguments, **options)  # pyright: ignore[reportArgumentType, reportCallIssue]

    roots = Roots([root])
    monkeypatch.setattr(os, "open", spying)
    assert roots.load("data.db").data == b"somebody's"
    assert "data.db" not in opened


def test_reading_a_file_keeps_the_locks_that_this_process_has_on_it(root: Path, holding: int) -> None:
    import fcntl

    fcntl.lockf(holding, fcntl.LOCK_EX)
    roots = Roots([root])
    assert roots.head("data.db", 4) == b"some"
    assert [entry.kind for entry in roots.walk().entries if entry.path == "data.db"] == ["text"]
    code = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    other = subprocess.run([sys.executable, "-c", code, root / "data.db"], capture_output=True, text=True, timeout=60)
    assert "BlockingIOError" in other.stderr


def test_a_descriptor_is_kept_if_somebody_opened_the_file_meanwhile(root: Path) -> None:
    (root / "data.db").write_bytes(b"x")
    folder = os.open(root, os.O_RDONLY)
    file = beneath.file_beneath(folder, ("data.db",), "data.db", locked=True)
    other = os.open(root / "data.db", os.O_RDONLY)
    try:
        file.close()
        assert os.fstat(file.descriptor).st_size == 1
    finally:
        beneath._kept.remove(file.descriptor)
        for descriptor in (file.descriptor, other, folder):
            os.close(descriptor)


def test_a_borrowed_descriptor_that_is_another_file_by_now_is_noticed(root: Path, holding: int) -> None:
    folder = os.open(root, os.O_RDONLY)
    file = beneath.file_beneath(folder, ("data.db",), "data.db", locked=True)
    assert file.borrowed
    secret = os.open(root.parent / "outside" / "a.txt", os.O_RDONLY)
    os.dup2(secret, holding)
    os.close(secret)
    os.close(folder)
    with pytest.raises(OSError, match="closed while it was read"):
        file.read(100)


@pytest.mark.parametrize(("failures", "readable"), [(1, True), (4, True), (5, False)])
def test_a_lender_that_closes_its_descriptor_is_tried_again(
    root: Path, holding: int, monkeypatch: pytest.MonkeyPatch, failures: int, readable: bool
) -> None:
    left = [OSError(errno.EBADF, "Bad file descriptor")] * failures
    real = beneath.File.read

    def failing(self: beneath.File, size: int) -> bytes:
        if left:
            raise left.pop()
        return real(self, size)

    monkeypatch.setattr(beneath.File, "read", failing)
    assert Roots([root]).head("data.db", 4) == (b"some" if readable else b"")
    left.append(OSError(errno.EIO, "Input/output error"))
    assert refused(root, "docs/deep/a.txt") == "`docs/deep/a.txt`: input/output error"
