"""Find and read tables in files, and keep the last ones while their files stay as they are."""

import threading
import time
from collections import OrderedDict

from stratagem.core import ModelRetry
from stratagem.tools.builtin.csv_file import read_csv
from stratagem.tools.builtin.roots import CSV_ENDINGS, SQLITE_MAGIC, Loaded, Roots, ending
from stratagem.tools.builtin.table import Table, nearest

MAX_KEPT = 8
MAX_KEPT_CELLS = 4_000_000  # of all of them together: about 300 MB
_SETTLED_NS = 2_000_000_000  # a file changed less than this ago may change again without a new time


class Tables:
    """Tables beneath roots.

    Args:
        roots: where the files are.
    """

    def __init__(self, roots: Roots) -> None:
        self.roots = roots
        self._lock = threading.Lock()  # tools run in threads of their own
        self._kept: OrderedDict[tuple[str, str], tuple[tuple[int, ...], Table]] = OrderedDict()

    def is_database(self, path: str) -> bool:
        """Return whether a file is a SQLite database."""
        return self.roots.head(path, len(SQLITE_MAGIC)) == SQLITE_MAGIC

    def names(self, path: str) -> dict[str, list[str]]:
        """Return the tables of a database, each with its columns."""
        from stratagem.tools.builtin import sqlite_file  # 13 ms, only for databases

        loaded = sqlite_file.load_database(self.roots, path)
        with sqlite_file.opened(loaded.data, loaded.path) as connection:
            return {name: sqlite_file.columns_of(connection, name) for name in sqlite_file.tables_of(connection)}

    def read(self, path: str, table: str = "") -> Table:
        """Return a table; of a database the only one, if none is named. `ModelRetry` says what is wrong."""
        if self.is_database(path):
            return self._from_database(path, table)
        loaded = self.roots.load(path)
        if table:
            raise ModelRetry(f"`{loaded.path}` is one table by itself: leave `table` out")
        if not loaded.data.strip():
            raise ModelRetry(f"`{loaded.path}` is empty")
        kept = self._get(loaded, "")
        if kept:
            return kept
        if ending(path) not in CSV_ENDINGS | {"txt", "dat", "data"}:
            raise ModelRetry(f"`{loaded.path}` is no table: tables are csv and SQLite files")
        return self._keep(loaded, read_csv(loaded))

    def _from_database(self, path: str, table: str) -> Table:
        from stratagem.tools.builtin import sqlite_file  # 13 ms, only for databases

        loaded = sqlite_file.load_database(self.roots, path)
        kept = self._get(loaded, table)
        if kept:
            return kept
        with sqlite_file.opened(loaded.data, loaded.path) as connection:
            names = sqlite_file.tables_of(connection)
            if not table and len(names) == 1:
                name = names[0]
            elif table in names:
                name = table
            else:
                name = next((one for one in names if one.casefold() == table.casefold()), "")
            if not name:
                said = f"has no table {table!r}" if table else "has several tables: name one as `table`"
                raise ModelRetry(f"`{loaded.path}` {said}{nearest(table, names, 'tables')}")
            return self._keep(loaded, sqlite_file.read_table(connection, loaded.path, name), table)

    def _get(self, loaded: Loaded, table: str) -> Table | None:
        kept = self._kept.get((loaded.path, table))
        return kept[1] if kept and kept[0] == loaded.version else None

    def _keep(self, loaded: Loaded, read: Table, table: str = "") -> Table:
        settled = time.time_ns() - max(loaded.version[4::5]) > _SETTLED_NS
        if settled and read.size <= MAX_KEPT_CELLS:
            with self._lock:
                self._kept[(loaded.path, table)] = (loaded.version, read)
                while len(self._kept) > MAX_KEPT or sum(one.size for _, one in self._kept.values()) > MAX_KEPT_CELLS:
                    self._kept.popitem(last=False)
        return read
