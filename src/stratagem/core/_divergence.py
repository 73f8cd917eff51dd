"""Say where a replayed program asked for something new. Core only."""

from stratagem.core._book import attached
from stratagem.core._canonical import Json, decoded, hashed, text_of
from stratagem.core._model import Request
from stratagem.core._world import World
from stratagem.errors import Diverged


def diverged(world: World, request: Request, form: bytes) -> Diverged:
    """Return the error of a replay that asks for something new, with the nearest recorded request."""
    wanted = expanded(world, decoded(form))
    near: str = ""
    best: tuple[str, ...] | None = None
    for row in world.book.unused():
        if row.path == request.path and row.kind == "model":
            known = expanded(world, decoded(row.request))
            fields = tuple(name for name in wanted if wanted[name] != known.get(name))
            if best is None or len(fields) < len(best):
                near, best = text_of(known), fields
    return Diverged(request.path, text_of(wanted), near, best or ())


def expanded(world: World, form: Json) -> Json:
    """Return a recorded request with what it refers to, as one flat object."""
    rows = {row.seq: row for row in world.book.own_rows}
    head, message = form["head"], form["message"]
    if isinstance(head, int):
        head = decoded(rows[head].request)["head"] if head in rows else None
    facts: dict[str, Json] = head or {}
    if isinstance(message, int):
        message = decoded(rows[message].request)["message"] if message in rows else ""
    shown = attached(form, lambda seq: decoded(rows[seq].request))
    return {
        **facts,
        "message": message,
        "steps": form.get("steps"),
        "repair": form.get("repair"),
        "attached": [[name, media_type, len(data), hashed(b"b" + data).hex()] for name, media_type, data in shown],
    }
