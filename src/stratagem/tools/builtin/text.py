"""From bytes to text and to lines, the same way for every tool, so that line numbers agree."""

from stratagem.core import ModelRetry

_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


def decoded(data: bytes, path: str) -> tuple[str, tuple[str, ...]]:
    r"""Return the text without a byte order mark and with `\n` as line end, and what is to be said about it.

    UTF-8, or UTF-16 with its mark. Bytes that are neither are replaced by U+FFFD, and it is said how many.
    `ModelRetry` for binary data.
    """
    encoding = "utf-8"
    for mark, name in _MARKS:
        if data.startswith(mark):
            data, encoding = data[len(mark) :], name
    if encoding == "utf-8" and b"\0" in data:
        raise ModelRetry(f"`{path}` is binary, not text")
    notes: tuple[str, ...] = ()
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = data.decode(encoding, "replace")
        wrong = text.count("\ufffd")
        if wrong > len(text) // 5:
            raise ModelRetry(f"`{path}` is binary, not text") from None
        notes = (f"{wrong} characters are not UTF-8: shown as \ufffd",)
    return text.replace("\r\n", "\n").replace("\r", "\n"), notes


def lines_of(text: str) -> list[str]:
    r"""Return the lines; the end of the last one starts no other.

    >>> lines_of("a\n\nb\n"), lines_of("")
    (['a', '', 'b'], [])
    """
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines
