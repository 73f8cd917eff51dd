"""The tables of the journal's file. Stored in the file and compared at each opening: every character counts."""

from typing import Final

RUN: Final = (
    # `known` and `stands` are checksums: of what never changes, and of the rest. `since` is the newest effect at the
    # run's start, `asked` how many questions it has. The lists read strategy, model and question here; the record holds
    # the originals.
    # No index on `created`: a list reads every run, so that a damaged index cannot leave some out (10 ms for 10,000).
    """CREATE TABLE run (
        n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, epoch INTEGER NOT NULL, state TEXT NOT NULL,
        created INTEGER NOT NULL, updated INTEGER NOT NULL, format INTEGER NOT NULL, since INTEGER NOT NULL,
        rows INTEGER NOT NULL, asked INTEGER NOT NULL, parent TEXT NOT NULL, seal BLOB NOT NULL, known BLOB NOT NULL,
        stands BLOB NOT NULL, strategy TEXT NOT NULL, model TEXT NOT NULL, question TEXT NOT NULL, owner BLOB NOT NULL,
        record BLOB NOT NULL, end BLOB NOT NULL)"""
)

EFFECT: Final = (
    # The key is the order of arrival, so that pages fill up one after the other however many runs interleave.
    # No index on the digest: a run has one owner, which looks up in memory.
    """CREATE TABLE effect (
        n INTEGER PRIMARY KEY, run INTEGER NOT NULL, seq INTEGER NOT NULL, kind INTEGER NOT NULL, path INTEGER NOT NULL,
        occurrence INTEGER NOT NULL, wall INTEGER NOT NULL, active INTEGER NOT NULL, took INTEGER NOT NULL,
        failed INTEGER NOT NULL, sample INTEGER NOT NULL, usage TEXT, digest BLOB NOT NULL, seal BLOB NOT NULL,
        request BLOB NOT NULL, result BLOB NOT NULL)"""
)

PLACE: Final = "CREATE UNIQUE INDEX effect_place ON effect (run, seq)"

WORD: Final = "CREATE TABLE word (n INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)"

BLOB: Final = (
    # A payload is inline (bytes) or the number of one of these (an integer). `size` is that of the payload; `body` is
    # packed with zlib if it is shorter than that.
    "CREATE TABLE blob (n INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, size INTEGER NOT NULL, body BLOB NOT NULL)"
)

# The following need no key beside their own, so that each takes one page while it is empty.

QUESTION: Final = (
    # `form` is what is asked, empty if that is not known; `value` what was said, empty until then. `asked` and `said`
    # are their checksums.
    """CREATE TABLE question (
        run INTEGER NOT NULL, id TEXT NOT NULL, form BLOB NOT NULL, asked BLOB NOT NULL, value BLOB NOT NULL,
        said BLOB NOT NULL, PRIMARY KEY (run, id)) WITHOUT ROWID"""
)

LEASE: Final = (
    # When an owner last said that it is alive: `stamp` counts from the machine's start, which is named by `boot`.
    """CREATE TABLE lease (
        id TEXT PRIMARY KEY, form BLOB NOT NULL, boot TEXT NOT NULL, stamp INTEGER NOT NULL, wall INTEGER NOT NULL,
        stands BLOB NOT NULL) WITHOUT ROWID"""
)

# `answers`: how often anything about answers has changed. `runs`: the highest number that a removed run had.
COUNT: Final = "CREATE TABLE count (name TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID"

TABLES: Final = (RUN, EFFECT, PLACE, WORD, BLOB, QUESTION, LEASE, COUNT)
