"""What released frameworks were measured at, for comparison. None of them is installed or run here.

Measured by the authors of this project on 2026-11-21 on a shared machine with two cores: CPU time, plus or minus 30 %.
The same fake model, one trivial tool, so many sequential tool steps, then an answer.
"""

from typing import NamedTuple

from benchmarks.measure import Report

MEASURED = "2026-11-21"


class Peer(NamedTuple):
    """One framework.

    Attributes:
        name: of the package, or of the class that runs its loop.
        import_ms: CPU of importing it; None was not measured.
        megabytes: of its base install.
        dependencies: that its base install requires directly.
        loop_ms: CPU of a loop of 200 steps with nothing stored.
        growth: what 200 steps cost, of 50.
    """

    name: str
    import_ms: int | None = None
    megabytes: int | None = None
    dependencies: int | None = None
    loop_ms: int | None = None
    growth: float | None = None


PEERS = (
    Peer("Microsoft Agent Framework, core", 257, 19, 7, 229, 8.0),
    Peer("LlamaIndex workflows", 329, 10, 3),
    Peer("AutoGen core, agentchat, ext", 340, 33, 7, 1186, 9.0),
    Peer("smolagents", 491, 54, 6, 470, 14),
    Peer("pydantic-ai-slim", 782, 25, 8, 2740, 11),
    Peer("google-adk", 859, 72, 24, 3537, 11.5),
    Peer("langchain agents", 1087, 56, 3, 1040, 5.3),
    Peer("llama-index-core, FunctionAgent", 1660, 179, 29, 2735, 4.5),
    Peer("openai-agents", 2363, 59, 12, 4648, 10.7),
    Peer("crewai", 4657, 821, 32, 3158, 5.7),
)
# Store, bytes after 200 steps of its transcript, CPU ms of the loop with it.
STORES = (
    ("LangGraph SqliteSaver, default channel", 205.0, 1900),
    ("LangGraph SqliteSaver, DeltaChannel (beta)", 9.0, 1200),
    ("Pydantic Harness SqliteStepStore", 24.0, 17_700),
    ("Google ADK SqliteSessionService", 2.3, 5300),
)


def measure(report: Report) -> None:
    """Print the tables."""
    report.title("peers", f"released frameworks, measured on {MEASURED}; nothing is run here")
    report.say(f"   {'':34} {'import ms':>10} {'MB':>6} {'direct':>7} {'200 steps ms':>13} {'of 50':>6}")
    for peer in PEERS:
        columns = (peer.import_ms, peer.megabytes, peer.dependencies, peer.loop_ms, peer.growth)
        shown = ["-" if value is None else f"{value:,}" for value in columns]
        report.say(f"   {peer.name:34} {shown[0]:>10} {shown[1]:>6} {shown[2]:>7} {shown[3]:>13} {shown[4]:>6}")
    for name, times, ms in STORES:
        report.say(f"   {name:44} {times:>6,.1f} x the transcript after 200 steps, {ms:,} ms CPU")
