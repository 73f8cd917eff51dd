"""The digest of a model call. Frozen: journals, cassettes and recorded replies are found by it."""

from collections.abc import Mapping

from stratagem.core._canonical import Json, encoded, hashed
from stratagem.core._transcript import EMPTY, Transcript
from stratagem.core._values import Attachment

_PLAIN = bytes(32)


def head_digest(form: Mapping[str, Json]) -> bytes:
    """Return the digest of what all requests of one signature have in common; its name is not part of it."""
    return hashed(b"h" + encoded({**form, "signature": ""}))


def request_digest(
    head: bytes,
    said: bytes,
    steps: Transcript | None,
    repair: tuple[tuple[str, str], ...],
    attached: tuple[Attachment, ...],
) -> bytes:
    """Return the digest of a request.

    Args:
        head: digest of its head.
        said: its message, encoded.
        steps: the conversation so far.
        repair: unreadable replies with their complaints.
        attached: documents and images.
    """
    extra = _PLAIN
    if repair or attached:
        extra = hashed(b"x" + encoded([[one.plain() for one in attached], [list(texts) for texts in repair]]))
    return hashed(b"q" + head + (EMPTY if steps is None else steps.digest) + extra + said)
