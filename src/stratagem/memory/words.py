"""From a text to the words by which it is found: one analyser, for what is stored and for what is asked.

Rule 1: a word is a run of letters, digits and marks, without case and without Latin, Greek or Cyrillic accents.
Rule 2: scripts without spaces between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese), and Korean, which glues
        particles to them, are indexed as overlapping pairs of characters; the last character of a run is indexed
        alone too, so that a single one can be looked up as a beginning.
Rule 3: nothing but words leaves this file, so no query syntax of a user or of a hostile text reaches the index.
Rule 4: whoever changes what `words_of` returns raises `SCHEMA` in `fts.py`: an index knows one analyser only.
"""

import re
import unicodedata
from itertools import pairwise

LONGEST = 64  # characters of a word that count: longer runs are data, not language
MOST = 200  # distinct words of a query that count: half from its beginning, half from its end

# They say how a question is built and not what it is about. English only: a word that is in every record scores next
# to nothing whatever its language, so this list matters for small stores.
FUNCTION_WORDS = frozenset(
    """
    a about an and any are as at be been but by can could d did do does for from had has have how i if in into is it
    its ll m may me my of on or our re s shall should so some t than that the their them then there these they this
    those to us ve was we were what when where which who whom whose why will with would you your
    """.split()  # noqa: SIM905  (a hundred quotation marks hide the words)
)

_DENSE = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_RUN = re.compile(f"(?P<dense>[{_DENSE}]+)|[^{_DENSE} ]+")
_PLAIN = re.compile("[a-z0-9]+")


class _Folding(dict[int, str | None]):
    """What becomes of a character, worked out once each: folded, a blank between words, or dropped (None)."""

    def __missing__(self, code: int) -> str | None:
        char = chr(code)
        kind = unicodedata.category(char)
        if 0x300 <= code <= 0x36F or kind == "Cf":  # accents; invisible joiners and direction marks
            folded = None
        elif char.isalnum() or kind[0] == "M":
            folded = char.casefold()
        else:
            folded = " "
        self[code] = folded
        return folded


_folding = _Folding()


def _runs(text: str) -> list[tuple[str, bool]]:
    """Return the runs of a text, each with whether it is indexed in pairs."""
    if text.isascii():
        return [(word[:LONGEST], False) for word in _PLAIN.findall(text.lower())]
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFKD", text).translate(_folding))
    return [
        (found[0] if found["dense"] else found[0][:LONGEST], bool(found["dense"])) for found in _RUN.finditer(folded)
    ]


def words_of(text: str) -> list[str]:
    """Return the words of a text in their order, as they are indexed.

    >>> words_of("Röntgen's 2nd x-ray: 天気予報")
    ['rontgen', 's', '2nd', 'x', 'ray', '天気', '気予', '予報', '報']
    """
    words: list[str] = []
    for run, dense in _runs(text):
        if dense:
            words += [run[place : place + 2] for place in range(len(run))]
        else:
            words.append(run)
    return words


def query_of(text: str) -> list[tuple[str, bool]]:
    """Return what to look for: words, each with whether every word that begins so counts too.

    A longer word is looked for as it stands and by its beginning, which finds its inflections. Function words are left
    out unless there is nothing else.

    >>> query_of("What were the temperatures?")
    [('temperatures', False), ('temperatur', True)]
    """
    found: dict[str, list[tuple[str, bool]]] = {}
    for run, dense in _runs(text):
        if dense and len(run) > 1:
            found.update({pair: [(pair, False)] for pair in map("".join, pairwise(run))})
        elif dense:
            found[run] = [(run, True)]
        elif len(run) > 3 and not any(map(str.isdigit, run)):
            found[run] = [(run, False), (run[: max(4, len(run) - 2)], True)]
        else:
            found[run] = [(run, False)]
    content = [word for word in found if word not in FUNCTION_WORDS] or list(found)
    if len(content) > MOST:
        content = content[: MOST // 2] + content[-MOST // 2 :]
    return list(dict.fromkeys(term for word in content for term in found[word]))
