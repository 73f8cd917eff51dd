"""A text file as sentences, list items and table rows, each with its lines and with what stands above it."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from stratagem.models.offline.doubts import HIDDEN, shown

_HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$")
_UNDERLINE = re.compile(r"^([=\-~^\"'`#*+.:_])\1{2,}\s*$")
_ITEM = re.compile(r"^\s*(?:[-*+•]|\(?\d{1,3}[.)])\s+(?=\S)")
_FENCE = re.compile(r"^\s*(```+|~~~+)\s*(\S*)")
_KEYED = re.compile(r"\s*[^\s:|][^:|.!?]{0,60}:(?:\s|$)")  # `weight: 3 kg` is a line of its own
_RULE = re.compile(r"^\s*\|?[\s:|-]*-[\s:|-]*\|?\s*$")
_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[^\sa-z])")
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|etc|cf|vs|approx|Dr|Mr|Mrs|Ms|Prof|No|St|Fig|Inc|Ltd)|\b[A-Z])\.$")


class Statement(NamedTuple):
    """Something a text says, which can be quoted.

    Attributes:
        path: the file.
        line: number of its first line.
        end: number of its last line.
        text: verbatim; line breaks are spaces.
        above: headings, the introduction of a list.
        header: cells of the table's first row; empty if it is no table row.
        kind: `sentence item row`.
    """

    path: str
    line: int
    end: int
    text: str
    above: tuple[str, ...]
    header: tuple[str, ...] = ()
    kind: str = "sentence"


def statements(path: str, lines: Mapping[int, str]) -> Iterator[Statement]:
    """Yield what the known lines of a file say, in order; a gap between line numbers is a gap in the text."""
    lines = shown(lines)
    for said in _statements(path, lines):
        if HIDDEN not in said.text and not said.text.startswith("[//]:"):
            yield said


def _statements(path: str, lines: Mapping[int, str]) -> Iterator[Statement]:
    headings: list[tuple[int, str]] = []
    header: tuple[str, ...] = ()
    intro = ""
    numbers = sorted(lines)
    at = 0
    while at < len(numbers):
        number = numbers[at]
        line = lines[number]
        below = lines.get(number + 1, "")
        if _FENCE.match(line):
            at = _fenced(lines, numbers, at)
            continue
        if not line.strip():
            header, at = (), at + 1
            continue
        heading = _HEADING.match(line)
        under = _UNDERLINE.match(below) if not lines.get(number - 1, "").strip() else None
        if heading or (under and not _ITEM.match(line) and "|" not in line):
            level = len(line) - len(line.lstrip("#")) if heading else 1 + "=-~^\"'`#*+.:_".index(below[0])
            headings = [(other, said) for other, said in headings if other < level]
            headings.append((level, heading[1] if heading else line.strip()))
            intro, header = "", ()
            at += 1 if heading else 2
            continue
        above = tuple(said for _, said in headings)
        if "|" in line and (line.lstrip().startswith("|") or header or _RULE.match(below)):
            if _RULE.match(line):
                at += 1
            elif not header and _RULE.match(below) and "|" in below:
                header, at = cells(line), at + 2
            else:
                yield Statement(path, number, number, line.strip(), above, header or ("",), "row")
                at += 1
            continue
        header = ()
        size = _paragraph(lines, numbers, at)
        block = numbers[at : at + size]
        item = bool(_ITEM.match(line))
        yield from _sentences(path, [(n, lines[n]) for n in block], (*above, intro) if item and intro else above, item)
        if not item:
            last = lines[block[-1]].rstrip()
            intro = last if last.endswith(":") else ""
        at += size


def _fenced(lines: Mapping[int, str], numbers: list[int], at: int) -> int:
    """Return the place after a block of code: examples say nothing about the world."""
    mark = _FENCE.match(lines[numbers[at]])
    end = at + 1
    while mark and end < len(numbers):
        closing = _FENCE.match(lines[numbers[end]])
        if closing and closing[1].startswith(mark[1]) and not closing[2]:
            return end + 1
        end += 1
    return at + 1 if mark and not mark[2] else end


def cells(row: str) -> tuple[str, ...]:
    """Return the cells of a Markdown table row.

    >>> cells("| a | `b` |")
    ('a', '`b`')
    """
    return tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", row.strip().removeprefix("|").removesuffix("|")))


def _paragraph(lines: Mapping[int, str], numbers: list[int], at: int) -> int:
    size = 1
    while at + size < len(numbers):
        number = numbers[at + size]
        line = lines[number]
        ends = not line.strip() or _ITEM.match(line) or _HEADING.match(line) or line.lstrip().startswith("|")
        above = lines[numbers[at + size - 1]]
        ends = ends or line.lstrip().startswith(">") != above.lstrip().startswith(">")
        ends = ends or bool(_KEYED.match(line) and _KEYED.match(above))
        if ends or number != numbers[at + size - 1] + 1 or _UNDERLINE.match(lines.get(number + 1, "")):
            break
        size += 1
    return size


def _sentences(path: str, block: list[tuple[int, str]], above: tuple[str, ...], item: bool) -> Iterator[Statement]:
    text, starts = "", list[tuple[int, int]]()
    for number, line in block:
        plain = line.strip() if text or not item else _ITEM.sub("", line).strip()
        starts.append((len(text) + (1 if text else 0), number))
        text = f"{text} {plain}" if text else plain

    def line_of(place: int) -> int:
        return next(number for start, number in reversed(starts) if start <= place)

    begin = 0
    for end in [*_ends(text), len(text)]:
        said = text[begin:end].strip()
        if said:
            first = begin + len(text[begin:end]) - len(text[begin:end].lstrip())
            kind = "item" if item and not begin else "sentence"
            yield Statement(path, line_of(first), line_of(end - 1), said, above, (), kind)
        begin = end


def _ends(text: str) -> Iterator[int]:
    for found in _END.finditer(text):
        if not _ABBREVIATION.search(text[: found.start()]):
            yield found.end()
