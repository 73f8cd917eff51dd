"""What to do next: look, compute, quote, or refuse. A pure function of question, tools and transcript.

Rule 1: look before computing: list, describe, search; then compute or quote; never call the same twice.
Rule 2: an answer is a value that a tool computed or lines that a tool read, with the locator that the tool stated.
Rule 3: what is not fully understood is refused, with the reason.
"""

import re
from typing import Any, NoReturn

from stratagem.core import Observation, Step, Tool, ToolCall, Tools, Transcript, json_of
from stratagem.core._canonical import text_of
from stratagem.errors import NoAnswer
from stratagem.models.offline import generic, quote, results, route
from stratagem.models.offline.arithmetic import expression
from stratagem.models.offline.blocks import statements
from stratagem.models.offline.schema import Column, Table, described, flat, names
from stratagem.models.offline.tables import Found, Query, Question, read
from stratagem.models.offline.words import FILLERS, QUESTION_WORDS, root, tokens

MAX_QUESTION = 2_000  # characters: longer ones are not one question
MAX_TABLES = 40
MAX_LOOKUPS = 12
PASSAGES = 20
AROUND = 80  # lines read before and after a passage: its heading is rarely farther away
MAX_WINDOWS = 8


def refuse(reason: str, nearest: str = "I quote texts, compute over one table, and calculate expressions") -> NoReturn:
    """Raise `NoAnswer` with the reason and the nearest thing that can be done."""
    raise NoAnswer(f"cannot answer: {reason}; {nearest}")


class _Wait(Exception):
    """An observation is needed first."""


class Control:
    """One decision: what is known so far, and what is wanted next."""

    def __init__(self, question: str, steps: Transcript, tools: Tools) -> None:
        self.question, self.roles = question, route.roles(tools)
        self.wanted: list[ToolCall] = []
        self.seen: dict[str, Observation] = {}
        for turn in steps:
            for call, observation in zip(turn.step.calls, turn.observations, strict=False):
                self.seen.setdefault(_key(call.name, call.arguments), observation)

    def step(self) -> Step:
        """Return the next step, or raise `NoAnswer`."""
        try:
            return Step(answer=self.answer())
        except _Wait as why:
            return Step(str(why), tuple(self.wanted))

    def answer(self) -> str:
        """Return the answer; `_Wait` if something must be looked at first."""
        roles = self.roles
        formula = expression(self.question)
        if formula is not None:
            return self._calculated(formula)
        files = self._files()
        tables, found = self._tables(files)
        hits = self._searched()
        self._pause("look at what there is: the tables' columns, the passages that share words with the question")
        if roles.querier is not None:
            answer = self._computed(tables())
            if isinstance(answer, str):
                return answer
            found = answer
        called = self._called()
        if called is not None:
            return called
        return self._quoted(hits, found)

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

    def _calculated(self, formula: str) -> str:
        tool = self.roles.calculator
        if tool is None:
            refuse("no tool calculates expressions")
        seen = self._call(tool, {route.formula_of(tool): formula})
        self._pause("the question is an expression: calculate it")
        if seen is None or seen.failed:
            refuse(f"the expression {formula!r} was not calculated: {seen.text if seen else ''}")
        return f"[{seen.sources[0]}] {seen.text}" if seen.sources else seen.text

    def _files(self) -> list[dict[str, Any]] | None:
        if self.roles.lister is None:
            return None
        seen = self._call(self.roles.lister, {})
        self._pause("first look which files there are")
        if seen is None or seen.failed:
            return None
        return results.files(seen)

    def _tables(self, files: list[dict[str, Any]] | None) -> Any:
        tool = self.roles.describer
        if tool is None or self.roles.querier is None or not files:
            return (lambda: ()), ""
        paths = [entry["path"] for entry in files if entry["kind"] in ("csv", "sqlite")]
        if len(paths) > MAX_TABLES:
            asked = {root(token.text) for token in tokens(self.question)}
            paths.sort(key=lambda path: -len(asked & {root(word) for word in flat(path)}))
            paths = paths[:MAX_TABLES]
        path_name, table_name = route.path_of(tool), route.table_of(tool)
        seen = {path: self._call(tool, {path_name: path}) for path in paths}

        def tables() -> tuple[Table, ...]:
            made: list[Table] = []
            for path, one in seen.items():
                if one is None or one.failed:
                    continue
                own = described(one.result)
                made.extend(own)
                if not own and table_name:
                    inner = [self._call(tool, {path_name: path, table_name: name}) for name in names(one.result)]
                    made.extend(table for seen in inner if seen and not seen.failed for table in described(seen.result))
            self._pause("look at each table of the database")
            return tuple(made)

        return tables, ""

    def _searched(self) -> Observation | None:
        tool = self.roles.searcher
        if tool is None:
            return None
        words = [token.text for token in tokens(self.question) if token.kind in ("word", "number", "date", "quote")]
        content = [word for word in words if word.casefold() not in FILLERS | QUESTION_WORDS] or words
        if not content:
            return None
        forms = [form for word in content for form in _forms(word)]
        arguments: dict[str, Any] = {route.query_of(tool): " ".join(dict.fromkeys(forms))[:500]}
        if route.count_of(tool):
            arguments[route.count_of(tool)] = PASSAGES
        return self._call(tool, arguments)

    def _computed(self, tables: tuple[Table, ...]) -> Any:
        """Return the answer of the one table that has one, else why there is none."""
        question = Question(self.question)
        found = [(table, read(question, table)) for table in tables]
        found = [(table, read(question, table)) for table in self._looked_up(found)]
        queries = [query for _, one in found for query in one.queries]
        if any(query.named for query in queries):
            queries = [query for query in queries if query.named]
        if len(queries) > 1:
            places = sorted({query.table.place for query in queries})
            if len(places) > 1:
                refuse(f"several tables could answer: {', '.join(places)}", "name the file in the question")
            ways = " / ".join(dict.fromkeys(results.wording(query) for query in queries))
            refuse(f"the question can be read in several ways: {ways}", "name the column and the value")
        if not queries:
            return _nearest(found)
        return self._queried(queries[0])

    def _looked_up(self, found: list[tuple[Table, Found]]) -> list[Table]:
        """Return the tables with the values that words of the question turned out to be."""
        querier = self.roles.querier
        if querier is None or not {"distinct"} <= set(querier.measures) or not querier.where:
            return [table for table, _ in found]
        made: list[Table] = []
        for table, one in found:
            columns: list[Column] = []
            phrases = [*one.gaps, *one.plain_values]
            for column in table.columns:
                if column.complete or column.kind != "text" or not phrases or len(self.wanted) >= MAX_LOOKUPS:
                    columns.append(column)
                    continue
                values: list[str] = []
                for phrase in phrases:
                    word = max(re.findall(r"\w+", phrase) or [phrase], key=len)
                    call = results.lookup(querier, table, column, word)
                    seen = self._call(querier.tool, call)
                    values += results.distinct(seen) if seen and not seen.failed else []
                fresh = [value for value in dict.fromkeys(values) if value not in column.values]
                columns.append(column._replace(values=(*column.values, *fresh)))
            made.append(table._replace(columns=tuple(columns)))
        self._pause("look whether the unknown words are values of a column")
        return made

    def _queried(self, query: Query) -> str:
        querier = self.roles.querier
        if querier is None or query.measure not in querier.measures:
            refuse(f"no tool computes the {query.measure} over a table")
        seen = self._call(querier.tool, results.arguments(querier, query))
        self._pause(f"compute {results.wording(query)} over {query.table.place}")
        if seen is None or seen.failed:
            refuse(f"the table could not be queried: {seen.text if seen else ''}")
        rows = self._rows(querier, query, seen)
        answer = results.answer(query, seen, rows)
        if answer.reason:
            refuse(answer.reason)
        return answer.text

    def _rows(self, querier: route.Querier, query: Query, seen: Observation) -> Observation | None:
        """Return the rows in which an extreme value stands, if the question asks for them."""
        listing = results.rows_of(query, seen) if query.kind == "rows_of" else None
        if listing is None:
            return None
        rows = self._call(querier.tool, results.arguments(querier, listing))
        self._pause(f"look in which row the {query.measure} of {query.column} stands")
        if rows is None or rows.failed:
            refuse(f"the rows could not be listed: {rows.text if rows else ''}")
        return rows

    def _called(self) -> str | None:
        """Return what a tool says that fits the question word for word."""
        chosen = generic.choose(self.question, self.roles.others)
        if chosen is None:
            return None
        tool, arguments = chosen
        seen = self._call(tool, arguments)
        self._pause(f"`{tool.name}` is made for this")
        if seen is None or seen.failed:
            refuse(f"`{tool.name}` failed: {seen.text if seen else ''}")
        return f"[{seen.sources[0] if seen.sources else tool.name}] {seen.text}"

    def _quoted(self, hits: Observation | None, reason: str) -> str:
        if hits is None or hits.failed:
            refuse(reason or "there is nothing to look at")
        asked = quote.asked(self.question)
        if isinstance(asked, str):
            refuse(reason or asked)
        found = results.passages(hits)
        texts = self._texts(found)
        said = [one for path, lines in texts.items() for one in statements(path, lines)]
        answers = quote.answers(asked, said)
        if not answers:
            refuse(f"no passage says it{f' ({reason})' if reason else ''}")
        best = quote.chosen(asked, answers)
        if isinstance(best, str):
            refuse(best)
        return self._cited([one.statement for one in best])

    def _texts(self, found: list[results.Passage]) -> dict[str, dict[int, str]]:
        """Return the known lines of each file around its passages."""
        tool = self.roles.reader
        texts: dict[str, dict[int, str]] = {}
        if tool is None:
            for one in found:
                texts.setdefault(one.path, {}).update(enumerate(one.text.split("\n"), one.line))
            return texts
        path_name, (first, many) = route.path_of(tool), route.start_of(tool)
        windows: list[tuple[str, int]] = []
        for one in found:
            start = max(1, one.line - AROUND)
            if not any(path == one.path and 0 <= one.line - low <= AROUND * 2 for path, low in windows):
                windows.append((one.path, start))
        for path, start in windows[:MAX_WINDOWS]:
            arguments: dict[str, Any] = {path_name: path, first: start}
            if many:
                arguments[many] = AROUND * 2 + 20
            seen = self._call(tool, arguments)
            if seen is not None and not seen.failed:
                texts.setdefault(path, {}).update(results.lines(seen, start))
        self._pause("read around the best passages")
        return texts

    def _cited(self, said: list[quote.Statement]) -> str:
        """Return the statements with their locators, after reading once more exactly the lines that are cited."""
        tool = self.roles.reader
        if tool is None:
            return "\n".join(f"[{one.path}:{one.line}] {one.text}" for one in said)
        path_name, (first, many) = route.path_of(tool), route.start_of(tool)
        cited: list[str] = []
        for one in said:
            arguments: dict[str, Any] = {path_name: one.path, first: one.line}
            if many:
                arguments[many] = one.end - one.line + 1
            seen = self._call(tool, arguments)
            if seen is not None:
                where = seen.sources[0] if seen.sources else f"{one.path}:{one.line}"
                cited.append(f"[{where}] {one.text}")
        self._pause("open the lines that answer, to cite them exactly")
        return "\n".join(cited)


def _key(name: str, arguments: Any) -> str:
    return f"{name} {text_of(json_of(arguments))}"


def _forms(word: str) -> tuple[str, ...]:
    """Return the word and its other forms, because a search may compare words as they are."""
    short = root(word)
    if not word.isascii() or not word.isalpha() or len(word) < 4:
        return (word,)
    return (word, short, f"{short}e", f"{short}ed", f"{short}ing")


def _nearest(found: list[tuple[Table, Found]]) -> str:
    """Return the reason of the table that understood most."""
    reasons = [(len(" ".join(one.gaps)), place, table, one) for place, (table, one) in enumerate(found)]
    if not reasons:
        return ""
    _, _, table, one = min(reasons, key=lambda entry: entry[:2])
    columns = ", ".join(column.name for column in table.columns[:12])
    return f"{table.place}: {one.reason}; its columns: {columns}"
