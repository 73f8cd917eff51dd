"""The tool that searches text files."""

import time
from collections.abc import Callable

from stratagem.core import ModelRetry, Observation
from stratagem.tools.builtin.locators import file_line
from stratagem.tools.builtin.passages import Passage, rank, split
from stratagem.tools.builtin.roots import PROSE_ENDINGS, Entry, Loaded, Roots, ending, size_in_words
from stratagem.tools.builtin.text import decoded, lines_of

MAX_READ = 20_000_000  # bytes of all files together
MAX_FILES = 5_000
MAX_PASSAGES = 50
LIMIT_S = 20.0  # seconds of reading, below the tool's time limit
_SETTLED_NS = 2_000_000_000  # a file changed less than this ago may change again without a new time


class _Index:
    """Passages of the files that were read, kept while a file stays as it is."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[tuple[int, ...], list[Passage], int]] = {}

    def of(self, loaded: Loaded) -> list[Passage]:
        kept = self._kept.get(loaded.path)
        if kept and kept[0] == loaded.version:
            return kept[1]
        try:
            text, _ = decoded(loaded.data, loaded.path)
        except ModelRetry:  # binary in spite of its name: there is nothing to search
            return []
        passages = split(loaded.path, lines_of(text))
        if time.time_ns() - loaded.version[-1] > _SETTLED_NS:
            if sum(size for _, _, size in list(self._kept.values())) > MAX_READ:
                self._kept.clear()  # full of files that are no longer there
            self._kept[loaded.path] = (loaded.version, passages, len(loaded.data))
        return passages


def search_files(roots: Roots) -> Callable[..., Observation]:
    """Make the tool's function."""
    index = _Index()

    def search_files(query: str, n: int = 10, folder: str = "") -> Observation:
        """Search the text files (txt, md, rst and the like) and return the best passages verbatim, with file and line.

        Args:
            query: the words to look for; rare ones count most.
            n: how many passages at most, up to 50.
            folder: only beneath this folder; everywhere if left out.
        """
        if not query.strip():
            raise ModelRetry("`query` is empty: give the words to look for")
        if n < 1:
            raise ModelRetry(f"`n` must be at least 1, got {n}")
        passages, cut = _read(roots, folder, index)
        best = rank(passages, query, min(n, MAX_PASSAGES))
        lines: list[str] = []
        for number, (_, one) in enumerate(best, 1):
            span = str(one.line) if one.end == one.line else f"{one.line}-{one.end}"
            lines.append(f"[{number}] {one.path}:{span}  " + one.text.replace("\n", "\n    "))
        if not best:
            lines.append(f"no passage has any word of {query[:200]!r}" if passages else "there is no text to search")
        lines += cut
        result = [
            {
                "path": one.path,
                "line": one.line,
                "end": one.end,
                "text": one.text,
                "score": score,
                "context": one.context,
            }
            for score, one in best
        ]
        sources = tuple(dict.fromkeys(file_line(one.path, one.line) for _, one in best))
        return Observation("\n".join(lines), result=result, sources=sources)

    return search_files


def _read(roots: Roots, folder: str, index: _Index) -> tuple[list[Passage], list[str]]:
    """Return the passages of all prose files, and what was left out."""
    walk = roots.walk(folder)
    files = [entry for entry in walk.entries if _is_prose(entry)]
    passages: list[Passage] = []
    cut = ["[cut: there is more than can be looked at; name a folder]"] if walk.cut else []
    room, until = MAX_READ, time.monotonic() + LIMIT_S
    for number, entry in enumerate(files):
        room -= entry.size
        if number >= MAX_FILES or room < 0 or time.monotonic() > until:
            why = (
                f"{MAX_FILES} files"
                if number >= MAX_FILES
                else size_in_words(MAX_READ)
                if room < 0
                else f"{LIMIT_S:g} s"
            )
            cut.append(f"[cut: {number} of {len(files)} files searched ({why} at most); name a folder]")
            break
        try:
            passages += index.of(roots.load(entry.path))
        except ModelRetry:  # removed or changed since it was listed
            cut.append(f"[left out: `{entry.path}` cannot be read]")
    return passages, cut


def _is_prose(entry: Entry) -> bool:
    return entry.kind == "text" and (ending(entry.path) in PROSE_ENDINGS or "." not in entry.path.rpartition("/")[2])
