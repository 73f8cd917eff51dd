"""What to do next: look, compute, quote, or refuse. A pure function of question, tools and transcript.

Rule 1: look before computing: list, describe, search; then compute or quote; never call the same twice.
Rule 2: an answer is a value that a tool computed or lines that a tool read, with the locator that the tool stated.
Rule 3: what is not fully understood is refused, with the reason.
"""

import re
from collections.abc import Sequence
from itertools import islice
from typing import Any, NoReturn

from stratagem.core import Observation, Step, Tool, ToolCall, Tools, Transcript, json_of
from stratagem.core._canonical import text_of
from stratagem.errors import NoAnswer
from stratagem.models.offline import generic, quote, results, route
from stratagem.models.offline.arithmetic import expression
from stratagem.models.offline.asked import asked_of, explains
from stratagem.models.offline.blocks import Statement, statements
from stratagem.models.offline.schema import Table, described, flat, names
from stratagem.models.offline.spans import Question, lexicon_of
from stratagem.models.offline.tables import Found, Query, read
from stratagem.models.offline.words import FUNCTION, QUESTION_WORDS, root, stem, tokens

MAX_QUESTION = 2_000  # characters: longer ones are not one question
MAX_TABLES = 40
MAX_LOOKUPS = 24
MAX_GAPS = 3  # stretches that mean nothing: with more, it is no question about the table
ROUNDS = 3
PASSAGES = 20
AROUND = 80  # lines read before and after a passage: its heading is rarely farther away
MAX_WINDOWS = 8
_ABLE = "I quote texts, compute over one table, and calculate expressions"


def refuse(reason: str, nearest: str = _ABLE) -> NoReturn:
    """Raise `NoAnswer` with the reason and the nearest thing that can be done."""
    raise NoAnswer(f"cannot answer: {reason}; {nearest}")


_LARGE = re.compile(r"\bmore than [\d,]+ (rows|cells)\b")


class _Wait(Exception):
    """An observation is needed first; the text says what for."""


class Control:
    """One decision: what is known so far, and what is wanted next.

    Args:
        question: in words.
        steps: what was done so far.
        tools: what may be called.
    """

    def __init__(self, question: str, steps: Transcript, tools: Tools) -> None:
        self.question, self.roles = question, route.roles(tools)
        self.partial = False  # whether there are tables that it has not seen
        self.large: list[str] = []  # what tools say of tables that are too large for them
        self.wanted: list[ToolCall] = []
        self.seen: dict[str, Observation] = {}
        for turn in steps:
            for call, observation in zip(turn.step.calls, turn.observations, strict=False):
                tool = tools.get(call.name)
                arguments = tool.named(call.arguments) if tool is not None else call.arguments
                self.seen.setdefault(_key(call.name, arguments), observation)

    def step(self) -> Step:
        """Return the next step; `NoAnswer` if there is no answer."""
        try:
            return Step(answer=self._answer())
        except _Wait as why:
            return Step(str(why), tuple(self.wanted))

    def _answer(self) -> str:
        """Return the answer; `_Wait` if something must be looked at first."""
        formula = expression(self.question)
        if formula is not None:
            return self._calculated(formula)
        paths = self._paths()
        described_as = self._descriptions(paths)
        hits = self._search()
        self._pause("look at what there is: columns of tables, passages that share words with the question")
        answer, reason = self._computed(self._tables(described_as), hits)
        return answer or self._called() or self._quoted(hits, "; ".join([*filter(None, [reason]), *self.large]))

    def _call(self, tool: Tool, arguments: dict[str, Any]) -> Observation | None:
        """Return what the call brought; None if it is yet to be made."""
        seen = self.seen.get(_key(tool.name, arguments))
        if seen is None:
            call = ToolCall(tool.name, arguments)
            if call not in self.wanted:
                self.wanted.append(call)
        return seen

    def _pause(self, why: str) -> None:
        if self.wanted:
            raise _Wait(why)

    def _need(self, tool: Tool, arguments: dict[str, Any], why: str) -> Observation:
        """Return what the call brought; `_Wait` if it is yet to be made, `NoAnswer` if it failed."""
        seen = self._call(tool, arguments)
        self._pause(why)
        if seen is None or seen.failed:
            refuse(f"`{tool.name}` failed: {seen.text[:300] if seen else 'it brought nothing'}")
        return seen

    def _calculated(self, formula: str) -> str:
        tool = self.roles.calculator
        if tool is None:
            refuse("no tool calculates expressions")
        seen = self._need(tool, {route.formula_of(tool): formula}, "the question is an expression: calculate it")
        return _located(seen, tool.name)

    def _paths(self) -> list[str]:
        """Return the paths of tables, those first that the question names."""
        lister = self.roles.lister
        if lister is None:
            return []
        seen = self._call(lister, {})
        self._pause("first look which files there are")
        paths = [path for path, kind in results.files(seen) if kind in ("csv", "sqlite")] if seen else []
        self.partial = seen is not None and ("\n[cut" in seen.text or len(paths) > MAX_TABLES)
        asked = {root(token.text) for token in tokens(self.question)}
        return sorted(paths, key=lambda path: -len(asked & {root(word) for word in flat(path)}))

    def _descriptions(self, paths: list[str]) -> dict[str, Observation | None]:
        tool = self.roles.describer
        if tool is None or self.roles.querier is None:
            return {}
        return {path: self._call(tool, {route.path_of(tool): path}) for path in paths[:MAX_TABLES]}

    def _tables(self, seen: dict[str, Observation | None]) -> list[Table]:
        """Return the tables of all files, after looking at each table of each database."""
        tool = self.roles.describer
        made: list[Table] = []
        for path, one in seen.items() if tool is not None else ():
            if one is None or one.failed:
                self._unreadable(path, one)
                continue
            own = described(one.result)
            inner: list[Observation | None] = []
            if not own and tool is not None and route.table_of(tool):
                places = [{route.path_of(tool): path, route.table_of(tool): name} for name in names(one.result)]
                inner = [self._call(tool, place) for place in places[:MAX_TABLES]]
            made += own
            self.large += [_said(seen) for seen in inner if seen is not None and _too_large(seen)]
            made += [table for seen in inner if seen and not seen.failed for table in described(seen.result)]
        self._pause("look at each table of the database")
        return made

    def _unreadable(self, path: str, seen: Observation | None) -> None:
        """Refuse if the question names a file that cannot be read; any other one is left aside, and named if too large."""
        if seen is not None and _too_large(seen):
            self.large.append(_said(seen))
        name = path.rpartition("/")[2]
        if seen is not None and re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", self.question, re.IGNORECASE):
            refuse(_said(seen))

    def _search(self) -> Observation | None:
        tool = self.roles.searcher
        if tool is None:
            return None
        words = [token.text for token in tokens(self.question) if token.kind in ("word", "number", "date", "quote")]
        content = [word for word in words if word.casefold() not in FUNCTION | QUESTION_WORDS] or words
        if not content:
            return None
        arguments: dict[str, Any] = {route.query_of(tool): " ".join(dict.fromkeys(content))[:500]}
        if route.count_of(tool):
            arguments[route.count_of(tool)] = PASSAGES
        return self._call(tool, arguments)

    def _computed(self, tables: Sequence[Table], hits: Observation | None) -> tuple[str, str]:
        """Return the answer of the one table that has one, and else the reason why there is none."""
        if explains(self.question):
            return "", ""
        question = Question(self.question)
        found = self._looked_up(question, tables)
        queries = [query for _, one in found for query in one.queries]
        named = {query.table.place for query in queries if query.named}
        if named:
            queries = [query for query in queries if query.table.place in named]
        elif queries and self.partial:
            refuse("there are tables that were not read, which could answer too", "name the file in the question")
        if not queries:
            return "", _nearest(question, found)
        if len(queries) > 1:
            places = sorted({query.table.place for query in queries})
            if len(places) > 1:
                refuse(f"several tables could answer: {', '.join(places)}", "name the file in the question")
            ways = " / ".join(dict.fromkeys(results.wording(query) for query in queries))
            refuse(f"the question can be read in several ways: {ways}", "name the column and the value")
        return self._queried(queries[0], hits), ""

    def _looked_up(self, question: Question, tables: Sequence[Table]) -> list[tuple[Table, Found]]:
        """Return the tables, with the values that words of the question turned out to be, and what it means there."""
        querier = self.roles.querier
        found = [(table, read(question, table)) for table in tables]
        if querier is None or "distinct" not in querier.measures or not querier.where:
            return found
        asked = [set[str]() for _ in found]
        for _ in range(ROUNDS):
            for place, (table, one) in enumerate(found):
                columns = [column.name for column in table.columns if not column.complete and column.kind == "text"]
                words = dict.fromkeys(_core(phrase) for phrase in (*one.gaps, *one.loose))
                fresh = [word for word in words if word not in asked[place]]
                asked[place].update(fresh)
                if not columns or not fresh or len(one.gaps) > MAX_GAPS:
                    continue
                if len(columns) * len(fresh) > MAX_LOOKUPS:
                    found[place] = (table, one._replace(queries=(), reason="too many columns may hold its words"))
                    continue
                grown = self._with_values(querier, table, columns, fresh)
                found[place] = (grown, read(question, grown))
            self._pause("look whether words of the question are values of a column")
        return found

    def _with_values(self, querier: route.Querier, table: Table, columns: list[str], words: list[str]) -> Table:
        """Return the table with the values of some columns in which a word occurs."""
        for name in columns:
            column = table.column(name)
            seen = [self._call(querier.tool, results.lookup(querier, table, name, word)) for word in words]
            values = [value for each in seen if each and not each.failed for value in results.distinct(each)]
            if column is not None and set(values) - set(column.values):
                table = _with(table, name, tuple(dict.fromkeys((*column.values, *values))))
        return table

    def _queried(self, query: Query, hits: Observation | None) -> str:
        querier = self.roles.querier
        if querier is None or query.measure not in querier.measures:
            refuse(f"no tool computes the {query.measure} over a table")
        why = f"compute over {query.table.place}: {results.wording(query)}"
        seen = self._need(querier.tool, results.arguments(querier, query), why)
        rows: Observation | None = None
        listing = results.rows_of(query, seen) if query.kind == "rows_of" else None
        if listing is not None:
            why = f"look in which row the {query.measure} of {query.column} stands"
            rows = self._need(querier.tool, results.arguments(querier, listing), why)
        answer = results.answer(query, seen, rows)
        if answer.reason:
            refuse(answer.reason)
        if not query.named and not query.where:
            self._contradicted(answer.value, hits)
        return answer.text

    def _contradicted(self, value: str, hits: Observation | None) -> None:
        """Refuse if a text says something else in the question's own words: what is meant is not clear then."""
        asked = asked_of(self.question)
        if hits is None or hits.failed or isinstance(asked, str):
            return
        for one in results.passages(hits):
            said = statements(one.path, dict(enumerate(one.text.split("\n"), one.line)))
            for found in quote.answers(asked, said):
                if found.rank == 0 and re.search(r"\d", found.statement.text) and value not in found.statement.text:
                    refuse(f"a table computes {value}, and {one.path}:{found.statement.line} says something else")

    def _called(self) -> str:
        """Return what a tool says that fits the question word for word; empty if there is none."""
        chosen = generic.choose(self.question, self.roles)
        if chosen is None:
            return ""
        tool, arguments = chosen
        return _located(self._need(tool, arguments, f"`{tool.name}` is made for this"), tool.name)

    def _quoted(self, hits: Observation | None, reason: str) -> str:
        asked = asked_of(self.question)
        if hits is None or hits.failed or isinstance(asked, str):
            refuse(reason or (asked if isinstance(asked, str) else "there is nothing to search"))
        texts = self._texts(results.passages(hits))
        said = [one for path, lines in texts.items() for one in statements(path, lines)]
        found = quote.chosen(asked, quote.answers(asked, said))
        if isinstance(found, str):
            refuse(f"{found}{f'; {reason}' if reason else ''}")
        return self._cited(found)

    def _texts(self, found: list[results.Passage]) -> dict[str, dict[int, str]]:
        """Return the known lines of each file around its passages."""
        tool = self.roles.reader
        texts: dict[str, dict[int, str]] = {}
        if tool is None:
            for one in found:
                texts.setdefault(one.path, {}).update(enumerate(one.text.split("\n"), one.line))
            return texts
        windows: list[tuple[str, int]] = []
        for one in found:
            start = max(1, one.line - AROUND)
            if not any(path == one.path and 0 <= one.line - low <= AROUND * 2 for path, low in windows):
                windows.append((one.path, start))
        for path, start in windows[:MAX_WINDOWS]:
            seen = self._call(tool, route.lines_of(tool, path, start, AROUND * 2 + 20))
            if seen is not None and not seen.failed:
                texts.setdefault(path, {}).update(results.lines(seen, start))
        self._pause("read around the best passages")
        return texts

    def _cited(self, said: Statement) -> str:
        """Return the statement with its locator, after reading once more exactly the lines that are cited."""
        tool = self.roles.reader
        if tool is None:
            return f"[{said.path}:{said.line}] {said.text}"
        arguments = route.lines_of(tool, said.path, said.line, said.end - said.line + 1)
        seen = self._need(tool, arguments, "open the lines that answer, to cite them exactly")
        return f"[{seen.sources[0] if seen.sources else f'{said.path}:{said.line}'}] {said.text}"


def _key(name: str, arguments: Any) -> str:
    return f"{name} {text_of(json_of(arguments))}"


def _too_large(seen: Observation) -> bool:
    return seen.failed and _LARGE.search(seen.text) is not None


def _said(seen: Observation) -> str:
    return seen.text[:300].rstrip(".")


def _located(seen: Observation, name: str) -> str:
    return f"[{seen.sources[0] if seen.sources else name}] {seen.text}"


def _core(phrase: str) -> str:
    """Return what every form of a phrase's longest word has in common."""
    word = max(re.findall(r"\w+", phrase) or [phrase], key=len).casefold()
    return stem(word) if word.startswith(stem(word)) else word[:-3]


def _with(table: Table, name: str, values: tuple[Any, ...]) -> Table:
    columns = (column._replace(values=values) if column.name == name else column for column in table.columns)
    return table._replace(columns=tuple(columns))


def _nearest(question: Question, found: list[tuple[Table, Found]]) -> str:
    """Return the reason of the table that understood most, with questions that it answers; empty if none is meant."""
    meant = [(table, one) for table, one in found if _mentions(question, table)]
    if not meant:
        return ""
    table, one = min(meant, key=lambda pair: len(" ".join(pair[1].gaps)))
    columns = ", ".join(column.name for column in table.columns[:12])
    able = " ".join(_answerable(table))
    return f"{table.place}: {one.reason}; its columns: {columns}{f'; it answers: {able}' if able else ''}"


def _mentions(question: Question, table: Table) -> bool:
    """Whether the question names a column, a value, the rows or the table, or something that is computed."""
    lexicon = lexicon_of(table)
    return any(span.code in "CVRMOSYFKD" for at in range(len(question.words)) for span in lexicon.spans(question, at))


def _answerable(table: Table) -> list[str]:
    """Return two questions about the table that can be answered."""
    made = [f"What is the average {column.name}?" for column in table.columns if column.numeric]
    made += [f"How many different {column.name} are there?" for column in table.columns if not column.numeric]
    made.append(f"How many rows are in {table.path}?")
    return list(islice((one for one in made if len(read(Question(one), table).queries) == 1), 2))
