"""Memory per call in flight, in a process of its own: `main(NAME, ORIGIN, WIDTH)` prints KB and how many calls failed."""

import asyncio
import gc

from benchmarks.measure import resident
from benchmarks.model_clients import Call
from benchmarks.models import CLIENTS

LOOK_S = 0.02  # between looks at the memory


async def _held(name: str, origin: str, width: int) -> tuple[float, int]:
    """Return KB per call while all of them wait for each other, and how many failed."""
    async with CLIENTS[name](f"{origin}/1/v1") as warm:
        await warm(None)
    async with CLIENTS[name](f"{origin}/all{width}/v1") as call:
        gc.collect()
        before = most = resident() or 0.0
        calls = [asyncio.create_task(_one(call)) for _ in range(width)]
        done: set[asyncio.Task[bool]] = set()
        while not done:
            done, _ = await asyncio.wait(calls, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
            most = max(most, resident() or 0.0)
        failed = width - sum(await asyncio.gather(*calls))
    return (most - before) / width, failed


async def _one(call: Call) -> bool:
    try:
        return bool(await call(None))
    except Exception:  # noqa: BLE001  (counted)
        return False


def main(name: str, origin: str, width: int) -> None:
    """Print the figures."""
    print(*asyncio.run(_held(name, origin, width)))
