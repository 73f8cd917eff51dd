"""Execution core: what a strategy may use."""

from stratagem.core._canonical import Json, encoded, json_of, plain
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
from stratagem.core._journal import Journal, MemoryJournal, Row, StoredRun
from stratagem.core._label import SYSTEM, UNKNOWN, USER, Label
from stratagem.core._model import Capabilities, Delta, Model, Reply, Request, Sample
from stratagem.core._ranges import Count, Positive, Share, Temperature, Within
from stratagem.core._task import Answer, Task
from stratagem.core._tool import ModelRetry, Tool, Tools, tool
from stratagem.core._transcript import Transcript, Turn
from stratagem.core._values import (
    Act,
    Attachment,
    Content,
    Draw,
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
