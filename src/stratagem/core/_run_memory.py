"""The long-term memory, as a strand sees it."""

from stratagem.core._canonical import Json, clean, encoded_clean, hashed, json_of
from stratagem.core._effects import journaled
from stratagem.core._environment import Recalled
from stratagem.core._strand import Strand
from stratagem.errors import UsageError


class RunMemory:
    """The long-term memory, as a strand sees it; every access is recorded."""

    __slots__ = ("_strand",)

    def __init__(self, strand: Strand) -> None:
        self._strand = strand

    async def observe(self, text: str, **fields: Json) -> None:
        """Keep a record that outlives the run; resumed, it is not kept twice.

        Args:
            text: what is kept, in words.
            **fields: JSON data that is kept beside it.
        """
        strand = self._strand
        strand.begin()
        try:
            said: Json = json_of(fields)
            form = {"observe": clean(text), "fields": said}
            key = hashed(b"y" + encoded_clean([strand.world.origin, strand.path, strand.steps, form])).hex()

            async def perform() -> Json:
                world = strand.world
                time = _rfc3339(world.services.clock.wall())
                await world.services.memory.observe(
                    clean(text), key=key, source=f"run {world.run_id}", time=time, label=strand.label, fields=said
                )
                return None

            await journaled(strand, "memory", form, perform, {"text": form["observe"], "fields": said})
        finally:
            strand.rest = None

    async def recall(self, query: str, n: int = 3) -> tuple[Recalled, ...]:
        """Return at most `n` records that fit the query, the best first. Each is a text with `source`, `time`, `label`."""
        strand = self._strand
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UsageError(f"n must be a whole number from 1 up, got {n!r}")
        strand.begin()
        try:

            async def perform() -> Json:
                found = await strand.world.services.memory.recall(clean(query), n)
                return [one.form() for one in found]

            said: Json = {"query": query, "n": n}
            forms = await journaled(strand, "memory", {"recall": query, "n": n}, perform, said)
            records = tuple(Recalled.of(form) for form in forms)
            for one in records:
                strand.label = strand.label | one.label
            return records
        finally:
            strand.rest = None


def _rfc3339(wall: float) -> str:
    import datetime  # noqa: PLC0415  (5 ms, only where memory is written)

    moment = datetime.datetime.fromtimestamp(wall, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
