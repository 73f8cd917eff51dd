"""Execution core: what a strategy may use, and the protocols of what a session puts into a run."""

from stratagem.core._book import Book
from stratagem.core._budget import Budget, Meter, Purse, budget_of
from stratagem.core._canonical import Json, decoded, encoded, json_of, plain
from stratagem.core._clock import Clock, SystemClock
from stratagem.core._environment import (
    Decision,
    Environment,
    Forgetful,
    Memory,
    Oracle,
    Policy,
    ReadOnly,
    Recalled,
    Sandbox,
)
from stratagem.core._events import Event, Feed, Listener
from stratagem.core._forked import forked
from stratagem.core._inquiry import Inquiry
from stratagem.core._journal import VERSION, Condition, Journal, Row, State, StoredRun, missing
from stratagem.core._label import SYSTEM, UNKNOWN, USER, Label
from stratagem.core._ledger import Asked, Ledger
from stratagem.core._memory_journal import MemoryJournal
from stratagem.core._model import Capabilities, Delta, Head, Model, Reply, Request, Sample
from stratagem.core._options import OPTIONS
from stratagem.core._pool import Pool
from stratagem.core._ranges import Count, Positive, Share, Temperature, Within
from stratagem.core._run import Run, RunMemory
from stratagem.core._signature import Examples, Marked, Signature, signature
from stratagem.core._spec import parse as parse_spec
from stratagem.core._strategy import (
    Card,
    Configurable,
    Judge,
    JudgeFunction,
    Operation,
    OperationFunction,
    PairJudge,
    Strategy,
    StrategyFunction,
    judge,
    operation,
    strategy,
)
from stratagem.core._task import Answer, Task, asked
from stratagem.core._tool import ModelRetry, Tool, Tools, tool
from stratagem.core._transcript import Transcript, Turn
from stratagem.core._values import (
    Act,
    Attachment,
    Content,
    Draw,
    EffectCounts,
    Example,
    Execution,
    Observation,
    Preference,
    Step,
    Stop,
    ToolCall,
    Usage,
    Verdict,
    printable,
)
from stratagem.core._world import Services, World
from stratagem.core.roles import ROLES, Role

__all__ = [
    "OPTIONS", "ROLES", "SYSTEM", "UNKNOWN", "USER", "VERSION", "Act", "Answer", "Asked", "Attachment", "Book",
    "Budget", "Capabilities", "Card", "Clock", "Condition", "Configurable", "Content", "Count", "Decision", "Delta", "Draw",
    "EffectCounts",
    "Environment", "Event", "Example", "Examples", "Execution", "Feed", "Forgetful", "Head", "Inquiry", "Journal", "Json", "Judge",
    "JudgeFunction", "Label", "Ledger", "Listener", "Marked", "Memory", "MemoryJournal", "Meter", "Model",
    "ModelRetry", "Observation", "Operation", "OperationFunction", "Oracle", "PairJudge", "Policy", "Pool",
    "Positive", "Preference", "Purse", "ReadOnly", "Recalled", "Reply", "Request", "Role", "Row", "Run", "RunMemory",
    "Sample", "Sandbox", "Services", "Share", "Signature", "State", "Step", "Stop", "StoredRun", "Strategy",
    "StrategyFunction", "SystemClock", "Task", "Temperature", "Tool", "ToolCall", "Tools", "Transcript", "Turn",
    "Usage", "Verdict", "Within", "World", "asked", "budget_of", "decoded", "encoded", "forked", "json_of", "judge",
    "missing", "operation", "parse_spec", "plain", "printable", "signature", "strategy", "tool",
]  # fmt: skip
